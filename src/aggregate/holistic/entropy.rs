//! `entropy`.

use super::{Chunk, Fold, Nulls, Stretch};
use crate::aggregate::extreme::any_argument;
use crate::aggregate::{Aggregate, Exactness, Over};
use crate::error::Result;
use arrow::array::{ArrayRef, Float64Array};
use arrow::datatypes::DataType;
use std::sync::Arc;

/// Shannon's entropy of the distribution of values of any type, in bits (base 2, as DuckDB has it): −Σ p·log₂ p over the
/// shares p of the distinct values. Nulls are left out, all NaN are one value; null over no value.
#[derive(Clone, Copy, Debug)]
pub struct Entropy;

impl Aggregate for Entropy {
    fn name(&self) -> &str {
        "entropy"
    }

    fn output_type(&self, arguments: &[DataType]) -> Result<DataType> {
        any_argument(self, arguments).map(|_| DataType::Float64)
    }

    fn exactness(&self) -> Exactness {
        Exactness::Rounding
    }

    fn over(&self) -> Over {
        Over::SortedValues
    }

    fn fold(&self, arguments: &[DataType]) -> Result<Box<dyn Fold>> {
        Ok(match arguments {
            [DataType::Null] => Box::new(Nulls::new(DataType::Float64)),
            _ => Box::new(Entropies::default()),
        })
    }
}

#[derive(Default)]
struct Entropies {
    /// Values of the group that began last, equal ones included.
    values: u64,
    /// Its sum so far, and what rounding has lost of it (Neumaier's summation).
    sum: f64,
    lost: f64,
    results: Vec<Option<f64>>,
}

impl Entropies {
    fn add(&mut self, term: f64) {
        let sum = self.sum + term;
        self.lost += if self.sum >= term { (self.sum - sum) + term } else { (term - sum) + self.sum };
        self.sum = sum;
    }
}

impl Fold for Entropies {
    fn absorb(&mut self, chunk: &Chunk<'_>, stretches: &[Stretch]) -> Result<()> {
        let counts = chunk.counts.unwrap_or_default();
        for stretch in stretches {
            if let Some(values) = stretch.begins {
                (self.values, self.sum, self.lost) = (values, 0.0, 0.0);
            }
            for count in &counts[stretch.rows.clone()] {
                let (count, all) = (*count as f64, self.values as f64);
                self.add(count / all * libm::log2(all / count));
            }
            if stretch.ends {
                self.results.push((self.values > 0).then_some(self.sum + self.lost));
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(Arc::new(Float64Array::from(std::mem::take(&mut self.results))))
    }

    fn bytes_held(&self) -> usize {
        self.results.capacity() * size_of::<Option<f64>>()
    }
}
