//! Where everything stands in an Arrow IPC file whose columns are written piece by piece.
//!
//! Arrow's own writer takes a batch that is in memory and copies it; a table may be larger than the memory. So the file
//! is laid out beforehand from numbers of rows, nulls and bytes of text: every buffer has its place, at a multiple of 64
//! bytes, and can be written there in parts. The format: <https://arrow.apache.org/docs/format/Columnar.html>.

use crate::error::Result;
use arrow::datatypes::{DataType, Schema};
use arrow::ipc::convert::IpcSchemaEncoder;
use arrow::ipc::{
    Block, Buffer as BufferPlace, FieldNode, FooterBuilder, MessageBuilder, MessageHeader, MetadataVersion,
    RecordBatchBuilder,
};
use flatbuffers::{FlatBufferBuilder, UnionWIPOffset, WIPOffset};

const MAGIC: &[u8; 6] = b"ARROW1";
const CONTINUATION: [u8; 4] = [0xff; 4];
/// What buffers are aligned to.
const ALIGNMENT: u64 = 64;

/// A column of a batch in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ColumnSize {
    pub(super) nulls: usize,
    pub(super) text_bytes: usize,
}

/// A batch in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct BatchSize {
    pub(super) rows: usize,
    pub(super) columns: Vec<ColumnSize>,
}

/// Where the buffers of a column stand in the file.
#[derive(Clone, Debug)]
pub(super) struct ColumnPlace {
    /// One bit a row, if there are nulls.
    pub(super) validity: Option<u64>,
    /// Values, or the ends of texts; nothing for a column without values.
    pub(super) values: Option<u64>,
    /// Bytes of texts.
    pub(super) texts: Option<u64>,
}

/// A whole file.
#[derive(Debug)]
pub(super) struct FileLayout {
    /// By batch and column.
    pub(super) batches: Vec<Vec<ColumnPlace>>,
    /// What stands between the buffers, by place.
    pub(super) frame: Vec<(u64, Vec<u8>)>,
    pub(super) bytes: u64,
}

/// The least multiple of the alignment that is no less.
fn aligned(bytes: u64) -> u64 {
    bytes.next_multiple_of(ALIGNMENT)
}

/// A message as it stands in the file at `at`: what follows is aligned.
fn framed(at: u64, message: &[u8]) -> Vec<u8> {
    let prefix = CONTINUATION.len() as u64 + size_of::<i32>() as u64;
    let padded = aligned(at + prefix + message.len() as u64) - at - prefix;
    let mut bytes = Vec::with_capacity((prefix + padded) as usize);
    bytes.extend(CONTINUATION);
    bytes.extend((padded as i32).to_le_bytes());
    bytes.extend(message);
    bytes.resize((prefix + padded) as usize, 0);
    bytes
}

/// The message with this header.
fn message(
    mut builder: FlatBufferBuilder<'_>,
    kind: MessageHeader,
    header: WIPOffset<UnionWIPOffset>,
    body_bytes: u64,
) -> Vec<u8> {
    let mut message = MessageBuilder::new(&mut builder);
    message.add_version(MetadataVersion::V5);
    message.add_header_type(kind);
    message.add_bodyLength(body_bytes as i64);
    message.add_header(header);
    let root = message.finish();
    builder.finish(root, None);
    builder.finished_data().to_vec()
}

fn schema_message(schema: &Schema) -> Vec<u8> {
    let mut builder = FlatBufferBuilder::new();
    let header = IpcSchemaEncoder::new().schema_to_fb_offset(&mut builder, schema).as_union_value();
    message(builder, MessageHeader::Schema, header, 0)
}

/// The buffers of a batch, relative to its body: of each column, its nulls, its buffers and their lengths.
struct Body {
    columns: Vec<ColumnPlace>,
    places: Vec<BufferPlace>,
    bytes: u64,
}

impl Body {
    fn of(schema: &Schema, size: &BatchSize) -> Self {
        let mut body = Body { columns: Vec::with_capacity(size.columns.len()), places: Vec::new(), bytes: 0 };
        let rows = size.rows as u64;
        let bits = rows.div_ceil(8);
        for (field, column) in schema.fields().iter().zip(&size.columns) {
            let place = match field.data_type() {
                DataType::Null => ColumnPlace { validity: None, values: None, texts: None },
                of_type => {
                    let validity = body.push(if column.nulls > 0 { bits } else { 0 }).filter(|_| column.nulls > 0);
                    let (values, texts) = match of_type {
                        DataType::Boolean => (body.push(bits), None),
                        DataType::Utf8 => (body.push((rows + 1) * 4), body.push(column.text_bytes as u64)),
                        fixed => (body.push(rows * fixed.primitive_width().unwrap_or(0) as u64), None),
                    };
                    ColumnPlace { validity, values, texts }
                }
            };
            body.columns.push(place);
        }
        body
    }

    fn push(&mut self, bytes: u64) -> Option<u64> {
        let at = self.bytes;
        self.places.push(BufferPlace::new(at as i64, bytes as i64));
        self.bytes = aligned(at + bytes);
        Some(at)
    }

    fn message(&self, schema: &Schema, size: &BatchSize) -> Vec<u8> {
        let nodes = schema.fields().iter().zip(&size.columns).map(|(field, column)| {
            let nulls = if *field.data_type() == DataType::Null { size.rows } else { column.nulls };
            FieldNode::new(size.rows as i64, nulls as i64)
        });
        let nodes: Vec<FieldNode> = nodes.collect();
        let mut builder = FlatBufferBuilder::new();
        let (nodes, places) = (builder.create_vector(&nodes), builder.create_vector(&self.places));
        let mut batch = RecordBatchBuilder::new(&mut builder);
        batch.add_length(size.rows as i64);
        batch.add_nodes(nodes);
        batch.add_buffers(places);
        let header = batch.finish().as_union_value();
        message(builder, MessageHeader::RecordBatch, header, self.bytes)
    }

    fn moved(self, by: u64) -> Vec<ColumnPlace> {
        let moved = |place: Option<u64>| place.map(|at| at + by);
        let column = |column: ColumnPlace| ColumnPlace {
            validity: moved(column.validity),
            values: moved(column.values),
            texts: moved(column.texts),
        };
        self.columns.into_iter().map(column).collect()
    }
}

fn footer(schema: &Schema, blocks: &[Block]) -> Vec<u8> {
    let mut builder = FlatBufferBuilder::new();
    let blocks = builder.create_vector(blocks);
    let schema = IpcSchemaEncoder::new().schema_to_fb_offset(&mut builder, schema);
    let mut footer = FooterBuilder::new(&mut builder);
    footer.add_version(MetadataVersion::V5);
    footer.add_schema(schema);
    footer.add_recordBatches(blocks);
    let root = footer.finish();
    builder.finish(root, None);
    let mut bytes = builder.finished_data().to_vec();
    let length = bytes.len() as i32;
    bytes.extend(length.to_le_bytes());
    bytes.extend(MAGIC);
    bytes
}

impl FileLayout {
    /// The file of these batches. Columns are of the types that [`stored`](super::write::stored) gives.
    pub(super) fn new(schema: &Schema, sizes: &[BatchSize]) -> Result<Self> {
        let mut head = MAGIC.to_vec();
        head.resize(8, 0);
        head.extend(framed(8, &schema_message(schema)));
        let mut at = head.len() as u64;
        let mut layout = FileLayout { batches: Vec::with_capacity(sizes.len()), frame: vec![(0, head)], bytes: 0 };
        let mut blocks = Vec::with_capacity(sizes.len());
        for size in sizes {
            let body = Body::of(schema, size);
            let message = framed(at, &body.message(schema, size));
            blocks.push(Block::new(at as i64, message.len() as i32, body.bytes as i64));
            layout.frame.push((at, message.clone()));
            let start = at + message.len() as u64;
            at = start + body.bytes;
            layout.batches.push(body.moved(start));
        }
        // A stream ends here; a file goes on.
        let mut tail = CONTINUATION.to_vec();
        tail.extend([0; 4]);
        tail.extend(footer(schema, &blocks));
        layout.bytes = at + tail.len() as u64;
        layout.frame.push((at, tail));
        Ok(layout)
    }
}
