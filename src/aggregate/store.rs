//! What the built-in states have in common: which rows count, and the untyped border of typed states.

use super::{GroupStates, Rows};
use crate::error::{Error, Result};
use arrow::array::{Array, ArrayRef, BinaryArray, BinaryViewArray, BinaryViewBuilder, FixedSizeBinaryArray};
use arrow::buffer::{BooleanBuffer, Buffer};
use std::any::{Any, type_name};
use std::ops::Range;
use std::sync::Arc;

/// States of one kind, knowing their own type: `GroupStates` without the casts.
pub(super) trait Store: Send + Sync + Any + Sized {
    fn grow(&mut self, groups: usize);
    fn update(&mut self, arguments: &[ArrayRef], rows: &Rows<'_>) -> Result<()>;
    /// For each pair (from, into), group `from` of `other` goes into group `into`.
    fn absorb(&mut self, other: &Self, pairs: impl Iterator<Item = (usize, usize)>);
    fn export(&self, groups: Range<usize>) -> Result<Vec<ArrayRef>>;
    /// States of as many groups as the exported columns have rows.
    fn read(&self, columns: &[ArrayRef]) -> Result<Self>;
    fn finish(&self, groups: Range<usize>) -> Result<ArrayRef>;
    fn bytes_held(&self) -> usize;
}

impl<S: Store> GroupStates for S {
    fn grow(&mut self, groups: usize) {
        Store::grow(self, groups);
    }

    fn update(&mut self, arguments: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        Store::update(self, arguments, rows)
    }

    fn merge(&mut self, other: &dyn GroupStates, map: &[u32]) -> Result<()> {
        self.absorb(same_kind(other)?, map.iter().map(|into| *into as usize).enumerate());
        Ok(())
    }

    fn merge_some(&mut self, other: &dyn GroupStates, from: &[u32], into: &[u32]) -> Result<()> {
        let pairs = from.iter().zip(into).map(|(from, into)| (*from as usize, *into as usize));
        self.absorb(same_kind(other)?, pairs);
        Ok(())
    }

    fn export(&self, groups: Range<usize>) -> Result<Vec<ArrayRef>> {
        Store::export(self, groups)
    }

    fn import(&mut self, columns: &[ArrayRef], map: &[u32]) -> Result<()> {
        if columns.iter().any(|column| column.len() != map.len()) {
            return Err(not_an_export::<S>());
        }
        let read = self.read(columns)?;
        self.absorb(&read, map.iter().map(|into| *into as usize).enumerate());
        Ok(())
    }

    fn finish(&mut self, groups: Range<usize>) -> Result<ArrayRef> {
        Store::finish(self, groups)
    }

    fn bytes_held(&self) -> usize {
        Store::bytes_held(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn same_kind<S: Store>(other: &dyn GroupStates) -> Result<&S> {
    let other = other.as_any().downcast_ref::<S>();
    other.ok_or_else(|| Error::internal(format!("merged other states into {}", type_name::<S>())))
}

/// The error for columns that no `export` of `S` made.
pub(super) fn not_an_export<S>() -> Error {
    Error::internal(format!("columns are not an export of {}", type_name::<S>()))
}

/// The column of exported states at `index`, as its Arrow type.
pub(super) fn exported<S, A: Array + 'static>(columns: &[ArrayRef], index: usize) -> Result<&A> {
    columns.get(index).and_then(|column| column.as_any().downcast_ref::<A>()).ok_or_else(not_an_export::<S>)
}

/// The column at `index`.
pub(super) fn column(columns: &[ArrayRef], index: usize) -> Result<&ArrayRef> {
    columns.get(index).ok_or_else(|| Error::internal(format!("no column {index} among {}", columns.len())))
}

/// The column at `index`, as the Arrow type that the description accepted.
pub(super) fn typed<A: Array + 'static>(columns: &[ArrayRef], index: usize) -> Result<&A> {
    let column = column(columns, index)?;
    column.as_any().downcast_ref::<A>().ok_or_else(|| {
        Error::internal(format!("expected {} as argument {index}, got {}", type_name::<A>(), column.data_type()))
    })
}

/// The rows that count: mask true and value not null; `None` when all do.
pub(super) fn live_rows(rows: &Rows<'_>, value: Option<&ArrayRef>) -> Option<BooleanBuffer> {
    let valid = value.and_then(|value| value.logical_nulls()).filter(|nulls| nulls.null_count() > 0);
    let valid = valid.map(|nulls| nulls.into_inner());
    let Some(mask) = rows.mask else { return valid };
    let mut live = mask.values().clone();
    for other in mask.nulls().map(|nulls| nulls.inner()).into_iter().chain(&valid) {
        live = &live & other;
    }
    Some(live)
}

/// Calls `with` for every row that counts, in order.
#[inline(always)]
pub(super) fn for_each_live(rows: usize, live: Option<&BooleanBuffer>, mut with: impl FnMut(usize)) {
    match live {
        None => (0..rows).for_each(with),
        Some(live) => for_each_word(live, |start, length, mut word| {
            if word.count_ones() as usize == length {
                (start..start + length).for_each(&mut with);
            } else {
                while word != 0 {
                    with(start + word.trailing_zeros() as usize);
                    word &= word - 1;
                }
            }
        }),
    }
}

/// Calls `with` for every 64 rows (fewer at the end): first row, number of rows, and their bits.
#[inline(always)]
pub(super) fn for_each_word(live: &BooleanBuffer, mut with: impl FnMut(usize, usize, u64)) {
    let chunks = live.bit_chunks();
    let mut start = 0;
    for word in chunks.iter() {
        with(start, 64, word);
        start += 64;
    }
    if start < live.len() {
        with(start, live.len() - start, chunks.remainder_bits());
    }
}

/// A column of fixed-size byte strings, one a state.
pub(super) fn bytes_column<const N: usize>(states: impl Iterator<Item = [u8; N]>) -> Result<ArrayRef> {
    let bytes: Vec<u8> = states.flatten().collect();
    Ok(Arc::new(FixedSizeBinaryArray::try_new(N as i32, Buffer::from_vec(bytes), None)?))
}

/// The byte strings of a column that [`bytes_column`] made.
pub(super) fn read_bytes<S, const N: usize>(columns: &[ArrayRef], index: usize) -> Result<Vec<[u8; N]>> {
    let column = exported::<S, FixedSizeBinaryArray>(columns, index)?;
    column.iter().map(|bytes| bytes?.try_into().ok()).collect::<Option<_>>().ok_or_else(not_an_export::<S>)
}

/// A column of byte strings that may be long, one a state.
pub(super) fn view_bytes_column(states: impl Iterator<Item = Vec<u8>>) -> Result<ArrayRef> {
    let mut builder = BinaryViewBuilder::new();
    for bytes in states {
        builder.try_append_value(bytes)?;
    }
    Ok(Arc::new(builder.finish()))
}

/// The byte strings of a column that [`view_bytes_column`] made.
pub(super) fn read_view_bytes<S>(columns: &[ArrayRef], index: usize) -> Result<Vec<&[u8]>> {
    exported::<S, BinaryViewArray>(columns, index)?.iter().collect::<Option<_>>().ok_or_else(not_an_export::<S>)
}

/// A column of byte strings of any size, null where there is none.
pub(super) fn binary_column(values: impl Iterator<Item = Option<Vec<u8>>>) -> ArrayRef {
    Arc::new(values.collect::<BinaryArray>())
}
