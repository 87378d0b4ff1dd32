//! `top_k`: the most frequent values of each group, one row each.

use super::{Chunk, Fold, Stretch};
use crate::aggregate::extreme::any_argument;
use crate::aggregate::fixed::Fixed;
use crate::aggregate::{Aggregate, Constant, Exactness, Makes, Over, wrong_arguments};
use crate::error::{Error, ErrorKind, Result};
use crate::types::ColumnType;
use arrow::array::{ArrayRef, AsArray, Int64Array, ListArray, StringViewArray, StructArray, new_null_array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use std::sync::Arc;

/// So many values a group at most.
const MOST: usize = 10_000;

/// The most frequent values of a column, most frequent first and of equally frequent ones the smallest first, with how
/// often each occurs: rows of `value` and `count`. All values are counted, so both are exact. No row over no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frequent {
    values: usize,
}

impl Frequent {
    /// So many values.
    ///
    /// # Errors
    /// `Type` unless that is a whole number from 1 to 10,000.
    pub fn new(values: f64) -> Result<Self> {
        if values.fract() == 0.0 && (1.0..=MOST as f64).contains(&values) {
            return Ok(Frequent { values: values as usize });
        }
        Err(Error::new(ErrorKind::Type, format!("`top_k` gives from 1 to {MOST} values a group, not {values}")))
    }

    fn row(value: &DataType) -> Fields {
        Fields::from(vec![Field::new("value", value.clone(), true), Field::new("count", DataType::Int64, true)])
    }

    fn item(value: &DataType) -> FieldRef {
        Arc::new(Field::new_list_field(DataType::Struct(Frequent::row(value)), true))
    }
}

impl Aggregate for Frequent {
    fn name(&self) -> &str {
        "top_k"
    }

    fn constants(&self) -> Vec<Constant> {
        vec![Constant::Number(self.values as f64)]
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match any_argument(self, arguments)? {
            ColumnType::List(_) => Err(wrong_arguments(self, "one column of single values", arguments)),
            known => Ok(DataType::List(Frequent::item(&known.arrow()))),
        }
    }

    fn exactness(&self) -> Exactness {
        Exactness::Exact
    }

    fn makes(&self) -> Makes {
        Makes::Rows
    }

    fn over(&self) -> Over {
        Over::SortedValues
    }

    fn fold(&self, arguments: &[DataType]) -> Result<Box<dyn Fold>> {
        let argument = any_argument(self, arguments)?;
        Ok(Box::new(Leaders {
            argument,
            fixed: Fixed::new(argument),
            most: self.values,
            best: Vec::new(),
            ended: Vec::new(),
            lengths: Vec::new(),
            text_bytes: 0,
        }))
    }
}

/// A value, of fixed width as encoded.
#[derive(Debug)]
enum Item {
    Fixed(i64),
    Text(Box<str>),
}

struct Leaders {
    argument: ColumnType,
    fixed: Option<Fixed>,
    most: usize,
    /// Counts and values of the group that began last, most frequent first; of equally frequent ones the smallest first.
    best: Vec<(i64, Item)>,
    /// Those of the groups that have ended, and how many each has.
    ended: Vec<(i64, Item)>,
    lengths: Vec<usize>,
    text_bytes: usize,
}

impl Leaders {
    /// Values of a group come in ascending order.
    fn add(&mut self, count: i64, item: impl FnOnce() -> Item) {
        let at = self.best.partition_point(|(other, _)| *other >= count);
        if at == self.most {
            return;
        }
        if self.best.len() == self.most
            && let Some((_, Item::Text(text))) = self.best.pop()
        {
            self.text_bytes -= text.len();
        }
        let item = item();
        if let Item::Text(text) = &item {
            self.text_bytes += text.len();
        }
        self.best.insert(at, (count, item));
    }
}

impl Fold for Leaders {
    fn absorb(&mut self, chunk: &Chunk<'_>, stretches: &[Stretch]) -> Result<()> {
        let counts = chunk.counts.unwrap_or_default();
        let encoded = self.fixed.map(|fixed| fixed.encode(chunk.values)).transpose()?;
        let texts = chunk.values.as_string_view_opt();
        for stretch in stretches {
            for row in stretch.rows.clone() {
                match (&encoded, texts) {
                    (Some(encoded), _) => self.add(counts[row], || Item::Fixed(encoded[row])),
                    (None, Some(texts)) => self.add(counts[row], || Item::Text(texts.value(row).into())),
                    (None, None) => {}
                }
            }
            if stretch.ends {
                self.lengths.push(self.best.len());
                self.ended.append(&mut self.best);
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let ended = std::mem::take(&mut self.ended);
        let lengths = OffsetBuffer::from_lengths(std::mem::take(&mut self.lengths));
        let counts: Int64Array = ended.iter().map(|(count, _)| *count).collect();
        let values: ArrayRef = match self.fixed {
            Some(fixed) => {
                let encoded = |(_, item): &(i64, Item)| if let Item::Fixed(value) = item { *value } else { 0 };
                fixed.decode(ended.iter().map(encoded).collect(), None)
            }
            None if ended.is_empty() => new_null_array(&self.argument.arrow(), 0),
            None => {
                let text =
                    |(_, item): &(i64, Item)| if let Item::Text(text) = item { Some(text.clone()) } else { None };
                Arc::new(ended.iter().map(text).collect::<StringViewArray>())
            }
        };
        let texts = self.best.iter().map(|(_, item)| if let Item::Text(text) = item { text.len() } else { 0 });
        self.text_bytes = texts.sum();
        let (item, row) = (Frequent::item(values.data_type()), Frequent::row(values.data_type()));
        let rows = StructArray::try_new(row, vec![values, Arc::new(counts)], None)?;
        Ok(Arc::new(ListArray::try_new(item, lengths, Arc::new(rows), None)?))
    }

    fn bytes_held(&self) -> usize {
        let items = (self.best.capacity() + self.ended.capacity()) * size_of::<(i64, Item)>();
        // Once more when columns are made of them.
        2 * (items + self.text_bytes) + self.lengths.capacity() * size_of::<usize>()
    }
}
