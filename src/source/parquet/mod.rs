//! Parquet files as a source.
//!
//! **Problem.** A Parquet file knows much about itself: where each column of each row group lies, what its values are
//! between. Reading should touch only what a question needs, on all cores, also when the file is one giant row group;
//! and a file that lies about itself must end in an error, never in a panic or in unbounded memory.
//! **Idea.** The footers are read when the source is opened (`open`) and give the schema. A scan strikes
//! out row groups and pages that no question can want (`candidates`), cuts the rest into *fragments* of some hundred
//! thousand rows (`fragments`), and gives each to one worker, which reads it batch after batch (`read`): the columns
//! of the filter first, the others for the rows that pass. Short texts come as codes where the file has them (`codes`).
//! Decoding is the `parquet` crate's; what its arrays mean to the engine is settled in `arrow_types`.
//! **Invariants.**
//! - The position of a row is its number in the file, whatever was struck out before it.
//! - Fragments are handed out, and their partitions committed, in file order; no more than a few wait.
//! - Each stored byte of a chosen column is fetched at most once, but for dictionaries and for pages at the edge of
//!   two fragments (`chunks`).
//! - A value is lost when it cannot be read by itself, which depends on the file alone (`damage`).
//! - Whatever third-party code does with hostile bytes ends in a located error (`arrow_types::guard`).

mod candidates;
mod chunks;
mod codes;
mod columns;
mod damage;
mod delta;
mod encryption;
mod fragments;
mod needs;
mod open;
mod page_check;
mod pages;
mod prune;
mod read;
mod rows;
mod scan;
mod schema;
mod source;
mod statistics;
mod thrift;

pub use source::ParquetSource;
