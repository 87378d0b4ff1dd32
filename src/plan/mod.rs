//! Plans: what is asked (logical), and the stages that answer it (physical).
//!
//! **Problem.** Questions are asked one by one, but data should be read once for all of them.
//! **Idea.** A question is a [`LogicalPlan`], checked against the schema of its source. [`lower`] cuts it into
//! [`Stage`]s at the points where all rows must be seen before any can leave (grouping, sorting): a stage scans one
//! input through batch steps into one sink, and the sink's result is the input of the stages after it. Stages over
//! the same input run in one pass.
//! **Invariants.** Names and types are checked before any row is read; a plan can be lowered again over a source with
//! wider types.

mod aggregate_select;
mod builds;
mod explain;
mod in_steps;
mod join;
mod logical;
mod lower;
mod need;
mod over_groups;
mod push_down;
pub(crate) mod sent;
mod stage;
mod unnest;
mod window;

pub use aggregate_select::{AggregateSelect, aliased, replace_names};
pub use builds::{BuildPlan, BuildUse, Builds, next_together};
pub use explain::explain;
pub(crate) use in_steps::StepwiseGroups;
pub use join::{Built, Join, JoinColumn, JoinKind, JoinShape, Probe, Reserve, Residual, RightName, SUFFIX};
pub(crate) use join::{MOST_COPIES, TABLE_SHARE, stacked_type};
pub use logical::{BatchFunction, LogicalPlan, SampleSize, SortKey};
pub use lower::lower;
pub use over_groups::over_groups;
pub use stage::{AggregateColumn, JoinSide, SinkSpec, SortColumn, Stage, StageInput, Step};
pub use window::{
    Bound, Distance, FirstRows, Frame, FrameUnit, RangeKey, Window, WindowCall, WindowColumn, WindowFunction,
    WindowKey, WindowShape,
};
