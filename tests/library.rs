//! The library's verbs beyond questions: map_partitions, partitions, batches with back-pressure, cancellation, callbacks.

use outcrop::arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use outcrop::arrow::compute::filter_record_batch;
use outcrop::arrow::datatypes::{DataType, Field, Int64Type, Schema};
use outcrop::error::ErrorKind;
use outcrop::exec::RunOptions;
use outcrop::expr::{coalesce, col, lit, when};
use outcrop::frame::{FromValue, JoinKind, Run, Value};
use outcrop::memory::Budget;
use outcrop::source::CancelToken;
use outcrop::{DataFrame, LazyFrame, Runner, compute, scan_csv};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

fn air() -> LazyFrame {
    scan_csv("testdata/airline/200[1-3].csv.bz2").unwrap()
}

#[test]
fn map_partitions_sees_every_row_once_and_may_drop_rows() {
    let schema = Arc::new(Schema::new(vec![Field::new("twice", DataType::Int64, true)]));
    let promised = Arc::clone(&schema);
    let mapped = air().select(["Distance"]).map_partitions(schema, move |batch: RecordBatch| {
        let even = batch.column(0).as_primitive::<Int64Type>().iter().map(|value| value.map(|value| value % 2 == 0));
        let kept = filter_record_batch(&batch, &even.collect::<BooleanArray>())?;
        let twice: Int64Array = kept.column(0).as_primitive::<Int64Type>().unary(|value| value * 2);
        Ok(RecordBatch::try_new(Arc::clone(&promised), vec![Arc::new(twice) as ArrayRef])?)
    });
    let (rows, sum): (i64, Option<i64>) = compute((mapped.count(), mapped.sum("twice"))).unwrap();
    let even = air().filter((col("Distance") % lit(2)).eq(lit(0)));
    let (expected_rows, expected_sum): (i64, Option<i64>) = compute((even.count(), even.sum("Distance"))).unwrap();
    assert!(rows > 1000);
    assert_eq!((rows, sum), (expected_rows, expected_sum.map(|sum| sum * 2)));
}

/// Rows that a function has made are numbered as they come, not by the batches that it was given.
#[test]
fn samples_and_folds_behind_a_function_do_not_depend_on_batches() {
    let schema = Arc::new(Schema::new(vec![Field::new("Distance", DataType::Int64, true)]));
    let mapped = air().select(["Distance"]).map_partitions(schema, |batch: RecordBatch| {
        let odd = batch.column(0).as_primitive::<Int64Type>().iter().map(|value| value.map(|value| value % 2 == 1));
        Ok(filter_record_batch(&batch, &odd.collect::<BooleanArray>())?)
    });
    for question in [
        "* sample 100",
        "* sample 5%",
        "count(*) as n, sum(Distance) where random(3) < 0.5",
        "count(*) as n, sum(Distance) by fold(4) as f",
        "bootstrap(mean(Distance), 20)",
        "approx_quantile(Distance, 0.3)",
    ] {
        let ask = |bytes: usize, budget: Budget, threads: usize| -> RecordBatch {
            let runner = Runner::new().threads(threads).batch_bytes(bytes).piece_bytes(bytes).budget(budget);
            let found: DataFrame = runner.compute(mapped.ask(question).unwrap()).unwrap();
            assert!(found.rows() > 0);
            let batches: Vec<RecordBatch> = found.batches().map(Result::unwrap).collect();
            outcrop::arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap()
        };
        let once = ask(1 << 20, Budget::unlimited(), 1);
        for (bytes, budget, threads) in [(5_000, Budget::unlimited(), 2), (70_000, Budget::new(64 << 20), 3)] {
            assert!(ask(bytes, budget, threads) == once, "{question} with {bytes}");
        }
    }
}

#[test]
fn a_function_that_breaks_its_promise_or_fails_is_an_error() {
    let schema = Arc::new(Schema::new(vec![Field::new("x", DataType::Int64, true)]));
    let wrong = air().select(["Origin"]).map_partitions(schema, Ok);
    assert_eq!(wrong.collect().unwrap_err().kind(), ErrorKind::Type);
}

#[test]
fn partitions_cover_every_stored_byte() {
    let partitions = air().partitions().unwrap();
    let covered: u64 = partitions.iter().map(|part| part.stored_bytes.end - part.stored_bytes.start).sum();
    let stored: u64 =
        (2001..=2003).map(|year| std::fs::metadata(format!("testdata/airline/{year}.csv.bz2")).unwrap().len()).sum();
    assert_eq!(covered, stored);
}

#[test]
fn a_dropped_stream_stops_reading_and_the_callers_token_stays_usable() {
    let token = CancelToken::new();
    let runner = Runner::new().cancel(token.clone()).threads(2).batch_bytes(1000);
    let mut stream = air().iter_batches_with(runner.options().clone()).unwrap();
    assert!(stream.next().unwrap().unwrap().num_rows() > 0);
    drop(stream);
    assert!(!token.is_cancelled());
    let rows: i64 = runner.compute(air().count()).unwrap();
    assert!(rows > 10_000);
}

#[test]
fn a_cancelled_token_ends_a_run_with_an_error_that_says_so() {
    let token = CancelToken::new();
    let cancel = token.clone();
    let runner = Runner::new().cancel(token).on_progress(move |_| cancel.cancel());
    let schema = Arc::new(Schema::new(vec![Field::new("Distance", DataType::Int64, true)]));
    let slow = air().select(["Distance"]).map_partitions(schema, |batch| {
        std::thread::sleep(std::time::Duration::from_millis(60));
        Ok(batch)
    });
    assert_eq!(runner.compute::<_, DataFrame>(slow).unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
fn warnings_and_progress_go_to_callbacks_and_come_back_with_the_result() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("latin.csv");
    std::fs::write(&file, b"k\nM\xFCnchen\nK\xF6ln\n").unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    let counted = AtomicUsize::new(0);
    let runner = Runner::new()
        .on_warning(move |warning| heard.lock().unwrap().push(warning.to_string()))
        .on_progress(move |_| counted.store(1, Ordering::Relaxed));
    let run: Run<Option<String>> = runner.run(scan_csv(&file).unwrap().max("k")).unwrap();
    assert_eq!(run.value.as_deref(), Some("München"));
    assert_eq!(run.statistics.fields_recoded, 2);
    let told = told.lock().unwrap().clone();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told, run.warnings.iter().map(ToString::to_string).collect::<Vec<_>>());
}

#[test]
fn verbs_chain_and_names_are_checked_before_data_are_read() {
    let frame = air()
        .with_columns([
            (col("ArrDelay") - col("DepDelay")).alias("made_up"),
            when(col("DepDelay").gt(lit(15))).then(lit("late")).otherwise(lit("fine")).alias("state"),
            coalesce([col("ArrDelay"), lit(0)]).alias("ArrDelay"),
        ])
        .filter(col("made_up").is_not_null())
        .group_by("state")
        .agg([col("made_up").mean().alias("made up"), col("ArrDelay").count().alias("n")]);
    let answer = frame.collect().unwrap();
    assert_eq!(answer.rows(), 2);
    assert_eq!(answer.value(0, "state").unwrap(), Value::Utf8("fine".to_owned()));
    let wrong = air().filter(col("DepDelys").gt(lit(0))).group_by("Origin").agg(col("ArrDelay").mean());
    let error = wrong.schema().unwrap_err();
    assert_eq!((error.kind(), error.hint_text()), (ErrorKind::Name, Some("did you mean `DepDelay`?")));
    assert_eq!(compute::<_, DataFrame>(wrong).unwrap_err().kind(), ErrorKind::Name);
}

#[test]
fn a_persisted_frame_needs_its_source_no_more_in_memory_or_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.csv");
    let rows: String = (0..150_000).map(|row| format!("{row},{}\n", row % 7)).collect();
    std::fs::write(&file, format!("i,k\n{rows}")).unwrap();
    let frame = scan_csv(&file).unwrap().filter(col("i").gt_eq(lit(10)));
    let ample = frame.persist().unwrap();
    let budget = Budget::new(2 << 20);
    let scarce = RunOptions { budget: budget.clone(), ..RunOptions::default() };
    let spilled = frame.persist_with(scarce.clone()).unwrap();
    assert!(scarce.spill.held_bytes() > 0, "not all of it fits");
    std::fs::remove_file(&file).unwrap();
    for persisted in [&ample, &spilled] {
        let persisted = persisted.filter(col("k").eq(lit(3)));
        let (n, sum): (i64, Option<i64>) = compute((persisted.count(), persisted.sum("i"))).unwrap();
        assert_eq!(
            (n, sum),
            ((10..150_000).filter(|i| i % 7 == 3).count() as i64, Some((10..150_000).filter(|i| i % 7 == 3).sum()))
        );
    }
    assert!((1..=1 << 20).contains(&budget.held_bytes()), "half of the limit is for results");
    drop(spilled);
    assert_eq!((budget.held_bytes(), scarce.spill.held_bytes()), (0, 0));
}

#[test]
fn values_at_once_are_those_of_r_and_sql() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.csv");
    std::fs::write(
        &path,
        "g,x,t\na,15,u\na,50,v\na,20,\na,40,u\na,35,w\na,NA,w\nb,-0.0,q\nb,nan,\nb,0,q\nb,NaN,\nc,NA,\n",
    )
    .unwrap();
    let frame = scan_csv(path).unwrap();
    let answer = |question: &str| {
        let frame = frame.ask(question).unwrap().collect().unwrap();
        let cell = |row: usize, name: &str| match frame.value(row, name).unwrap() {
            Value::Null => "null".to_owned(),
            Value::Int64(number) => number.to_string(),
            Value::Float64(number) => format!("{number:?}"),
            Value::Utf8(text) => text,
            other => panic!("{other:?}"),
        };
        let names: Vec<String> = frame.schema().fields().iter().map(|field| field.name().clone()).collect();
        let row = |row: usize| names.iter().map(|name| cell(row, name)).collect::<Vec<_>>().join(" ");
        (0..frame.rows()).map(row).collect::<Vec<_>>()
    };
    // R: quantile(c(15, 20, 35, 40, 50), 0.4) is 29.
    let quantiles =
        answer("median(x), quantile(x, 0.4) as q, quantile_disc(x, 0.4) as d, approx_quantile(x, 0.4) as a by g");
    assert_eq!(quantiles, ["a 35.0 29.0 20.0 29.0", "b NaN NaN 0.0 NaN", "c null null null null"]);
    let others = answer(
        "n_unique(x), count(distinct t), approx_n_unique(x) as about, mode(t), mode(x), string_agg(t, '+') by g",
    );
    assert_eq!(others, ["a 5 3 5 u 15.0 u+v+u+w+w", "b 2 1 2 q 0.0 q+q", "c 0 0 0 null null null"]);
    assert_eq!(answer("distinct t where g <> 'c'"), ["q", "u", "v", "w", "null"]);
    let (median, distinct): (Option<f64>, i64) = compute((frame.median("x"), frame.n_unique("t"))).unwrap();
    assert_eq!((median, distinct), (Some(35.0), 4));
    let once = frame.select(["g"]).distinct().collect().unwrap();
    assert_eq!(once.rows(), 3);
}

#[test]
fn lists_are_kept_shown_and_written_and_nothing_is_computed_of_them() {
    use outcrop::types::{ColumnType, ItemType};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.csv");
    std::fs::write(&path, "g,x,t\na,3,p\nb,,q\na,1,\na,,\"r, s\"\nb,,\na,2,u\n").unwrap();
    let frame = scan_csv(&path).unwrap();
    let lists = frame.ask("list(x) as xs, array_agg(t) as ts, count(*) as n by g").unwrap();
    let types: Vec<ColumnType> = lists
        .schema()
        .unwrap()
        .fields()
        .iter()
        .map(|field| ColumnType::from_arrow(field.data_type()).unwrap())
        .collect();
    assert_eq!(types[1..3], [ColumnType::List(ItemType::Int64), ColumnType::List(ItemType::Utf8)]);
    let check = |answer: &DataFrame| {
        let integers = |row: usize| Option::<Vec<i64>>::from_value(answer.value(row, "xs").unwrap()).unwrap();
        let texts = |row: usize| Option::<Vec<String>>::from_value(answer.value(row, "ts").unwrap()).unwrap();
        assert_eq!((integers(0), integers(1)), (Some(vec![3, 1, 2]), None));
        assert_eq!(texts(0).unwrap(), ["p", "r, s", "u"]);
        assert_eq!(texts(1).unwrap(), ["q"]);
    };
    check(&lists.collect().unwrap());
    // Through another question, a join, a spilled sort, and memory.
    let kept = lists.persist().unwrap();
    check(&kept.select(["g", "xs", "ts"]).sort("g").collect().unwrap());
    check(&frame.select(["g"]).ask("distinct g").unwrap().join(&kept, "g", JoinKind::Left).collect().unwrap());
    let by_function = frame.group_by("g").agg([col("x").list().alias("xs"), col("t").list().alias("ts")]);
    check(&by_function.collect().unwrap());
    for name in ["out.parquet", "out.arrow"] {
        let out = folder.path().join(name);
        Runner::new().write(&lists, &out, outcrop::write::WriteOptions::of_file_name(&out).unwrap()).unwrap();
        let lengths = outcrop::scan(out.display().to_string()).unwrap().ask("sum(`ts.length`) as n").unwrap();
        assert_eq!(lengths.collect().unwrap().value(0, "n").unwrap(), Value::Int64(4), "{name}");
    }
    let refused = |question: &str| kept.ask(question).and_then(|frame| frame.collect()).unwrap_err().to_string();
    for (question, what) in [
        ("xs sort xs", "a sort key"),
        ("count(*) by xs", "a key"),
        ("distinct xs", "a key"),
        ("max(xs)", "what is aggregated"),
        ("g where xs = 3", "an operand"),
        ("g where xs is not null", "an operand"),
        ("upper(ts)", "an operand"),
    ] {
        let text = refused(question);
        assert!(text.contains("is a list") && text.contains(what), "{question}: {text}");
    }
    let joined = kept.join(&kept, "xs", JoinKind::Inner).collect().unwrap_err().to_string();
    assert!(joined.contains("cannot join List(Int64) with List(Int64)"), "{joined}");
    let wrong = frame.ask("list(x, t)").unwrap_err().to_string();
    assert!(wrong.contains("`list` takes one argument"), "{wrong}");
}

#[test]
fn frames_that_are_submitted_go_on_alone_until_they_are_done_or_cancelled() {
    let (air, rows) = (air(), Arc::new(AtomicUsize::new(0)));
    let told = Arc::clone(&rows);
    let runner = Runner::new().on_progress(move |now| {
        told.fetch_max(now.records as usize, Ordering::SeqCst);
    });
    let begun = runner.submit((air.count(), air.max("Distance"))).unwrap();
    let run: Run<(i64, Option<i64>)> = begun.wait().unwrap();
    assert_eq!(run.value, compute((air.count(), air.max("Distance"))).unwrap());
    assert!(rows.load(Ordering::SeqCst) <= run.value.0 as usize);
    let by_month = air.ask("count(*) as n by Month").unwrap();
    assert_eq!(by_month.submit().unwrap().wait().unwrap().to_string(), by_month.collect().unwrap().to_string());
    let error = air.select(["Distanc"]).submit().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Name, "names are checked at once");
    // Work that does not end before somebody cancels it, by its handle or by the token of its runner.
    let token = CancelToken::new();
    let handle_cancels = [true, false].map(|by_handle| {
        let released = Arc::new(AtomicUsize::new(0));
        let wait = Arc::clone(&released);
        let schema = Arc::new(Schema::new(vec![Field::new("Distance", DataType::Int64, true)]));
        let waiting = air.select(["Distance"]).map_partitions(schema, move |batch| {
            while wait.load(Ordering::SeqCst) == 0 {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            Ok(batch)
        });
        let runner = Runner::new().cancel(token.clone());
        let handle = runner.submit::<_, i64>(waiting.count()).unwrap();
        assert!(!handle.is_done());
        if by_handle {
            handle.cancel()
        } else {
            token.cancel()
        }
        released.store(1, Ordering::SeqCst);
        handle.wait().unwrap_err().kind()
    });
    assert_eq!(handle_cancels, [ErrorKind::Cancelled; 2]);
}
