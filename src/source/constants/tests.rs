use super::*;
use crate::expr::Literal;
use crate::source::csv::{CsvOptions, CsvSource};
use crate::source::{CancelToken, CommittedRows, Condition, Read, RowFilter, ScanScratch, Test};
use arrow::array::{BooleanArray, RecordBatch};
use std::path::PathBuf;

#[test]
fn keys_are_decoded_and_only_those_of_folders() {
    let keys = |path: &str| -> Vec<String> {
        let shown = |(key, value): (String, Option<String>)| format!("{key}={}", value.unwrap_or("NULL".into()));
        hive_keys(path).into_iter().map(shown).collect()
    };
    assert_eq!(keys("d/Year=2001/m%3Dn=a%2Fb/x=1.csv"), ["Year=2001", "m=n=a/b"]);
    assert_eq!(keys("a=__HIVE_DEFAULT_PARTITION__/b=/c=%zz%4/=d/x"), ["a=NULL", "b=", "c=%zz%4"]);
    assert_eq!(keys("x=1"), Vec::<String>::new());
    assert_eq!(keys("a=%+1/x"), ["a=%+1"]);
}

/// A filter that reads nothing and knows conditions, as a pass gives one.
struct Known(Vec<Vec<Condition>>);

impl RowFilter for Known {
    fn columns(&self) -> &[usize] {
        &[1]
    }

    fn keep(&self, _records: &RecordBatch) -> Option<BooleanArray> {
        None
    }

    fn alternatives(&self) -> &[Vec<Condition>] {
        &self.0
    }
}

fn source(folder: &std::path::Path) -> ConstantColumns {
    let mut paths: Vec<PathBuf> = Vec::new();
    for year in [1999, 2000, 2001, 2002] {
        let path = folder.join(format!("Year={year}"));
        std::fs::create_dir(&path).unwrap();
        paths.push(path.join("x.csv"));
        std::fs::write(&paths[paths.len() - 1], format!("a,b\n{year},1\n7,2\n")).unwrap();
    }
    let inner = CsvSource::open(&paths, CsvOptions::default()).unwrap();
    ConstantColumns::new(Arc::new(inner), true, &[]).unwrap()
}

/// The files that were read, and those that were told to be done, with these conditions on the columns a, b, Year,
/// file_name.
fn read(source: &ConstantColumns, alternatives: Vec<Vec<Condition>>) -> (Vec<u32>, Vec<u32>) {
    let request = ScanRequest {
        columns: vec![0, 1, 2, 3],
        filter: Some(Arc::new(Known(alternatives))),
        coded: Arc::default(),
        skip: None,
        workers: 1,
        piece_bytes: 5,
        batch_bytes: 5,
        cancel: CancelToken::new(),
        budget: crate::memory::Budget::unlimited(),
    };
    let scan = source.scan(request).unwrap();
    let (mut scratch, mut rows, mut done) = (ScanScratch::default(), Vec::new(), Vec::new());
    loop {
        let committed = match scan.read(&mut scratch, true).unwrap() {
            Read::Partition(ticket, batches) => {
                rows.extend(batches.iter().map(|batch| batch.batch.origin.file));
                scan.commit(ticket)
            }
            Read::Committed(committed) => committed,
            Read::Busy => continue,
            Read::End => break,
        };
        for item in committed {
            assert!(item.error.is_none());
            if let CommittedRows::Instead(batches) | CommittedRows::Between(batches) = &item.rows {
                rows.extend(batches.iter().filter(|batch| batch.batch.rows() > 0).map(|batch| batch.batch.origin.file));
                assert!(batches.iter().all(|batch| batch.batch.records.num_columns() == 4));
            }
            done.extend(item.file_done.then_some(item.id.file));
        }
    }
    rows.sort_unstable();
    rows.dedup();
    (rows, done)
}

#[test]
fn files_are_skipped_when_every_alternative_fails_on_their_constants() {
    let folder = tempfile::tempdir().unwrap();
    let source = source(folder.path());
    let on = |column: usize, test: Test| Condition { column, test };
    let int = Literal::Int64;
    for (alternatives, expected) in [
        (vec![], vec![0, 1, 2, 3]),
        (vec![vec![on(2, Test::Eq(int(2000)))]], vec![1]),
        (vec![vec![on(2, Test::Eq(int(2000))), on(0, Test::Eq(int(7)))], vec![on(2, Test::Gt(int(2001)))]], vec![1, 3]),
        (vec![vec![on(2, Test::Eq(int(2000)))], vec![on(0, Test::Eq(int(7)))]], vec![0, 1, 2, 3]),
        (vec![vec![on(2, Test::GtEq(Literal::Float64(2000.5)))]], vec![2, 3]),
        (vec![vec![on(2, Test::OneOf(vec![int(1999), int(5)]))]], vec![0]),
        (vec![vec![on(2, Test::IsNull)]], vec![]),
        (vec![vec![on(2, Test::IsNotNull), on(2, Test::LtEq(int(1999)))]], vec![0]),
        (vec![vec![on(2, Test::Lt(Literal::Float64(f64::NAN)))]], vec![0, 1, 2, 3]),
        (vec![vec![on(2, Test::Eq(Literal::Utf8("x".into())))]], vec![0, 1, 2, 3]),
    ] {
        let (rows, done) = read(&source, alternatives.clone());
        assert_eq!(rows, expected, "{alternatives:?}");
        assert_eq!(done, [0, 1, 2, 3], "every file is told of, in order: {alternatives:?}");
    }
}

#[test]
fn widening_reaches_the_column_below() {
    let folder = tempfile::tempdir().unwrap();
    let source = source(folder.path());
    let wider = source.widened(&[(1, ColumnType::Float64)]).unwrap();
    assert_eq!(*wider.schema().field(1).data_type(), DataType::Float64);
    assert_eq!(wider.schema().fields().len(), 4);
    assert_ne!(wider.key(), source.key());
    assert!(source.widened(&[(2, ColumnType::Float64)]).is_none(), "a constant fits its type");
}

#[test]
fn a_file_of_negative_zero_is_wanted_where_zero_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut paths: Vec<PathBuf> = Vec::new();
    for value in ["-0.0", "0.5", "NaN"] {
        let path = folder.path().join(format!("k={value}"));
        std::fs::create_dir(&path).unwrap();
        paths.push(path.join("x.csv"));
        std::fs::write(&paths[paths.len() - 1], "a,b\n1,1\n").unwrap();
    }
    let inner = CsvSource::open(&paths, CsvOptions::default()).unwrap();
    let source = ConstantColumns::new(Arc::new(inner), true, &[]).unwrap();
    let zero = Literal::Float64(0.0);
    for (test, expected) in [
        (Test::Eq(zero.clone()), vec![0]),
        (Test::OneOf(vec![zero.clone()]), vec![0]),
        (Test::GtEq(zero.clone()), vec![0, 1, 2]),
        (Test::Lt(zero), vec![]),
    ] {
        let (rows, _) = read(&source, vec![vec![Condition { column: 2, test: test.clone() }]]);
        assert_eq!(rows, expected, "{test:?}");
    }
}
