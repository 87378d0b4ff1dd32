//! Flags of the commands that say how values are distributed: `describe`, `freq`, `hist`.

use super::look::{Condition, Picked};
use super::{Input, Output, Run};
use clap::Args;
use std::num::NonZeroUsize;
use std::path::PathBuf;

pub(super) const DESCRIBE_HELP: &str = "\
A row a column: type, count, nulls, distinct values, extremes, quantiles, mean, standard deviation, the most frequent \
values and, of numbers, a histogram; all columns in one pass. Counts, extremes, mean and standard deviation are exact. So is \
all else of a column of up to 14,336 different values; beyond that it is estimated (marked with ≈, and in the column \
`estimated`), unless --exact is given.

Examples:
  outcrop describe 'data/*.csv.bz2'
  outcrop describe 2001.csv.bz2 --select 'ArrDelay, DepDelay, Origin' --where 'Month = 12'
  outcrop describe 'data/*.csv.bz2' --exact --format csv
  outcrop describe 'data/*.csv.bz2' --html report.html";

pub(super) const FREQ_HELP: &str = "\
A row a value: how often it occurs, and in which percentage of the rows; the most frequent first. A missing value is one, \
too. COLUMN may be an expression, or several, separated by commas.

Examples:
  outcrop freq UniqueCarrier 'data/*.csv.bz2'
  outcrop freq Origin,Dest 2001.csv.bz2 --limit 5
  outcrop freq 'ArrDelay > 15' 'data/*.csv.bz2' --format csv
  outcrop freq DayOfWeek 'data/*.csv.bz2' --plot days.svg";

pub(super) const HIST_HELP: &str = "\
A row a range: its bounds and how many values lie in it. Bounds are round numbers, unless --from and --to say otherwise; a \
value belongs to the range whose lower bound it has. COLUMN may be an expression, of numbers; dates are counted by \
outcrop freq \"date_trunc('month', d)\".

Examples:
  outcrop hist ArrDelay 'data/*.csv.bz2'
  outcrop hist ArrDelay 2001.csv.bz2 --from -60 --to 180 --bins 24 --plot delays.html
  outcrop hist 'ArrDelay - DepDelay' 2001.csv.bz2 --where 'Distance > 1000' --format csv";

/// Flags of `describe`.
#[derive(Debug, Args)]
pub(crate) struct Describe {
    /// Estimate nothing: count all different values of all columns
    #[arg(long)]
    pub(crate) exact: bool,
    /// Write a page for a browser, with a histogram of each column, in place of a table
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) html: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) input: Input,
    #[command(flatten)]
    pub(crate) picked: Picked,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) run: Run,
}

/// Flags of `freq`.
#[derive(Debug, Args)]
pub(crate) struct Freq {
    /// The column, or several: Origin,Dest
    #[arg(value_name = "COLUMN", help_heading = None, allow_hyphen_values = true)]
    pub(crate) keys: String,
    #[command(flatten)]
    pub(crate) input: Input,
    /// So many values of each column [default: all of one column, ten of several]
    #[arg(short = 'n', long, value_name = "N", help_heading = "Rows")]
    pub(crate) limit: Option<usize>,
    #[command(flatten)]
    pub(crate) rows: Condition,
    /// Draw the counts too, as bars, into FILE.svg, FILE.html or FILE.png
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) plot: Option<String>,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) run: Run,
}

/// Flags of `hist`.
#[derive(Debug, Args)]
pub(crate) struct Hist {
    /// The column, of numbers
    #[arg(value_name = "COLUMN", help_heading = None, allow_hyphen_values = true)]
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) input: Input,
    /// So many ranges, at most; between --from and --to, just as many
    #[arg(long, value_name = "N", default_value = "20", help_heading = "Rows")]
    pub(crate) bins: NonZeroUsize,
    /// The lower bound of the first range [default: told by the values]
    #[arg(long, value_name = "X", requires = "to", allow_hyphen_values = true, help_heading = "Rows")]
    pub(crate) from: Option<f64>,
    /// The upper bound of the last range [default: told by the values]
    #[arg(long, value_name = "X", requires = "from", allow_hyphen_values = true, help_heading = "Rows")]
    pub(crate) to: Option<f64>,
    #[command(flatten)]
    pub(crate) rows: Condition,
    /// Draw the counts too, as bars, into FILE.svg, FILE.html or FILE.png
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) plot: Option<String>,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) run: Run,
}
