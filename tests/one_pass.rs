//! One compute reads each file once, whatever is asked; two computes read twice. On the real airline sample.

use outcrop::exec::RunStatistics;
use outcrop::expr::{col, count_rows, lit};
use outcrop::frame::{DataFrame, LazyFrame, Run, Runner, Value, compute, scan_csv};

const RECORDS: u64 = 128_790;

fn air() -> LazyFrame {
    scan_csv("testdata/airline/*.csv.bz2").unwrap()
}

fn stored_bytes() -> u64 {
    let files = std::fs::read_dir("testdata/airline").unwrap().map(|entry| entry.unwrap());
    let bz2 = files.filter(|entry| entry.path().extension().is_some_and(|ending| ending == "bz2"));
    bz2.map(|entry| entry.metadata().unwrap().len()).sum()
}

fn assert_read_once(statistics: &RunStatistics) {
    assert_eq!(statistics.passes, 1);
    assert_eq!(statistics.records_read, RECORDS);
    let stored = stored_bytes();
    assert_eq!(statistics.bytes_stored, stored);
    assert!(statistics.bytes_read >= stored, "{} bytes read of {stored}", statistics.bytes_read);
    assert!(statistics.bytes_read <= stored + stored / 10, "{} bytes read of {stored}", statistics.bytes_read);
}

#[test]
fn the_first_program_of_the_lecture_reads_each_file_once() {
    let air = air();
    let by_carrier = air.group_by("UniqueCarrier").agg(col("ArrDelay").mean());
    let run: Run<(Option<i64>, Option<i64>, DataFrame)> =
        Runner::new().run((air.min("DepDelay"), air.max("DepDelay"), by_carrier)).unwrap();
    assert_read_once(&run.statistics);
    let (lo, hi, carriers) = run.value;
    assert!(lo.unwrap() < 0 && hi.unwrap() > 1000);
    assert!(carriers.rows() > 10);
}

#[test]
fn two_computes_read_twice() {
    let air = air();
    let runner = Runner::new();
    let first: Run<Option<i64>> = runner.run(air.min("DepDelay")).unwrap();
    let second: Run<Option<i64>> = runner.run(air.max("DepDelay")).unwrap();
    assert_read_once(&first.statistics);
    assert_read_once(&second.statistics);
}

#[test]
fn the_known_facts_of_the_sample_hold() {
    let air = air();
    let (rows, years): (i64, i64) = compute((air.count(), air.sum("Year"))).unwrap();
    assert_eq!((rows, years), (RECORDS as i64, 257_403_132));
}

#[test]
fn reductions_group_bys_filters_and_heads_share_one_pass() {
    let air = air();
    let december = air.filter(col("Month").eq(lit(12)).and(col("DepDelay").gt(lit(0))));
    let frames = vec![
        air.agg([col("DepDelay").min(), col("DepDelay").max()]),
        december.group_by("UniqueCarrier").agg([count_rows().alias("n"), col("ArrDelay").mean()]),
        air.filter(col("ArrDelay").is_not_null()).sort_descending("ArrDelay").head(10),
        air.head(3),
    ];
    let together: Run<Vec<DataFrame>> = Runner::new().run(frames.clone()).unwrap();
    assert_read_once(&together.statistics);
    for (frame, shared) in frames.into_iter().zip(&together.value) {
        assert_eq!(frame.collect().unwrap().to_string(), shared.to_string(), "alone and in company");
    }
}

#[test]
fn inputs_that_differ_take_a_pass_each() {
    let one = scan_csv("testdata/airline/1987.csv.bz2").unwrap();
    let other = scan_csv("testdata/airline/1988.csv.bz2").unwrap();
    let again = scan_csv("testdata/airline/1987.csv.bz2").unwrap();
    let run: Run<Vec<Value>> = Runner::new().run(vec![one.count(), other.count(), again.count()]).unwrap();
    assert_eq!(run.statistics.passes, 2, "the same file opened twice is one input");
    assert_eq!(run.value[0], run.value[2]);
}

#[test]
fn a_head_alone_does_not_read_the_whole_set() {
    let run: Run<DataFrame> = Runner::new().threads(1).run(air().head(5)).unwrap();
    assert_eq!(run.value.rows(), 5);
    assert!(run.statistics.records_read < RECORDS / 4, "{} records were read", run.statistics.records_read);
}

#[test]
fn group_by_filter_on_the_aggregate_and_second_group_by_are_stages_of_one_question() {
    let air = air();
    let routes = air.group_by(["Origin", "Dest"]).agg([count_rows().alias("n")]);
    let busy = routes
        .filter(col("n").gt(lit(50)))
        .group_by("Origin")
        .agg([count_rows().alias("routes"), col("n").sum().alias("flights")]);
    let run: Run<DataFrame> = Runner::new().run(busy).unwrap();
    assert_eq!(run.statistics.passes, 1);
    // The same, by hand.
    let routes = routes.collect().unwrap();
    let mut by_hand = std::collections::BTreeMap::<String, (i64, i64)>::new();
    for row in 0..routes.rows() {
        if let (Value::Utf8(origin), Value::Int64(n)) =
            (routes.value(row, "Origin").unwrap(), routes.value(row, "n").unwrap())
            && n > 50
        {
            let entry = by_hand.entry(origin).or_default();
            *entry = (entry.0 + 1, entry.1 + n);
        }
    }
    assert!(by_hand.len() > 5);
    assert_eq!(run.value.rows(), by_hand.len());
    for (row, (origin, (count, flights))) in by_hand.into_iter().enumerate() {
        assert_eq!(run.value.value(row, "Origin").unwrap(), Value::Utf8(origin));
        assert_eq!(run.value.value(row, "routes").unwrap(), Value::Int64(count));
        assert_eq!(run.value.value(row, "flights").unwrap(), Value::Int64(flights));
    }
}

#[test]
fn the_parts_of_a_query_share_the_pass_over_their_files() {
    let air = "'testdata/airline/*.csv.bz2'";
    for (query, rows) in [
        ("select Month, Origin, count(*) from AIR where Year = 2001 group by rollup (Month, Origin)", None),
        (
            "select Month, DayOfWeek, avg(ArrDelay), median(ArrDelay) from AIR group by cube (Month, DayOfWeek)",
            Some(104),
        ),
        ("select Origin from AIR union select Dest from AIR", None),
        ("select Origin from AIR where Month = 1 except select Dest from AIR", None),
        (
            "select Origin, Dest from AIR where Year = 1987 union all select Dest, Origin from AIR where Year = 1987",
            Some(2728),
        ),
        (
            "select 'all' as k, count(*) as n from AIR union all select UniqueCarrier, count(*) from AIR group by 1",
            None,
        ),
        (
            "select Month, avg(ArrDelay) from AIR group by 1 having avg(ArrDelay) > (select avg(ArrDelay) from AIR)",
            None,
        ),
        (
            "select a.m, a.n, b.n from (select Month as m, count(*) as n from AIR group by 1) a
          join (select Month as m, count(*) as n from AIR where Cancelled = 1 group by 1) b on a.m = b.m",
            Some(12),
        ),
    ] {
        let frame = outcrop::sql::Session::new().sql(&query.replace("AIR", air)).unwrap();
        let run: Run<DataFrame> = Runner::new().run(frame).unwrap();
        assert_read_once(&run.statistics);
        assert!(rows.is_none_or(|rows| rows == run.value.rows()), "{query}: {} rows", run.value.rows());
    }
}
