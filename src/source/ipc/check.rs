//! What the decoder takes for granted of a message: that its buffers lie within the body, and that what they say they
//! become is no more than the memory that is given to it.

use super::index::{Place, message};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, Schema, UnionMode};
use arrow::error::ArrowError;
use arrow::ipc::MetadataVersion;
use std::ops::Range;

/// A compressed byte stands for no more than so many: what zstd makes of the longest run, and some more.
const MOST_PER_BYTE: u64 = 1 << 17;

/// A column of a record batch may become so large whatever it was compressed from.
const ANYWAY_BYTES: u64 = 256 << 20;

/// A larger one by so many times what is stored of it, as real data may be.
const REAL_RATIO: u64 = 64;

/// What a check finds wrong.
pub(super) enum Fault {
    /// The message contradicts itself.
    Broken(String),
    /// It takes more memory than it is given.
    TooLarge(String),
}

impl From<ArrowError> for Fault {
    fn from(error: ArrowError) -> Self {
        Fault::Broken(error.to_string())
    }
}

/// Checks the buffers of some fields of a record batch, or all those of a dictionary. How many bytes they become when
/// they are decompressed.
pub(super) fn check(
    raw: &Buffer,
    place: Place,
    schema: &Schema,
    version: MetadataVersion,
    fields: &[usize],
) -> Result<u64, Fault> {
    let body = raw.get(place.metadata_bytes as usize..).unwrap_or_default();
    let message = message(raw)?;
    let dictionary = message.header_as_dictionary_batch();
    let batch = match &dictionary {
        Some(dictionary) => dictionary.data(),
        None => message.header_as_record_batch(),
    };
    let broken = |text: &str| Fault::Broken(text.to_owned());
    let batch = batch.ok_or_else(|| broken("it holds no data"))?;
    let buffers = batch.buffers().ok_or_else(|| broken("it lists no buffers"))?;
    let ranges = match dictionary {
        Some(_) => std::iter::once(0..buffers.len()).collect(),
        None => {
            let views: Vec<usize> = batch
                .variadicBufferCounts()
                .iter()
                .flatten()
                .map(|count| usize::try_from(count).unwrap_or(usize::MAX))
                .collect();
            let all = buffer_ranges(schema, version, &views);
            fields.iter().filter_map(|&field| all.get(field).cloned()).collect::<Vec<_>>()
        }
    };
    let mut in_all = 0_u64;
    for range in ranges {
        let (mut stored, mut becomes) = (0_u64, 0_u64);
        for at in range.start..range.end.min(buffers.len()) {
            let buffer = buffers.get(at);
            let start = usize::try_from(buffer.offset()).ok();
            let bytes = start.zip(usize::try_from(buffer.length()).ok());
            let bytes = bytes.and_then(|(start, length)| body.get(start..start.checked_add(length)?));
            let bytes = bytes.ok_or_else(|| broken("a buffer lies outside of it"))?;
            if batch.compression().is_none() {
                continue;
            }
            let claimed = bytes.first_chunk().map_or(0, |prefix| i64::from_le_bytes(*prefix));
            let claimed = u64::try_from(claimed).unwrap_or(0);
            if claimed > (bytes.len() as u64).saturating_mul(MOST_PER_BYTE) {
                return Err(Fault::Broken(format!("{} compressed bytes claim to become {claimed}", bytes.len())));
            }
            stored += bytes.len() as u64;
            becomes = becomes.saturating_add(claimed);
        }
        if becomes > ANYWAY_BYTES.max(stored.saturating_mul(REAL_RATIO)) {
            let text = format!("{stored} bytes become {becomes} when they are decompressed, more than {ANYWAY_BYTES}");
            return Err(Fault::TooLarge(text));
        }
        in_all = in_all.saturating_add(becomes);
    }
    Ok(in_all)
}

/// The buffers of each field.
fn buffer_ranges(schema: &Schema, version: MetadataVersion, views: &[usize]) -> Vec<Range<usize>> {
    let mut layout = Layout { version, views: views.iter() };
    let mut next = 0_usize;
    let range = |field: &std::sync::Arc<Field>| {
        let start = next;
        next = next.saturating_add(layout.buffers(field.data_type()));
        start..next
    };
    schema.fields().iter().map(range).collect()
}

/// How many buffers the format has for values of a type.
struct Layout<'a> {
    version: MetadataVersion,
    /// How many buffers hold the text of each view.
    views: std::slice::Iter<'a, usize>,
}

impl Layout<'_> {
    fn buffers(&mut self, data_type: &DataType) -> usize {
        let own = match data_type {
            DataType::Null | DataType::RunEndEncoded(..) => 0,
            DataType::Struct(_) | DataType::FixedSizeList(..) => 1,
            DataType::Utf8 | DataType::Binary | DataType::LargeUtf8 | DataType::LargeBinary => 3,
            DataType::ListView(_) | DataType::LargeListView(_) => 3,
            DataType::Utf8View | DataType::BinaryView => self.views.next().map_or(2, |count| count.saturating_add(2)),
            DataType::Union(_, mode) => {
                // Unions had a bitmap of nulls once.
                usize::from(*mode == UnionMode::Dense) + 1 + usize::from(self.version < MetadataVersion::V5)
            }
            _ => 2,
        };
        children(data_type).into_iter().fold(own, |all, child| all.saturating_add(self.buffers(child.data_type())))
    }
}

/// The fields within values of a type, but for those of a dictionary, which stand elsewhere.
pub(super) fn children(data_type: &DataType) -> Vec<&Field> {
    match data_type {
        DataType::Struct(fields) => fields.iter().map(AsRef::as_ref).collect(),
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => vec![field],
        DataType::Union(fields, _) => fields.iter().map(|(_, field)| field.as_ref()).collect(),
        DataType::RunEndEncoded(ends, values) => vec![ends, values],
        _ => Vec::new(),
    }
}
