//! Arrow IPC: a chunk is a batch. Files are for mapping into memory, streams for pipes.

use super::chunk::{ChunkLimits, Part};
use super::files::{Appender, Encoded, Encoder, OutFile, arrow_failed};
use super::options::{Codec, FileFormat, WriteOptions};
use super::parquet::{stored_column, stored_schema};
use crate::error::{Error, Result};
use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, make_array};
use arrow::compute::concat;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use std::sync::Arc;

/// Rows of a batch.
const BATCH_ROWS: usize = 64 << 10;
/// Values of so many bytes fill a batch before its rows do.
const BATCH_BYTES: u64 = 16 << 20;

/// Writes Arrow IPC.
pub(super) struct IpcEncoder {
    stored: SchemaRef,
    form: IpcWriteOptions,
    format: FileFormat,
}

impl IpcEncoder {
    pub(super) fn new(schema: &Schema, options: &WriteOptions) -> Result<Self> {
        let compression = match options.codec().codec {
            Codec::Zstd => Some(CompressionType::ZSTD),
            Codec::Lz4 => Some(CompressionType::LZ4_FRAME),
            _ => None,
        };
        let form = IpcWriteOptions::default().try_with_compression(compression)?;
        Ok(IpcEncoder { stored: stored_schema(schema), form, format: options.format })
    }
}

/// The same values in buffers that tell nothing of where the array was cut from: a map of validity only where there are
/// nulls, and zeros behind the last bit.
fn canonical(array: ArrayRef) -> Result<ArrayRef> {
    let array = concat(&[&array, &array.slice(0, 0)])?;
    if array.null_count() > 0 || array.nulls().is_none() {
        return Ok(array);
    }
    let data = array.to_data().into_builder().nulls(None).build()?;
    Ok(make_array(data))
}

impl Encoder for IpcEncoder {
    fn limits(&self) -> ChunkLimits {
        ChunkLimits { rows: BATCH_ROWS, bytes: BATCH_BYTES }
    }

    fn encode(&self, chunk: &[Part], _value_bytes: u64) -> Result<Encoded> {
        let column = |(at, field): (usize, &Arc<arrow::datatypes::Field>)| {
            canonical(stored_column(chunk, at, field.data_type())?)
        };
        let columns = self.stored.fields().iter().enumerate().map(column).collect::<Result<Vec<_>>>()?;
        let rows = chunk.iter().map(|part| part.rows.len()).sum();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(Encoded::Batch(RecordBatch::try_new_with_options(Arc::clone(&self.stored), columns, &options)?))
    }

    fn create(&self, file: OutFile) -> Result<Box<dyn Appender>> {
        let name = Arc::clone(file.name());
        let writer = match self.format {
            FileFormat::IpcStream => {
                StreamWriter::try_new_with_options(file, &self.stored, self.form.clone()).map(Writer::Stream)
            }
            _ => FileWriter::try_new_with_options(file, &self.stored, self.form.clone()).map(Writer::File),
        };
        Ok(Box::new(IpcFile { writer: writer.map_err(|error| arrow_failed(&name, error))?, name }))
    }
}

enum Writer {
    File(FileWriter<OutFile>),
    Stream(StreamWriter<OutFile>),
}

struct IpcFile {
    writer: Writer,
    name: Arc<str>,
}

impl Appender for IpcFile {
    fn append(&mut self, encoded: Encoded) -> Result<()> {
        let Encoded::Batch(batch) = encoded else {
            return Err(Error::internal("a chunk of another format"));
        };
        let written: Result<(), ArrowError> = match &mut self.writer {
            Writer::File(writer) => writer.write(&batch),
            Writer::Stream(writer) => writer.write(&batch),
        };
        written.map_err(|error| arrow_failed(&self.name, error))
    }

    fn finish(self: Box<Self>) -> Result<OutFile> {
        let IpcFile { writer, name } = *self;
        let file = match writer {
            Writer::File(writer) => writer.into_inner(),
            Writer::Stream(writer) => writer.into_inner(),
        };
        file.map_err(|error| arrow_failed(&name, error))
    }
}
