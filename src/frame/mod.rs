//! The verbs a user calls: scan, describe, compute.
//!
//! A [`LazyFrame`] describes a table; nothing is read beyond the samples that its schema needs. [`compute`] answers
//! any mixture of frames and reductions, and reads inputs that they share once.

mod compute;
mod dataframe;
mod describe;
mod group_by;
mod join;
mod lazy;
mod open;
mod random;
mod reduction;
mod sample;
mod scan;
mod scan_parquet;
mod strata;
mod value;
mod write;

pub use crate::plan::JoinKind;
pub use crate::strata::{OnError, StrataStatistics, Stratum};
pub use compute::{FromAnswer, FromAnswers, Run, Runner, Target, Targets, compute};
pub use dataframe::DataFrame;
#[cfg(feature = "cli")]
pub(crate) use describe::described_schema;
pub use group_by::GroupBy;
pub use join::{IntoJoinKeys, JoinKey};
pub use lazy::{IntoExpr, IntoExprs, LazyFrame};
pub(crate) use lazy::{expand_wildcards, visible_names};
pub use open::{FileScan, scan};
pub use reduction::Reduction;
pub use scan::{CsvScan, scan_csv};
pub use scan_parquet::{ParquetScan, scan_parquet};
pub use strata::{Strata, StrataRun};
pub use value::{FromValue, Value};
pub use write::Write;
