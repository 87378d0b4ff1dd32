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
        ("--no-header", input.no_header),
    ];
    given.into_iter().find(|(_, given)| *given).map(|(name, _)| name)
}
