//! Values that hardly repeat: kept as they come, and sorted when they are wanted.
//!
//! Looking a value up costs more than sorting it, and a hash table of values that occur once holds several times their bytes.
//! So a table of which a sample shows that counting does not reduce it goes on here, with eight bytes a value, and four for its
//! group. Sorted and counted, the rows are those that counting in place would have given.

use crate::aggregate::fixed::Fixed;
use crate::error::Result;
use crate::exec::runs::{BLOCK_ROWS, Order, Run};
use crate::exec::sink::Handed;
use crate::exec::sink::aggregate::of_columns;
use crate::groupby::{GroupKeys, keys_for};
use crate::memory::{Reservation, SpillFile};
use crate::source::CancelToken;
use arrow::array::{ArrayRef, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::DataType;
use std::sync::Arc;

/// What is needed besides the values to sort them: once more as much.
const HEADROOM: usize = 2;

pub(super) struct Appended {
    key_types: Vec<DataType>,
    fixed: Fixed,
    /// `None` without keys.
    keys: Option<Box<dyn GroupKeys>>,
    /// The group of each value, if there are keys.
    groups: Vec<u32>,
    values: Vec<i64>,
    runs: Vec<Run>,
    file: Arc<SpillFile>,
    reservation: Reservation,
    cancel: CancelToken,
    /// Scratch: the groups of a batch.
    ids: Vec<u32>,
}

impl Appended {
    pub(super) fn new(
        key_types: &[DataType],
        fixed: Fixed,
        file: Arc<SpillFile>,
        reservation: Reservation,
        cancel: &CancelToken,
    ) -> Result<Self> {
        Ok(Appended {
            key_types: key_types.to_vec(),
            fixed,
            keys: new_keys(key_types)?,
            groups: Vec::new(),
            values: Vec::new(),
            runs: Vec::new(),
            file,
            reservation,
            cancel: cancel.clone(),
            ids: Vec::new(),
        })
    }

    /// Takes rows without null values; each so many times, if it is said how many.
    pub(super) fn absorb(&mut self, keys: &[ArrayRef], values: &ArrayRef, counts: Option<&[i64]>) -> Result<()> {
        let encoded = self.fixed.encode(values)?;
        if let Some(index) = &mut self.keys {
            index.intern(keys, &mut self.ids)?;
        }
        match counts {
            None => {
                self.values.extend_from_slice(&encoded);
                self.groups.extend_from_slice(&self.ids);
            }
            Some(counts) => {
                let times = |row: usize| counts[row] as usize;
                (0..encoded.len()).for_each(|row| self.values.extend(std::iter::repeat_n(encoded[row], times(row))));
                self.ids.iter().enumerate().for_each(|(row, id)| {
                    self.groups.extend(std::iter::repeat_n(*id, times(row)));
                });
            }
        }
        self.settle()
    }

    pub(super) fn join(&mut self, mut other: Appended) -> Result<()> {
        self.runs.append(&mut other.runs);
        self.values.append(&mut other.values);
        if let (Some(index), Some(theirs)) = (&mut self.keys, &other.keys) {
            index.intern(&theirs.emit(&all_of(&**theirs))?, &mut self.ids)?;
            self.groups.extend(other.groups.iter().map(|group| self.ids[*group as usize]));
        }
        drop(other);
        self.settle()
    }

    /// Asks for the memory of what is held; without it, it goes to disk.
    fn settle(&mut self) -> Result<()> {
        match self.reservation.resize(self.bytes()) {
            Err(_) if !self.values.is_empty() => self.spill(),
            settled => settled,
        }
    }

    /// Bytes that it takes, and what sorting needs.
    fn bytes(&self) -> usize {
        let (ids, groups) = (self.ids.capacity() + self.groups.capacity(), self.keys.as_ref());
        let bytes = ids * size_of::<u32>() + self.values.capacity() * size_of::<i64>();
        (bytes + groups.map_or(0, |keys| keys.bytes_held())).saturating_mul(HEADROOM)
    }

    /// Writes what is held as a run and begins anew.
    fn spill(&mut self) -> Result<()> {
        let keys = std::mem::replace(&mut self.keys, new_keys(&self.key_types)?);
        let (groups, values) = (std::mem::take(&mut self.groups), std::mem::take(&mut self.values));
        let sorted = Groups::sorted(&self.key_types, keys, groups, values, &self.cancel)?;
        self.ids = Vec::new();
        let value_type = self.fixed.decode(Vec::new(), None).data_type().clone();
        let types = self.key_types.iter().cloned().chain([value_type]);
        let order = Order::ascending(types)?;
        let mut run = Run::default();
        sorted.rows(&self.fixed, &mut |rows| run.append(&order, &self.file, &rows))?;
        self.runs.push(run);
        self.reservation.resize(0)
    }

    pub(super) fn relieve(&mut self) -> Result<()> {
        match () {
            () if self.values.is_empty() => Ok(()),
            () if self.reservation.keeps(self.bytes()) => self.reservation.resize(0),
            () => self.spill(),
        }
    }

    pub(super) fn has_runs(&self) -> bool {
        !self.runs.is_empty()
    }

    /// Hands all of it over, as rows of keys, values and counts.
    pub(super) fn export(self, out: Handed<'_>) -> Result<()> {
        for part in self.runs.iter().flat_map(Run::parts) {
            out(0, part.load()?)?;
        }
        let sorted = Groups::sorted(&self.key_types, self.keys, self.groups, self.values, &self.cancel)?;
        sorted.rows(&self.fixed, &mut |rows| out(0, rows))
    }

    /// All of it as runs of keys, values and counts, sorted by keys and value.
    pub(super) fn into_runs(mut self) -> Result<Vec<Run>> {
        if !self.values.is_empty() {
            self.spill()?;
        }
        Ok(self.runs)
    }

    /// Batches of values and counts, in the order of keys and values. There must be no runs.
    pub(super) fn into_batches(self) -> Result<impl Iterator<Item = Result<RecordBatch>>> {
        let sorted = Groups::sorted(&self.key_types, self.keys, self.groups, self.values, &self.cancel)?;
        let (fixed, held, mut place) = (self.fixed, self.reservation, Place::default());
        Ok(std::iter::from_fn(move || {
            // The memory is held until the last batch has gone.
            let _ = &held;
            let (_, values, counts) = sorted.next(&mut place)?;
            let rows = values.len();
            Some(of_columns(vec![fixed.decode(values, None), Arc::new(Int64Array::from(counts))], rows))
        }))
    }
}

/// The ids of all keys.
fn all_of(index: &dyn GroupKeys) -> Vec<u32> {
    (0..index.len() as u32).collect()
}

fn new_keys(types: &[DataType]) -> Result<Option<Box<dyn GroupKeys>>> {
    if types.is_empty() { Ok(None) } else { keys_for(types).map(Some) }
}

/// Values sorted without asking whether the run is cancelled.
const SORTED_AT_ONCE: usize = 1 << 22;

/// Sorts values, many of them half by half, so that a run that is cancelled ends soon.
fn sort(values: &mut [i64], cancel: &CancelToken) -> Result<()> {
    cancel.check()?;
    if values.len() <= SORTED_AT_ONCE {
        values.sort_unstable();
        return Ok(());
    }
    let (before, _, behind) = values.select_nth_unstable(values.len() / 2);
    sort(before, cancel)?;
    sort(behind, cancel)
}

/// Values sorted within their groups, and the groups by key.
struct Groups {
    /// One row a group.
    keys: Vec<ArrayRef>,
    values: Vec<i64>,
    /// Where the values of each group end.
    ends: Vec<usize>,
}

/// How far the rows of [`Groups`] have been given.
#[derive(Default)]
struct Place {
    group: usize,
    value: usize,
}

impl Groups {
    fn sorted(
        key_types: &[DataType],
        index: Option<Box<dyn GroupKeys>>,
        groups: Vec<u32>,
        mut values: Vec<i64>,
        cancel: &CancelToken,
    ) -> Result<Self> {
        let Some(index) = index else {
            sort(&mut values, cancel)?;
            return Ok(Groups { keys: Vec::new(), ends: vec![values.len()], values });
        };
        let keys = of_columns(index.emit(&all_of(&*index))?, index.len())?;
        drop(index);
        let order = Order::ascending(key_types.iter().cloned())?;
        let order = order.sorted(&keys)?;
        let keys = keys.columns().iter().map(|key| Ok(take(key, &order, None)?)).collect::<Result<Vec<_>>>()?;
        let mut ranks = vec![0; order.len()];
        order.values().iter().enumerate().for_each(|(rank, group)| ranks[*group as usize] = rank);
        // Where the next value of each group goes; in the end, where its values end.
        let mut ends = vec![0; ranks.len()];
        groups.iter().for_each(|group| ends[ranks[*group as usize]] += 1);
        let mut sum = 0;
        for end in &mut ends {
            sum += std::mem::replace(end, sum);
        }
        let mut scattered = vec![0; values.len()];
        for (group, value) in groups.iter().zip(&values) {
            let end = &mut ends[ranks[*group as usize]];
            scattered[*end] = *value;
            *end += 1;
        }
        drop((groups, values));
        let mut start = 0;
        for end in &ends {
            sort(&mut scattered[start..*end], cancel)?;
            start = *end;
        }
        Ok(Groups { keys, values: scattered, ends })
    }

    /// Hands keys, values and counts to `out`, block by block, in order.
    fn rows(&self, fixed: &Fixed, out: &mut dyn FnMut(RecordBatch) -> Result<()>) -> Result<()> {
        let mut place = Place::default();
        while let Some((groups, values, counts)) = self.next(&mut place) {
            let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.keys.len() + 2);
            for key in &self.keys {
                columns.push(take(key, &UInt32Array::from(groups.clone()), None)?);
            }
            let rows = values.len();
            columns.push(fixed.decode(values, None));
            columns.push(Arc::new(Int64Array::from(counts)));
            out(of_columns(columns, rows)?)?;
        }
        Ok(())
    }

    /// The next rows, at most a block: groups, distinct values and counts.
    fn next(&self, place: &mut Place) -> Option<(Vec<u32>, Vec<i64>, Vec<i64>)> {
        let (mut groups, mut values, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        while place.value < self.values.len() && values.len() < BLOCK_ROWS {
            while place.value >= self.ends[place.group] {
                place.group += 1;
            }
            let value = self.values[place.value];
            let rest = &self.values[place.value..self.ends[place.group]];
            let count = rest.iter().take_while(|other| **other == value).count();
            groups.push(place.group as u32);
            values.push(value);
            counts.push(count as i64);
            place.value += count;
        }
        if values.is_empty() { None } else { Some((groups, values, counts)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn many_values_are_sorted_and_a_cancelled_run_sorts_none() {
        let mut values: Vec<i64> =
            (0..3 * SORTED_AT_ONCE as i64).map(|at| at.wrapping_mul(-7_046_029_254) >> 7).collect();
        let cancel = CancelToken::new();
        sort(&mut values, &cancel).unwrap();
        assert!(values.is_sorted());
        cancel.cancel();
        assert_eq!(sort(&mut values, &cancel).unwrap_err().kind(), ErrorKind::Cancelled);
    }
}
