//! What is said of every column: against exact aggregates, however the work is cut, and in every format that is read.

use outcrop::frame::{DataFrame, Value};
use outcrop::memory::ByteSize;
use outcrop::{Runner, scan, scan_csv};
use std::fmt::Write;
use std::path::PathBuf;

fn file(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// All rows, each with the text of all values.
fn rows(frame: &DataFrame) -> Vec<Vec<String>> {
    let names: Vec<String> = frame.schema().fields().iter().map(|field| field.name().clone()).collect();
    let value = |row: usize, name: &String| format!("{:?}", frame.value(row, name).unwrap());
    (0..frame.rows()).map(|row| names.iter().map(|name| value(row, name)).collect()).collect()
}

fn fact(frame: &DataFrame, column: &str, name: &str) -> Value {
    let row = (0..frame.rows()).find(|row| frame.value(*row, "column").unwrap() == Value::Utf8(column.into()));
    frame.value(row.unwrap(), name).unwrap()
}

fn number(value: Value) -> f64 {
    match value {
        Value::Utf8(text) => text.parse().unwrap(),
        Value::Int64(number) => number as f64,
        Value::Float64(number) => number,
        other => panic!("{other:?} is no number"),
    }
}

#[test]
fn what_is_not_estimated_is_what_the_exact_aggregates_say() {
    let air = scan_csv("testdata/airline/200[78].csv.bz2").unwrap();
    let run: outcrop::frame::Run<Vec<DataFrame>> =
        Runner::new().run(&[air.describe(), air.describe_exact()][..]).unwrap();
    assert_eq!(run.statistics.passes, 1);
    let [ours, exact] = run.value.try_into().unwrap();
    assert_eq!(ours.rows(), 29);
    assert_eq!(rows(&ours), rows(&exact));
    let only = air.ask("n_unique(Origin) as n, quantile(ArrDelay, 0.95) as q, std(DepDelay) as s, top_k(Dest, 1)");
    assert!(only.is_err(), "rows and values are asked for apart");
    let facts = air.ask("n_unique(Origin) as n, quantile(ArrDelay, 0.95) as q, std(DepDelay) as s").unwrap();
    let facts = facts.collect().unwrap();
    assert_eq!(fact(&ours, "Origin", "distinct"), facts.value(0, "n").unwrap());
    assert_eq!(number(fact(&ours, "ArrDelay", "p95")), number(facts.value(0, "q").unwrap()));
    assert_eq!(fact(&ours, "DepDelay", "std"), facts.value(0, "s").unwrap());
}

#[test]
fn columns_of_many_different_values_are_estimated_within_the_bounds_and_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = "id,name,few,x\n".to_owned();
    for row in 0..60_000u32 {
        let name = if row % 4 == 0 { "often".to_owned() } else { format!("name {row}") };
        let _ = writeln!(text, "{},{name},{},{}", row * 7 % 60_000, row % 14_000, f64::from(row) / 8.0);
    }
    let facts = scan_csv(file(&folder, "many.csv", &text)).unwrap().describe().collect().unwrap();
    let estimated = |column| fact(&facts, column, "estimated");
    let yes = Value::Boolean(true);
    assert_eq!([estimated("id"), estimated("name"), estimated("x")], [yes.clone(), yes.clone(), yes]);
    assert_eq!(estimated("few"), Value::Boolean(false));
    assert_eq!(fact(&facts, "few", "distinct"), Value::Int64(14_000));
    for (column, distinct) in [("id", 60_000.0), ("name", 45_001.0), ("x", 60_000.0)] {
        let found = number(fact(&facts, column, "distinct"));
        assert!((found / distinct - 1.0).abs() < 0.035, "{column}: {found} of {distinct}");
    }
    for (quantile, share) in [("p5", 0.05), ("p25", 0.25), ("p50", 0.5), ("p75", 0.75), ("p95", 0.95)] {
        let rank = number(fact(&facts, "id", quantile)) / 60_000.0;
        assert!((rank - share).abs() < 0.03, "{quantile}: {rank}");
    }
    assert_eq!(fact(&facts, "id", "max"), Value::Utf8("59999".into()));
    let Value::List(top) = fact(&facts, "name", "top") else { panic!() };
    assert_eq!(top, [Value::Utf8("often".into())], "only what occurs more than once");
    let Value::List(counts) = fact(&facts, "name", "top_counts") else { panic!() };
    assert!((number(counts[0].clone()) - 15_000.0).abs() < 1_800.0, "{counts:?}");
    let Value::List(bins) = fact(&facts, "x", "histogram") else { panic!() };
    let all: f64 = bins.into_iter().map(number).sum();
    assert!((all - 60_000.0).abs() < 10.0, "{all}");
}

#[test]
fn facts_are_the_same_however_the_work_is_cut() {
    let air = scan_csv("testdata/airline/198[78].csv.bz2").unwrap();
    let with = |threads, bytes, memory: &str| {
        let runner = Runner::new().threads(threads).piece_bytes(bytes).memory(ByteSize::parse(memory).unwrap());
        rows(&runner.compute::<_, DataFrame>(air.describe()).unwrap())
    };
    let whole = with(1, 1 << 20, "4GiB");
    assert_eq!(with(3, 30_000, "4GiB"), whole);
    assert_eq!(with(2, 200_000, "200MiB"), whole);
}

#[test]
fn every_type_and_no_values_at_all_are_described() {
    let folder = tempfile::tempdir().unwrap();
    let text = "day,at,flag,t,nothing,x\n\
                2001-02-03,2001-02-03T04:05:06,true,a,,1.5\n\
                2001-02-05,2001-02-03T04:05:07,false,b,,nan\n\
                ,2001-02-03T04:05:07,true,b,,inf\n";
    let facts = scan_csv(file(&folder, "types.csv", text)).unwrap().describe().collect().unwrap();
    assert_eq!(fact(&facts, "day", "p50"), Value::Utf8("2001-02-03".into()));
    assert_eq!(fact(&facts, "day", "nulls"), Value::Int64(1));
    assert_eq!(fact(&facts, "at", "max"), Value::Utf8("2001-02-03T04:05:07".into()));
    assert_eq!(fact(&facts, "flag", "mean"), Value::Float64(2.0 / 3.0));
    assert_eq!(fact(&facts, "t", "top"), Value::List(vec![Value::Utf8("b".into())]));
    assert_eq!([fact(&facts, "nothing", "nulls"), fact(&facts, "nothing", "distinct")], [Value::Int64(3), Value::Null]);
    assert_eq!(fact(&facts, "x", "histogram"), Value::List(vec![Value::Int64(1)]), "what is finite");
    let empty = scan_csv(file(&folder, "empty.csv", "a,b\n")).unwrap();
    for frame in [empty.describe(), empty.describe_exact()] {
        let facts = frame.collect().unwrap();
        assert_eq!((facts.rows(), fact(&facts, "a", "count")), (2, Value::Int64(0)));
    }
}

#[test]
fn parquet_says_what_csv_says() {
    let folder = tempfile::tempdir().unwrap();
    let air = scan_csv("testdata/airline/2001.csv.bz2").unwrap();
    let path = folder.path().join("2001.parquet");
    air.write_parquet(&path).unwrap();
    let facts = |frame: outcrop::LazyFrame| rows(&frame.describe().collect().unwrap());
    assert_eq!(facts(scan(&path).unwrap()), facts(air));
}
