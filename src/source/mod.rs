//! Where rows come from: files and globs, decompression, CSV, results of earlier stages.
//!
//! **Problem.** Work on one file must spread over all cores, yet where a record begins, whether a compressed block is
//! real, and what type a column has are only certain once everything before is known.
//! **Idea.** A [`Scan`] hands out *partitions* to whoever asks: [`Scan::read`] gives batches that are *provisional*.
//! [`Scan::commit`] then takes the partition's ticket and returns what has become certain, in input order: partitions
//! to count as they were read, rows that straddled two partitions, partitions that had to be read anew, errors.
//! **Invariants.**
//! - Every record is committed exactly once; contributions that were not committed never reach a sink.
//! - The batches, once committed, do not depend on how the input was cut or on the number of workers, but for where
//!   one batch ends and the next begins.
//! - Within a file, commits come in input order; files advance independently.

pub(crate) mod arrow_types;
pub mod column_policy;
pub mod constants;
pub mod csv;
pub mod decompress;
pub mod detect;
pub mod input;
pub mod ipc;
pub mod memory;
pub mod ndjson;
pub mod parquet;
pub mod paths;
pub mod random;
pub(crate) mod recipe;
mod rejected;
mod text;

pub use crate::cancel::CancelToken;
pub use recipe::Recipe;
pub use rejected::{Reject, RejectedRecords};
pub(crate) use text::TextInputs;

use crate::batch::{Batch, RowId};
use crate::error::{Error, Place, Result};
use crate::expr::Literal;
use crate::memory::Budget;
use crate::types::ColumnType;
use arrow::array::{BooleanArray, RecordBatch};
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// Something that can be scanned: a schema, and partitions on request.
pub trait Source: fmt::Debug + Send + Sync {
    /// Names and types of the columns.
    fn schema(&self) -> SchemaRef;

    /// One line for `explain`: what this is.
    fn describe(&self) -> String;

    /// Equal for sources that give the same rows, so that their queries share a pass.
    fn key(&self) -> String;

    /// The inputs in order, as the user named them; rows name theirs by its ordinal in this list.
    fn files(&self) -> Vec<Arc<str>>;

    /// What the user should know about the inputs.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// Why a column is text though other values of it are not: where such a value stands.
    fn why_text(&self, _column: usize) -> Option<String> {
        None
    }

    /// How the inputs are read and where names and types come from, in lines for people, if there is anything to tell.
    fn explain_schema(&self) -> Option<String> {
        None
    }

    /// How fields were read that are not in their encoding, as the end of a sentence about some fields.
    fn recoding(&self) -> &'static str {
        "not UTF-8 and read as windows-1252; this is the first (--encoding states another, or makes it an error)"
    }

    /// Seconds spent on samples that no run has told of yet; told once.
    fn untold_sample_seconds(&self) -> f64 {
        0.0
    }

    /// Whether a scan may leave out rows without reading them, because of what it knows of them and what the filter says.
    fn prunes(&self) -> bool {
        false
    }

    /// How many rows there are, where nothing has to be read to tell; `None` unless said otherwise.
    fn known_rows(&self) -> Option<usize> {
        None
    }

    /// The pieces that a scan will hand out, as far as they are known before reading.
    fn partitions(&self, piece_bytes: usize) -> Vec<PartitionInfo>;

    /// Starts a scan.
    ///
    /// # Errors
    /// An input cannot be opened.
    fn scan(&self, request: ScanRequest) -> Result<Box<dyn Scan>>;

    /// What another process of this program needs to read the same rows; none unless said otherwise.
    ///
    /// # Errors
    /// Why there is none, as a part of a sentence.
    fn recipe(&self) -> Result<Recipe, String> {
        Err("its rows are in this process".to_owned())
    }

    /// The same source with wider types for the columns named; `None` where types are not inferred.
    fn widened(&self, columns: &[(usize, ColumnType)]) -> Option<Arc<dyn Source>>;
}

/// What is known of a partition before it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionInfo {
    /// The input it belongs to, as the user named it.
    pub file: Arc<str>,
    /// Range of stored bytes; where records begin is settled when the partition is read.
    pub stored_bytes: std::ops::Range<u64>,
}

/// What a scan is asked for.
#[derive(Clone)]
pub struct ScanRequest {
    /// Columns wanted, as ascending indices into the source's schema.
    pub columns: Vec<usize>,
    /// Rows that do not pass may be left out; a superset may be delivered.
    pub filter: Option<Arc<dyn RowFilter>>,
    /// Of [`ScanRequest::columns`], as ascending indices, the texts that are of more use as codes: batches may hold them
    /// as `Dictionary(Int32, Utf8View)`, each batch as its schema says.
    pub coded: Arc<[usize]>,
    /// By ordinal, the files not to be read at all; nothing is ever committed for them. `None`: all are read.
    pub skip: Option<Arc<[bool]>>,
    /// How many workers will call.
    pub workers: usize,
    /// Text of about so many bytes makes a partition (at least one compressed block).
    pub piece_bytes: usize,
    /// Text of about so many bytes makes a batch.
    pub batch_bytes: usize,
    /// Stop soon when set.
    pub cancel: CancelToken,
    /// The account of what is held beyond what the scan [needs](Scan::needs): decoders larger than the first one of
    /// their file, text decoded ahead, records of unusual length.
    pub budget: Budget,
}

impl ScanRequest {
    /// What a row of the columns wanted takes, text beyond its view and the dictionaries of codes apart, and with its
    /// position.
    pub(crate) fn row_bytes(schema: &Schema) -> usize {
        let width = |field: &FieldRef| match field.data_type() {
            DataType::Utf8View | DataType::BinaryView => 17,
            DataType::Boolean => 1,
            other => other.primitive_width().unwrap_or(8) + 1,
        };
        size_of::<u64>() + schema.fields().iter().map(width).sum::<usize>()
    }

    /// Whether the file of this ordinal is not to be read.
    pub(crate) fn skips(&self, file: usize) -> bool {
        self.skip.as_ref().is_some_and(|skip| skip.get(file) == Some(&true))
    }

    /// Whether the column, an index into [`ScanRequest::columns`], may come as codes.
    pub(crate) fn takes_codes(&self, column: usize) -> bool {
        self.coded.binary_search(&column).is_ok()
    }
}

/// A cheap test that a scan applies before it converts the other columns.
pub trait RowFilter: Send + Sync {
    /// The columns it reads, as ascending indices into [`ScanRequest::columns`].
    fn columns(&self) -> &[usize];

    /// Which rows to keep, given exactly those columns. `None` when that cannot be told: all are kept.
    fn keep(&self, records: &RecordBatch) -> Option<BooleanArray>;

    /// Lists of conditions: every row that is kept fulfils all conditions of at least one list. A source that knows
    /// that a part of it has no such row need not read it. None at all: nothing is known.
    fn alternatives(&self) -> &[Vec<Condition>] {
        &[]
    }
}

/// A condition on one column.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Index into [`ScanRequest::columns`].
    pub column: usize,
    /// What its value must be.
    pub test: Test,
}

/// What a value must be. Comparisons are never true of a null; literals have the type of the column, or are Int64 where
/// the column is Float64 and the other way round.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// Equal to the constant.
    Eq(Literal),
    /// Less than the constant.
    Lt(Literal),
    /// Less than or equal to the constant.
    LtEq(Literal),
    /// Greater than the constant.
    Gt(Literal),
    /// Greater than or equal to the constant.
    GtEq(Literal),
    /// Equal to one of the constants.
    OneOf(Vec<Literal>),
    /// Null.
    IsNull,
    /// Not null.
    IsNotNull,
}

/// What a scan takes in memory, as far as that can be told beforehand; it is reserved before the first partition is read.
/// With it, whoever holds the partition that is to be committed next can always finish it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadNeeds {
    /// Bytes whatever the number of workers.
    pub shared_bytes: usize,
    /// Bytes of each worker: its decoder and its text.
    pub worker_bytes: usize,
    /// Of these, the text of the partition in its hands.
    pub text_bytes: usize,
    /// Bytes of the rows of a partition; each worker has one in its hands, and what the questions make of it.
    pub rows_bytes: usize,
    /// Bytes of texts that these rows refer to, once, whatever is made of the rows.
    pub row_texts_bytes: usize,
    /// Bytes of all rows, at most.
    pub all_rows_bytes: usize,
    /// The texts of rows are views of what is shared, and on its account until they are committed.
    pub texts_are_shared: bool,
}

impl Default for ReadNeeds {
    /// Nothing, of any number of rows.
    fn default() -> Self {
        ReadNeeds {
            shared_bytes: 0,
            worker_bytes: 0,
            text_bytes: 0,
            rows_bytes: 0,
            row_texts_bytes: 0,
            all_rows_bytes: usize::MAX,
            texts_are_shared: false,
        }
    }
}

/// A running scan, shared by all workers.
pub trait Scan: Send + Sync {
    /// What reading takes, with as many workers as are at work.
    fn needs(&self) -> ReadNeeds {
        ReadNeeds::default()
    }

    /// Whether a partition that was handed in still waits for its predecessors.
    fn awaits_commit(&self, _id: PartitionId) -> bool {
        false
    }

    /// Reads the next partition. With `wait` false it may answer `Busy` rather than wait for another worker.
    ///
    /// # Errors
    /// Reading failed; the error is final for the whole scan.
    fn read(&self, scratch: &mut ScanScratch, wait: bool) -> Result<Read>;

    /// Takes a partition that was read and returns everything that is certain now, in input order within each file.
    /// The partitions it tells of may be others than the one handed in.
    fn commit(&self, ticket: Ticket) -> Vec<Committed>;

    /// Hand out no more partitions of `file` and the files after it.
    fn stop_from(&self, file: u32);

    /// Stored bytes in all inputs, and those handed out so far.
    fn progress(&self) -> (u64, u64);

    /// Bytes read from the operating system by this scan so far.
    fn bytes_read(&self) -> u64;
}

/// A worker's scratch memory, kept from partition to partition.
#[derive(Default)]
pub struct ScanScratch {
    /// Memory of the decompressor.
    pub text: decompress::Scratch,
    /// Memory of the reader, of its own kind.
    pub reader: Option<Box<dyn Any + Send>>,
    /// Time spent in the stages of reading.
    pub times: ReadTimes,
}

/// Thread seconds spent while reading.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadTimes {
    /// Reading stored bytes and decompressing them.
    pub decompress: f64,
    /// Finding records and converting fields.
    pub parse: f64,
}

/// Names a partition within a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionId {
    /// Ordinal of the file.
    pub file: u32,
    /// Ordinal within the file.
    pub ordinal: u64,
}

/// What the source needs back to commit a partition.
pub struct Ticket {
    /// The partition.
    pub id: PartitionId,
    /// The source's own notes.
    pub notes: Box<dyn Any + Send>,
    /// Bytes of memory that the notes take.
    pub held_bytes: usize,
}

/// Answer of [`Scan::read`].
pub enum Read {
    /// A partition's batches, provisional until its commit.
    Partition(Ticket, Vec<SourceBatch>),
    /// Nothing to read, but something has become certain meanwhile (the end of a file, say).
    Committed(Vec<Committed>),
    /// Others are at work on what there is; ask again.
    Busy,
    /// Everything has been handed out and committed.
    End,
}

/// A batch as its source delivers it.
#[derive(Debug)]
pub struct SourceBatch {
    /// The rows.
    pub batch: Batch,
    /// Values that do not fit their column's type; they are null in `batch`. Ascending by row.
    pub misfits: Vec<Misfit>,
    /// Fields that are not in their encoding: read as windows-1252 where none was declared, else replaced in part.
    pub recoded: Vec<Recoded>,
}

/// A value that does not fit the type of its column.
#[derive(Clone, Debug)]
pub struct Misfit {
    /// Row of the batch.
    pub row: usize,
    /// Index into [`ScanRequest::columns`].
    pub column: usize,
    /// The value, shortened.
    pub text: String,
    /// What follows for a question that needs the value.
    pub remedy: Remedy,
}

/// What follows from a value that does not fit.
#[derive(Clone, Debug)]
pub enum Remedy {
    /// The type was inferred: this wider one holds the value and all that fit before.
    Widen(ColumnType),
    /// The type or encoding was declared: this error, its place still to be added.
    Fail(Error),
    /// The type or encoding was declared, and the user chose to do without such records: the question does without the
    /// row, for this reason.
    Reject(Arc<str>),
}

/// A field that was read as windows-1252.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recoded {
    /// Row of the batch.
    pub row: usize,
    /// Index into [`ScanRequest::columns`].
    pub column: usize,
}

/// Something that has become certain.
pub struct Committed {
    /// The partition that it belongs to.
    pub id: PartitionId,
    /// 0, 1, 2… in the order of commits of this file, which is input order.
    pub sequence: u64,
    /// The rows.
    pub rows: CommittedRows,
    /// Records that these rows were chosen from.
    pub records: u64,
    /// Tells where a row of these stands in its file.
    pub locate: Option<Box<dyn Locate>>,
    /// After these rows comes this error; nothing of the file follows.
    pub error: Option<Error>,
    /// After these rows the file ends well.
    pub file_done: bool,
    /// Something to tell the user.
    pub warning: Option<String>,
    /// Records set aside among these rows; their text is that of `locate`.
    pub rejects: RejectedRecords,
    /// Records among these rows that were too short and were filled up with nulls, or lost empty surplus fields.
    pub padded: Named,
    /// Records that repeat the header and were passed over.
    pub repeated_headers: Named,
}

/// Records of one kind, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// The position that the row of each has or would have, see [`RowId`].
    pub positions: Vec<u64>,
    /// Where the first of them stands.
    pub first: Option<Place>,
}

impl Committed {
    /// A commit that tells of rows and of nothing else yet.
    pub fn new(id: PartitionId, sequence: u64, rows: CommittedRows) -> Self {
        Committed {
            id,
            sequence,
            rows,
            records: 0,
            locate: None,
            error: None,
            file_done: false,
            warning: None,
            rejects: RejectedRecords::default(),
            padded: Named::default(),
            repeated_headers: Named::default(),
        }
    }
}

/// The rows of a [`Committed`].
pub enum CommittedRows {
    /// The batches delivered by `read` for this partition count as they are.
    AsRead,
    /// The batches delivered by `read` for this partition are void; these count instead (none, perhaps).
    Instead(Vec<SourceBatch>),
    /// These count as well (rows between two partitions); the partition itself is told separately.
    Between(Vec<SourceBatch>),
}

/// Finds where a row stands, by counting lines: only for messages.
pub trait Locate: Send {
    /// The place of the row, without a column.
    fn place(&self, row: RowId) -> Place;

    /// The places of rows, ascending, and their records as they stand in the file, without line ends; an empty text
    /// where a record is not text of its own.
    fn records(&self, rows: &[RowId]) -> Vec<(Place, Vec<u8>)> {
        rows.iter().map(|&row| (self.place(row), Vec::new())).collect()
    }

    /// The text that rejects of the same commit lie in; empty where nothing is set aside.
    fn text(&self) -> &[u8] {
        &[]
    }

    /// Gives memory that is not needed any more back to a worker.
    fn recycle(self: Box<Self>, scratch: &mut ScanScratch);
}
