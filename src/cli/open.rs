//! The files of the command line, whatever their format.

use super::flags::Input;
use crate::error::Result;
use crate::frame::{CsvScan, FileScan, LazyFrame};

/// Opens the files as what they are; `csv` holds the options for CSV.
pub(super) fn open_any(csv: CsvScan, input: &Input) -> Result<LazyFrame> {
    let mut scan = FileScan::of(csv, csv_only(input)).hive(!input.no_hive);
    if let Some(format) = input.input_format {
        scan = scan.format(format);
    }
    scan.open()
}

/// The first flag given that only CSV has.
fn csv_only(input: &Input) -> Option<&'static str> {
    let given = [
        ("--delimiter", input.delimiter.is_some()),
        ("--quote", input.quote.is_some()),
        ("--null", input.null.is_some()),
        ("--encoding", input.encoding.is_some()),
        ("--header", input.header),
        ("--no-header", input.no_header),
        ("--escape", input.escape.is_some()),
        ("--comment", input.comment.is_some()),
        ("--skip-rows", input.skip_rows.is_some()),
        ("--decimal", input.decimal.is_some()),
        ("--thousands", input.thousands.is_some()),
        ("--line-end", input.line_end.is_some()),
        ("--date-format", !input.date_format.is_empty()),
        ("--invalid-bytes", input.invalid_bytes.is_some()),
        ("--file-options", !input.file_options.is_empty()),
        ("--no-sniff", input.no_sniff),
    ];
    given.into_iter().find(|(_, given)| *given).map(|(name, _)| name)
}
