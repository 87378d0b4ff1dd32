//! `crossprod(x1, x2)`: XᵀX, the matrix of the sums of products of each two columns.

use super::columns::check;
use super::sums::{Answer, CrossProducts, CrossSums, Design, most_bytes};
use crate::aggregate::rounding::{NAN, big_ratio};
use crate::aggregate::{Aggregate, Exactness, GroupStates, Makes};
use crate::error::Result;
use arrow::array::{ArrayRef, Float64Array, ListArray, StringViewBuilder, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields};
use num_bigint::BigUint;
use std::sync::Arc;

/// XᵀX of columns of numbers, Booleans as 0 and 1, over the rows in which all have a value: one row a column, `term` and then a
/// number for each column. Sums are exact and rounded once. All are NaN as soon as a value is NaN or infinite.
///
/// A row takes time, and a group memory (32 bytes), for every pair of columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crossprod {
    terms: Arc<[Arc<str>]>,
}

impl Crossprod {
    /// Of columns that are called so in the answer.
    pub fn new(terms: impl IntoIterator<Item = impl Into<Arc<str>>>) -> Self {
        Crossprod { terms: terms.into_iter().map(Into::into).collect() }
    }

    fn fields(&self) -> Fields {
        let term = Field::new("term", DataType::Utf8View, true);
        let number = |name: &Arc<str>| Field::new(&**name, DataType::Float64, true);
        [term].into_iter().chain(self.terms.iter().map(number)).collect()
    }

    fn item(&self) -> Arc<Field> {
        Arc::new(Field::new_list_field(DataType::Struct(self.fields()), true))
    }
}

impl Aggregate for Crossprod {
    fn name(&self) -> &str {
        "crossprod"
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        check(self, &self.terms, arguments)?;
        Ok(DataType::List(self.item()))
    }

    fn exactness(&self) -> Exactness {
        Exactness::Rounding
    }

    fn makes(&self) -> Makes {
        Makes::Rows
    }

    fn most_state_bytes(&self) -> usize {
        most_bytes(self.terms.len())
    }

    fn states(&self, arguments: &[DataType]) -> Result<Box<dyn GroupStates>> {
        self.output_type(arguments)?;
        Ok(Box::new(CrossProducts::new(Design::plain(arguments.len()), self.clone())))
    }
}

impl Answer for Crossprod {
    fn of(&self, groups: impl Iterator<Item = CrossSums>) -> Result<ArrayRef> {
        let terms = self.terms.len();
        let (mut names, mut lengths) = (StringViewBuilder::new(), Vec::new());
        let mut columns: Vec<Vec<f64>> = vec![Vec::new(); terms];
        for sums in groups {
            lengths.push(terms);
            self.terms.iter().for_each(|term| names.append_value(term));
            for (at, column) in columns.iter_mut().enumerate() {
                // Column 0 of the sums is 1 in every row.
                let product = |other: usize| match sums.special {
                    true => NAN,
                    false => big_ratio(sums.product(at + 1, other + 1), &BigUint::from(1_u8), sums.exponent),
                };
                column.extend((0..terms).map(product));
            }
        }
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(names.finish())];
        arrays.extend(columns.into_iter().map(|column| Arc::new(Float64Array::from(column)) as ArrayRef));
        let rows = StructArray::try_new(self.fields(), arrays, None)?;
        Ok(Arc::new(ListArray::try_new(self.item(), OffsetBuffer::from_lengths(lengths), Arc::new(rows), None)?))
    }
}
