//! `list`.

use super::{Chunk, Fold, Nulls, Stretch};
use crate::aggregate::{Aggregate, Exactness, Over, wrong_arguments};
use crate::error::{Error, ErrorKind, Result};
use crate::types::{ColumnType, ItemType};
use arrow::array::{Array, ArrayRef, AsArray, ListArray, new_empty_array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Field};
use std::sync::Arc;

/// The values of a group in input order. Nulls are left out; null over no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List;

impl Aggregate for List {
    fn name(&self) -> &str {
        "list"
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [DataType::Null] => Ok(DataType::Null),
            [argument] => match ColumnType::from_arrow(argument).ok().and_then(ItemType::of) {
                Some(item) => Ok(ColumnType::List(item).arrow()),
                None => Err(wrong_arguments(self, "one column of single values", arguments)),
            },
            _ => Err(wrong_arguments(self, "one column", arguments)),
        }
    }

    fn exactness(&self) -> Exactness {
        Exactness::Exact
    }

    fn over(&self) -> Over {
        Over::InputOrder
    }

    fn fold(&self, arguments: &[DataType]) -> Result<Box<dyn Fold>> {
        self.output_type(arguments)?;
        Ok(match arguments {
            [item] if !item.is_null() => Box::new(Lists::new(item)),
            _ => Box::new(Nulls::new(DataType::Null)),
        })
    }
}

struct Lists {
    item: DataType,
    /// The values of all groups since results were taken last, one group after the other.
    parts: Vec<ArrayRef>,
    part_bytes: usize,
    /// How many values each group has that has ended.
    lengths: Vec<usize>,
    /// How many the group has so far that began last.
    length: usize,
}

impl Lists {
    fn new(item: &DataType) -> Self {
        Lists { item: item.clone(), parts: Vec::new(), part_bytes: 0, lengths: Vec::new(), length: 0 }
    }

    fn push(&mut self, values: ArrayRef) {
        if !values.is_empty() {
            let texts = values.as_string_view_opt().map_or(0, |texts| texts.total_buffer_bytes_used());
            let width = values.data_type().primitive_width().unwrap_or(size_of::<u128>());
            self.part_bytes += texts + values.len() * width;
            self.parts.push(values);
        }
    }
}

impl Fold for Lists {
    fn absorb(&mut self, chunk: &Chunk<'_>, stretches: &[Stretch]) -> Result<()> {
        let (Some(first), Some(last)) = (stretches.first(), stretches.last()) else { return Ok(()) };
        self.push(chunk.values.slice(first.rows.start, last.rows.end - first.rows.start));
        for stretch in stretches {
            self.length += stretch.rows.len();
            if stretch.ends {
                self.lengths.push(std::mem::take(&mut self.length));
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let lengths = std::mem::take(&mut self.lengths);
        let ended: usize = lengths.iter().sum();
        if i32::try_from(ended).is_err() {
            let message = format!("`list` makes lists of {ended} values, too many for a column");
            return Err(Error::new(ErrorKind::Limit, message));
        }
        let parts = std::mem::take(&mut self.parts);
        let parts: Vec<&dyn Array> = parts.iter().map(|part| part.as_ref()).collect();
        let values = if parts.is_empty() { new_empty_array(&self.item) } else { concat(&parts)? };
        self.part_bytes = 0;
        self.push(values.slice(ended, values.len() - ended));
        let valid = NullBuffer::from_iter(lengths.iter().map(|length| *length > 0));
        let valid = Some(valid).filter(|valid| valid.null_count() > 0);
        let field = Arc::new(Field::new_list_field(self.item.clone(), true));
        Ok(Arc::new(ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), values.slice(0, ended), valid)?))
    }

    fn bytes_held(&self) -> usize {
        // Once more when they are put together.
        2 * self.part_bytes + self.lengths.capacity() * size_of::<usize>()
    }
}
