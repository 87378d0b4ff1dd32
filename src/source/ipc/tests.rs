use super::*;
use crate::source::{CancelToken, Read, ScanRequest, ScanScratch, Source};
use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Float64Type, Int64Type};
use arrow::ipc::writer::FileWriter;
use std::sync::Arc;

fn sample(rows: i64) -> Vec<u8> {
    let texts = |what: &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("{what} number {row}"))))
    };
    let batch = RecordBatch::try_from_iter([
        ("i", Arc::new(Int64Array::from_iter((0..rows).map(|row| (row % 5 > 0).then_some(row)))) as ArrayRef),
        ("x", Arc::new(Float64Array::from_iter_values((0..rows).map(|row| row as f64 / 4.0)))),
        ("u", texts("a longer text that nobody asks for, in all of the rows,")),
        ("t", texts("text")),
    ])
    .unwrap();
    let mut out = Vec::new();
    let mut writer = FileWriter::try_new(&mut out, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    out
}

#[test]
fn columns_of_a_mapped_file_lie_in_the_mapping_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    std::fs::write(&path, sample(5000)).unwrap();
    let source = IpcSource::open(std::slice::from_ref(&path), IpcOptions::default()).unwrap();
    let whole = source.files[0].bytes.get(0, source.files[0].bytes.input.length()).unwrap();
    let mapping = whole.as_ptr() as usize..whole.as_ptr() as usize + whole.len();
    let request = ScanRequest {
        columns: vec![0, 1, 3],
        filter: None,
        coded: Arc::default(),
        skip: None,
        workers: 1,
        piece_bytes: 50_000,
        batch_bytes: 10_000,
        cancel: CancelToken::new(),
        budget: crate::memory::Budget::unlimited(),
    };
    let scan = source.scan(request).unwrap();
    let mut rows = 0;
    while let Read::Partition(ticket, batches) = scan.read(&mut ScanScratch::default(), true).unwrap() {
        for batch in batches {
            let records = batch.batch.records;
            rows += records.num_rows();
            let numbers = records.column(0).as_primitive::<Int64Type>();
            assert!(mapping.contains(&(numbers.values().as_ptr() as usize)), "integers are a view");
            assert!(mapping.contains(&(numbers.nulls().unwrap().buffer().as_ptr() as usize)), "their nulls too");
            let doubles = records.column(1).as_primitive::<Float64Type>();
            assert!(mapping.contains(&(doubles.values().as_ptr() as usize)), "doubles are a view");
            let texts = records.column(2).as_string_view();
            assert!(texts.data_buffers().iter().all(|data| mapping.contains(&(data.as_ptr() as usize))), "texts too");
        }
        scan.commit(ticket);
    }
    assert_eq!(rows, 5000);
    let (touched, stored) = (scan.bytes_read(), source.files[0].bytes.input.length());
    assert!(touched < stored / 2, "{touched} of {stored} bytes: columns that are not wanted are not touched");
}
