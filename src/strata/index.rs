//! Where each stratum stands among rows that are sorted by key.

use crate::error::{Error, Result};
use crate::groupby::normalise_floats;
use crate::memory::table::Slices;
use crate::memory::{Budget, Part, Reservation, StoredRows};
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::{concat, partition};
use arrow::datatypes::SchemaRef;
use std::ops::Range;
use std::sync::Arc;

/// Rows sorted by their first columns, the keys, and where the rows of each key begin.
#[derive(Debug)]
pub(super) struct StrataIndex {
    rows: StoredRows,
    keys: usize,
    /// The first row of each part, and how many rows there are.
    parts: Vec<u64>,
    /// The first row of each stratum, and how many rows there are.
    firsts: Vec<u64>,
    _held: Reservation,
}

/// The keys of one batch.
fn key_columns(batch: &RecordBatch, keys: usize) -> Vec<ArrayRef> {
    batch.columns()[..keys].iter().map(normalise_floats).collect()
}

/// Whether two rows have the same keys.
fn equal(one: &[ArrayRef], other: &[ArrayRef]) -> Result<bool> {
    let both = one.iter().zip(other).map(|(one, other)| concat(&[one.as_ref(), other.as_ref()]));
    Ok(partition(&both.collect::<std::result::Result<Vec<_>, _>>()?)?.len() == 1)
}

fn row(columns: &[ArrayRef], row: usize) -> Vec<ArrayRef> {
    columns.iter().map(|column| column.slice(row, 1)).collect()
}

impl StrataIndex {
    /// Goes through rows that are sorted by their first `keys` columns.
    ///
    /// # Errors
    /// Those of reading rows back; `Limit` when there is no room for as many strata.
    pub(super) fn new(rows: StoredRows, keys: usize, budget: &Budget) -> Result<Self> {
        let mut held = budget.reservation("the list of strata");
        let (mut parts, mut firsts, mut first_row) = (Vec::new(), Vec::new(), 0);
        let mut last: Option<Vec<ArrayRef>> = None;
        for batch in rows.batches() {
            let batch = batch?;
            parts.push(first_row);
            if batch.num_rows() == 0 {
                continue;
            }
            let columns = key_columns(&batch, keys);
            let goes_on = match &last {
                Some(last) => keys == 0 || equal(last, &row(&columns, 0))?,
                None => false,
            };
            let ranges = match keys {
                0 => std::iter::once(0..batch.num_rows()).collect(),
                _ => partition(&columns)?.ranges(),
            };
            firsts.extend(ranges.iter().skip(usize::from(goes_on)).map(|range| first_row + range.start as u64));
            held.resize(firsts.capacity() * (size_of::<u64>() + size_of::<u32>()))?;
            last = Some(row(&columns, batch.num_rows() - 1));
            first_row += batch.num_rows() as u64;
        }
        parts.push(first_row);
        firsts.push(first_row);
        Ok(StrataIndex { rows, keys, parts, firsts, _held: held })
    }

    /// How many strata there are.
    pub(super) fn len(&self) -> usize {
        self.firsts.len() - 1
    }

    /// How many rows a stratum has.
    pub(super) fn rows_of(&self, stratum: usize) -> u64 {
        self.firsts[stratum + 1] - self.firsts[stratum]
    }

    /// The most that a part takes that is not in memory.
    pub(super) fn part_bytes(&self) -> usize {
        let on_disk = self.rows.parts().iter().filter(|part| !matches!(part, Part::Memory(_)));
        on_disk.map(Part::loaded_bytes).max().unwrap_or(0)
    }

    /// The parts in which a stratum has rows, and which rows of them.
    fn pieces(&self, stratum: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
        let (start, end) = (self.firsts[stratum], self.firsts[stratum + 1]);
        let first = self.parts.partition_point(|part| *part <= start).saturating_sub(1);
        let within = move |part: usize| {
            let (from, to) = (self.parts[part], self.parts[part + 1]);
            (part, (start.max(from) - from) as usize..(end.min(to) - from) as usize)
        };
        let parts = first..self.parts.len() - 1;
        parts.take_while(move |part| self.parts[*part] < end).map(within).filter(|(_, rows)| !rows.is_empty())
    }
}

/// Reads strata; keeps the part that was read last, in which the next stratum often begins.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    index: &'a StrataIndex,
    last: Option<(usize, RecordBatch)>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(index: &'a StrataIndex) -> Self {
        Reader { index, last: None }
    }

    fn part(&mut self, number: usize) -> Result<RecordBatch> {
        match &self.last {
            Some((known, batch)) if *known == number => Ok(batch.clone()),
            _ => {
                // What is let go first makes room.
                self.last = None;
                let batch = self.index.rows.parts()[number].load()?;
                self.last = Some((number, batch.clone()));
                Ok(batch)
            }
        }
    }

    /// The keys of a stratum, as one row of these columns.
    ///
    /// # Errors
    /// Those of reading rows back.
    pub(super) fn keys(&mut self, stratum: usize, schema: &SchemaRef) -> Result<RecordBatch> {
        let piece = self.index.pieces(stratum).next();
        let (part, rows) = piece.ok_or_else(|| Error::internal("a stratum without rows"))?;
        let columns = row(&key_columns(&self.part(part)?, self.index.keys), rows.start);
        let options = RecordBatchOptions::new().with_row_count(Some(1));
        Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
    }

    /// The rows of a stratum, without the keys.
    pub(super) fn slices(&mut self, stratum: usize) -> StratumSlices<'_, 'a> {
        StratumSlices { reader: self, stratum }
    }
}

/// The rows of one stratum, part by part.
pub(super) struct StratumSlices<'r, 'a> {
    reader: &'r mut Reader<'a>,
    stratum: usize,
}

impl Slices for StratumSlices<'_, '_> {
    fn each(&mut self, take: &mut dyn FnMut(&RecordBatch) -> Result<()>) -> Result<()> {
        let index = self.reader.index;
        for (part, rows) in index.pieces(self.stratum) {
            let batch = self.reader.part(part)?.slice(rows.start, rows.len());
            let values: Vec<usize> = (index.keys..batch.num_columns()).collect();
            take(&batch.project(&values)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{AsArray, Float64Array, Int64Array};
    use arrow::datatypes::Int64Type;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn every_row_is_in_the_stratum_of_its_key(
            keys in prop::collection::vec(prop::option::weighted(0.9, 0i64..12), 0..60), cuts in prop::collection::vec(0usize..60, 0..5),
        ) {
            let mut keys = keys;
            keys.sort_by_key(|key| (key.is_none(), *key));
            let column: ArrayRef = Arc::new(keys.iter().copied().collect::<Int64Array>());
            let values: ArrayRef = Arc::new((0..keys.len() as i64).collect::<Int64Array>());
            let whole = RecordBatch::try_from_iter_with_nullable([("k", column, true), ("v", values, true)]).unwrap();
            let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (keys.len() + 1)).chain([keys.len()]).collect();
            ends.sort_unstable();
            let starts = [0].into_iter().chain(ends.iter().copied());
            let parts: Vec<RecordBatch> = starts.zip(&ends).map(|(start, end)| whole.slice(start, end - start)).collect();
            let index = StrataIndex::new(parts.into(), 1, &Budget::unlimited()).unwrap();
            let mut expected: Vec<(Option<i64>, Vec<i64>)> = Vec::new();
            for (value, key) in keys.iter().enumerate() {
                match expected.last_mut() {
                    Some((known, values)) if known == key => values.push(value as i64),
                    _ => expected.push((*key, vec![value as i64])),
                }
            }
            let schema = Arc::new(whole.schema().project(&[0]).unwrap());
            let mut reader = Reader::new(&index);
            let mut found = Vec::new();
            for stratum in 0..index.len() {
                let key = reader.keys(stratum, &schema).unwrap().column(0).as_primitive::<Int64Type>().iter().next().unwrap();
                let mut values = Vec::new();
                reader.slices(stratum).each(&mut |slice| {
                    values.extend(slice.column(0).as_primitive::<Int64Type>().values());
                    Ok(())
                }).unwrap();
                prop_assert_eq!(index.rows_of(stratum), values.len() as u64);
                found.push((key, values));
            }
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn both_zeros_are_one_key_and_so_are_all_nans() {
        let keys = [-0.0, 0.0, f64::NAN, f64::from_bits(f64::NAN.to_bits() | 1)];
        let parts = keys.chunks(1).map(|key| {
            let column: ArrayRef = Arc::new(Float64Array::from(key.to_vec()));
            RecordBatch::try_from_iter([("k", column)]).unwrap()
        });
        let index = StrataIndex::new(parts.collect::<Vec<_>>().into(), 1, &Budget::unlimited()).unwrap();
        assert_eq!((0..index.len()).map(|at| index.rows_of(at)).collect::<Vec<_>>(), [2, 2]);
    }
}
