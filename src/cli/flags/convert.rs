//! Flags of `convert`.

use super::{Condition, Input, JoinedTables, Run, values};
use crate::write::{Compression, FileFormat};
use clap::{Args, ValueEnum};

pub(super) const CONVERT_HELP: &str = "\
The ending of a target tells its format: .csv, .tsv, .ndjson (.jsonl), .parquet, .arrow (.feather), .arrows (a stream); \
.csv and .ndjson also with .gz, .zst, .bz2, .xz or .lz4 behind it.

Rows stay in input order and need not fit in memory. A target stands under its name only once it \
is complete. CSV has no types: text that looks like a number or a date is one when it is read again, unless --types \
says otherwise.

Examples:
  outcrop convert 'data/*.csv.bz2' --to flights.parquet
  outcrop convert data --to by-year --partition-by Year --compression zstd:9
  outcrop convert data --to late.csv.gz --where 'ArrDelay > 60' --select Origin,Dest,ArrDelay
  outcrop convert data --to delays.arrow -q 'mean(ArrDelay) as delay by Origin, Dest sort delay desc'";

/// Flags of `convert`.
#[derive(Debug, Args)]
pub(crate) struct Convert {
    #[command(flatten)]
    pub(crate) input: Input,
    #[command(flatten)]
    pub(crate) rows: Rows,
    #[command(flatten)]
    pub(crate) tables: JoinedTables,
    #[command(flatten)]
    pub(crate) write: WriteFlags,
    #[command(flatten)]
    pub(crate) run: Run,
}

/// Which rows are written.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rows")]
pub(crate) struct Rows {
    #[command(flatten)]
    pub(crate) rows: Condition,
    /// Only these columns, in this order [default: all]
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    pub(crate) select: Vec<String>,
    /// Sorted by these keys, such as 'Year, ArrDelay desc' [default: input order]
    #[arg(long, value_name = "KEYS", allow_hyphen_values = true)]
    pub(crate) sort_by: Option<String>,
    /// The answer to a question instead
    #[arg(
        short = 'q',
        long = "ask",
        value_name = "QUESTION",
        allow_hyphen_values = true,
        conflicts_with_all = ["condition", "select", "sort_by"]
    )]
    pub(crate) question: Option<String>,
}

/// Where and how rows are written.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct WriteFlags {
    /// The file to write, or - for stdout; repeat it for more, they share one pass
    #[arg(long, required = true, value_name = "TARGET")]
    pub(crate) to: Vec<String>,
    /// The format [default: as the target is named; csv on stdout; parquet in folders]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<WriteFormat>,
    /// How it is compressed, such as zstd, zstd:9 or none [default: text as it is named, parquet zstd, arrow none]
    ///
    /// Text: gzip, zstd, bzip2, xz, lz4. Parquet: zstd, snappy, gzip, lz4, brotli. Arrow: zstd, lz4.
    #[arg(long, value_name = "CODEC[:LEVEL]", value_parser = values::compression)]
    pub(crate) compression: Option<Compression>,
    /// A folder of files such as Year=2001/part-0.parquet, by the values of these columns
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    pub(crate) partition_by: Vec<String>,
    /// Replace a folder that is not empty, with all that is in it
    #[arg(long, requires = "partition_by")]
    pub(crate) overwrite: bool,
    /// Parquet: columns that get a Bloom filter
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    pub(crate) bloom_filter: Vec<String>,
    /// Parquet: rows in a row group [default: 131072]
    #[arg(long, value_name = "N")]
    pub(crate) row_group_rows: Option<std::num::NonZeroUsize>,
    /// CSV: the byte between fields [default: ',', and tab for .tsv]
    #[arg(long, value_name = "C", value_parser = values::delimiter, allow_hyphen_values = true)]
    pub(crate) out_delimiter: Option<u8>,
    /// CSV: what stands for a missing value [default: nothing]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) out_null: Option<String>,
}

/// A format of files by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WriteFormat {
    /// Comma-separated values
    Csv,
    /// One JSON object a line
    #[value(alias = "jsonl")]
    Ndjson,
    /// Apache Parquet
    Parquet,
    /// An Arrow IPC file (on stdout a stream)
    #[value(alias = "ipc", alias = "feather")]
    Arrow,
    /// An Arrow IPC stream
    Arrows,
}

impl From<WriteFormat> for FileFormat {
    fn from(format: WriteFormat) -> Self {
        match format {
            WriteFormat::Csv => FileFormat::Csv,
            WriteFormat::Ndjson => FileFormat::Ndjson,
            WriteFormat::Parquet => FileFormat::Parquet,
            WriteFormat::Arrow => FileFormat::Ipc,
            WriteFormat::Arrows => FileFormat::IpcStream,
        }
    }
}
