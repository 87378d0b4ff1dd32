//! Chunks of rows as text, compressed or not.

use super::super::chunk::{ChunkLimits, Part};
use super::super::files::{Appender, Encoded, Encoder, OutFile};
use super::super::options::{Compression, FileFormat, WriteOptions};
use super::{Column, Csv, Json, compress};
use crate::error::{Error, ErrorKind, Result};
use arrow::datatypes::SchemaRef;

/// Values of so many bytes are a chunk: with what stands between them, a few MiB of text.
const CHUNK_BYTES: u64 = 4 << 20;
/// Rows of a chunk, however short they are.
const CHUNK_ROWS: usize = 1 << 20;

/// Writes CSV or NDJSON.
pub(in super::super) struct TextEncoder {
    schema: SchemaRef,
    form: Form,
    compression: Compression,
}

enum Form {
    Csv(Csv),
    Ndjson(Json),
}

impl TextEncoder {
    pub(in super::super) fn new(schema: SchemaRef, options: &WriteOptions) -> Result<Self> {
        let form = match options.format {
            FileFormat::Ndjson => Form::Ndjson(Json::lines(&schema)),
            _ => Form::Csv(Csv::new(options.delimiter, &options.null)?),
        };
        Ok(TextEncoder { schema, form, compression: options.codec() })
    }
}

impl Encoder for TextEncoder {
    fn limits(&self) -> ChunkLimits {
        ChunkLimits { rows: CHUNK_ROWS, bytes: CHUNK_BYTES }
    }

    fn encode(&self, chunk: &[Part], value_bytes: u64) -> Result<Encoded> {
        let mut text = Vec::with_capacity(value_bytes.min(CHUNK_BYTES) as usize);
        for part in chunk {
            let batch = part.records()?;
            let columns = batch.columns().iter().map(Column::of).collect::<std::io::Result<Vec<_>>>();
            let columns = columns.map_err(|error| Error::new(ErrorKind::Unsupported, error.to_string()))?;
            match &self.form {
                Form::Csv(csv) => csv.rows(&columns, batch.num_rows(), &mut text),
                Form::Ndjson(json) => json.clone().rows(&columns, batch.num_rows(), &mut text),
            }
        }
        Ok(Encoded::Text(compress(text, self.compression)?))
    }

    fn create(&self, mut file: OutFile) -> Result<Box<dyn Appender>> {
        let mut header = Vec::new();
        match &self.form {
            Form::Csv(csv) => csv.header(&self.schema, &mut header),
            Form::Ndjson(_) => {}
        }
        if !header.is_empty() {
            file.write(&compress(header, self.compression)?)?;
        }
        Ok(Box::new(TextFile(file)))
    }

    fn can_resume(&self) -> bool {
        true
    }

    fn resume(&self, file: OutFile) -> Result<Box<dyn Appender>> {
        Ok(Box::new(TextFile(file)))
    }
}

struct TextFile(OutFile);

impl Appender for TextFile {
    fn append(&mut self, encoded: Encoded) -> Result<()> {
        match encoded {
            Encoded::Text(bytes) => self.0.write(&bytes),
            Encoded::RowGroup(_) | Encoded::Batch(_) => Err(Error::internal("a chunk of another format")),
        }
    }

    fn finish(self: Box<Self>) -> Result<OutFile> {
        Ok(self.0)
    }
}
