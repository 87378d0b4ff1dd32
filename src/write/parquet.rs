//! Parquet: a chunk is a row group, encoded column by column on one worker.
//!
//! Texts are stored as plain UTF-8 byte arrays, dates and timestamps under their logical types (timestamps are local,
//! without a time zone), a column of nothing but nulls under Parquet's null type. Statistics, page index and
//! dictionaries are the writer's defaults.

use super::chunk::{ChunkLimits, NominalRow};
use super::files::{Appender, Encoded, Encoder, OutFile, parquet_failed};
use super::options::{Codec, WriteOptions};
use crate::error::{Error, Result};
use ::parquet::arrow::ArrowSchemaConverter;
use ::parquet::arrow::arrow_writer::{ArrowRowGroupWriterFactory, compute_leaves};
use ::parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::types::{ColumnPath, TypePtr};
use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::io;
use std::sync::Arc;

/// Values of so many bytes fill a row group before its rows do.
const ROW_GROUP_BYTES: u64 = 64 << 20;

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
pub(super) fn stored_column(chunk: &[RecordBatch], column: usize, stored: &DataType) -> Result<ArrayRef> {
    let parts: Vec<&dyn Array> = chunk.iter().map(|batch| batch.column(column).as_ref()).collect();
    let whole = concat(&parts)?;
    if whole.data_type() == stored { Ok(whole) } else { Ok(cast(&whole, stored)?) }
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
        // One column at a time is put together and cast.
        let column_bytes = value_bytes / self.row.value_bytes * self.row.widest_bytes;
        value_bytes.saturating_add(column_bytes.saturating_mul(2))
    }

    fn encode(&self, chunk: Vec<RecordBatch>, _value_bytes: u64) -> Result<Encoded> {
        // Pages are cut between calls of the writer too, so a column is written in one call.
        let failed = |error| parquet_failed("Parquet", error);
        let mut writers = self.factory.create_column_writers(0).map_err(failed)?.into_iter();
        let mut columns = Vec::with_capacity(writers.len());
        for (at, field) in self.stored.fields().iter().enumerate() {
            let array = stored_column(&chunk, at, field.data_type())?;
            for leaf in compute_leaves(field, &array).map_err(failed)? {
                let mut writer = writers.next().ok_or_else(|| Error::internal("more columns than writers"))?;
                writer.write(&leaf).map_err(failed)?;
                columns.push(writer.close().map_err(failed)?);
            }
        }
        Ok(Encoded::RowGroup(columns))
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
        let Encoded::RowGroup(columns) = encoded else {
            return Err(Error::internal("a chunk of another format"));
        };
        let write = || {
            let mut group = self.writer.next_row_group()?;
            for column in columns {
                column.append_to_row_group(&mut group)?;
            }
            group.close().map(|_| ())
        };
        write().map_err(|error| parquet_failed(&self.name, error))
    }

    fn finish(self: Box<Self>) -> Result<OutFile> {
        self.writer.into_inner().map_err(|error| parquet_failed(&self.name, error))
    }
}
