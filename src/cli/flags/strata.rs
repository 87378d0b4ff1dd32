//! Flags of `strata`.

use super::{Input, Output, Run, values};
use crate::parallel::Allocation;
use crate::strata::OnError;
use clap::Args;
use std::time::Duration;

pub(super) const STRATA_HELP: &str = "\
COMMAND is run by the shell, once for each group: {} in it is the path of an Arrow IPC file with the rows of the group, in \
memory that is shared and not copied; without {} the file is its standard input. It prints CSV with a header, NDJSON, or Arrow, with \
the same columns for all groups; the keys are put in front, and results stand in their order. $OUTCROP_STRATUM says which \
group it has. What it says on stderr is shown behind the name of its group.

fit.py:
  import sys, pyarrow as pa, numpy as np
  rows = pa.ipc.open_file(pa.memory_map(sys.argv[1])).read_all().drop_null()
  slope, intercept = np.polyfit(rows['DepDelay'], rows['ArrDelay'], 1)
  print('n,intercept,slope')
  print(f'{rows.num_rows},{intercept},{slope}')

Examples:
  outcrop strata 'data/*.csv.bz2' --by UniqueCarrier --columns ArrDelay,DepDelay --exec 'python3 fit.py {}'
  outcrop strata data --by Origin,Year --where 'Cancelled = 0' --exec 'Rscript fit.R {}' --retries 1 --on-error skip
  outcrop strata data --by Dest --columns 'ArrDelay, Distance / AirTime as speed' --exec ./fit -o models.parquet";

/// Flags of `strata`.
#[derive(Debug, Args)]
#[command(mut_arg("columns", |policy| policy.long("file-columns")))]
pub(crate) struct Strata {
    #[command(flatten)]
    pub(crate) input: Input,
    #[command(flatten)]
    pub(crate) strata: StrataFlags,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) run: Run,
}

/// Which strata, and what is done with them.
#[derive(Debug, Args)]
#[command(next_help_heading = "Strata")]
pub(crate) struct StrataFlags {
    /// The columns or expressions whose values make the groups, such as 'UniqueCarrier, Year'
    #[arg(long, value_name = "KEYS", allow_hyphen_values = true)]
    pub(crate) by: String,
    /// The columns or expressions that the program gets [default: all columns]
    #[arg(id = "of_strata", long = "columns", value_name = "COLUMNS", allow_hyphen_values = true)]
    pub(crate) columns: Option<String>,
    /// Only rows for which this is true, such as 'Cancelled = 0'
    #[arg(long = "where", value_name = "CONDITION", allow_hyphen_values = true)]
    pub(crate) condition: Option<String>,
    /// The program, as one would type it, with {} where the path of the rows is to stand
    #[arg(long, value_name = "COMMAND")]
    pub(crate) exec: String,
    /// End a program that takes longer over a group, such as 90s, 5m or 500ms [default: never]
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub(crate) task_timeout: Option<Duration>,
    /// How often a group is tried again for which the program failed
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) retries: usize,
    /// What becomes of a group for which the program failed at last, or printed other columns than for most; all others are
    /// done in any case
    #[arg(long, value_name = "fail|skip", value_parser = values::on_error, default_value = "fail")]
    pub(crate) on_error: OnError,
    /// Who does which group: dynamic (whoever is free, the largest first), static or static(N) (told beforehand, N at a time)
    #[arg(long, value_name = "ALLOCATION", value_parser = values::allocation, default_value = "dynamic")]
    pub(crate) allocation: Allocation,
}
