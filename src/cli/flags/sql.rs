//! Flags of `sql`.

use super::{JoinedTables, Output, Reading, Run};
use crate::cli::plot::Plot;
use clap::Args;
use std::path::PathBuf;

pub(super) const SQL_HELP: &str = "\
Tables are files, patterns or directories in single quotes, names given by --table, and queries in parentheses. Double quotes \
are names. All statements of a call that read the same files share one pass over them.

Statements: select, with … select, values, union, intersect, except, copy (…) to 'FILE', create temp view NAME as …, drop view, \
explain [analyze], describe, summarize. Functions and aggregates are those of questions (outcrop help ask). Window functions stand before over (…), \
and qualify asks what they say. Several groupings: grouping sets, rollup, cube.

Examples:
  outcrop sql \"select UniqueCarrier, count(*) as n, avg(ArrDelay) as delay from 'data/*.csv.bz2' \
where Month = 12 group by 1 order by delay desc limit 5\"

  Two answers, one reading of the files; names from another file:
    outcrop sql --table \"air=data/*.csv.bz2\" \"select min(DepDelay), max(DepDelay) from air\" \
\"select Description, count(*) from air join 'carriers.csv' c on UniqueCarrier = c.Code group by all\"

  Into a file, as its rows come:
    outcrop sql \"copy (select * from 'data' where Cancelled = 1) to 'cancelled.parquet'\"

  The worst day of each carrier:
    outcrop sql \"select UniqueCarrier, Month, DayofMonth, avg(ArrDelay) as delay from 'data' group by all \
qualify rank() over (partition by UniqueCarrier order by avg(ArrDelay) desc) = 1\"

  A picture, for a browser:
    outcrop sql \"select Month, DayOfWeek, avg(ArrDelay) as delay from 'data' group by all\" --plot heatmap delays.html

  A script:
    outcrop sql -f report.sql --output 'report{}.csv'";

/// Flags of `sql`.
#[derive(Debug, Args)]
pub(crate) struct Sql {
    /// Statements, or several in one word, separated by semicolons; - reads them from standard input
    #[arg(value_name = "STATEMENT", required_unless_present = "statement_files", help_heading = None)]
    pub(crate) statements: Vec<String>,
    /// A file of statements, separated by semicolons; repeat it for more
    #[arg(short = 'f', long = "file", value_name = "FILE", id = "statement_files")]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) tables: JoinedTables,
    #[command(flatten)]
    pub(crate) reading: Reading,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) plot: Plot,
    #[command(flatten)]
    pub(crate) run: Run,
}
