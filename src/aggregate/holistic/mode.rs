//! `mode`.

use super::picks::Picks;
use super::{Chunk, Fold, Nulls, Stretch};
use crate::aggregate::extreme::any_argument;
use crate::aggregate::fixed::Fixed;
use crate::aggregate::text::Texts;
use crate::aggregate::values::{FixedValues, Values};
use crate::aggregate::{Aggregate, Exactness, Over};
use crate::error::Result;
use crate::types::ColumnType;
use arrow::array::ArrayRef;
use arrow::datatypes::DataType;

/// The most frequent value; of several, the smallest, in the order of `min`. Null over no value.
#[derive(Clone, Copy, Debug)]
pub struct Mode;

impl Aggregate for Mode {
    fn name(&self) -> &str {
        "mode"
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        any_argument(self, arguments).map(ColumnType::arrow)
    }

    fn exactness(&self) -> Exactness {
        Exactness::Exact
    }

    fn over(&self) -> Over {
        Over::SortedValues
    }

    fn fold(&self, arguments: &[DataType]) -> Result<Box<dyn Fold>> {
        let argument = any_argument(self, arguments)?;
        Ok(match (Fixed::new(argument), argument) {
            (Some(argument), _) => Box::new(Modes::new(FixedValues::new(argument))),
            (None, ColumnType::Utf8) => Box::new(Modes::new(Texts::default())),
            _ => Box::new(Nulls::new(DataType::Null)),
        })
    }
}

struct Modes<V> {
    picks: Picks<V>,
    /// How often the value picked for the group that began last occurs.
    most: i64,
}

impl<V: Values> Modes<V> {
    fn new(values: V) -> Self {
        Modes { picks: Picks::new(values), most: 0 }
    }
}

impl<V: Values> Fold for Modes<V> {
    fn absorb(&mut self, chunk: &Chunk<'_>, stretches: &[Stretch]) -> Result<()> {
        let (column, counts) = (self.picks.column(chunk.values)?, chunk.counts.unwrap_or_default());
        for stretch in stretches {
            if stretch.begins.is_some() {
                self.picks.begin();
                self.most = 0;
            }
            // Values ascend, so the first of the most frequent is the smallest.
            let mut best = None;
            for row in stretch.rows.clone() {
                if counts[row] > self.most {
                    (self.most, best) = (counts[row], Some(row));
                }
            }
            if let Some(row) = best {
                self.picks.pick(V::value(&column, row));
            }
            if stretch.ends {
                self.picks.end();
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(self.picks.finish())
    }

    fn bytes_held(&self) -> usize {
        self.picks.bytes_held()
    }
}
