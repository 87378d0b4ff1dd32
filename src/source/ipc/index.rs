//! Where the record batches and dictionaries of a file lie.

use super::bytes::FileBytes;
use super::check::children;
use crate::error::{Error, ErrorKind, Result};
use crate::source::arrow_types::guard::guarded;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::convert::try_fb_to_schema;
use arrow::ipc::reader::read_footer_length;
use arrow::ipc::{Block, Message, MessageHeader, MetadataVersion, root_as_footer, root_as_message};
use std::sync::Arc;

const MAGIC: &[u8] = b"ARROW1";
const CONTINUATION: [u8; 4] = [0xFF; 4];

/// A message with its body: where it begins, the bytes of its prefix and metadata, and those of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) at: u64,
    pub(super) metadata_bytes: u64,
    pub(super) body_bytes: u64,
}

impl Place {
    pub(super) fn bytes(&self) -> u64 {
        self.metadata_bytes + self.body_bytes
    }

    /// As the decoder wants it; both lengths fit, for they are within the file.
    pub(super) fn block(&self) -> Block {
        let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let metadata_bytes = i32::try_from(self.metadata_bytes).unwrap_or(i32::MAX);
        Block::new(signed(self.at), metadata_bytes, signed(self.body_bytes))
    }
}

/// A record batch.
#[derive(Clone, Debug)]
pub(super) struct BatchPlace {
    pub(super) place: Place,
    pub(super) rows: u64,
    /// Rows of the file before it.
    pub(super) first_row: u64,
    /// How many of the dictionaries count for it: those that stand before it.
    pub(super) dictionaries: usize,
}

/// A dictionary, or an addition to one.
#[derive(Clone, Copy, Debug)]
pub(super) struct DictionaryPlace {
    pub(super) place: Place,
    pub(super) id: i64,
    pub(super) is_delta: bool,
}

/// The parts of a file.
#[derive(Debug)]
pub(super) struct FileIndex {
    pub(super) schema: SchemaRef,
    pub(super) version: MetadataVersion,
    pub(super) dictionaries: Vec<DictionaryPlace>,
    pub(super) batches: Vec<BatchPlace>,
    /// By field, whether some record batch does not say that all its values are null.
    pub(super) has_values: Vec<bool>,
}

/// What a message is.
enum Header {
    Schema(SchemaRef, MetadataVersion),
    Batch { rows: u64, nulls: Vec<i64> },
    Dictionary { id: i64, is_delta: bool },
}

impl FileIndex {
    /// The index of a file, by its footer, or of a stream, by its messages.
    pub(super) fn of(bytes: &FileBytes) -> Result<FileIndex> {
        let head = bytes.get(0, bytes.input.length().min(8))?;
        if head.starts_with(MAGIC) { from_footer(bytes) } else { from_stream(bytes) }
    }
}

fn broken(bytes: &FileBytes, at: u64, message: impl Into<String>) -> Error {
    bytes.input.damage(at, message).hint("was the file written, or copied, to its end?")
}

fn parse_error(text: impl std::fmt::Display) -> ArrowError {
    ArrowError::ParseError(text.to_string())
}

fn schema_of(schema: Option<arrow::ipc::Schema<'_>>) -> Result<SchemaRef, ArrowError> {
    let schema = schema.ok_or_else(|| parse_error("there is no schema"))?;
    if !schema.endianness().equals_to_target_endianness() {
        return Err(parse_error("its byte order is that of another machine, which is not supported"));
    }
    Ok(Arc::new(try_fb_to_schema(schema)?))
}

fn from_footer(bytes: &FileBytes) -> Result<FileIndex> {
    /// The magic bytes at both ends, and the length of the footer.
    const LEAST_BYTES: u64 = 8 + 10;
    let length = bytes.input.length();
    if length < LEAST_BYTES {
        return Err(broken(bytes, length, format!("a file of {length} bytes is too short for Arrow IPC")));
    }
    let mut tail = [0; 10];
    tail.copy_from_slice(&bytes.get(length - 10, 10)?);
    let footer_bytes = read_footer_length(tail)
        .map_err(|_| broken(bytes, length, "the file does not end as an Arrow IPC file does"))?
        as u64;
    if footer_bytes > length - LEAST_BYTES {
        let message = format!("the footer claims to have {footer_bytes} bytes, more than the file holds");
        return Err(broken(bytes, length - 10, message));
    }
    let at = length - 10 - footer_bytes;
    let raw = bytes.get(at, footer_bytes)?;
    let parse = || -> Result<_, ArrowError> {
        let footer = root_as_footer(&raw).map_err(parse_error)?;
        let dictionaries: Vec<Block> = footer.dictionaries().iter().flatten().copied().collect();
        let batches: Vec<Block> = footer.recordBatches().iter().flatten().copied().collect();
        Ok((schema_of(footer.schema())?, footer.version(), dictionaries, batches))
    };
    let (schema, version, dictionaries, batches) = guarded(&bytes.input, || "the footer".to_owned(), parse)?;
    let mut index = FileIndex::new(schema, version);
    let place = |block: &Block| {
        let unsigned = |value: i64| u64::try_from(value).ok();
        let place = Place {
            at: unsigned(block.offset())?,
            metadata_bytes: unsigned(i64::from(block.metaDataLength()))?,
            body_bytes: unsigned(block.bodyLength())?,
        };
        let end = place.metadata_bytes.checked_add(place.body_bytes)?.checked_add(place.at)?;
        (end <= length && place.metadata_bytes >= 8).then_some(place)
    };
    for block in dictionaries.iter().chain(&batches) {
        let Some(place) = place(block) else {
            let message = format!("the footer places {} bytes at byte {}", block.bodyLength(), block.offset());
            return Err(broken(bytes, at, message));
        };
        let (header, _) = header(bytes, place.at, place.metadata_bytes)?;
        index.add(bytes, place, header)?;
    }
    // In a file, all dictionaries count for all batches, wherever they stand.
    let all = index.dictionaries.len();
    index.batches.iter_mut().for_each(|batch| batch.dictionaries = all);
    Ok(index)
}

/// Walks over the messages; a stream may end without saying so.
fn from_stream(bytes: &FileBytes) -> Result<FileIndex> {
    let length = bytes.input.length();
    let mut index: Option<FileIndex> = None;
    let mut at = 0;
    while at < length {
        let prefix = bytes.get(at, 8)?;
        let (mark, size) = prefix.split_at(4);
        let size = u64::from(u32::from_le_bytes([size[0], size[1], size[2], size[3]]));
        if mark != CONTINUATION {
            return Err(broken(bytes, at, "no message of an Arrow IPC stream begins here"));
        }
        if size == 0 {
            break;
        }
        let metadata_bytes = size + 8;
        let (header, body_bytes) = header(bytes, at, metadata_bytes)?;
        let place = Place { at, metadata_bytes, body_bytes };
        at = at.saturating_add(metadata_bytes).saturating_add(body_bytes);
        if at > length {
            let message = format!("a message of {} bytes begins here, and the file ends before it does", place.bytes());
            return Err(broken(bytes, place.at, message));
        }
        match (&mut index, header) {
            (None, Header::Schema(schema, version)) => {
                index = Some(FileIndex::new(schema, version));
            }
            (None, _) => return Err(broken(bytes, place.at, "the stream does not begin with its schema")),
            (Some(index), header) => index.add(bytes, place, header)?,
        }
    }
    index.ok_or_else(|| broken(bytes, length, "the stream ends before its schema"))
}

/// What the message at a place is, and how long its body.
fn header(bytes: &FileBytes, at: u64, metadata_bytes: u64) -> Result<(Header, u64)> {
    let raw = bytes.get(at, metadata_bytes)?;
    let parse = || {
        let message = message(&raw)?;
        let body = u64::try_from(message.bodyLength()).map_err(parse_error)?;
        let header = match message.header_type() {
            MessageHeader::Schema => Header::Schema(schema_of(message.header_as_schema())?, message.version()),
            MessageHeader::RecordBatch => {
                let batch = message.header_as_record_batch().ok_or_else(|| parse_error("a message without content"))?;
                let nulls = batch.nodes().iter().flatten().map(|node| node.null_count()).collect();
                Header::Batch { rows: u64::try_from(batch.length()).map_err(parse_error)?, nulls }
            }
            MessageHeader::DictionaryBatch => {
                let batch =
                    message.header_as_dictionary_batch().ok_or_else(|| parse_error("a message without content"))?;
                Header::Dictionary { id: batch.id(), is_delta: batch.isDelta() }
            }
            other => return Err(parse_error(format!("messages of kind {other:?} are not supported"))),
        };
        Ok((header, body))
    };
    let located = |error: Error| error.with_place(|place| place.byte = Some(at));
    guarded(&bytes.input, || "a message".to_owned(), parse).map_err(located)
}

/// The message behind its prefix.
pub(super) fn message(raw: &[u8]) -> Result<Message<'_>, ArrowError> {
    let behind = if raw.starts_with(&CONTINUATION) { raw.get(8..) } else { raw.get(4..) };
    root_as_message(behind.unwrap_or_default()).map_err(parse_error)
}

/// How many nodes the format has for values of a type.
fn nodes(data_type: &DataType) -> usize {
    children(data_type).into_iter().fold(1, |all, child| all + nodes(child.data_type()))
}

impl FileIndex {
    fn new(schema: SchemaRef, version: MetadataVersion) -> Self {
        let has_values = vec![false; schema.fields().len()];
        FileIndex { schema, version, dictionaries: Vec::new(), batches: Vec::new(), has_values }
    }

    fn add(&mut self, bytes: &FileBytes, place: Place, header: Header) -> Result<()> {
        match header {
            Header::Schema(..) => return Err(broken(bytes, place.at, "a second schema stands here")),
            Header::Dictionary { id, is_delta } => self.dictionaries.push(DictionaryPlace { place, id, is_delta }),
            Header::Batch { rows, nulls } => {
                let mut node = 0;
                for (field, has_values) in self.schema.fields().iter().zip(&mut self.has_values) {
                    *has_values |= nulls.get(node).and_then(|&nulls| u64::try_from(nulls).ok()) != Some(rows);
                    node += nodes(field.data_type());
                }
                let first_row = self.rows();
                if first_row.checked_add(rows).is_none_or(|rows| rows > 1 << 60) {
                    let message = format!("a record batch claims to have {rows} rows");
                    return Err(bytes
                        .input
                        .error(ErrorKind::Malformed, message)
                        .with_place(|of| of.byte = Some(place.at)));
                }
                let dictionaries = self.dictionaries.len();
                self.batches.push(BatchPlace { place, rows, first_row, dictionaries });
            }
        }
        Ok(())
    }

    /// Rows of the file.
    pub(super) fn rows(&self) -> u64 {
        self.batches.last().map_or(0, |last| last.first_row + last.rows)
    }

    /// The dictionaries that count when the first `count` have been read, in order: of each, the last that stands
    /// whole, and what was added to it.
    pub(super) fn dictionaries_in_force(&self, count: usize) -> Vec<DictionaryPlace> {
        let mut in_force: Vec<DictionaryPlace> = Vec::new();
        for dictionary in self.dictionaries.iter().take(count) {
            if !dictionary.is_delta {
                in_force.retain(|known| known.id != dictionary.id);
            }
            in_force.push(*dictionary);
        }
        in_force
    }
}
