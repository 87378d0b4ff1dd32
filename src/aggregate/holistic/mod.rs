//! Holistic aggregates: those that need all values of a group, such as a median.
//!
//! **Problem.** No state of bounded size gives a median or the number of distinct values, and a state a group that grows with
//! its rows could neither be merged cheaply nor leave memory in part.
//! **Idea.** These aggregates keep no state. The engine counts the distinct values of every group in a table of its own,
//! which spills like any other, or sorts the values by input order; at the end a [`Fold`] sees the values of one group
//! after the other, in order. So a group of any size is finished in constant memory (but for `string_agg` and `list`, whose
//! results are as large as the group, and `mad`), and all aggregates over the same argument share one table.
//! **Invariants.** A fold's result depends on the values alone, not on where they are cut into chunks.
//!
//! ("Holistic" is the word of Gray et al., *Data Cube*, 1997.)

mod deviation;
mod distinct;
mod entropy;
mod frequent;
mod interquartile;
mod list;
mod mode;
mod numbers;
mod ordered;
mod picks;
mod product;
mod quantile;
mod share;
mod string_agg;
mod unique;

pub use deviation::MedianDeviation;
pub use distinct::DistinctCount;
pub use entropy::Entropy;
pub use frequent::Frequent;
pub use interquartile::InterquartileRange;
pub use list::List;
pub use mode::Mode;
pub use ordered::Ordered;
pub use product::Product;
pub use quantile::Quantile;
pub use share::Share;
pub use string_agg::StringAgg;
pub use unique::Unique;

use crate::error::Result;
use arrow::array::{ArrayRef, new_null_array};
use arrow::datatypes::DataType;
use std::ops::Range;

/// Values in order, of one group after the other; never null.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// The values.
    pub values: &'a ArrayRef,
    /// How often each occurs; `None` when the rows are in input order, and each stands for itself.
    pub counts: Option<&'a [i64]>,
}

/// The rows of one group in a chunk.
#[derive(Clone, Debug)]
pub struct Stretch {
    /// The rows.
    pub rows: Range<usize>,
    /// When the group begins here: how many values it has in all, equal ones included.
    pub begins: Option<u64>,
    /// Whether the group ends here.
    pub ends: bool,
}

/// What a fold over sorted values looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looks {
    /// All values.
    AtAll,
    /// The values at these places, counted from 0, equal ones too; others may be taken for the next one of these.
    AtPlaces([u64; 4]),
    /// How many different ones there are, which is the result.
    AtNumber,
}

/// Computes an aggregate from the values of one group after the other. Call order: `absorb` for chunk after chunk, with
/// `finish` between any two.
pub trait Fold: Send {
    /// Takes the next rows: adjacent stretches, of groups in order. A group may go on in the next chunk; a group without
    /// values begins and ends in an empty stretch.
    ///
    /// # Errors
    /// `Limit` when a result is larger than results can be.
    fn absorb(&mut self, chunk: &Chunk<'_>, stretches: &[Stretch]) -> Result<()>;

    /// The results of the groups that ended since the last call, one row a group, of the description's output type.
    ///
    /// # Errors
    /// Those of what absorbing could not report.
    fn finish(&mut self) -> Result<ArrayRef>;

    /// Bytes held on the heap.
    fn bytes_held(&self) -> usize;
}

/// Folds a column of type Null: there is no value, so every result is null.
struct Nulls {
    results: DataType,
    groups: usize,
}

impl Nulls {
    fn new(results: DataType) -> Self {
        Nulls { results, groups: 0 }
    }
}

impl Fold for Nulls {
    fn absorb(&mut self, _: &Chunk<'_>, stretches: &[Stretch]) -> Result<()> {
        self.groups += stretches.iter().filter(|stretch| stretch.ends).count();
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(new_null_array(&self.results, std::mem::take(&mut self.groups)))
    }

    fn bytes_held(&self) -> usize {
        0
    }
}
