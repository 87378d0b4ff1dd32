//! Which text columns of a row group are read as codes: those that are wanted so and whose pages all hold codes.
//!
//! Writers give up a dictionary that grows too large in the middle of a column chunk. Of such a chunk the decoder would
//! have to make a dictionary, which costs more than it saves; it is read as text.

use super::fragments::Planner;
use super::guard::attempted;
use super::schema::Meaning;
use arrow::datatypes::{DataType, Schema};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::{Encoding, EncodingMask};
use parquet::file::metadata::ColumnChunkMetaData;
use std::sync::Arc;

/// Columns to read as codes, and how to ask the decoder for them.
#[derive(Debug)]
pub(super) struct CodedColumns {
    /// Names of fields of the file.
    fields: Vec<String>,
    pub(super) metadata: ArrowReaderMetadata,
}

/// Which pages hold codes.
fn all_pages_hold_codes(chunk: &ColumnChunkMetaData) -> bool {
    let codes = EncodingMask::new_from_encodings([Encoding::RLE_DICTIONARY, Encoding::PLAIN_DICTIONARY].iter());
    chunk.page_encoding_stats_mask().is_some_and(|mask| {
        let other = mask.encodings().any(|encoding| !codes.is_set(encoding));
        !other && mask.encodings().next().is_some()
    })
}

impl Planner<'_> {
    /// The columns of a row group to be read as codes; those of `before`, if they are the same.
    pub(super) fn coded(
        &self,
        metadata: &ArrowReaderMetadata,
        row_group: usize,
        before: Option<&Arc<CodedColumns>>,
    ) -> Option<Arc<CodedColumns>> {
        let wanted = self.request.columns.iter().enumerate().filter(|(at, _)| self.request.takes_codes(*at));
        let named = wanted.filter_map(|(_, &of_source)| {
            let column = self.file.column(of_source);
            let ([root], [leaf]) = (column.path.as_slice(), column.leaves.as_slice()) else { return None };
            let is_text = column.meaning == Meaning::Values && column.stored == DataType::Utf8View;
            (is_text && all_pages_hold_codes(self.chunk(row_group, *leaf))).then(|| root.clone())
        });
        let fields: Vec<String> = named.collect();
        if let Some(before) = before.filter(|before| before.fields == fields) {
            return Some(Arc::clone(before));
        }
        if fields.is_empty() {
            return None;
        }
        let coded = metadata.schema().fields().iter().map(|field| {
            if !fields.contains(field.name()) {
                return Arc::clone(field);
            }
            // Views would be made anew for every batch; of these texts, the engine makes its own once.
            let codes = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
            Arc::new(field.as_ref().clone().with_data_type(codes))
        });
        let schema = Schema::new_with_metadata(coded.collect::<Vec<_>>(), metadata.schema().metadata().clone());
        let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
        let metadata = attempted(|| ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options))?;
        Some(Arc::new(CodedColumns { fields, metadata }))
    }
}
