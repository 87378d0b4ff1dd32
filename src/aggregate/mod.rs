//! Aggregates: descriptions, and the mergeable states that compute them.
//!
//! **Problem.** A pass reads each row once, on whichever worker is free, and the answer may not depend on which.
//! **Idea.** An aggregate keeps, for every group, a *state* that absorbs rows, merges with another state of the same
//! kind, and is finished once at the end. All groups of one aggregate live in one object of arrays indexed by dense
//! group number; an ungrouped aggregate is the case of one group.
//! **Invariants** (the laws, tested for every registered aggregate in `laws.rs`):
//! - the empty state is neutral on both sides of a merge;
//! - merge is associative and commutative: input order, where it matters (`first`), comes from row identities;
//! - cutting the rows into batches differently changes nothing, to the bit;
//! - export followed by import is the identity; overflow and NaN absorb from either side;
//! - nulls follow SQL: ignored, and an aggregate over no value is null (a count is 0).
//!
//! Aggregates that need all values of a group at once keep no state: see [`holistic`].

pub mod approximate;
mod arg_extreme;
mod bootstrap;
mod count;
mod cross;
mod edge;
mod exact_moments;
mod exact_sum;
mod extreme;
pub(crate) mod fixed;
mod histogram;
pub mod holistic;
mod integer_moments;
mod integer_sum;
mod interpolate;
#[cfg(test)]
mod laws;
mod mapped;
mod marks;
mod mean;
mod nothing;
mod powers;
mod range;
mod ranked;
mod registry;
mod rounding;
mod shape;
mod spread;
mod store;
mod sum;
mod text;
mod values;
mod weighted;
mod weighted_quantile;
mod wide;

pub use approximate::{ApproxDistinctCount, ApproxFrequent, ApproxQuantile, Summary};
pub use arg_extreme::ArgExtreme;
pub use bootstrap::Bootstrap;
pub use count::Count;
pub use cross::{Comoment, Crossprod, Family, Glm, GlmMeasure, Matrix, Measure, Model, Ols, Pca};
pub use edge::Edge;
pub use extreme::Extreme;
pub use histogram::Histogram;
pub use holistic::{
    DistinctCount, Entropy, Fold, Frequent, InterquartileRange, List, MedianDeviation, Mode, Ordered, Product,
    Quantile, StringAgg, Unique,
};
pub use mapped::{CountIf, ScaledMean, Truth};
pub use mean::Mean;
pub use range::Range;
pub use ranked::Ranked;
pub use registry::{all, constants_of, find, find_with};
pub use shape::Shape;
pub use spread::Spread;
pub use sum::Sum;
pub use weighted::Weighted;
pub use weighted_quantile::WeightedQuantile;

use crate::batch::RowOrigin;
use crate::error::{Error, ErrorKind, Result};
use crate::types::ColumnType;
use arrow::array::{Array, ArrayRef, BooleanArray, StringViewArray};
use arrow::compute::concat;
use arrow::datatypes::DataType;
use std::any::Any;
use std::fmt;
use std::ops;
use std::sync::Arc;

/// How close a result is to the exact answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exactness {
    /// The exact value.
    Exact,
    /// The exact value rounded once, or a few roundings of exact intermediates.
    Rounding,
    /// An approximation within a stated bound.
    Approximate,
}

/// What an aggregate is computed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Rows in any order, absorbed into mergeable states ([`Aggregate::states`]).
    Rows,
    /// The distinct values of one argument, ascending, with how often each occurs ([`Aggregate::fold`]).
    SortedValues,
    /// The values of one argument in input order, or in that of [`Aggregate::ordering`] ([`Aggregate::fold`]).
    InputOrder,
}

/// What an aggregate makes of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Makes {
    /// One value.
    Value,
    /// Rows of one value each: the result of a group is a list of structs of one field.
    Values,
    /// Rows with columns of their own: the result of a group is a list of structs, whose fields they are.
    Rows,
}

impl Makes {
    /// What the field of structs of one field is called.
    pub const COLUMN: &str = "(value)";
}

/// A constant that is part of an aggregate's description, such as the 0.95 of `quantile(x, 0.95)`.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    /// A number.
    Number(f64),
    /// A text.
    Text(Arc<str>),
}

/// Describes an aggregate: names, types, and how to make its states.
pub trait Aggregate: fmt::Debug + Send + Sync {
    /// The name users write, such as `mean`.
    fn name(&self) -> &str;

    /// The type of the result for arguments of types `arguments`.
    ///
    /// # Errors
    /// `Type` when the number or the types of the arguments do not fit; the message names the aggregate and what it takes.
    fn output_type(&self, arguments: &[DataType]) -> Result<DataType>;

    /// How close the result is to the exact answer.
    fn exactness(&self) -> Exactness;

    /// The constants written behind the arguments; none unless said otherwise.
    fn constants(&self) -> Vec<Constant> {
        Vec::new()
    }

    /// What it makes of a group: a value unless said otherwise.
    fn makes(&self) -> Makes {
        Makes::Value
    }

    /// What begins its text before the arguments: its name and a parenthesis, unless it is of another aggregate.
    fn opening(&self) -> String {
        format!("{}(", self.name())
    }

    /// What ends its text behind the arguments and constants: a closing parenthesis, unless more is told there.
    fn suffix(&self) -> String {
        ")".to_owned()
    }

    /// What the argument at `at` is called where it is written, as the weights in `ols(y, x, weights => w)`; nothing unless said
    /// otherwise.
    fn argument_name(&self, at: usize) -> Option<&str> {
        let _ = at;
        None
    }

    /// The same aggregate with some of these columns in place of `*`, which is its argument at `at`, and which columns it takes;
    /// `None`, unless said otherwise, where it takes no `*`.
    fn over_columns(&self, at: usize, columns: &[(Arc<str>, DataType)]) -> Option<(Arc<dyn Aggregate>, Vec<usize>)> {
        let _ = (at, columns);
        None
    }

    /// The keys by which rows are ordered before input order, its last arguments: whether each descends. None unless said
    /// otherwise; an aggregate that has some is over [`Over::InputOrder`].
    fn ordering(&self) -> &[bool] {
        &[]
    }

    /// Whether the answer depends on the order of the rows (then the states keep row identities).
    fn order_sensitive(&self) -> bool {
        self.over() == Over::InputOrder
    }

    /// Whether the answer depends on row identities beyond their order. Such answers are the same only where rows get the
    /// same identities.
    fn uses_identities(&self) -> bool {
        false
    }

    /// What it is computed over: rows in any order unless said otherwise.
    fn over(&self) -> Over {
        Over::Rows
    }

    /// Of an aggregate over [`Over::SortedValues`]: what its fold looks at in a group of so many values; all unless said otherwise.
    fn looks_at(&self, values: u64) -> holistic::Looks {
        let _ = values;
        holistic::Looks::AtAll
    }

    /// Bytes of the state of one group, at most, apart from the length of a text that it keeps.
    fn most_state_bytes(&self) -> usize {
        1 << 10
    }

    /// How it is computed if it needs several passes; then it has neither states nor a fold. `None` unless said otherwise.
    fn in_steps(&self) -> Option<&dyn InSteps> {
        None
    }

    /// States of no group yet, for arguments of types `arguments` (already accepted by [`Aggregate::output_type`]).
    /// Every aggregate over [`Over::Rows`] has them, but for those that are computed in steps.
    ///
    /// # Errors
    /// `Internal` when the types were not accepted before, or when there are no states.
    fn states(&self, arguments: &[DataType]) -> Result<Box<dyn GroupStates>> {
        Err(Error::internal(format!("`{}` of {arguments:?} has no states", self.name())))
    }

    /// Whether it is one of this crate's, so that another process of the program finds it by what it is called.
    #[doc(hidden)]
    fn is_built_in(&self) -> bool {
        std::any::type_name::<Self>().starts_with(concat!(env!("CARGO_CRATE_NAME"), "::"))
    }

    /// Whether it is a step of another aggregate, which no question can name.
    #[doc(hidden)]
    fn is_step(&self) -> bool {
        false
    }

    /// A fold before the first group, for one argument of the type in `arguments` (already accepted by
    /// [`Aggregate::output_type`]). Every aggregate that is not over [`Over::Rows`] has one.
    ///
    /// # Errors
    /// `Internal` when the type was not accepted before, or when there is no fold.
    fn fold(&self, arguments: &[DataType]) -> Result<Box<dyn Fold>> {
        Err(Error::internal(format!("`{}` of {arguments:?} has no fold", self.name())))
    }
}

/// How an aggregate is computed that needs several passes over the rows.
pub trait InSteps {
    /// The aggregate of one pass. It takes the same arguments and, but in the first pass, behind them the text that the pass
    /// before made of the row's group; and it makes such a text. Aggregates whose steps are equal can share them.
    fn step(&self, first: bool) -> Arc<dyn Aggregate>;

    /// Whether this text needs no more passes.
    fn is_settled(&self, fit: &str) -> bool;

    /// The results, of the output type, that settled texts stand for.
    ///
    /// # Errors
    /// `Internal` for texts that no step made.
    fn told(&self, fits: &StringViewArray) -> Result<ArrayRef>;

    /// What the user should know of a settled text.
    fn warning(&self, fit: &str) -> Option<&'static str>;
}

/// The group of each row of a batch.
#[derive(Clone, Copy, Debug)]
pub enum GroupIds<'a> {
    /// All rows belong to group 0; there are so many rows.
    One(usize),
    /// Row `i` belongs to group `ids[i]`.
    Each(&'a [u32]),
}

impl GroupIds<'_> {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        match self {
            GroupIds::One(rows) => *rows,
            GroupIds::Each(ids) => ids.len(),
        }
    }

    /// The group of row `row`.
    pub fn of(&self, row: usize) -> usize {
        match self {
            GroupIds::One(_) => 0,
            GroupIds::Each(ids) => ids[row] as usize,
        }
    }
}

/// The rows of one update: their groups, which of them count, and where they came from.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// The group of each row.
    pub groups: GroupIds<'a>,
    /// Rows that are null or false here are left out; `None` keeps all.
    pub mask: Option<&'a BooleanArray>,
    /// Row identities, for order-sensitive states.
    pub origin: &'a RowOrigin,
}

/// The states of one aggregate for all groups. Call order: `grow`, then `update`, `merge` and `import` in any order
/// and number, then `finish` or `export`.
pub trait GroupStates: Send + Sync + Any {
    /// Makes room for groups `0..groups`; new groups are empty. Never shrinks.
    fn grow(&mut self, groups: usize);

    /// Absorbs rows. Every group number is below the last `grow`.
    ///
    /// # Errors
    /// Only for what finishing could not report; overflow is kept in the state and reported by `finish`.
    fn update(&mut self, arguments: &[ArrayRef], rows: &Rows<'_>) -> Result<()>;

    /// Absorbs `other`, states of the same aggregate and types: its group `g` goes into group `map[g]` of ours.
    ///
    /// # Errors
    /// `Internal` when `other` is of another kind.
    fn merge(&mut self, other: &dyn GroupStates, map: &[u32]) -> Result<()>;

    /// Absorbs some groups of `other`: its group `from[i]` goes into group `into[i]` of ours. Unless overridden, by way of
    /// [`GroupStates::export`], one group after the other.
    ///
    /// # Errors
    /// `Internal` when `other` is of another kind.
    fn merge_some(&mut self, other: &dyn GroupStates, from: &[u32], into: &[u32]) -> Result<()> {
        if from.is_empty() {
            return Ok(());
        }
        let one = |group: &u32| other.export(*group as usize..*group as usize + 1);
        let rows = from.iter().map(one).collect::<Result<Vec<_>>>()?;
        let column = |at: usize| {
            let parts: Vec<&dyn Array> = rows.iter().map(|row| row[at].as_ref()).collect();
            Ok(concat(&parts)?)
        };
        let columns = (0..rows[0].len()).map(column).collect::<Result<Vec<_>>>()?;
        self.import(&columns, into)
    }

    /// The states of groups `groups` as Arrow columns, one row a group, enough to go on elsewhere.
    fn export(&self, groups: ops::Range<usize>) -> Result<Vec<ArrayRef>>;

    /// Absorbs exported states: row `i` goes into group `map[i]`.
    ///
    /// # Errors
    /// `Internal` when the columns are not an export of this kind of state.
    fn import(&mut self, columns: &[ArrayRef], map: &[u32]) -> Result<()>;

    /// The results of groups `groups`, one row a group, of the description's output type.
    ///
    /// # Errors
    /// `Arithmetic` when an integer result is beyond 64 bits.
    fn finish(&mut self, groups: ops::Range<usize>) -> Result<ArrayRef>;

    /// Bytes held on the heap.
    fn bytes_held(&self) -> usize;

    /// For `merge` to recognise its own kind.
    fn as_any(&self) -> &dyn Any;
}

/// The error of an aggregate that takes `takes` for being given `arguments`.
fn wrong_arguments(aggregate: &dyn Aggregate, takes: &str, arguments: &[DataType]) -> Error {
    let name = |argument: &DataType| match ColumnType::from_arrow(argument) {
        Ok(known) => known.to_string(),
        Err(_) => argument.to_string(),
    };
    let given = match arguments {
        [] => "nothing".to_owned(),
        some => some.iter().map(name).collect::<Vec<_>>().join(", "),
    };
    Error::new(ErrorKind::Type, format!("`{}` takes {takes}, not {given}", aggregate.name()))
}
