//! Which text columns of a row group are read as codes: those that are wanted so and whose pages all hold codes.
//!
//! Writers give up a dictionary that grows too large in the middle of a column chunk. Of such a chunk the decoder would
//! have to make a dictionary, which costs more than it saves; it is read as text.

use super::fragments::Planner;
use crate::source::arrow_types::columns::Meaning;
use crate::source::arrow_types::guard::attempted;
use crate::types::ColumnType;
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

/// A text that is not a code takes more bytes, for its length alone.
const CODE_BYTES: u64 = 3;

fn codes() -> EncodingMask {
    EncodingMask::new_from_encodings([Encoding::RLE_DICTIONARY, Encoding::PLAIN_DICTIONARY].iter())
}

/// Whether all pages of a chunk hold codes, if the footer says so or otherwise.
pub(super) fn all_pages_are_said_to_hold_codes(chunk: &ColumnChunkMetaData) -> Option<bool> {
    let mask = chunk.page_encoding_stats_mask()?;
    Some(mask.encodings().next().is_some() && mask.encodings().all(|encoding| codes().is_set(encoding)))
}

/// Whether all pages of a chunk hold codes. Where the footer does not say so, it shows in the bytes that a value takes;
/// a wrong guess costs time only.
fn all_pages_hold_codes(chunk: &ColumnChunkMetaData) -> bool {
    all_pages_are_said_to_hold_codes(chunk).unwrap_or_else(|| {
        let bytes = chunk.uncompressed_size().unsigned_abs();
        chunk.encodings().any(|encoding| codes().is_set(encoding))
            && bytes <= chunk.num_values().unsigned_abs().saturating_mul(CODE_BYTES)
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
            let column = self.file.column(of_source)?;
            let ([root], [leaf]) = (column.path.as_slice(), column.leaves.as_slice()) else { return None };
            let is_text = column.meaning == Meaning::Values && column.stored == DataType::Utf8View;
            let is_text = is_text && self.columns[of_source].column_type == ColumnType::Utf8;
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

#[cfg(test)]
mod tests {
    use crate::batch::coded::Coded;
    use crate::source::column_policy::ColumnPolicy;
    use crate::source::input::InputCounters;
    use crate::source::parquet::open::open;
    use crate::source::parquet::scan::ParquetScan;
    use crate::source::{CancelToken, Read, Scan, ScanRequest, ScanScratch};
    use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::WriterProperties;
    use std::sync::Arc;

    /// Of each batch, whether its texts came as codes; and the texts.
    fn read(texts: &[String], properties: WriterProperties, coded: &[usize]) -> (Vec<bool>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.parquet");
        let column: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
        let batch = RecordBatch::try_from_iter([("t", column)]).unwrap();
        let file = std::fs::File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let counters = Arc::new(InputCounters::default());
        let opened = open(&[path], &counters, 1, ColumnPolicy::Error).unwrap();
        let request = ScanRequest {
            columns: vec![0],
            filter: None,
            coded: coded.into(),
            skip: None,
            workers: 1,
            piece_bytes: 1 << 14,
            batch_bytes: 1 << 14,
            cancel: CancelToken::new(),
            budget: crate::memory::Budget::unlimited(),
        };
        let scan = ParquetScan::new(opened.files.into(), opened.columns.into(), request, counters);
        let (mut scratch, mut forms, mut found) = (ScanScratch::default(), Vec::new(), Vec::new());
        while let Read::Partition(ticket, batches) = scan.read(&mut scratch, true).unwrap() {
            for batch in batches {
                let column = batch.batch.records.column(0);
                forms.push(Coded::of(column.as_ref()).is_some());
                let plain = crate::batch::coded::plain(column).unwrap();
                found.extend(plain.as_string_view().iter().map(|text| text.unwrap().to_owned()));
            }
            scan.commit(ticket);
        }
        (forms, found)
    }

    #[test]
    fn texts_are_codes_where_asked_for_and_all_pages_of_the_row_group_hold_codes() {
        // The second of the row groups has more texts than its dictionary may hold.
        let text = |row: usize| if row / 4000 == 1 { format!("text number {row}") } else { format!("{}", row % 9) };
        let texts: Vec<String> = (0..12_000).map(text).collect();
        let properties = || {
            WriterProperties::builder()
                .set_max_row_group_row_count(Some(4000))
                .set_dictionary_page_size_limit(10_000)
                .set_write_batch_size(100)
                .build()
        };
        let (forms, found) = read(&texts, properties(), &[0]);
        assert_eq!(found, texts);
        let mut runs = forms;
        runs.dedup();
        assert_eq!(runs, [true, false, true]);
        assert!(!read(&texts, properties(), &[]).0.contains(&true));
        let plain = WriterProperties::builder().set_dictionary_enabled(false).build();
        assert!(!read(&texts, plain, &[0]).0.contains(&true));
    }

    #[test]
    fn where_the_footer_tells_nothing_of_pages_their_size_does() {
        let text = |row: usize| if row / 4000 == 1 { format!("text number {row}") } else { format!("{}", row % 9) };
        let column: ArrayRef = Arc::new(StringArray::from_iter_values((0..12_000).map(text)));
        let batch = RecordBatch::try_from_iter([("t", column)]).unwrap();
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(4000))
            .set_dictionary_page_size_limit(10_000)
            .set_write_batch_size(100);
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties.build())).unwrap();
        writer.write(&batch).unwrap();
        let metadata = writer.finish().unwrap();
        let untold = metadata.row_groups().iter().map(|group| {
            let chunk = group.column(0).clone().into_builder().clear_page_encoding_stats().build().unwrap();
            super::all_pages_hold_codes(&chunk)
        });
        assert_eq!(untold.collect::<Vec<_>>(), [true, false, true]);
    }
}
