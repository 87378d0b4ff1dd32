//! What a scan reads of one file: row groups and pages that a filter may want, cut into fragments.

use super::chunks::{Chunks, Fetch};
use super::codes::CodedColumns;
use super::open::ParquetFile;
use super::rows::{intersect, only};
use crate::error::{Error, ErrorKind, Result};
use crate::source::arrow_types::unify::SetColumn;
use crate::source::{Condition, ScanRequest};
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::basic::Type;
use parquet::file::metadata::ColumnChunkMetaData;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Rows of a cell; fragments begin at multiples of it within their row group.
pub(super) const CELL_ROWS: u64 = 1 << 16;
/// Cells of a fragment at most: opening one decodes dictionaries anew.
const FRAGMENT_CELLS: u64 = 4;
/// Fragments that every worker should find, if the input is long enough.
const FRAGMENTS_PER_WORKER: u64 = 4;
/// A column chunk of at most so many bytes is kept whole while its row group is read, where memory is ample.
const WHOLE_BYTES: u64 = 16 << 20;
/// All chunks of a row group that are kept whole take no more than this share of the memory.
const WHOLE_SHARE: u64 = 16;

/// A column chunk of at most so many bytes is kept whole while its row group is read.
pub(super) fn whole_bytes(request: &ScanRequest, leaves: usize) -> u64 {
    (request.budget.limit_bytes() as u64 / WHOLE_SHARE / leaves.max(1) as u64).min(WHOLE_BYTES)
}

/// A row may take so much of one column: more would not fit in memory beside the work.
pub(super) const MAX_ROW_BYTES: u64 = 256 << 20;

/// A run of rows of one row group, for one worker.
#[derive(Debug)]
pub(super) struct Fragment {
    pub(super) row_group: usize,
    /// The rows it covers, counted from the start of the row group.
    pub(super) rows: Range<u64>,
    /// Those of them that the filter may want.
    pub(super) wanted: Vec<Range<u64>>,
    pub(super) chunks: Arc<Chunks>,
    /// Its share of the stored bytes, for progress.
    pub(super) stored_bytes: u64,
    /// What a row takes in memory, roughly.
    pub(super) row_bytes: u64,
    /// The columns to be read as codes, if there are any.
    pub(super) coded: Option<Arc<CodedColumns>>,
}

/// What a scan reads of a file.
pub(super) struct FilePlan {
    /// By row group and leaf, why a column chunk is not read.
    pub(super) unreadable: BTreeMap<(usize, usize), Error>,
    /// With the page index of the columns wanted, where there is one and it is of use.
    pub(super) metadata: ArrowReaderMetadata,
    pub(super) fragments: Vec<Fragment>,
}

/// Plans the reading of a file.
pub(super) fn plan(file: &ParquetFile, columns: &[SetColumn], request: &ScanRequest, rows_in_all: u64) -> FilePlan {
    let leaves = wanted_leaves(file, request);
    let mut planner = Planner { file, columns, request, leaves, unreadable: BTreeMap::new() };
    for row_group in 0..file.row_groups() {
        for &leaf in &planner.leaves {
            if let Err(error) = planner.check(row_group, leaf) {
                planner.unreadable.insert((row_group, leaf), error);
            }
        }
    }
    let mut kept: Vec<(usize, Vec<Range<u64>>)> = Vec::new();
    for row_group in (0..file.row_groups()).filter(|&row_group| file.rows(row_group) > 0) {
        if planner.alternatives(row_group, |condition| planner.by_statistics(row_group, condition)) {
            kept.push((row_group, only(0..file.rows(row_group))));
        }
    }
    let metadata = planner.with_page_index(&kept).unwrap_or_else(|| file.metadata.clone());
    for (row_group, rows) in &mut kept {
        *rows = planner.by_pages(&metadata, *row_group);
    }
    kept.retain(|(row_group, rows)| {
        let by_bloom_filter = |condition: &Condition| planner.by_bloom_filter(*row_group, condition);
        !rows.is_empty() && planner.alternatives(*row_group, by_bloom_filter)
    });
    let cells = rows_in_all.div_ceil(CELL_ROWS);
    let cells = (cells / (FRAGMENTS_PER_WORKER * request.workers.max(1) as u64)).clamp(1, FRAGMENT_CELLS);
    let mut fragments: Vec<Fragment> = Vec::new();
    for (row_group, rows) in kept {
        let before = fragments.last().and_then(|fragment| fragment.coded.as_ref());
        let coded = planner.coded(&metadata, row_group, before);
        fragments.extend(planner.cut(&metadata, row_group, &rows, cells, coded.as_ref()));
    }
    FilePlan { unreadable: planner.unreadable, metadata, fragments }
}

/// The leaves of the file that a request reads, ascending.
pub(super) fn wanted_leaves(file: &ParquetFile, request: &ScanRequest) -> Vec<usize> {
    let mut leaves: Vec<usize> =
        request.columns.iter().filter_map(|&column| file.column(column)).flat_map(|own| own.leaves.clone()).collect();
    leaves.sort_unstable();
    leaves.dedup();
    leaves
}

/// The stored bytes of a column chunk, if they lie within the file.
fn stored_range(chunk: &ColumnChunkMetaData, length: u64) -> Option<Range<u64>> {
    let start = chunk.dictionary_page_offset().filter(|&start| start > 0 && start < chunk.data_page_offset());
    let start = u64::try_from(start.unwrap_or(chunk.data_page_offset())).ok()?;
    let end = start.checked_add(u64::try_from(chunk.compressed_size()).ok()?)?;
    (end <= length).then_some(start..end)
}

/// Stored bytes of the chunks that a request reads of a row group; what contradicts the file counts as none.
pub(super) fn stored_bytes(file: &ParquetFile, leaves: &[usize], row_group: usize) -> u64 {
    let group = file.metadata.metadata().row_group(row_group);
    let length = |&leaf: &usize| {
        stored_range(group.columns().get(leaf)?, file.input.length()).map(|range| range.end - range.start)
    };
    leaves.iter().filter_map(length).sum()
}

/// Bytes that each decoded value takes, a null too, where all take as many.
pub(super) fn fixed_width(chunk: &ColumnChunkMetaData) -> u64 {
    match chunk.column_type() {
        Type::FIXED_LEN_BYTE_ARRAY => chunk.column_descr().type_length().max(0).unsigned_abs().into(),
        _ => 0,
    }
}

/// Plans the reading of one file.
pub(super) struct Planner<'a> {
    pub(super) file: &'a ParquetFile,
    pub(super) columns: &'a [SetColumn],
    pub(super) request: &'a ScanRequest,
    pub(super) leaves: Vec<usize>,
    /// By row group and leaf, why a column chunk cannot be read.
    unreadable: BTreeMap<(usize, usize), Error>,
}

impl Planner<'_> {
    pub(super) fn chunk(&self, row_group: usize, leaf: usize) -> &ColumnChunkMetaData {
        self.file.metadata.metadata().row_group(row_group).column(leaf)
    }

    /// What the footer says of a chunk to be read must be possible.
    fn check(&self, row_group: usize, leaf: usize) -> Result<()> {
        let group = self.file.metadata.metadata().row_group(row_group);
        let descriptions = self.file.metadata.metadata().file_metadata().schema_descr();
        let name = descriptions.column(leaf).path().string();
        let failed = |kind: ErrorKind, text: String| {
            let error = self.file.input.error(kind, format!("row group {row_group}: {text}"));
            Err(error.with_place(|place| place.column = Some(name.as_str().into())))
        };
        let Some(chunk) = group.columns().get(leaf) else {
            return failed(ErrorKind::Malformed, "the column is missing".to_owned());
        };
        if chunk.file_path().is_some() {
            return failed(
                ErrorKind::Unsupported,
                "the column is stored in another file, which is not supported".to_owned(),
            );
        }
        let Some(range) = stored_range(chunk, self.file.input.length()) else {
            return failed(ErrorKind::Malformed, "the column lies beyond the end of the file".to_owned());
        };
        let flat = descriptions.column(leaf).max_rep_level() == 0;
        let (values, rows) = (chunk.num_values(), group.num_rows());
        if flat && values != rows {
            return failed(ErrorKind::Malformed, format!("{rows} rows, but {values} values"));
        }
        let uncompressed = chunk.uncompressed_size();
        if uncompressed < 0 || uncompressed as u64 / group.num_rows().unsigned_abs().max(1) > MAX_ROW_BYTES {
            let text = format!("{rows} rows take {uncompressed} bytes, too many to be read");
            return failed(ErrorKind::Limit, text);
        }
        if fixed_width(chunk) > MAX_ROW_BYTES {
            let text = format!("each value takes {} bytes, too many to be read", fixed_width(chunk));
            return failed(ErrorKind::Limit, text);
        }
        // Each page holds less than 2³¹ values and takes some bytes.
        if values < 0 || values as u64 / (1 << 31) > range.end - range.start {
            let text = format!("{values} values in {} bytes", range.end - range.start);
            return failed(ErrorKind::Malformed, text);
        }
        Ok(())
    }

    /// Cuts a row group into fragments of at most `cells` cells.
    fn cut(
        &self,
        metadata: &ArrowReaderMetadata,
        row_group: usize,
        rows: &[Range<u64>],
        cells: u64,
        coded: Option<&Arc<CodedColumns>>,
    ) -> Vec<Fragment> {
        let in_all = self.file.rows(row_group);
        let mut ranges = Vec::with_capacity(self.leaves.len());
        let mut row_bytes = 8 * self.request.columns.len() as u64;
        let mut windowed = false;
        let whole_bytes = whole_bytes(self.request, self.leaves.len());
        for &leaf in &self.leaves {
            let chunk = self.chunk(row_group, leaf);
            let Some(range) = stored_range(chunk, self.file.input.length()) else { continue };
            if self.unreadable.contains_key(&(row_group, leaf)) {
                continue;
            }
            row_bytes += (chunk.uncompressed_size().unsigned_abs() / in_all.max(1)).max(fixed_width(chunk));
            let locations = metadata.metadata().page_index().and_then(|index| index.page_locations(row_group, leaf));
            let first_page = locations.and_then(|pages| u64::try_from(pages.first()?.offset).ok());
            let fetch = match first_page.and_then(|first| first.checked_sub(range.start)) {
                Some(dictionary_bytes) if dictionary_bytes < whole_bytes => Fetch::Pages { dictionary_bytes },
                _ if range.end - range.start <= whole_bytes => Fetch::Whole,
                _ => Fetch::Windows,
            };
            windowed |= fetch == Fetch::Windows;
            ranges.push((range, fetch));
        }
        let stored: u64 = ranges.iter().map(|(range, _)| range.end - range.start).sum();
        // Several readers of one window would each fetch all of the chunk.
        let step = if windowed || self.leaves.is_empty() { in_all } else { cells * CELL_ROWS };
        let starts = (0..in_all.div_ceil(step.max(1))).map(|at| at * step);
        let pieces = starts.map(|start| {
            let own = start..(start + step).min(in_all);
            let wanted = intersect(rows, std::slice::from_ref(&own));
            (own, wanted)
        });
        let pieces: Vec<_> = pieces.filter(|(_, wanted)| !wanted.is_empty()).collect();
        let chunks = Arc::new(Chunks::new(Arc::clone(&self.file.input), ranges, pieces.len()));
        let fragment = |(own, wanted): (Range<u64>, Vec<Range<u64>>)| {
            let share = u128::from(stored) * u128::from(own.end - own.start) / u128::from(in_all.max(1));
            Fragment {
                row_group,
                rows: own,
                wanted,
                chunks: Arc::clone(&chunks),
                stored_bytes: share as u64,
                row_bytes,
                coded: coded.cloned(),
            }
        };
        pieces.into_iter().map(fragment).collect()
    }
}
