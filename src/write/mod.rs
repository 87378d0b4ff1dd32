//! Rows into files, as sinks of a pass.
//!
//! **Problem.** An answer may be larger than memory, encoding it takes longer than reading its rows, and a file must
//! never be seen half-written.
//! **Idea.** Rows come in input order through the gate of a pass and are cut into *chunks*: row groups of Parquet,
//! batches of Arrow, a few MiB of text. Workers encode chunks at the same time, each chunk by itself (a gzip member, a
//! zstd frame, the column chunks of a row group), and whoever finishes the next chunk in order appends it. The file
//! stands beside its final name until all is well, and is then renamed.
//! **Invariants.**
//! - Where chunks are cut depends on the rows alone, so the same rows and options give the same bytes, whatever the
//!   number of threads and the size of partitions and batches.
//! - A fixed number of chunks is in memory at any time. Rows on their way to folders wait as parts of shared batches,
//!   and no longer than until they reach a number of bytes; at most 100 files are open. What grows with the number of
//!   folders are their names.
//! - No rows are a file with columns too, for folders at their root.
//! - Nothing stands under the final name before it is complete; whatever ends the run otherwise, an error, a panic or
//!   an interrupt, leaves nothing behind. What a killed process left is removed by the next that writes there.
//!
//! What text formats cannot say: CSV has no types, so text such as `2001-01-01` comes back as a date unless its type is
//! given, and years outside 0 to 9999 are written with a sign (`+10000-01-01`) and come back as text. JSON has no
//! numbers for NaN and the infinities; they are written as text.

mod chunk;
mod files;
mod folders;
mod ipc;
mod options;
mod output;
mod parquet;
mod pipeline;
mod room;
pub(crate) mod text;

pub use crate::atomic::remove_unfinished;
pub use files::is_closed_pipe;
#[cfg(feature = "cli")]
pub(crate) use options::without_compression;
pub use options::{Codec, Compression, FileFormat, WriteOptions};
pub(crate) use options::{refuse_inputs, refuse_rejects};
pub use output::{FileOutput, Finished, Target, Written};
