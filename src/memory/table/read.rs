//! A segment as batches whose buffers are the segment's own bytes.

use crate::error::{Error, Result};
use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::ipc::convert::try_fb_to_schema;
use arrow::ipc::reader::{FileDecoder, read_footer_length};
use arrow::ipc::root_as_footer;
use std::sync::Arc;

/// The schema and the batches of an Arrow IPC file that this program has written.
///
/// # Errors
/// `Internal` when it is none.
pub(crate) fn batches(file: &Buffer) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    let broken = |what: &str| Error::internal(format!("a segment {what}"));
    let tail = file.last_chunk::<10>().ok_or_else(|| broken("without an end"))?;
    let end = file.len() - tail.len();
    let start = end.checked_sub(read_footer_length(*tail)?).ok_or_else(|| broken("shorter than its footer"))?;
    let footer = root_as_footer(&file[start..end]).map_err(|error| broken(&error.to_string()))?;
    let schema = Arc::new(try_fb_to_schema(footer.schema().ok_or_else(|| broken("without a schema"))?)?);
    let decoder = FileDecoder::new(Arc::clone(&schema), footer.version()).with_require_alignment(true);
    let mut found = Vec::new();
    for block in footer.recordBatches().iter().flatten() {
        let (at, bytes) = (block.offset() as usize, block.metaDataLength() as usize + block.bodyLength() as usize);
        if at.checked_add(bytes).is_none_or(|end| end > file.len()) {
            return Err(broken("with a batch beyond its end"));
        }
        let batch = decoder.read_record_batch(block, &file.slice_with_length(at, bytes))?;
        found.push(batch.ok_or_else(|| broken("with an empty message"))?);
    }
    Ok((schema, found))
}
