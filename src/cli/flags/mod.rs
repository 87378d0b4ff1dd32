//! The table of commands and flags; its help text is the manual.
//!
//! Files come first and questions after them, each behind its `-q`, because the shell turns one pattern into many
//! files. Whatever is wrong with a flag is found here, before any file is opened.

mod columns;
mod convert;
mod look;
mod manual;
mod output;
mod shell;
mod sql;
mod strata;
#[cfg(test)]
mod tests;
mod values;

use crate::cli::plot::Plot;
use crate::error::Result;
use crate::exec::Scheduler;
use crate::memory::ByteSize;
use crate::source::csv::{ColumnPolicy, FileRule, InvalidBytes, LineEnd, MalformedPolicy};
use crate::source::detect::InputFormat;
use clap::{Args, Parser, Subcommand, ValueEnum};
pub(crate) use columns::{Describe, Freq, Hist};
pub(crate) use convert::{Convert, Rows, WriteFlags, WriteFormat};
pub(crate) use look::{Condition, Count, Ends, Picked, Sample, Schema, Validate};
pub(crate) use manual::{Completions, Man};
pub(crate) use output::{AnswerFormat, Form, Output};
pub(crate) use shell::Shell;
pub(crate) use sql::Sql;
use std::num::NonZeroUsize;
use std::path::PathBuf;
pub(crate) use strata::Strata;
pub(crate) use values::{NamedTable, Part, TypeOverride, thread_count};

/// Where `--scheduler` is looked for when it is not given.
pub(crate) const SCHEDULER_VARIABLE: &str = "OUTCROP_SCHEDULER";

const AFTER_HELP: &str = "\
Files are CSV, TSV or NDJSON, plain or compressed, Parquet or Arrow IPC (told by their content, not by their name). A quoted \
pattern ('data/*.csv.bz2'), a directory, - for standard input and named pipes work too.

Example:
  outcrop ask 'data/*.csv.bz2' -q 'min(DepDelay)' -q 'mean(ArrDelay) by Year'

Settings for all calls: flags, then the environment ($OUTCROP_THREADS, _SCHEDULER, _MEMORY, _TMPDIR, _SPILL_LIMIT, _FORMAT, \
_QUIET, _PROGRESS), then ~/.config/outcrop/config.toml or $OUTCROP_CONFIG with lines such as `threads = 4`.

Exit codes: 0 answered, 1 the data or the run failed, 2 the command line or a question is wrong.";

const ASK_HELP: &str = "\
A question:
  WHAT [[KIND] join TABLE [as NAME] on A = B] [by KEYS] [where CONDITION]
       [sample N|P% [seed S]] [having CONDITION] [qualify CONDITION]
       [sort KEY [asc|desc] [nulls first], …] [limit N]

WHAT is a list of aggregates (count(*), count, sum, mean, min, max, var, std, first, last, median, quantile(x, 0.95), \
quantile_disc, n_unique, mode, list, string_agg(t, ', '), approx_n_unique, approx_quantile, approx_top_k(x, 3), largest(x, 3), top_k(x, 3), range, \
histogram(x, 10), cov(x, y), corr(x, y), corr_matrix(x, y, z), pca(x, y, z), crossprod(x, y), ols(y, x), logistic(y, x), poisson(y, x), bootstrap(mean(x), 1000), \
skewness, kurtosis, sem, mad, iqr, entropy, product, geometric_mean, harmonic_mean, weighted_mean(x, w), weighted_var, \
weighted_std, weighted_quantile(x, w, 0.95), weighted_median, arg_min(x, by), arg_max, bool_or, bool_and, count_if) or, for a \
question about rows, of columns and expressions, among them predicted(ols(y, x)) and residual(ols(y, x)); `as` names them, \
`*` is all columns, `distinct` before them leaves out repeated rows. Clauses \
may come in any order.
Window functions (`lag(x) over (partition by k order by t)`, `qualify`) and queries in parentheses (`x in (select …)`) are written \
as in SQL: `outcrop help sql`.
'SFO' and \"SFO\" are both text; a column with an odd name takes `backticks`.

Examples:
  Two answers, one reading of the files:
    outcrop ask data/*.csv.bz2 -q 'min(DepDelay), max(DepDelay)' -q 'count(*) by Year'

  The ten carriers with the latest December flights:
    outcrop ask data/*.csv.bz2 -q 'count(*) as n, mean(ArrDelay) as delay by UniqueCarrier
      where Month = 12 and DepDelay > 0 having n > 100 sort delay desc limit 10'

  Names from another file; kinds of join are inner, left, right, full, semi, anti and cross:
    outcrop ask data/*.csv.bz2 -q \"count(*) as n by Description left join 'carriers.csv' on UniqueCarrier = Code\"

  A table before a name, where both tables have it (left and right, or what the table is called):
    outcrop ask data/*.csv.bz2 -q \"count(*) join 'plane-data.csv' as p on TailNum = p.tailnum where p.year < left.Year\"

  What changes from month to month, and the three latest flights from each airport:
    outcrop ask data/*.csv.bz2 -q 'mean(ArrDelay) as d, d - lag(d) over (partition by UniqueCarrier order by Month) as change
      by UniqueCarrier, Month' -q '* qualify row_number() over (partition by Origin order by ArrDelay desc) <= 3'

  Rows whose values are in another file:
    outcrop ask data/*.csv.bz2 -q \"count(*) by UniqueCarrier where UniqueCarrier in (select Code from 'carriers.csv')\"

  Rows, as JSON, into a file:
    outcrop ask 2007.csv -q 'Origin, Dest, ArrDelay where ArrDelay > 600' --output late.json

  A picture, for a browser:
    outcrop ask data -q 'mean(ArrDelay), mean(DepDelay) by DayOfWeek' --plot bar delays.svg

  A large answer, as its rows come, into a columnar file:
    outcrop ask data -q '* where Cancelled = 1' --output cancelled.parquet

  A file of questions, one a line, each answer into a file of its own:
    outcrop ask data -f questions.txt --output 'answers/q{}.csv'";

/// Many answers about piles of compressed CSV, in one parallel pass
///
/// Outcrop reads CSV files, compressed or not, once, on all cores and in bounded memory, and answers all the questions
/// of a call together.
#[derive(Debug, Parser)]
#[command(name = "outcrop", version, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Answer questions about the files, all in one pass
    #[command(after_help = ASK_HELP, override_usage = "outcrop ask [OPTIONS] FILES… -q QUESTION [-q QUESTION]…")]
    Ask(Ask),
    /// Answer SQL statements about files, all in one pass
    #[command(after_help = sql::SQL_HELP, override_usage = "outcrop sql [OPTIONS] STATEMENT…")]
    Sql(Box<Sql>),
    /// Answer SQL and questions one after another, as they are typed
    #[command(after_help = shell::SHELL_HELP)]
    Shell(Box<Shell>),
    /// Write the rows, or the answer to a question, to Parquet, Arrow, CSV or NDJSON files
    #[command(
        after_help = convert::CONVERT_HELP,
        override_usage = "outcrop convert [OPTIONS] FILES… --to TARGET [--to TARGET]…"
    )]
    Convert(Convert),
    /// Give all rows of each group to a program of yours, in any language, and gather what it prints
    #[command(
        after_help = strata::STRATA_HELP,
        override_usage = "outcrop strata [OPTIONS] FILES… --by KEYS --exec COMMAND"
    )]
    Strata(Box<Strata>),
    /// Show the columns and the types found in samples of every file
    #[command(
        after_help = "Examples:\n  outcrop schema 'data/*.csv.bz2' --types TailNum=utf8\n  outcrop schema report.csv --explain"
    )]
    Schema(Schema),
    /// Show the first rows
    #[command(
        after_help = "Examples:\n  outcrop head 2001.csv.bz2 -n 3\n  outcrop head 2001.csv.bz2 -n 1 --format vertical"
    )]
    Head(Ends),
    /// Show the last rows; of several files, no more are read than have them
    #[command(after_help = "Example:\n  outcrop tail 'data/*.csv.bz2' -n 3")]
    Tail(Ends),
    /// Draw rows at random, each with the same chance; they keep their order
    #[command(
        after_help = "Examples:\n  outcrop sample 100 'data/*.csv.bz2' --seed 7\n  outcrop sample 1% 'data/*.csv.bz2' --output sample.parquet",
        override_usage = "outcrop sample [OPTIONS] N|P% FILES…"
    )]
    Sample(Sample),
    /// Count the records
    #[command(
        after_help = "Examples:\n  outcrop count 'data/*.csv.bz2' --stats\n  outcrop count 2001.csv.bz2 --where 'ArrDelay > 60'"
    )]
    Count(Count),
    /// Say of every column how many values it has and how they are distributed, in one pass
    #[command(after_help = columns::DESCRIBE_HELP)]
    Describe(Describe),
    /// Count the values of a column
    #[command(after_help = columns::FREQ_HELP, override_usage = "outcrop freq [OPTIONS] COLUMN FILES…")]
    Freq(Freq),
    /// Draw how the numbers of a column are distributed
    #[command(after_help = columns::HIST_HELP, override_usage = "outcrop hist [OPTIONS] COLUMN FILES…")]
    Hist(Hist),
    /// Read every record and value, and tell of those that are broken; exit code 1 if there are any
    #[command(
        after_help = "A row for each file and cause: how many records, and the line of the first. Records have as many fields \
as the header, their quotes are closed, and values fit the types given by --types; --rejects FILE keeps those that do not.\n\n\
Examples:\n  outcrop validate 'data/*.csv.bz2'\n  outcrop validate 2001.csv.bz2 --types Year=int64,TailNum=utf8"
    )]
    Validate(Validate),
    /// Show how the questions would be answered, without answering them: plans, passes, partitions, columns read
    #[command(after_help = "Example:\n  outcrop explain data -q 'mean(ArrDelay) by UniqueCarrier where Month = 12'")]
    Explain(Explain),
    /// Print what a shell needs to complete commands and flags
    #[command(after_help = manual::COMPLETIONS_HELP)]
    Completions(Completions),
    /// Print the manual page of the program or of a command
    #[command(after_help = manual::MAN_HELP)]
    Man(Man),
}

/// Flags of `ask`.
#[derive(Debug, Args)]
pub(crate) struct Ask {
    #[command(flatten)]
    pub(crate) input: Input,
    #[command(flatten)]
    pub(crate) questions: Questions,
    #[command(flatten)]
    pub(crate) tables: JoinedTables,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) plot: Plot,
    #[command(flatten)]
    pub(crate) run: Run,
}

/// Flags of `explain`.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    pub(crate) input: Input,
    #[command(flatten)]
    pub(crate) questions: Questions,
    #[command(flatten)]
    pub(crate) tables: JoinedTables,
    #[command(flatten)]
    pub(crate) run: Run,
}

/// The questions: those of `-q` in order, then those of the files.
#[derive(Debug, Args)]
#[command(next_help_heading = "Questions")]
#[group(required = true, multiple = true)]
pub(crate) struct Questions {
    /// A question; repeat it for more, they share one pass
    #[arg(short = 'q', long = "ask", value_name = "QUESTION", allow_hyphen_values = true)]
    pub(crate) ask: Vec<String>,
    /// A file of questions, one a line; blank lines and lines that begin with # are skipped
    #[arg(short = 'f', long = "file", value_name = "FILE", id = "question_files")]
    pub(crate) files: Vec<PathBuf>,
}

/// Tables that questions can join.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct JoinedTables {
    /// A table that questions can join by its name: 'planes=plane-data.csv'; repeat it for more
    ///
    /// FILES is a file, pattern or directory. Options for CSV may follow it, named as their flags: 'planes=plane-data.csv:
    /// malformed=pad'. Flags other than --file-options are about the files of the call, not about tables that are joined.
    #[arg(long, value_name = "NAME=FILES[: OPTIONS]")]
    pub(crate) table: Vec<NamedTable>,
}

/// What to read, and how.
#[derive(Clone, Debug, Args)]
pub(crate) struct Input {
    /// Files, patterns, directories, pipes, - for standard input
    #[arg(required = true, value_name = "FILES", help_heading = None)]
    pub(crate) files: Vec<String>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// How files are read.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct Reading {
    /// Types of columns that are not to be guessed, such as 'TailNum=utf8,Distance=float64'
    ///
    /// Types are int64, float64, utf8, boolean, date and timestamp. A value that does not fit a type given here is an
    /// error, while a type that was guessed is widened.
    #[arg(long, value_name = "COLUMN=TYPE", value_delimiter = ',')]
    pub(crate) types: Vec<TypeOverride>,
    /// What stands for a missing value [default: empty, NA]
    ///
    /// Repeat it, or separate by commas; what is given replaces the default. A quoted field of a text column is never missing.
    #[arg(long, value_name = "TOKEN", value_delimiter = ',', allow_hyphen_values = true)]
    pub(crate) null: Option<Vec<String>>,
    /// The byte between fields, such as ';', '\t' or tab [default: told from samples]
    #[arg(long, value_name = "C", value_parser = values::delimiter, allow_hyphen_values = true)]
    pub(crate) delimiter: Option<u8>,
    /// The byte around quoted fields, or none [default: told from samples]
    #[arg(long, value_name = "C")]
    pub(crate) quote: Option<Part>,
    /// The byte before a quote inside of quoted fields, or none where it is doubled [default: told from samples]
    #[arg(long, value_name = "C", allow_hyphen_values = true)]
    pub(crate) escape: Option<Part>,
    /// The byte that begins comment lines, or none [default: told from samples]
    #[arg(long, value_name = "C", allow_hyphen_values = true)]
    pub(crate) comment: Option<Part>,
    /// Lines before the header, or before the data where there is none [default: told from samples]
    #[arg(long, value_name = "N")]
    pub(crate) skip_rows: Option<usize>,
    /// The first record holds the names of the columns [default: told from samples]
    #[arg(long, conflicts_with = "no_header")]
    pub(crate) header: bool,
    /// The first record holds data; columns are named column_1, column_2, …
    #[arg(long)]
    pub(crate) no_header: bool,
    /// What ends records: newline (with or without a carriage return before it) or return [default: told from samples]
    #[arg(long, value_name = "newline|return", value_parser = values::line_end)]
    pub(crate) line_end: Option<LineEnd>,
    /// The decimal mark, '.' or ',' [default: told from samples]
    #[arg(long, value_name = "C", value_parser = values::decimal)]
    pub(crate) decimal: Option<u8>,
    /// The byte between groups of three digits, such as ',' in 1,234 [default: none]
    #[arg(long, value_name = "C")]
    pub(crate) thousands: Option<Part>,
    /// How dates are written, such as '%d.%m.%Y' or '%m/%d/%y %H:%M'; repeat it for columns written otherwise
    ///
    /// A column takes the first format, of those given and then of the common ones, in which all of its samples are written.
    #[arg(long, value_name = "FORMAT", value_parser = values::date_format)]
    pub(crate) date_format: Vec<String>,
    /// The encoding, such as utf-8 or latin1 [default: UTF-8, with windows-1252 for fields that are not]
    ///
    /// With an encoding given, a byte that does not decode is an error.
    #[arg(long, value_name = "LABEL", value_parser = values::encoding)]
    pub(crate) encoding: Option<String>,
    /// What becomes of records that are broken or have too few or too many fields [default: error]
    ///
    /// skip: they are set aside and counted. pad: those with too few fields are filled up with nulls, surplus fields that
    /// are empty are dropped, and the others are set aside. With both, a value that does not fit --types or --encoding
    /// sets its record aside for the questions that read it.
    #[arg(long, value_name = "error|skip|pad", value_parser = values::malformed)]
    pub(crate) malformed: Option<MalformedPolicy>,
    /// Read records that repeat the header as data, instead of passing them over
    #[arg(long)]
    pub(crate) keep_headers: bool,
    /// What becomes of bytes that the encoding given does not have [default: error]
    #[arg(long, value_name = "error|replace", value_parser = values::invalid_bytes)]
    pub(crate) invalid_bytes: Option<InvalidBytes>,
    /// What becomes of columns that not every file has [default: error]
    ///
    /// fill: the columns are those of the first file, missing where another file lacks one; what else a file has is
    /// not read. union: the columns are those of all files, as those of NDJSON files always are. Columns are matched by
    /// name, in any order.
    #[arg(long, value_name = "error|fill|union", value_parser = values::columns)]
    pub(crate) columns: Option<ColumnPolicy>,
    /// Options for the files of a pattern only: 'plane*.csv: delimiter=;, no-header'; repeat it for more
    ///
    /// The pattern is for the name of the file, or, with a / in it, for its path. Options are named as their flags. Files
    /// that questions join are meant, too.
    #[arg(long, value_name = "PATTERN: OPTIONS", value_parser = values::file_rule)]
    pub(crate) file_options: Vec<FileRule>,
    /// Read samples of so many files for types, spread evenly, and of the others only the header [default: 100]
    #[arg(long, value_name = "N")]
    pub(crate) sample_files: Option<usize>,
    /// What is not given is as RFC 4180 has it (commas, double quotes, a header) and not told from samples
    #[arg(long)]
    pub(crate) no_sniff: bool,
    /// The format of the files [default: told by their content]
    #[arg(long, value_name = "csv|ndjson|parquet|ipc", value_parser = values::input_format)]
    pub(crate) input_format: Option<InputFormat>,
    /// Folders named KEY=VALUE are not columns
    #[arg(long)]
    pub(crate) no_hive: bool,
}

/// How the work is done, and what is said of it.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Run")]
pub(crate) struct Run {
    /// Threads to work on [default: all cores]
    #[arg(long, value_name = "N", value_parser = values::thread_count)]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Worker processes, or threads; of strata, programs at a time [default: as many as --threads]
    #[arg(long, value_name = "N", value_parser = values::thread_count)]
    pub(crate) workers: Option<NonZeroUsize>,
    /// Who does the work; answers are the same [default: $OUTCROP_SCHEDULER, else threads]
    ///
    /// Worker processes each read whole files, so a single file is read by one of them; threads share it. Questions that join
    /// tables, rows that are written while they are read, pipes, and runs with --rejects stay on threads, and --stats says why.
    #[arg(long, value_name = "threads|processes|synchronous", value_parser = values::scheduler)]
    scheduler: Option<Scheduler>,
    /// The most memory to take; what does not fit goes to disk [default: $OUTCROP_MEMORY, else 60 % of what there is]
    #[arg(long, value_name = "SIZE", value_parser = ByteSize::parse)]
    pub(crate) memory: Option<ByteSize>,
    /// Where what does not fit in memory goes [default: $OUTCROP_TMPDIR, else $TMPDIR or /var/tmp, never a memory disk]
    #[arg(long, value_name = "DIR")]
    pub(crate) spill_dir: Option<PathBuf>,
    /// The most that may go there at a time [default: $OUTCROP_SPILL_LIMIT, else nine tenths of what is free]
    #[arg(long, value_name = "SIZE", value_parser = ByteSize::parse)]
    pub(crate) spill_limit: Option<ByteSize>,
    /// Write the records that were set aside to FILE, as CSV with file, line, byte, column, reason and record
    #[arg(long, value_name = "FILE")]
    pub(crate) rejects: Option<PathBuf>,
    /// Print the statistics of the run on stderr at the end, for people or for programs
    #[arg(long, value_name = "text|json", num_args = 0..=1, require_equals = true, default_missing_value = "text")]
    pub(crate) stats: Option<Stats>,
    /// Draw which worker did which partition or group when, as a picture that a browser shows
    #[arg(long, value_name = "FILE.svg|FILE.html", value_parser = values::timeline)]
    pub(crate) timeline: Option<TimelineFile>,
    /// No warnings and no progress
    #[arg(long)]
    pub(crate) quiet: bool,
    /// Progress as lines on stderr, where that is no terminal
    #[arg(long, overrides_with = "no_progress")]
    pub(crate) progress: bool,
    /// No progress bar
    #[arg(long, overrides_with = "progress")]
    pub(crate) no_progress: bool,
    /// Text of about so many bytes makes a partition (for tests)
    #[arg(long, value_name = "BYTES", hide = true)]
    pub(crate) piece_bytes: Option<NonZeroUsize>,
    /// Text of about so many bytes makes a batch (for tests)
    #[arg(long, value_name = "BYTES", hide = true)]
    pub(crate) batch_bytes: Option<NonZeroUsize>,
}

impl Run {
    /// How many of those who do the work under this scheduler were asked for.
    pub(crate) fn workers(&self, scheduler: Scheduler) -> Option<NonZeroUsize> {
        match scheduler {
            Scheduler::Processes => self.workers.or(self.threads),
            Scheduler::Threads | Scheduler::Synchronous => self.threads.or(self.workers),
        }
    }

    /// The scheduler: the flag, else `variable` (the value of [`SCHEDULER_VARIABLE`]), else threads.
    ///
    /// # Errors
    /// The variable names no scheduler.
    pub(crate) fn scheduler(&self, variable: Option<&str>) -> Result<Scheduler> {
        match (self.scheduler, variable) {
            (Some(given), _) => Ok(given),
            (None, None | Some("")) => Ok(Scheduler::Threads),
            (None, Some(name)) => Scheduler::parse(name),
        }
    }
}

/// The file for a timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TimelineFile {
    pub(crate) path: PathBuf,
    /// A page, not a bare picture.
    pub(crate) page: bool,
}

/// The form of run statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stats {
    /// Lines for people
    Text,
    /// One JSON object, the last line of stderr
    Json,
}
