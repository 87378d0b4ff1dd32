//! Whole groups, given to functions.

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use outcrop::error::ErrorKind;
use outcrop::exec::{RunOptions, Scheduler};
use outcrop::frame::{OnError, Stratum};
use outcrop::memory::{Budget, Spill};
use outcrop::parallel::Allocation;
use outcrop::{Error, LazyFrame, Result, col, lit, scan_csv};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

mod common;
use common::shown;

/// Some flights of each year from 2000 to 2008, read once.
fn air() -> LazyFrame {
    static AIR: OnceLock<LazyFrame> = OnceLock::new();
    let air = AIR.get_or_init(|| {
        let all = scan_csv("testdata/airline/200*.csv.bz2").unwrap().filter(col("DayofMonth").lt(lit(3)));
        all.persist().unwrap()
    });
    air.clone()
}

fn one_row(columns: Vec<(&str, ArrayRef)>) -> Result<RecordBatch> {
    Ok(RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))?)
}

fn integer(value: impl Into<Option<i64>>) -> ArrayRef {
    Arc::new(Int64Array::from(vec![value.into()]))
}

/// Rows, their number by an order-dependent hash, and the first tail number.
fn fingerprint(stratum: &Stratum) -> Result<RecordBatch> {
    let delays = stratum.column("ArrDelay")?;
    let mut hash = 0_u64;
    for delay in delays.as_primitive::<Int64Type>() {
        hash = hash.wrapping_mul(31).wrapping_add(delay.map_or(7, |delay| delay as u64));
    }
    let tails = stratum.column("TailNum")?;
    let first = tails.as_string::<i32>().iter().flatten().next().map(str::to_owned);
    let first: ArrayRef = Arc::new(StringArray::from(vec![first]));
    one_row(vec![("n", integer(stratum.rows() as i64)), ("hash", integer((hash >> 1) as i64)), ("tail", first)])
}

#[test]
fn every_group_is_whole_in_input_order_and_results_ascend_by_key() {
    let air = scan_csv("testdata/airline/2001.csv.bz2").unwrap();
    let found = air.group_by(["UniqueCarrier", "Month"]).map_strata(fingerprint).unwrap();
    let counts = found.ask("UniqueCarrier, Month, n").unwrap().collect().unwrap();
    let expected = air.ask("count(*) as n by UniqueCarrier, Month").unwrap().collect().unwrap();
    assert_eq!(shown(&counts), shown(&expected));
    // One group by hand.
    let rows = air.filter(col("UniqueCarrier").eq(lit("DL")).and(col("Month").eq(lit(3)))).collect().unwrap();
    let mut hash = 0_u64;
    for delay in rows.column("ArrDelay").unwrap().as_primitive::<Int64Type>() {
        hash = hash.wrapping_mul(31).wrapping_add(delay.map_or(7, |delay| delay as u64));
    }
    let one = found.ask("hash where UniqueCarrier = 'DL' and Month = 3").unwrap().collect().unwrap();
    assert_eq!(one.column("hash").unwrap().as_primitive::<Int64Type>().values(), &[(hash >> 1) as i64]);
}

#[test]
fn results_do_not_depend_on_workers_allocation_or_memory() {
    let air = scan_csv("testdata/airline/2005.csv.bz2").unwrap();
    let strata = || air.group_by(["Origin"]).strata().columns(["ArrDelay", "TailNum"]);
    let options = |budget: Budget| RunOptions { budget, threads: 2, ..RunOptions::default() };
    let synchronous = RunOptions { scheduler: Scheduler::Synchronous, ..options(Budget::unlimited()) };
    let expected = shown(&strata().with_options(synchronous).map(fingerprint).unwrap().frame.collect().unwrap());
    for (workers, allocation, limit) in
        [(1, "dynamic", usize::MAX), (3, "static", 64 << 20), (2, "static(5)", 48 << 20), (8, "dynamic", 40 << 20)]
    {
        let budget = Budget::new(limit);
        let strata = strata().workers(workers).allocation(Allocation::parse(allocation).unwrap());
        let found = strata.with_options(options(budget.clone())).map(fingerprint).unwrap();
        assert_eq!(shown(&found.frame.collect().unwrap()), expected, "{workers} {allocation} {limit}");
        drop(found);
        assert_eq!(budget.held_bytes(), 0);
    }
}

#[test]
fn a_stratum_beyond_the_memory_is_mapped_from_disk() {
    let rows = 400_000_i64;
    let numbers = |start: i64| Arc::new((start..start + 20_000).collect::<Int64Array>()) as ArrayRef;
    let batches = (0..20).map(|at| RecordBatch::try_from_iter([("n", numbers(at * 20_000))]).unwrap());
    let batches: Vec<RecordBatch> = batches.collect();
    let source = outcrop::source::memory::MemorySource::new(batches[0].schema(), batches);
    let frame = LazyFrame::from_source(Arc::new(source));
    let (budget, spill) = (Budget::new(3 << 20), Spill::default());
    let options = RunOptions { budget, spill: spill.clone(), threads: 1, ..RunOptions::default() };
    let strata = frame.group_by(lit(1).alias("all")).strata().columns("n").with_options(options);
    let found = strata.map(|stratum| {
        assert_eq!(stratum.batches().len(), 1);
        assert!(spill.held_bytes() > 3 << 20, "on disk");
        let sum: i64 = stratum.column("n")?.as_primitive::<Int64Type>().values().iter().sum();
        one_row(vec![("sum", integer(sum))])
    });
    let found = found.unwrap().frame.collect().unwrap();
    assert_eq!(found.column("sum").unwrap().as_primitive::<Int64Type>().values(), &[rows * (rows - 1) / 2]);
    assert_eq!(spill.held_bytes(), 0);
}

#[test]
fn results_are_brought_together_as_files_are() {
    let result = |stratum: &Stratum| {
        let year = stratum.keys().column(0).as_primitive::<Int64Type>().value(0);
        let value: ArrayRef = match year {
            2000 => Arc::new(arrow::array::NullArray::new(1)),
            2001 => Arc::new(arrow::array::Int32Array::from(vec![7])),
            _ => Arc::new(arrow::array::Float32Array::from(vec![0.5])),
        };
        match year {
            2003 => Ok(RecordBatch::new_empty(Arc::new(arrow::datatypes::Schema::empty()))),
            2004 => one_row(vec![("b", integer(1)), ("a", value)]),
            _ => one_row(vec![("a", value), ("b", integer(1))]),
        }
    };
    let found = air().group_by("Year").map_strata(result).unwrap().collect().unwrap();
    let types: Vec<DataType> = found.schema().fields().iter().map(|field| field.data_type().clone()).collect();
    assert_eq!(types, [DataType::Int64, DataType::Float64, DataType::Int64]);
    let values: Vec<_> = found.column("a").unwrap().as_primitive::<Float64Type>().iter().collect();
    assert_eq!(values, [None, Some(7.0), Some(0.5), Some(0.5), Some(0.5), Some(0.5), Some(0.5), Some(0.5)]);
    let failed = |result: fn(i64) -> RecordBatch| {
        let of_stratum =
            move |stratum: &Stratum| Ok(result(stratum.keys().column(0).as_primitive::<Int64Type>().value(0)));
        air().group_by("Year").map_strata(of_stratum).unwrap_err()
    };
    let error = failed(|year| one_row(vec![(if year == 2005 { "slop" } else { "slope" }, integer(1))]).unwrap());
    assert!(error.to_string().contains("Year = 2005 has no column `slope`"), "{error}");
    let error = failed(|year| {
        let text = Arc::new(StringArray::from(vec!["x"])) as ArrayRef;
        one_row(vec![("a", if year > 2005 { text } else { integer(1) })]).unwrap()
    });
    assert!(error.to_string().contains("`a` is Int64 for Year = 2000 and Utf8 for Year = 2006"), "{error}");
    let error = failed(|year| {
        let real = Arc::new(arrow::array::Float64Array::from(vec![0.5])) as ArrayRef;
        one_row(vec![("a", if year > 2005 { real } else { integer((1 << 53) + 1) })]).unwrap()
    });
    assert!(error.to_string().contains("no double is 9007199254740993"), "{error}");
}

#[test]
fn a_group_that_fails_costs_itself_and_the_first_in_order_is_told() {
    let calls = AtomicUsize::new(0);
    let result = |stratum: &Stratum| {
        calls.fetch_add(1, Ordering::SeqCst);
        match stratum.keys().column(0).as_primitive::<Int64Type>().value(0) {
            2003 => Err(Error::new(ErrorKind::Value, "no fit").hint("more rows")),
            2002 => panic!("singular"),
            _ => one_row(vec![("n", integer(stratum.rows() as i64))]),
        }
    };
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let strata = air().group_by("Year").strata().columns("Month").retries(2);
    let error = strata.map(result).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Task);
    let text = "stratum Year = 2002 (3 attempts): the function panicked: singular\n(1 more stratum failed)";
    assert_eq!(error.message(), text);
    assert_eq!(calls.load(Ordering::SeqCst), 7 + 2 * 3, "the others are done, these are tried three times");
    let skipped = strata.on_error(OnError::Skip).map(result).unwrap();
    std::panic::set_hook(hook);
    assert_eq!(skipped.frame.collect().unwrap().rows(), 7);
    assert_eq!(skipped.warnings.len(), 2);
    assert!(
        skipped.warnings[1].to_string().contains("Year = 2003")
            && skipped.warnings[1].to_string().contains("more rows")
    );
}

#[test]
fn names_are_checked_before_anything_is_read_and_keys_are_not_results() {
    let nothing = |_: &Stratum| -> Result<RecordBatch> { panic!("nothing is read") };
    let error = air().group_by("Yeer").map_strata(nothing).unwrap_err();
    assert!(error.to_string().contains("did you mean `Year`?"), "{error}");
    assert!(air().group_by("Year").strata().columns("ArrDely").map(nothing).is_err());
    let error = air().group_by("Year").map_strata(|_| one_row(vec![("Year", integer(1))])).unwrap_err();
    assert!(error.to_string().contains("`Year`, which is a key"), "{error}");
    let error = air().group_by("Year").map_strata(|stratum| one_row(vec![("n", stratum.column("Mont")?)])).unwrap_err();
    assert!(error.to_string().contains("no column `Mont`"), "{error}");
    let none = air().filter(lit(1).eq(lit(2))).group_by("Year").map_strata(nothing).unwrap().collect().unwrap();
    assert_eq!((none.rows(), none.schema().fields().len()), (0, 1));
}

#[test]
fn a_function_has_the_thread_that_it_is_called_on() {
    let busy = AtomicUsize::new(0);
    let inputs: Vec<u32> = (0..20).collect();
    let strata = air().group_by("Year").strata().columns("Month").workers(2);
    let done = strata.map(|stratum| {
        assert_eq!(RunOptions::default().threads, 1);
        outcrop::parallel::map(&inputs, |_| {
            assert!(busy.fetch_add(1, Ordering::SeqCst) < 2, "two strata at a time, each on one thread");
            std::thread::sleep(std::time::Duration::from_micros(200));
            busy.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        })?;
        one_row(vec![("n", integer(stratum.rows() as i64))])
    });
    assert_eq!(done.unwrap().frame.collect().unwrap().rows(), 9);
}

#[test]
fn without_keys_there_is_one_group() {
    let count = |stratum: &Stratum| {
        assert_eq!(stratum.label(), "all rows");
        one_row(vec![("n", integer(stratum.rows() as i64))])
    };
    let found = air().group_by(Vec::<&str>::new()).map_strata(count).unwrap().collect().unwrap();
    let all: i64 = outcrop::compute(air().count()).unwrap();
    assert_eq!(found.column("n").unwrap().as_primitive::<Int64Type>().values(), &[all]);
}

#[test]
fn null_is_a_group_and_comes_last() {
    let batch = one_row(vec![("k", integer(None))]).unwrap();
    let more = one_row(vec![("k", integer(3))]).unwrap();
    let source = outcrop::source::memory::MemorySource::new(batch.schema(), vec![batch, more]);
    let frame = LazyFrame::from_source(Arc::new(source));
    let labels =
        |stratum: &Stratum| one_row(vec![("label", Arc::new(StringArray::from(vec![stratum.label()])) as ArrayRef)]);
    let found = frame.group_by("k").map_strata(labels).unwrap().collect().unwrap();
    let column = found.column("label").unwrap();
    assert_eq!(column.as_string_view().iter().flatten().collect::<Vec<_>>(), ["k = 3", "k = null"]);
    assert!(found.column("k").unwrap().is_null(1));
}
