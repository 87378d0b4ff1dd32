//! Several keys: each column is numbered by its own index, and the tuples of numbers are numbered in turn.
//!
//! While the index space of the tuples is small, as for carriers by month, an array over it takes the place of a hash
//! table. (Rows encoded into byte strings, the usual way, cost several times the work and the memory of a tuple.)

use super::integer_index::{HASHER, slots_allowed};
use super::keys::{ABSENT, GroupKeys, Tuples, next_id};
use crate::batch::hash::mix;
use crate::error::{Error, Result};
use arrow::array::ArrayRef;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::hash::BuildHasher;

/// Numbers tuples of column numbers.
pub(super) struct TupleKeys {
    columns: Vec<Box<dyn GroupKeys>>,
    /// Column numbers by group: `columns.len()` entries a group.
    tuples: Vec<u32>,
    places: Places,
    /// Scratch: the numbers of a batch by column, and what a row's tuple packs to.
    numbers: Vec<Vec<u32>>,
    packed: Vec<u64>,
}

/// Where the group of a packed tuple stands.
enum Places {
    /// In slot `packed`; column `c` takes the bits from `shifts[c]` up to the next shift.
    Array { slots: Vec<u32>, shifts: Vec<u32> },
    /// By hash. Packed tuples of two are the tuples; of more, a hash of them.
    Table(HashTable<(u64, u32)>),
}

impl TupleKeys {
    pub(super) fn new(columns: Vec<Box<dyn GroupKeys>>) -> Self {
        let numbers = columns.iter().map(|_| Vec::new()).collect();
        let places = Places::Array { slots: vec![ABSENT], shifts: vec![0; columns.len() + 1] };
        TupleKeys { columns, tuples: Vec::new(), places, numbers, packed: Vec::new() }
    }

    /// Takes the tuple of each row as a group of its own.
    pub(super) fn append(&mut self, keys: &[ArrayRef]) -> Result<()> {
        self.number(keys)?;
        let rows = keys.first().map_or(0, |key| key.len());
        self.tuples.reserve(rows * self.numbers.len());
        for row in 0..rows {
            self.tuples.extend(self.numbers.iter().map(|numbers| numbers[row]));
        }
        Ok(())
    }

    /// Numbers the values of each column.
    fn number(&mut self, keys: &[ArrayRef]) -> Result<()> {
        if keys.len() != self.columns.len() {
            return Err(Error::internal(format!("{} key columns for an index of {}", keys.len(), self.columns.len())));
        }
        for ((column, numbers), key) in self.columns.iter_mut().zip(&mut self.numbers).zip(keys) {
            column.intern(std::slice::from_ref(key), numbers)?;
        }
        Ok(())
    }

    /// Brings the places into the form that suits the sizes of the columns now.
    fn lay_out(&mut self) {
        let Places::Array { shifts, .. } = &self.places else { return };
        let bits = |groups: usize| groups.next_power_of_two().trailing_zeros();
        if shifts.windows(2).zip(&self.columns).all(|(shift, column)| shift[1] - shift[0] >= bits(column.len())) {
            return;
        }
        let mut shifts = vec![0; self.columns.len() + 1];
        for (place, column) in self.columns.iter().enumerate() {
            shifts[place + 1] = shifts[place] + bits(column.len());
        }
        let total_bits = shifts[self.columns.len()];
        let groups = self.len();
        if total_bits < 32 && 1usize << total_bits <= slots_allowed(groups) {
            let mut slots = vec![ABSENT; 1 << total_bits];
            for (group, tuple) in self.tuples.chunks_exact(self.columns.len()).enumerate() {
                slots[tuple.iter().zip(&shifts).fold(0, |slot, (number, shift)| slot | (*number as usize) << shift)] =
                    group as u32;
            }
            self.places = Places::Array { slots, shifts };
        } else {
            let mut table = HashTable::with_capacity(groups);
            for (group, tuple) in self.tuples.chunks_exact(self.columns.len()).enumerate() {
                let packed = tuple.iter().fold(0, |packed, number| pack(packed, *number, tuple.len()));
                table.insert_unique(HASHER.hash_one(packed), (packed, group as u32), |entry| HASHER.hash_one(entry.0));
            }
            self.places = Places::Table(table);
        }
    }

    fn look_up_in_array(&mut self, ids: &mut Vec<u32>) -> Result<()> {
        let Places::Array { slots, shifts } = &mut self.places else { return Err(Error::internal("no array")) };
        self.packed.fill(0);
        for (numbers, shift) in self.numbers.iter().zip(shifts) {
            self.packed.iter_mut().zip(numbers).for_each(|(packed, number)| *packed |= u64::from(*number) << *shift);
        }
        for (row, packed) in self.packed.iter().enumerate() {
            let slot = &mut slots[*packed as usize];
            if *slot == ABSENT {
                *slot = next_id(self.tuples.len() / self.columns.len())?;
                self.tuples.extend(self.numbers.iter().map(|numbers| numbers[row]));
            }
            ids.push(*slot);
        }
        Ok(())
    }

    fn look_up_in_table(&mut self, ids: &mut Vec<u32>) -> Result<()> {
        let Places::Table(table) = &mut self.places else { return Err(Error::internal("no table")) };
        let width = self.columns.len();
        self.packed.fill(0);
        for numbers in &self.numbers {
            self.packed.iter_mut().zip(numbers).for_each(|(packed, number)| *packed = pack(*packed, *number, width));
        }
        for (row, packed) in self.packed.iter().enumerate() {
            let tuples = &self.tuples;
            let same = |entry: &(u64, u32)| {
                let start = entry.1 as usize * width;
                let tuple = &tuples[start..start + width];
                entry.0 == *packed
                    && (width <= 2 || tuple.iter().zip(&self.numbers).all(|(number, numbers)| *number == numbers[row]))
            };
            match table.entry(HASHER.hash_one(packed), same, |entry| HASHER.hash_one(entry.0)) {
                Entry::Occupied(entry) => ids.push(entry.get().1),
                Entry::Vacant(entry) => {
                    let id = next_id(tuples.len() / width)?;
                    entry.insert((*packed, id));
                    ids.push(id);
                    self.tuples.extend(self.numbers.iter().map(|numbers| numbers[row]));
                }
            }
        }
        Ok(())
    }
}

/// Adds a number to a packed tuple of `width` numbers.
#[inline(always)]
fn pack(packed: u64, number: u32, width: usize) -> u64 {
    match width {
        0..=2 => packed << 32 | u64::from(number),
        _ => (packed ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29),
    }
}

impl GroupKeys for TupleKeys {
    fn intern(&mut self, keys: &[ArrayRef], ids: &mut Vec<u32>) -> Result<()> {
        self.number(keys)?;
        self.lay_out();
        let rows = keys.first().map_or(0, |key| key.len());
        self.packed.resize(rows, 0);
        ids.clear();
        ids.reserve(rows);
        match self.places {
            Places::Array { .. } => self.look_up_in_array(ids),
            Places::Table(_) => self.look_up_in_table(ids),
        }
    }

    fn find(&self, keys: &[ArrayRef], ids: &mut Vec<u32>) -> Result<()> {
        let width = self.columns.len();
        if keys.len() != width {
            return Err(Error::internal(format!("{} key columns for an index of {width}", keys.len())));
        }
        let mut numbers = vec![Vec::new(); width];
        for ((column, numbers), key) in self.columns.iter().zip(&mut numbers).zip(keys) {
            column.find(std::slice::from_ref(key), numbers)?;
        }
        let rows = keys.first().map_or(0, |key| key.len());
        ids.clear();
        ids.extend((0..rows).map(|row| {
            let tuple = || numbers.iter().map(|numbers| numbers[row]);
            if tuple().any(|number| number == ABSENT) {
                return ABSENT;
            }
            match &self.places {
                Places::Array { slots, shifts } => {
                    let slot = tuple().zip(shifts).fold(0, |slot, (number, shift)| slot | (number as usize) << shift);
                    slots.get(slot).copied().unwrap_or(ABSENT)
                }
                Places::Table(table) => {
                    let packed = tuple().fold(0, |packed, number| pack(packed, number, width));
                    let same = |entry: &(u64, u32)| {
                        let start = entry.1 as usize * width;
                        entry.0 == packed && self.tuples[start..start + width].iter().copied().eq(tuple())
                    };
                    table.find(HASHER.hash_one(packed), same).map_or(ABSENT, |entry| entry.1)
                }
            }
        }));
        Ok(())
    }

    fn len(&self) -> usize {
        self.tuples.len() / self.columns.len()
    }

    fn emit(&self, groups: &[u32]) -> Result<Vec<ArrayRef>> {
        let width = self.columns.len();
        let mut columns = Vec::with_capacity(width);
        for (place, column) in self.columns.iter().enumerate() {
            let number = |group: &u32| self.tuples[*group as usize * width + place];
            let numbers: Vec<u32> = groups.iter().map(number).collect();
            columns.append(&mut column.emit(&numbers)?);
        }
        Ok(columns)
    }

    fn head(&self, _: u32, _: usize) -> u128 {
        0
    }

    fn hashes(&self) -> Vec<u64> {
        let columns: Vec<Vec<u64>> = self.columns.iter().map(|column| column.hashes()).collect();
        let of_tuple = |tuple: &[u32]| {
            let hashes = tuple.iter().zip(&columns).map(|(number, hashes)| hashes[*number as usize]);
            hashes.fold(0, |all, hash| mix(all ^ hash))
        };
        self.tuples.chunks_exact(self.columns.len()).map(of_tuple).collect()
    }

    fn seal(&mut self) {
        self.columns.iter_mut().for_each(|column| column.seal());
        self.places = Places::Table(HashTable::new());
        self.numbers = Vec::new();
        self.packed = Vec::new();
        self.tuples.shrink_to_fit();
    }

    fn tuples(&self) -> Option<Tuples<'_>> {
        Some(Tuples { columns: &self.columns, numbers: &self.tuples })
    }

    fn bytes_held(&self) -> usize {
        let places = match &self.places {
            Places::Array { slots, .. } => slots.capacity() * size_of::<u32>(),
            Places::Table(table) => table.allocation_size(),
        };
        let numbers: usize = self.numbers.iter().map(Vec::capacity).sum();
        places
            + (self.tuples.capacity() + numbers) * size_of::<u32>()
            + self.packed.capacity() * size_of::<u64>()
            + self.columns.iter().map(|column| column.bytes_held()).sum::<usize>()
    }
}
