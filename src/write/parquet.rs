//! Parquet: a chunk is a row group, encoded column by column on one worker. Where memory is scarce, each column is appended
//! before the next is encoded.
//!
//! Texts are stored as plain UTF-8 byte arrays, dates and timestamps under their logical types (timestamps are local,
//! without a time zone), a column of nothing but nulls under Parquet's null type. Statistics, page index and
//! dictionaries are the writer's defaults.

use super::chunk::{ChunkLimits, NominalRow, Part};
use super::files::{Appender, Encoded, Encoder, OutFile, parquet_failed};
use super::options::{Codec, WriteOptions};
use crate::error::{Error, Result};
use ::parquet::arrow::ArrowSchemaConverter;
use ::parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use ::parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::types::{ColumnPath, TypePtr};
use arrow::array::{Array, ArrayRef};
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use std::io;
use std::sync::Arc;

/// Values of so many bytes fill a row group before its rows do.
const ROW_GROUP_BYTES: u64 = 64 << 20;
/// Rows of a column that are put together at once. Pages, of 20,000 rows at most, are cut between such pieces too, so it is a
/// part of that, and the same whatever the memory.
const PIECE_ROWS: usize = 10_000;
/// What the writer of a column takes beside what it has encoded: a page, and a dictionary.
const WRITER_BYTES: usize = 2 << 20;

/// Writes Parquet.
pub(super) struct ParquetEncoder {
    stored: SchemaRef,
    root: TypePtr,
    properties: WriterPropertiesPtr,
    factory: ArrowRowGroupWriterFactory,
    rows: usize,
    row: NominalRow,
}

impl ParquetEncoder {
    pub(super) fn new(schema: &Schema, options: &WriteOptions) -> Result<Self> {
        let stored = stored_schema(schema);
        let properties = Arc::new(properties(options)?);
        let descriptor = ArrowSchemaConverter::new().convert(&stored).map_err(unsupported)?;
        let root = descriptor.root_schema_ptr();
        // Column writers are made by a writer; this one is never written to.
        let model = SerializedFileWriter::new(io::sink(), Arc::clone(&root), Arc::clone(&properties));
        let factory = ArrowRowGroupWriterFactory::new(&model.map_err(unsupported)?, Arc::clone(&stored));
        let row = NominalRow::of(schema);
        Ok(ParquetEncoder { stored, root, properties, factory, rows: options.row_group_rows, row })
    }
}

impl ParquetEncoder {
    /// Bytes of the widest column, of rows whose values have so many.
    fn of_widest(&self, value_bytes: usize) -> usize {
        value_bytes / self.row.value_bytes * self.row.widest_bytes
    }

    /// What a piece of a column takes that is put together and cast.
    fn piece_bytes(&self, value_bytes: usize) -> usize {
        let rows = value_bytes / self.row.value_bytes;
        self.of_widest(value_bytes) / rows.max(1) * rows.min(PIECE_ROWS) * 2
    }

    /// The leaves of each column, encoded when they are asked for.
    fn columns<'a>(&'a self, chunk: &'a [Part]) -> Result<impl Iterator<Item = Result<Vec<ArrowColumnChunk>>> + 'a> {
        let mut writers = self.factory.create_column_writers(0).map_err(failed)?.into_iter();
        let column = move |(at, field): (usize, &FieldRef)| {
            let mut of_column: Vec<ArrowColumnWriter> = Vec::new();
            in_pieces(chunk, at, field.data_type(), |piece| {
                for (leaf, levels) in compute_leaves(field, &piece).map_err(failed)?.iter().enumerate() {
                    if leaf == of_column.len() {
                        let writer = writers.next();
                        of_column.push(writer.ok_or_else(|| Error::internal("more columns than writers"))?);
                    }
                    of_column[leaf].write(levels).map_err(failed)?;
                }
                Ok(())
            })?;
            of_column.into_iter().map(|writer| writer.close().map_err(failed)).collect()
        };
        Ok(self.stored.fields().iter().enumerate().map(column))
    }
}

fn failed(error: ParquetError) -> Error {
    parquet_failed("Parquet", error)
}

fn unsupported(error: ParquetError) -> Error {
    Error::new(crate::error::ErrorKind::Unsupported, format!("these columns cannot be written as Parquet: {error}"))
}

/// The types as they are stored: views are a matter of memory.
pub(super) fn stored_schema(schema: &Schema) -> SchemaRef {
    let stored = |field: &Field| match field.data_type() {
        DataType::Utf8View => Field::new(field.name(), DataType::Utf8, true),
        DataType::BinaryView => Field::new(field.name(), DataType::Binary, true),
        other => Field::new(field.name(), other.clone(), true),
    };
    Arc::new(Schema::new(schema.fields().iter().map(|field| stored(field)).collect::<Vec<_>>()))
}

/// A column of a chunk as one array of the stored type.
pub(super) fn stored_column(chunk: &[Part], column: usize, stored: &DataType) -> Result<ArrayRef> {
    whole(&chunk.iter().map(|part| part.column(column)).collect::<Result<Vec<_>>>()?, stored)
}

fn whole(parts: &[ArrayRef], stored: &DataType) -> Result<ArrayRef> {
    let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
    let whole = concat(&parts)?;
    if whole.data_type() == stored { Ok(whole) } else { Ok(cast(&whole, stored)?) }
}

/// A column of a chunk, piece by piece as arrays of the stored type, to `write`.
fn in_pieces(
    chunk: &[Part],
    column: usize,
    stored: &DataType,
    mut write: impl FnMut(ArrayRef) -> Result<()>,
) -> Result<()> {
    let (mut piece, mut rows) = (Vec::new(), 0);
    for part in chunk {
        let column = part.column(column)?;
        let mut start = 0;
        while start < column.len() {
            let taken = (PIECE_ROWS - rows).min(column.len() - start);
            piece.push(column.slice(start, taken));
            (start, rows) = (start + taken, rows + taken);
            if rows == PIECE_ROWS {
                write(whole(&std::mem::take(&mut piece), stored)?)?;
                rows = 0;
            }
        }
    }
    if piece.is_empty() { Ok(()) } else { write(whole(&piece, stored)?) }
}

fn properties(options: &WriteOptions) -> Result<WriterProperties> {
    let compression = options.codec();
    let level = |default: u32| compression.level.unwrap_or(default);
    let codec = match compression.codec {
        Codec::Zstd => {
            let level = i32::try_from(level(1)).unwrap_or(1);
            Compression::ZSTD(ZstdLevel::try_new(level).map_err(unsupported)?)
        }
        Codec::Gzip => Compression::GZIP(GzipLevel::try_new(level(6)).map_err(unsupported)?),
        Codec::Brotli => Compression::BROTLI(BrotliLevel::try_new(level(1)).map_err(unsupported)?),
        Codec::Snappy => Compression::SNAPPY,
        Codec::Lz4 => Compression::LZ4_RAW,
        Codec::None | Codec::Bzip2 | Codec::Xz => Compression::UNCOMPRESSED,
    };
    let mut properties = WriterProperties::builder()
        .set_compression(codec)
        .set_created_by(concat!("outcrop version ", env!("CARGO_PKG_VERSION")).to_string());
    for name in &options.bloom_filters {
        let path = || ColumnPath::from(vec![name.clone()]);
        properties = properties
            .set_column_bloom_filter_enabled(path(), true)
            .set_column_bloom_filter_max_ndv(path(), options.row_group_rows as u64);
    }
    Ok(properties.build())
}

impl Encoder for ParquetEncoder {
    fn limits(&self) -> ChunkLimits {
        ChunkLimits { rows: self.rows, bytes: ROW_GROUP_BYTES }
    }

    fn encoding_bytes(&self, value_bytes: usize) -> usize {
        value_bytes.saturating_add(self.piece_bytes(value_bytes)).saturating_add(WRITER_BYTES)
    }

    fn least_encoding_bytes(&self, value_bytes: usize) -> usize {
        self.of_widest(value_bytes).saturating_add(self.piece_bytes(value_bytes)).saturating_add(WRITER_BYTES)
    }

    fn remedy(&self) -> Option<&'static str> {
        Some("write shorter row groups (convert --row-group-rows)")
    }

    fn encode(&self, chunk: &[Part], _value_bytes: u64) -> Result<Encoded> {
        let columns = self.columns(chunk)?.collect::<Result<Vec<_>>>()?;
        Ok(Encoded::RowGroup(columns.into_iter().flatten().collect()))
    }

    fn encode_to(&self, file: &mut dyn Appender, chunk: &[Part], _value_bytes: u64) -> Result<()> {
        file.append_columns(&mut self.columns(chunk)?)
    }

    fn create(&self, file: OutFile) -> Result<Box<dyn Appender>> {
        let name = Arc::clone(file.name());
        let writer = SerializedFileWriter::new(file, Arc::clone(&self.root), Arc::clone(&self.properties));
        let writer = writer.map_err(|error| parquet_failed(&name, error))?;
        Ok(Box::new(ParquetFile { writer, name }))
    }
}

struct ParquetFile {
    writer: SerializedFileWriter<OutFile>,
    name: Arc<str>,
}

impl Appender for ParquetFile {
    fn append(&mut self, encoded: Encoded) -> Result<()> {
        match encoded {
            Encoded::RowGroup(columns) => self.append_columns(&mut std::iter::once(Ok(columns))),
            Encoded::Text(_) | Encoded::Batch(_) => Err(Error::internal("a chunk of another format")),
        }
    }

    fn append_columns(&mut self, columns: &mut dyn Iterator<Item = Result<Vec<ArrowColumnChunk>>>) -> Result<()> {
        let name = Arc::clone(&self.name);
        let failed = |error| parquet_failed(&name, error);
        let mut group = self.writer.next_row_group().map_err(failed)?;
        for leaves in columns {
            for leaf in leaves? {
                leaf.append_to_row_group(&mut group).map_err(failed)?;
            }
        }
        group.close().map(|_| ()).map_err(failed)
    }

    fn finish(self: Box<Self>) -> Result<OutFile> {
        self.writer.into_inner().map_err(|error| parquet_failed(&self.name, error))
    }
}
