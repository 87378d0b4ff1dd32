//! A scan over a set of CSV files.

use super::batches::Reader;
use super::column::ColumnSpec;
use super::open::{CsvColumn, CsvFile};
use super::options::CsvOptions;
use super::take::{Headers, Rules};
use crate::source::ScanRequest;
use crate::source::input::InputCounters;
use crate::source::text::{FilePlan, MAX_RECORD_BYTES, TextScan};
use arrow::datatypes::{Field, Schema};
use std::sync::Arc;

/// The scan that answers `request`.
pub(super) fn scan(
    files: &[CsvFile],
    columns: &[CsvColumn],
    options: &CsvOptions,
    request: ScanRequest,
    counters: Arc<InputCounters>,
) -> TextScan<Reader> {
    let wanted: Vec<&CsvColumn> = request.columns.iter().map(|&at| &columns[at]).collect();
    let fields = wanted.iter().map(|column| Field::new(&column.name, column.column_type.arrow(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let plan = |(at, file): (usize, &CsvFile)| {
        let spec = |(&column, wanted): (&usize, &&CsvColumn)| ColumnSpec {
            index: file.map[column].unwrap_or(usize::MAX),
            column_type: wanted.column_type,
            declared: wanted.declared,
            date_format: wanted.date_format,
        };
        let raw = file.header.as_deref().filter(|_| options.repeated_headers && file.fields > 1);
        let reader = Reader {
            file: at as u32,
            rules: Rules {
                dialect: file.format.dialect,
                fields: file.fields,
                malformed: file.malformed,
                headers: raw.map_or_else(Headers::none, |raw| Headers::of(raw, &file.format.dialect)),
                max_record_bytes: options.max_record_bytes.min(MAX_RECORD_BYTES),
            },
            format: file.format.clone(),
            specs: request.columns.iter().zip(&wanted).map(spec).collect(),
            schema: Arc::clone(&schema),
            filter: request.filter.clone(),
            batch_bytes: request.batch_bytes,
        };
        FilePlan { reader, data_start: file.data_start, header_lines: file.header_lines }
    };
    let plans: Vec<_> = files.iter().enumerate().map(plan).collect();
    TextScan::new(files.iter().map(|file| Arc::clone(&file.text)), plans, request, counters)
}
