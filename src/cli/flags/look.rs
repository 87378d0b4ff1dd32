//! Flags of the commands that look at rows and columns: `schema`, `head`, `tail`, `sample`, `count`, `validate`.

use super::{Input, Output, Run, values};
use crate::plan::SampleSize;
use clap::Args;

/// Which rows of the files are looked at.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rows")]
pub(crate) struct Condition {
    /// Only rows for which this is true, such as 'ArrDelay > 60'
    #[arg(long = "where", value_name = "CONDITION", allow_hyphen_values = true)]
    pub(crate) condition: Option<String>,
}

/// Which rows and columns of the files are looked at.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rows")]
pub(crate) struct Picked {
    #[command(flatten)]
    pub(crate) rows: Condition,
    /// Only these columns and expressions, in this order, such as 'Origin, ArrDelay - DepDelay as lost' [default: all]
    #[arg(long, value_name = "COLUMNS", allow_hyphen_values = true)]
    pub(crate) select: Option<String>,
}

/// Flags of `schema`.
#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// Say what was decided on dialect, header, encoding and types, and why
    #[arg(long)]
    pub(crate) explain: bool,
    #[command(flatten)]
    pub(crate) input: Input,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) run: Run,
}

/// Flags of `head` and `tail`.
#[derive(Debug, Args)]
pub(crate) struct Ends {
    /// How many rows
    #[arg(short = 'n', long = "rows", value_name = "N", default_value_t = 10)]
    pub(crate) rows: usize,
    #[command(flatten)]
    pub(crate) input: Input,
    #[command(flatten)]
    pub(crate) picked: Picked,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) run: Run,
}

/// Flags of `sample`.
#[derive(Debug, Args)]
pub(crate) struct Sample {
    /// How many rows, such as 1000, or which share of them, such as 1%
    #[arg(value_name = "N", value_parser = values::sample_size, help_heading = None)]
    pub(crate) size: SampleSize,
    /// Another seed draws other rows; the same one always draws the same
    #[arg(long, value_name = "S", default_value_t = 0, help_heading = "Rows")]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) input: Input,
    #[command(flatten)]
    pub(crate) picked: Picked,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) run: Run,
}

/// Flags of `count`.
#[derive(Debug, Args)]
pub(crate) struct Count {
    #[command(flatten)]
    pub(crate) rows: Condition,
    #[command(flatten)]
    pub(crate) input: Input,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) run: Run,
}

/// Flags of `validate`.
#[derive(Debug, Args)]
pub(crate) struct Validate {
    #[command(flatten)]
    pub(crate) input: Input,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) run: Run,
}
