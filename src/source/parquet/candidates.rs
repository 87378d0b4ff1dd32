//! Which row groups and pages a filter cannot want: by their minima and maxima, then by Bloom filters.

use super::chunks::ChunkSource;
use super::fragments::{Planner, whole_bytes};
use super::open::may_misfit;
use super::prune::is_possible;
use super::rows::{intersect, only, unite};
use super::statistics::{Bound, Known, Reading};
use crate::expr::Literal;
use crate::source::arrow_types::convert::EXACT_DOUBLES;
use crate::source::arrow_types::guard::attempted;
use crate::source::{Condition, Test};
use crate::types::ColumnType;
use arrow::datatypes::DataType;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::Type as PhysicalType;
use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::{ColumnChunkMask, PageIndexPolicy, ParquetMetaDataReader};
use parquet::file::page_index::offset_index::PageLocation;
use std::ops::Range;
use std::sync::Arc;

impl Planner<'_> {
    /// Whether some alternative of the filter is possible, given which of its conditions are.
    pub(super) fn alternatives(&self, row_group: usize, is_possible: impl Fn(&Condition) -> bool) -> bool {
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

    /// Whether the file has the column of a condition; else it is null in every row.
    fn has(&self, condition: &Condition) -> bool {
        self.request.columns.get(condition.column).is_none_or(|&of_source| self.file.column(of_source).is_some())
    }

    fn reading_of(&self, of_source: usize) -> Option<(usize, Reading<'_>)> {
        let column = self.file.column(of_source)?;
        let wanted = self.columns[of_source].column_type;
        let reading = attempted(|| Reading::of(column, wanted, self.file.metadata.metadata()).ok_or(()))?;
        Some((*column.leaves.first()?, reading))
    }

    fn holds_misfits(&self, row_group: usize) -> bool {
        self.request.columns.iter().any(|&of_source| {
            let wanted = self.columns[of_source].column_type;
            if !self.file.column(of_source).is_some_and(|column| may_misfit(column, wanted)) {
                return false;
            }
            let Some((leaf, reading)) = self.reading_of(of_source) else { return true };
            let known = reading.row_group(self.chunk(row_group, leaf).statistics(), self.file.rows(row_group));
            if known.nulls == Some(known.rows) {
                return false;
            }
            match (known.min, known.max) {
                (Some(Bound::Integer(min)), Some(Bound::Integer(max))) if wanted == ColumnType::Float64 => {
                    min < -EXACT_DOUBLES || max > EXACT_DOUBLES
                }
                (Some(_), Some(_)) => false,
                _ => true,
            }
        })
    }

    pub(super) fn by_statistics(&self, row_group: usize, condition: &Condition) -> bool {
        let rows = self.file.rows(row_group);
        let known = match self.reading(condition) {
            Some((leaf, reading)) => reading.row_group(self.chunk(row_group, leaf).statistics(), rows),
            None if self.has(condition) => return true,
            None => Known { rows, nulls: Some(rows), ..Known::default() },
        };
        is_possible(&condition.test, &known, self.columns[self.request.columns[condition.column]].column_type)
    }

    pub(super) fn by_bloom_filter(&self, row_group: usize, condition: &Condition) -> bool {
        let literals = match &condition.test {
            Test::Eq(literal) => std::slice::from_ref(literal),
            Test::OneOf(literals) => literals.as_slice(),
            _ => return true,
        };
        let Some((leaf, _)) = self.reading(condition) else { return true };
        let chunk = self.chunk(row_group, leaf);
        let of_source = self.request.columns[condition.column];
        // A value is hashed as it is stored, which is not how it is compared where the set has a wider type.
        let Some(column) =
            self.file.column(of_source).filter(|column| column.column_type == self.columns[of_source].column_type)
        else {
            return true;
        };
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
    pub(super) fn with_page_index(&self, kept: &[(usize, Vec<Range<u64>>)]) -> Option<ArrowReaderMetadata> {
        let whole_bytes = whole_bytes(self.request, self.leaves.len());
        let large = |(row_group, _): &(usize, Vec<Range<u64>>)| {
            let group = self.file.metadata.metadata().row_group(*row_group);
            self.leaves.iter().any(|&leaf| group.column(leaf).compressed_size().unsigned_abs() > whole_bytes)
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
    pub(super) fn by_pages(&self, metadata: &ArrowReaderMetadata, row_group: usize) -> Vec<Range<u64>> {
        let whole = only(0..self.file.rows(row_group));
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
}

/// The rows of each page; `None` when they do not partition the row group.
fn page_rows(pages: &[PageLocation], rows: u64) -> Option<Vec<Range<u64>>> {
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
