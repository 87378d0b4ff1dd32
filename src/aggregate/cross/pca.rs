//! `pca`: principal components of several columns, one row a component.

use super::columns::{check, together, with_all};
use super::sums::{Answer, CrossProducts, CrossSums, Design, most_bytes};
use crate::aggregate::rounding::NAN;
use crate::aggregate::{Aggregate, Exactness, GroupStates, Makes};
use crate::error::{Error, ErrorKind, Result};
use crate::linalg;
use arrow::array::{ArrayRef, Float64Builder, Int64Builder, ListArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use std::sync::Arc;

/// What the columns before the loadings are called.
const COLUMNS: [&str; 5] = ["component", "std_dev", "variance", "proportion", "cumulative"];

/// Principal components of columns of numbers, Booleans as 0 and 1, over the rows in which all of them have a value: one row a
/// component, by descending variance, with its number from 1, its standard deviation and variance (over n − 1), the share of all
/// variance that it has, and that of all components up to it; then a column for each column with its loading. Loadings of a
/// component have length 1, and the one farthest from 0 (of several the first) is positive.
///
/// Scaled, columns are divided by their standard deviations before: components are those of the correlations. All is null over
/// fewer than 2 rows, and where a column to be scaled does not vary; NaN as soon as a value is NaN or infinite.
///
/// Covariances are exact until they are rounded, once; components are those of the rounded matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pca {
    columns: Arc<[Arc<str>]>,
    scaled: bool,
}

/// Variance and loadings.
type Component = (f64, Vec<f64>);

impl Pca {
    /// Of columns of these names.
    ///
    /// # Errors
    /// `Name` when two columns are the same, or one has the name of another column of the answer.
    pub fn new(columns: impl IntoIterator<Item = impl Into<Arc<str>>>, scaled: bool) -> Result<Self> {
        let columns: Arc<[Arc<str>]> = columns.into_iter().map(Into::into).collect();
        let twice = |at: usize| COLUMNS.contains(&&*columns[at]) || columns[..at].contains(&columns[at]);
        match (0..columns.len()).find(|at| twice(*at)) {
            None => Ok(Pca { columns, scaled }),
            Some(at) => Err(Error::new(ErrorKind::Name, format!("`pca` would have two columns `{}`", columns[at]))
                .hint("give the column another name first: `x + 0` is named by its text")),
        }
    }

    fn row(&self) -> Fields {
        let number = |name: &str| Field::new(name, DataType::Float64, true);
        let component = Field::new(COLUMNS[0], DataType::Int64, true);
        let others = COLUMNS[1..].iter().map(|name| number(name));
        std::iter::once(component).chain(others).chain(self.columns.iter().map(|name| number(name))).collect()
    }

    fn item(&self) -> FieldRef {
        Arc::new(Field::new_list_field(DataType::Struct(self.row()), true))
    }

    /// The matrix that is taken apart; `None` where it has a cell that is no number.
    fn matrix(&self, sums: &CrossSums) -> Option<linalg::Matrix> {
        let order = self.columns.len();
        let mut cells = Vec::with_capacity(order * order);
        for a in 0..order {
            for b in 0..order {
                // The first column of the sums is the ones.
                cells.push(together(sums, 1 + a, 1 + b, self.scaled)?);
            }
        }
        cells.iter().all(|cell| cell.is_finite()).then_some(())?;
        linalg::Matrix::new(order, order, cells).ok()
    }

    fn components(&self, sums: &CrossSums) -> Result<Option<Vec<Component>>> {
        if sums.count < 2 {
            return Ok(None);
        }
        let order = self.columns.len();
        if sums.special {
            return Ok(Some(vec![(NAN, vec![NAN; order]); order]));
        }
        let Some(matrix) = self.matrix(sums) else { return Ok(None) };
        let eigen = matrix.eigen_symmetric()?;
        let component = |at: usize| {
            let loadings = eigen.vectors().column(at);
            let largest = loadings.iter().fold(0.0_f64, |most, own| if own.abs() > most.abs() { *own } else { most });
            let sign = if largest < 0.0 { -1.0 } else { 1.0 };
            // A variance below 0 is rounding.
            (eigen.values()[at].max(0.0), loadings.iter().map(|own| own * sign + 0.0).collect())
        };
        Ok(Some((0..order).rev().map(component).collect()))
    }
}

impl Aggregate for Pca {
    fn name(&self) -> &str {
        "pca"
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        check(self, &self.columns, arguments)?;
        Ok(DataType::List(self.item()))
    }

    fn exactness(&self) -> Exactness {
        Exactness::Rounding
    }

    fn most_state_bytes(&self) -> usize {
        most_bytes(self.columns.len())
    }

    fn makes(&self) -> Makes {
        Makes::Rows
    }

    fn suffix(&self) -> String {
        if self.scaled { ", scale => true)".to_owned() } else { ")".to_owned() }
    }

    fn over_columns(&self, at: usize, columns: &[(Arc<str>, DataType)]) -> Option<(Arc<dyn Aggregate>, Vec<usize>)> {
        let is_own = |name: &Arc<str>| COLUMNS.contains(&&**name) || self.columns.contains(name);
        let (columns, chosen) = with_all(&self.columns, at, columns, is_own);
        Some((Arc::new(Pca { columns, scaled: self.scaled }), chosen))
    }

    fn states(&self, arguments: &[DataType]) -> Result<Box<dyn GroupStates>> {
        self.output_type(arguments)?;
        Ok(Box::new(CrossProducts::new(Design::plain(arguments.len()), self.clone())))
    }
}

impl Answer for Pca {
    fn of(&self, groups: impl Iterator<Item = CrossSums>) -> Result<ArrayRef> {
        let (mut numbers, mut lengths) = (Int64Builder::new(), Vec::new());
        let order = self.columns.len();
        let mut columns: Vec<Float64Builder> = (0..COLUMNS.len() - 1 + order).map(|_| Float64Builder::new()).collect();
        for sums in groups {
            let rows = if sums.count == 0 { 0 } else { order };
            lengths.push(rows);
            let components = self.components(&sums)?;
            let total: f64 = components.iter().flatten().map(|(variance, _)| variance).sum();
            let mut so_far = 0.0;
            for row in 0..rows {
                numbers.append_value(row as i64 + 1);
                let Some((variance, loadings)) = components.as_ref().map(|components| &components[row]) else {
                    columns.iter_mut().for_each(Float64Builder::append_null);
                    continue;
                };
                so_far += variance;
                // Where nothing varies, no share is told.
                let share = |part: f64| (total != 0.0).then_some(part / total);
                let own = [Some(variance.sqrt()), Some(*variance), share(*variance), share(so_far)];
                let all = own.into_iter().chain(loadings.iter().copied().map(Some));
                columns.iter_mut().zip(all).for_each(|(column, value)| column.append_option(value));
            }
        }
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(numbers.finish())];
        arrays.extend(columns.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        let rows = StructArray::try_new(self.row(), arrays, None)?;
        Ok(Arc::new(ListArray::try_new(self.item(), OffsetBuffer::from_lengths(lengths), Arc::new(rows), None)?))
    }
}
