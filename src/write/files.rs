//! What encoded chunks are appended to.

use super::chunk::{ChunkLimits, Part};
use crate::error::{Error, ErrorKind, Result};
use crate::memory::ByteSize;
use ::parquet::arrow::arrow_writer::ArrowColumnChunk;
use ::parquet::errors::ParquetError;
use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

/// A format at work.
pub(super) trait Encoder: Send + Sync {
    /// How large its chunks are.
    fn limits(&self) -> ChunkLimits;

    /// Bytes that encoding takes, of a chunk whose values have so many: copies of columns, and what they become.
    fn encoding_bytes(&self, value_bytes: usize) -> usize {
        value_bytes.saturating_mul(2)
    }

    /// Bytes that it takes at least, to append the chunk at once.
    fn least_encoding_bytes(&self, value_bytes: usize) -> usize {
        self.encoding_bytes(value_bytes)
    }

    /// What helps where that is too much, beside more memory.
    fn remedy(&self) -> Option<&'static str> {
        None
    }

    /// A chunk encoded, whose values have so many bytes; called by all workers.
    fn encode(&self, chunk: &[Part], value_bytes: u64) -> Result<Encoded>;

    /// Appends a chunk with no more memory than [`Encoder::least_encoding_bytes`]: the same bytes as when it is encoded first.
    fn encode_to(&self, file: &mut dyn Appender, chunk: &[Part], value_bytes: u64) -> Result<()> {
        file.append(self.encode(chunk, value_bytes)?)
    }

    /// Begins a file.
    fn create(&self, file: OutFile) -> Result<Box<dyn Appender>>;

    /// Whether a file that was finished can be appended to.
    fn can_resume(&self) -> bool {
        false
    }

    /// Goes on with a file that was finished.
    fn resume(&self, file: OutFile) -> Result<Box<dyn Appender>> {
        Err(Error::internal("this format cannot be appended to").in_file(file.name()))
    }
}

/// A chunk as its format stores it.
pub(super) enum Encoded {
    /// Text, compressed or not.
    Text(Vec<u8>),
    /// The columns of a row group.
    RowGroup(Vec<ArrowColumnChunk>),
    /// A batch of Arrow's own form.
    Batch(RecordBatch),
}

/// A file that grows.
pub(super) trait Appender: Send {
    /// Appends a chunk.
    fn append(&mut self, encoded: Encoded) -> Result<()>;

    /// Appends a row group, column by column; `column` gives the leaves of one.
    fn append_columns(&mut self, _columns: &mut dyn Iterator<Item = Result<Vec<ArrowColumnChunk>>>) -> Result<()> {
        Err(Error::internal("a file without row groups"))
    }

    /// Writes what comes after the last chunk.
    fn finish(self: Box<Self>) -> Result<OutFile>;
}

/// Where bytes go, their number, and the name for messages.
pub(super) struct OutFile {
    out: Out,
    buffer: Vec<u8>,
    bytes: u64,
    name: Arc<str>,
}

enum Out {
    File(File),
    Stdout,
}

/// Small writes are gathered to so many bytes.
const BUFFER_BYTES: usize = 1 << 16;

impl OutFile {
    pub(super) fn file(file: File, name: Arc<str>) -> Self {
        OutFile { out: Out::File(file), buffer: Vec::new(), bytes: 0, name }
    }

    pub(super) fn stdout() -> Self {
        OutFile { out: Out::Stdout, buffer: Vec::new(), bytes: 0, name: Arc::from("stdout") }
    }

    /// The name of the file, for messages.
    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.write_all(bytes).map_err(|error| writing(&self.name, &error))
    }

    /// Writes what is left, and waits until it is on the disk if `sync` is set; the number of bytes written.
    pub(super) fn close(mut self, sync: bool) -> Result<u64> {
        let closed = self.flush().and_then(|()| match &self.out {
            Out::File(file) if sync => file.sync_all(),
            Out::File(_) | Out::Stdout => Ok(()),
        });
        closed.map_err(|error| writing(&self.name, &error))?;
        Ok(self.bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        let put = match &mut self.out {
            Out::File(file) => file.write_all(bytes),
            Out::Stdout => io::stdout().lock().write_all(bytes),
        };
        put.map_err(|error| if is_full(&error) { after(self.bytes, &error) } else { error })
    }
}

impl Write for OutFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + bytes.len() > BUFFER_BYTES {
            let buffer = std::mem::take(&mut self.buffer);
            self.put(&buffer)?;
            self.buffer = buffer;
            self.buffer.clear();
        }
        if bytes.len() >= BUFFER_BYTES {
            self.put(bytes)?;
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let buffer = std::mem::take(&mut self.buffer);
        self.put(&buffer)?;
        match &mut self.out {
            Out::File(file) => file.flush(),
            Out::Stdout => io::stdout().lock().flush(),
        }
    }
}

/// What is said of a reader that has gone, which is no failure of ours.
const CLOSED_PIPE: &str = "cannot write: nobody reads the output any more";

/// A failure to write to `name`.
pub(super) fn writing(name: &str, error: &io::Error) -> Error {
    let message = match error.kind() {
        io::ErrorKind::BrokenPipe => CLOSED_PIPE.to_string(),
        io::ErrorKind::Interrupted => return Error::new(ErrorKind::Cancelled, "the run was cancelled"),
        _ => format!("cannot write: {error}"),
    };
    let failed = Error::new(ErrorKind::Io, message).in_file(name);
    match is_full(error) {
        true => failed.hint("make room, or write to another place; nothing was left behind"),
        false => failed,
    }
}

/// Whether there is no more room, for this file or at all.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

/// The error of a file that has grown to so many bytes.
fn after(bytes: u64, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{error}, when the file had come to {}", ByteSize(bytes)))
}

/// Whether writing failed because nobody reads any more.
pub fn is_closed_pipe(error: &Error) -> bool {
    error.kind() == ErrorKind::Io && error.message() == CLOSED_PIPE
}

/// A failure of the Parquet writer.
pub(super) fn parquet_failed(name: &str, error: ParquetError) -> Error {
    match error {
        ParquetError::External(cause) => match cause.downcast_ref::<io::Error>() {
            Some(cause) => writing(name, cause),
            None => Error::internal(format!("writing Parquet: {cause}")).in_file(name),
        },
        other => Error::internal(format!("writing Parquet: {other}")).in_file(name),
    }
}

/// A failure of the Arrow writer.
pub(super) fn arrow_failed(name: &str, error: ArrowError) -> Error {
    match error {
        ArrowError::IoError(_, cause) => writing(name, &cause),
        other => Error::from(other).in_file(name),
    }
}
