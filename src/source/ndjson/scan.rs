//! A scan over a set of NDJSON files.

use super::open::NdjsonFile;
use super::reader::Reader;
use super::source::NdjsonSource;
use crate::source::ScanRequest;
use crate::source::csv::MalformedPolicy;
use crate::source::text::{FilePlan, MAX_RECORD_BYTES, TextScan};
use arrow::datatypes::{Field, Schema};
use std::sync::Arc;

/// The scan that answers `request`.
pub(super) fn scan(source: &NdjsonSource, request: ScanRequest) -> TextScan<Reader> {
    let columns: Vec<_> = request.columns.iter().map(|&at| &source.columns[at]).collect();
    let types: Vec<_> = columns.iter().map(|column| (column.column_type, column.declared)).collect();
    let fields = columns.iter().map(|column| Field::new(&column.name, column.column_type.arrow(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let wanted: Vec<Option<usize>> =
        (0..source.columns.len()).map(|column| request.columns.binary_search(&column).ok()).collect();
    let plan = |(at, file): (usize, &NdjsonFile)| {
        let reader = Reader {
            file: at as u32,
            tree: Arc::clone(&source.tree),
            wanted: wanted.clone(),
            types: types.clone(),
            schema: Arc::clone(&schema),
            filter: request.filter.clone(),
            batch_bytes: request.batch_bytes,
            max_record_bytes: source.options.max_record_bytes.min(MAX_RECORD_BYTES),
            skips_malformed: source.options.malformed != MalformedPolicy::Error,
        };
        FilePlan { reader, data_start: file.data_start, header_lines: 0 }
    };
    let plans: Vec<_> = source.files.iter().enumerate().map(plan).collect();
    let files = source.files.iter().map(|file| Arc::clone(&file.text));
    TextScan::new(files, plans, request, Arc::clone(&source.counters))
}
