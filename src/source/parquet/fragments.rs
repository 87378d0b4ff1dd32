//! What a scan reads of one file: row groups and pages that a filter may want, cut into fragments.

use super::chunks::{ChunkSource, Chunks, Fetch};
use super::guard::attempted;
use super::open::{ParquetFile, SourceColumn, may_misfit};
use super::prune::{intersect, is_possible, unite};
use super::statistics::Reading;
use crate::error::{ErrorKind, Result};
use crate::expr::Literal;
use crate::source::{Condition, ScanRequest, Test};
use arrow::datatypes::DataType;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::Type as PhysicalType;
use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::{ColumnChunkMask, ColumnChunkMetaData, PageIndexPolicy, ParquetMetaDataReader};
use std::ops::Range;
use std::sync::Arc;

/// Rows of a cell; fragments begin at multiples of it within their row group.
pub(super) const CELL_ROWS: u64 = 1 << 16;
/// Cells of a fragment at most: opening one decodes dictionaries anew.
const FRAGMENT_CELLS: u64 = 4;
/// Fragments that every worker should find, if the input is long enough.
const FRAGMENTS_PER_WORKER: u64 = 4;
/// A column chunk of at most so many bytes is kept whole while its row group is read.
const WHOLE_BYTES: u64 = 16 << 20;

/// A row may take so much of one column: more would not fit in memory beside the work.
const MAX_ROW_BYTES: u64 = 256 << 20;

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
}

/// What a scan reads of a file.
pub(super) struct FilePlan {
    /// With the page index of the columns wanted, where there is one and it is of use.
    pub(super) metadata: ArrowReaderMetadata,
    pub(super) fragments: Vec<Fragment>,
}

/// Plans the reading of a file.
///
/// # Errors
/// The metadata of a column wanted contradict the file.
pub(super) fn plan(
    file: &ParquetFile,
    columns: &[SourceColumn],
    request: &ScanRequest,
    rows_in_all: u64,
) -> Result<FilePlan> {
    let leaves = wanted_leaves(file, request);
    let planner = Planner { file, columns, request, leaves };
    for row_group in 0..file.row_groups() {
        planner.check(row_group)?;
    }
    let mut kept: Vec<(usize, Vec<Range<u64>>)> = Vec::new();
    for row_group in (0..file.row_groups()).filter(|&row_group| file.rows(row_group) > 0) {
        if planner.alternatives(row_group, |condition| planner.by_statistics(row_group, condition)) {
            kept.push((row_group, vec![0..file.rows(row_group)]));
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
    let cut = |(row_group, rows): (usize, Vec<Range<u64>>)| planner.cut(&metadata, row_group, &rows, cells);
    let fragments = kept.into_iter().flat_map(cut).collect();
    Ok(FilePlan { metadata, fragments })
}

/// The leaves of the file that a request reads, ascending.
pub(super) fn wanted_leaves(file: &ParquetFile, request: &ScanRequest) -> Vec<usize> {
    let mut leaves: Vec<usize> =
        request.columns.iter().flat_map(|&column| file.column(column).leaves.iter().copied()).collect();
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

struct Planner<'a> {
    file: &'a ParquetFile,
    columns: &'a [SourceColumn],
    request: &'a ScanRequest,
    leaves: Vec<usize>,
}

impl Planner<'_> {
    fn chunk(&self, row_group: usize, leaf: usize) -> &ColumnChunkMetaData {
        self.file.metadata.metadata().row_group(row_group).column(leaf)
    }

    /// What the footer says of the chunks to be read must be possible.
    fn check(&self, row_group: usize) -> Result<()> {
        let group = self.file.metadata.metadata().row_group(row_group);
        let descriptions = self.file.metadata.metadata().file_metadata().schema_descr();
        for &leaf in &self.leaves {
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
            // Each page holds less than 2³¹ values and takes some bytes.
            if values < 0 || values as u64 / (1 << 31) > range.end - range.start {
                let text = format!("{values} values in {} bytes", range.end - range.start);
                return failed(ErrorKind::Malformed, text);
            }
        }
        Ok(())
    }

    /// Whether some alternative of the filter is possible, given which of its conditions are.
    fn alternatives(&self, row_group: usize, is_possible: impl Fn(&Condition) -> bool) -> bool {
        let alternatives = self.conditions();
        // A value that fits no type must be told of, even where the filter does not want the row.
        alternatives.is_empty()
            || self.holds_misfits(row_group)
            || alternatives.iter().any(|conditions| conditions.iter().all(&is_possible))
    }

    fn conditions(&self) -> &[Vec<Condition>] {
        self.request.filter.as_ref().map_or(&[], |filter| filter.alternatives())
    }

    fn reading(&self, condition: &Condition) -> Option<(usize, Reading<'_>)> {
        let &of_source = self.request.columns.get(condition.column)?;
        self.reading_of(of_source)
    }

    fn reading_of(&self, of_source: usize) -> Option<(usize, Reading<'_>)> {
        let column = self.file.column(of_source);
        let wanted = self.columns[of_source].column_type;
        let reading = attempted(|| Reading::of(column, wanted, self.file.metadata.metadata()).ok_or(()))?;
        Some((*column.leaves.first()?, reading))
    }

    fn holds_misfits(&self, row_group: usize) -> bool {
        self.request.columns.iter().any(|&of_source| {
            let column = self.file.column(of_source);
            if !may_misfit(column, self.columns[of_source].column_type) {
                return false;
            }
            let Some((leaf, reading)) = self.reading_of(of_source) else { return true };
            let known = reading.row_group(self.chunk(row_group, leaf).statistics(), self.file.rows(row_group));
            known.min.is_none() || known.max.is_none()
        })
    }

    fn by_statistics(&self, row_group: usize, condition: &Condition) -> bool {
        let Some((leaf, reading)) = self.reading(condition) else { return true };
        let known = reading.row_group(self.chunk(row_group, leaf).statistics(), self.file.rows(row_group));
        is_possible(&condition.test, &known, self.columns[self.request.columns[condition.column]].column_type)
    }

    fn by_bloom_filter(&self, row_group: usize, condition: &Condition) -> bool {
        let literals = match &condition.test {
            Test::Eq(literal) => std::slice::from_ref(literal),
            Test::OneOf(literals) => literals.as_slice(),
            _ => return true,
        };
        let Some((leaf, _)) = self.reading(condition) else { return true };
        let chunk = self.chunk(row_group, leaf);
        let column = self.file.column(self.request.columns[condition.column]);
        if chunk.bloom_filter_offset().is_none() {
            return true;
        }
        let source = ChunkSource::of_file(&self.file.input);
        let is_possible = || -> std::result::Result<bool, parquet::errors::ParquetError> {
            let Some(filter) = Sbbf::read_from_column_chunk(chunk, &source)? else { return Ok(true) };
            Ok(literals.iter().any(|literal| may_hold(&filter, literal, chunk.column_type(), &column.stored)))
        };
        attempted(is_possible).unwrap_or(true)
    }

    /// The metadata with the page index of the columns wanted, if it is of use.
    fn with_page_index(&self, kept: &[(usize, Vec<Range<u64>>)]) -> Option<ArrowReaderMetadata> {
        let large = |(row_group, _): &(usize, Vec<Range<u64>>)| {
            let group = self.file.metadata.metadata().row_group(*row_group);
            self.leaves.iter().any(|&leaf| group.column(leaf).compressed_size().unsigned_abs() > WHOLE_BYTES)
        };
        let conditioned: Vec<usize> =
            self.conditions().iter().flatten().filter_map(|condition| Some(self.reading(condition)?.0)).collect();
        let pages = |(row_group, leaf): (usize, usize)| self.chunk(row_group, leaf).column_index_range().is_some();
        let pruned = kept.iter().any(|(row_group, _)| conditioned.iter().any(|&leaf| pages((*row_group, leaf))));
        if !pruned && !kept.iter().any(large) {
            return None;
        }
        let source = ChunkSource::of_file(&self.file.input);
        attempted(|| {
            let metadata = self.file.metadata.metadata().as_ref().clone();
            let mut reader = ParquetMetaDataReader::new_with_metadata(metadata)
                .with_column_index_policy(PageIndexPolicy::Optional)
                .with_offset_index_policy(PageIndexPolicy::Optional)
                .with_column_index_mask(ColumnChunkMask::columns(conditioned.iter().copied()))
                .with_offset_index_mask(ColumnChunkMask::columns(self.leaves.iter().copied()));
            reader.read_page_indexes(&source)?;
            let options = ArrowReaderOptions::new().with_schema(Arc::clone(self.file.metadata.schema()));
            ArrowReaderMetadata::try_new(Arc::new(reader.finish()?), options)
        })
    }

    /// The rows of a row group whose pages may hold what the filter wants.
    fn by_pages(&self, metadata: &ArrowReaderMetadata, row_group: usize) -> Vec<Range<u64>> {
        let whole = vec![0..self.file.rows(row_group)];
        let alternatives = self.conditions();
        if alternatives.is_empty() || metadata.metadata().page_index().is_none() || self.holds_misfits(row_group) {
            return whole;
        }
        let mut wanted = Vec::new();
        for conditions in alternatives {
            let mut rows = whole.clone();
            for condition in conditions {
                let own = attempted(|| self.pages(metadata, row_group, condition).ok_or(()));
                rows = own.map_or(rows.clone(), |own| intersect(&rows, &own));
            }
            wanted = unite(wanted, rows);
        }
        wanted
    }

    /// The rows of the pages that may hold values which pass; `None` when nothing is known of them.
    fn pages(
        &self,
        metadata: &ArrowReaderMetadata,
        row_group: usize,
        condition: &Condition,
    ) -> Option<Vec<Range<u64>>> {
        let (leaf, reading) = self.reading(condition)?;
        let column_type = self.columns[*self.request.columns.get(condition.column)?].column_type;
        let index = metadata.metadata().page_index()?;
        let values = index.column_index(row_group, leaf)?;
        let ranges = page_rows(index.page_locations(row_group, leaf)?, self.file.rows(row_group))?;
        if values.num_pages() != ranges.len() as u64 {
            return None;
        }
        let passes = |(page, rows): &(usize, Range<u64>)| {
            is_possible(&condition.test, &reading.page(values, *page, rows.end - rows.start), column_type)
        };
        Some(unite(ranges.into_iter().enumerate().filter(passes).map(|(_, rows)| rows).collect(), Vec::new()))
    }

    /// Cuts a row group into fragments of at most `cells` cells.
    fn cut(&self, metadata: &ArrowReaderMetadata, row_group: usize, rows: &[Range<u64>], cells: u64) -> Vec<Fragment> {
        let in_all = self.file.rows(row_group);
        let mut ranges = Vec::with_capacity(self.leaves.len());
        let mut row_bytes = 8 * self.request.columns.len() as u64;
        let mut windowed = false;
        for &leaf in &self.leaves {
            let chunk = self.chunk(row_group, leaf);
            let Some(range) = stored_range(chunk, self.file.input.length()) else { continue };
            row_bytes += chunk.uncompressed_size().unsigned_abs() / in_all.max(1);
            let locations = metadata.metadata().page_index().and_then(|index| index.page_locations(row_group, leaf));
            let first_page = locations.and_then(|pages| u64::try_from(pages.first()?.offset).ok());
            let fetch = match first_page.and_then(|first| first.checked_sub(range.start)) {
                Some(dictionary_bytes) if dictionary_bytes < WHOLE_BYTES => Fetch::Pages { dictionary_bytes },
                _ if range.end - range.start <= WHOLE_BYTES => Fetch::Whole,
                _ => Fetch::Windows,
            };
            windowed |= fetch == Fetch::Windows;
            ranges.push((range, fetch));
        }
        let stored: u64 = ranges.iter().map(|(range, _)| range.end - range.start).sum();
        let chunks = Arc::new(Chunks::new(Arc::clone(&self.file.input), ranges));
        // Several readers of one window would each fetch all of the chunk.
        let step = if windowed || self.leaves.is_empty() { in_all } else { cells * CELL_ROWS };
        let fragment = |start: u64| {
            let own = start..(start + step).min(in_all);
            let wanted = intersect(rows, std::slice::from_ref(&own));
            let share = u128::from(stored) * u128::from(own.end - own.start) / u128::from(in_all.max(1));
            Fragment {
                row_group,
                rows: own,
                wanted,
                chunks: Arc::clone(&chunks),
                stored_bytes: share as u64,
                row_bytes,
            }
        };
        let starts = (0..in_all.div_ceil(step.max(1))).map(|at| at * step);
        starts.map(fragment).filter(|fragment| !fragment.wanted.is_empty()).collect()
    }
}

/// The rows of each page; `None` when they do not partition the row group.
fn page_rows(pages: &[parquet::file::page_index::offset_index::PageLocation], rows: u64) -> Option<Vec<Range<u64>>> {
    let mut starts: Vec<u64> = Vec::with_capacity(pages.len() + 1);
    for page in pages {
        starts.push(u64::try_from(page.first_row_index).ok()?);
    }
    starts.push(rows);
    if starts.first() != Some(&0) || !starts.is_sorted() {
        return None;
    }
    Some(starts.windows(2).map(|pair| pair[0]..pair[1]).collect())
}

/// Whether a Bloom filter may hold a value; true where it is not known how the value was hashed.
fn may_hold(filter: &Sbbf, literal: &Literal, physical: PhysicalType, stored: &DataType) -> bool {
    let signed = matches!(stored, DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64);
    let text = matches!(stored, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    match (literal, physical) {
        (Literal::Int64(value), PhysicalType::INT64) if signed => filter.check(value),
        (Literal::Int64(value), PhysicalType::INT32) if signed => {
            i32::try_from(*value).is_ok_and(|value| filter.check(&value))
        }
        (Literal::Utf8(value), PhysicalType::BYTE_ARRAY) if text => filter.check(value.as_ref()),
        _ => true,
    }
}
