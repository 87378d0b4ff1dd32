//! `cov_matrix` and `corr_matrix`: how each two of several columns go together, one row a column.

use super::columns::{check, together, with_all};
use super::sums::{Answer, CrossProducts, CrossSums, Design, most_bytes};
use crate::aggregate::{Aggregate, Exactness, GroupStates, Makes};
use crate::error::{Error, ErrorKind, Result};
use arrow::array::{ArrayRef, Float64Builder, ListArray, StringViewBuilder, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use std::sync::Arc;

/// The name of the column that names the rows.
const TERM: &str = "term";

/// Covariances of a sample (over n − 1) or correlations of each two of some columns of numbers, Booleans as 0 and 1, over
/// the rows in which all of them have a value: one row a column, its name as `term` (`term_` beside a column `term`), and a column for each column. Values
/// are null where `cov` and `corr` are. No row over no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matrix {
    terms: Arc<[Arc<str>]>,
    correlation: bool,
}

impl Matrix {
    /// Of columns of these names, covariances, or else correlations.
    ///
    /// # Errors
    /// `Name` when two columns are the same.
    pub fn new(terms: impl IntoIterator<Item = impl Into<Arc<str>>>, correlation: bool) -> Result<Self> {
        let terms: Arc<[Arc<str>]> = terms.into_iter().map(Into::into).collect();
        let matrix = Matrix { terms, correlation };
        let twice = |at: usize| matrix.terms[..at].contains(&matrix.terms[at]);
        match (0..matrix.terms.len()).find(|at| twice(*at)) {
            None => Ok(matrix),
            Some(at) => {
                let message = format!("`{}` would have two columns `{}`", matrix.name(), matrix.terms[at]);
                Err(Error::new(ErrorKind::Name, message))
            }
        }
    }

    fn row(&self) -> Fields {
        let number = |name: &Arc<str>| Field::new(&**name, DataType::Float64, true);
        // Another name where a column has that one.
        let mut label = TERM.to_owned();
        while self.terms.iter().any(|term| **term == *label) {
            label.push('_');
        }
        std::iter::once(Field::new(label, DataType::Utf8View, true)).chain(self.terms.iter().map(number)).collect()
    }

    fn item(&self) -> FieldRef {
        Arc::new(Field::new_list_field(DataType::Struct(self.row()), true))
    }
}

impl Aggregate for Matrix {
    fn name(&self) -> &str {
        if self.correlation { "corr_matrix" } else { "cov_matrix" }
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        check(self, &self.terms, arguments)?;
        Ok(DataType::List(self.item()))
    }

    fn exactness(&self) -> Exactness {
        Exactness::Rounding
    }

    fn most_state_bytes(&self) -> usize {
        most_bytes(self.terms.len())
    }

    fn makes(&self) -> Makes {
        Makes::Rows
    }

    fn over_columns(&self, at: usize, columns: &[(Arc<str>, DataType)]) -> Option<(Arc<dyn Aggregate>, Vec<usize>)> {
        let (terms, chosen) = with_all(&self.terms, at, columns, |name| self.terms.contains(name));
        Some((Arc::new(Matrix { terms, correlation: self.correlation }), chosen))
    }

    fn states(&self, arguments: &[DataType]) -> Result<Box<dyn GroupStates>> {
        self.output_type(arguments)?;
        Ok(Box::new(CrossProducts::new(Design::plain(arguments.len()), self.clone())))
    }
}

impl Answer for Matrix {
    fn of(&self, groups: impl Iterator<Item = CrossSums>) -> Result<ArrayRef> {
        let (mut names, mut lengths) = (StringViewBuilder::new(), Vec::new());
        let mut columns: Vec<Float64Builder> = self.terms.iter().map(|_| Float64Builder::new()).collect();
        for sums in groups {
            let rows = if sums.count == 0 { 0 } else { self.terms.len() };
            lengths.push(rows);
            for row in 0..rows {
                names.append_value(&self.terms[row]);
                for (at, column) in columns.iter_mut().enumerate() {
                    // The first columns of sums are the ones.
                    column.append_option(together(&sums, 1 + row, 1 + at, self.correlation));
                }
            }
        }
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(names.finish())];
        arrays.extend(columns.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        let rows = StructArray::try_new(self.row(), arrays, None)?;
        Ok(Arc::new(ListArray::try_new(self.item(), OffsetBuffer::from_lengths(lengths), Arc::new(rows), None)?))
    }
}
