//! What reading Parquet takes in memory, by what the footers say.

use super::fragments::{CELL_ROWS, MAX_ROW_BYTES, fixed_width, stored_bytes, wanted_leaves, whole_bytes};
use super::open::ParquetFile;
use crate::source::{ReadNeeds, ScanRequest};
use arrow::datatypes::Schema;
use parquet::basic::{PageType, Type as PhysicalType};
use parquet::file::metadata::ColumnChunkMetaData;

/// A page of values, and one of a dictionary, where nothing says otherwise.
const PAGE_BYTES: u64 = 1 << 20;
/// What a text takes, mostly, once it stands for itself.
const WRITTEN_TEXT_BYTES: u64 = 32;
/// A chunk read in windows: two of them, where one follows the other.
const WINDOWS_BYTES: u64 = 2 << 20;

/// Of a fragment that may take more than so many bytes, all columns are read side by side: its filter could keep every
/// row, and what it reads of them is held until the other columns have been read.
pub(super) fn late_bytes(request: &ScanRequest) -> u64 {
    /// Where memory is ample, and the share of it where it is not.
    const MOST_BYTES: u64 = 256 << 20;
    const SHARE: u64 = 32;
    (request.budget.limit_bytes() as u64 / SHARE).min(MOST_BYTES)
}

/// What a scan of these files takes, of which rows with this schema are wanted.
pub(super) fn needs(files: &[ParquetFile], schema: &Schema, request: &ScanRequest) -> ReadNeeds {
    let mut needs = ReadNeeds { all_rows_bytes: 0, ..ReadNeeds::default() };
    for (_, file) in files.iter().enumerate().filter(|(at, _)| !request.skips(*at)) {
        let leaves = wanted_leaves(file, request);
        for row_group in 0..file.row_groups() {
            let of_group = of_row_group(file, &leaves, row_group, schema, request);
            needs.shared_bytes = needs.shared_bytes.max(of_group.shared_bytes);
            needs.worker_bytes = needs.worker_bytes.max(of_group.worker_bytes);
            needs.rows_bytes = needs.rows_bytes.max(of_group.rows_bytes);
            needs.row_texts_bytes = needs.row_texts_bytes.max(of_group.row_texts_bytes);
            needs.all_rows_bytes = needs.all_rows_bytes.saturating_add(of_group.all_rows_bytes);
        }
    }
    needs
}

fn of_row_group(
    file: &ParquetFile,
    leaves: &[usize],
    row_group: usize,
    schema: &Schema,
    request: &ScanRequest,
) -> ReadNeeds {
    let group = file.metadata.metadata().row_group(row_group);
    let rows = file.rows(row_group);
    let whole_bytes = whole_bytes(request, leaves.len());
    let (mut kept, mut pages, mut texts, mut of_texts, mut uncompressed, mut windowed) = (0, 0, 0, 0, 0_u64, false);
    for chunk in leaves.iter().filter_map(|&leaf| group.columns().get(leaf)) {
        // No chunk is longer than its file.
        let stored = chunk.compressed_size().unsigned_abs().min(file.input.length());
        windowed |= stored > whole_bytes;
        kept += if stored > whole_bytes { WINDOWS_BYTES.min(stored) } else { stored };
        pages += pages_bytes(chunk);
        // Those that are wider are refused.
        let fixed = Some(fixed_width(chunk)).filter(|width| *width <= MAX_ROW_BYTES).unwrap_or_default();
        uncompressed = uncompressed.saturating_add(uncompressed_bytes(chunk).max(fixed.saturating_mul(rows)));
        // Texts are views of the pages that they stand in.
        if chunk.column_type() == PhysicalType::BYTE_ARRAY {
            (texts, of_texts) = (texts + pages_bytes(chunk), of_texts + 1);
        }
    }
    // What lies beyond the end of the file is not read.
    kept = kept.min(stored_bytes(file, leaves, row_group));
    let of_row = uncompressed / rows.max(1) + ScanRequest::row_bytes(schema) as u64;
    let in_piece = (request.piece_bytes as u64 / of_row).clamp(1, CELL_ROWS);
    let late = if request.filter.is_some() { late_bytes(request).min(of_row.saturating_mul(rows)) } else { 0 };
    let fragments = if windowed { 1 } else { rows.div_ceil(CELL_ROWS).clamp(1, 4) };
    let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    ReadNeeds {
        // One row group is left while the next is begun.
        shared_bytes: bytes(kept),
        worker_bytes: bytes((kept / fragments).saturating_add(pages).saturating_add(late)),
        text_bytes: 0,
        rows_bytes: bytes(of_row.saturating_mul(in_piece)),
        row_texts_bytes: bytes(texts),
        // Texts may stand there once, and come to be many.
        all_rows_bytes: bytes(of_row.saturating_add(WRITTEN_TEXT_BYTES * of_texts).saturating_mul(rows)),
        texts_are_shared: false,
    }
}

/// What a column chunk is decompressed to. More than this a codec hardly makes of it: what a damaged footer claims is for
/// the plan of the scan to refuse, with its place.
fn uncompressed_bytes(chunk: &ColumnChunkMetaData) -> u64 {
    const MOST_PER_BYTE: u64 = 1 << 12;
    let most = chunk.compressed_size().unsigned_abs().saturating_mul(MOST_PER_BYTE);
    chunk.uncompressed_size().unsigned_abs().min(most)
}

/// The decoded pages of a column chunk that are in memory at a time: one of values, and the dictionary.
fn pages_bytes(chunk: &ColumnChunkMetaData) -> u64 {
    let uncompressed = uncompressed_bytes(chunk);
    let pages = |kind: fn(PageType) -> bool| {
        let stats = chunk.page_encoding_stats()?;
        let count = stats.iter().filter(|stats| kind(stats.page_type)).map(|stats| i64::from(stats.count)).sum::<i64>();
        u64::try_from(count).ok().filter(|count| *count > 0)
    };
    let of_values = match pages(|kind| matches!(kind, PageType::DATA_PAGE | PageType::DATA_PAGE_V2)) {
        // Pages are not all alike.
        Some(count) => (2 * (uncompressed / count)).min(uncompressed),
        None => PAGE_BYTES.min(uncompressed),
    };
    let of_dictionary = if chunk.dictionary_page_offset().is_some() { PAGE_BYTES.min(uncompressed) } else { 0 };
    of_values + of_dictionary
}
