//! One record batch to the columns wanted, under guard.

use super::bytes::FileBytes;
use super::columns::FileColumn;
use super::index::{BatchPlace, FileIndex, Place, message};
use crate::batch::coded::Coder;
use crate::error::{Error, ErrorKind, Result};
use crate::source::parquet::convert::Converted;
use crate::source::parquet::guard::guarded;
use crate::types::ColumnType;
use arrow::array::{Array, ArrayData, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;
use arrow::ipc::reader::FileDecoder;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A compressed byte stands for no more than so many: what zstd makes of the longest run, and some more.
const MOST_PER_BYTE: u64 = 1 << 17;

/// The dictionaries of so many stretches of a stream are kept; those of the others are read again when asked for.
const KEPT_DECODERS: usize = 4;

/// A column wanted, and as what.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) column: FileColumn,
    pub(super) column_type: ColumnType,
    /// As codes, where the file has them.
    pub(super) coded: bool,
}

/// Decodes the record batches of one file.
pub(super) struct BatchDecoder {
    bytes: Arc<FileBytes>,
    index: Arc<FileIndex>,
    wanted: Vec<Wanted>,
    /// The fields that hold the columns wanted, ascending.
    fields: Vec<usize>,
    /// By how many dictionaries stand before a batch.
    decoders: Mutex<HashMap<usize, Arc<FileDecoder>>>,
    /// One a column wanted.
    coders: Vec<Mutex<Coder>>,
}

/// A record batch as the engine takes it.
pub(super) struct Decoded {
    /// One a column wanted; a column that cannot be read is an error.
    pub(super) columns: Vec<Result<Converted>>,
    /// Bytes of the file that were touched.
    pub(super) touched_bytes: u64,
}

impl BatchDecoder {
    pub(super) fn new(bytes: Arc<FileBytes>, index: Arc<FileIndex>, wanted: Vec<Wanted>) -> Self {
        let mut fields: Vec<usize> = wanted.iter().map(|wanted| wanted.column.field).collect();
        fields.sort_unstable();
        fields.dedup();
        // How many rows there are is believed only if a column has as many.
        if fields.is_empty() && !index.schema.fields().is_empty() {
            fields.push(0);
        }
        let coders = wanted.iter().map(|_| Mutex::default()).collect();
        BatchDecoder { bytes, index, wanted, fields, decoders: Mutex::default(), coders }
    }

    /// Decodes a record batch.
    ///
    /// # Errors
    /// It cannot be read whatever is wanted of it.
    pub(super) fn decode(&self, batch: &BatchPlace) -> Result<Decoded> {
        let place = batch.place;
        let raw = self.bytes.get(place.at, place.bytes())?;
        self.check(&raw, place)?;
        let whole = self.decoder(batch.dictionaries).and_then(|decoder| self.read(&decoder, batch, &raw));
        let (columns, touched) = match whole {
            Ok(records) => {
                let columns = (0..self.wanted.len()).map(|at| self.convert(at, &records, place)).collect();
                (columns, touched_bytes(&records))
            }
            Err(error) if self.wanted.is_empty() => return Err(error),
            Err(_) => ((0..self.wanted.len()).map(|at| self.alone(at, batch, &raw)).collect(), place.bytes()),
        };
        Ok(Decoded { columns, touched_bytes: touched.min(place.bytes()) })
    }

    /// One column by itself, so that another's damage does not concern it.
    fn alone(&self, at: usize, batch: &BatchPlace, raw: &Buffer) -> Result<Converted> {
        let decoder = self.new_decoder(vec![self.wanted[at].column.field], batch.dictionaries)?;
        self.convert(at, &self.read(&decoder, batch, raw)?, batch.place)
    }

    fn convert(&self, at: usize, records: &RecordBatch, place: Place) -> Result<Converted> {
        let wanted = &self.wanted[at];
        let what = || format!("the column `{}`", wanted.column.name);
        let codes = || {
            let mut coder = self.coders[at].lock().unwrap_or_else(PoisonError::into_inner);
            if wanted.coded { wanted.column.codes(records, &mut coder) } else { Ok(None) }
        };
        let values = || match codes()? {
            Some(codes) => Ok(codes.into()),
            None => wanted.column.values(records, wanted.column_type),
        };
        let convert = || Ok::<_, ArrowError>(values());
        guarded(&self.bytes.input, what, convert).and_then(|converted| converted).map_err(|error| located(error, place))
    }

    fn read(&self, decoder: &FileDecoder, batch: &BatchPlace, raw: &Buffer) -> Result<RecordBatch> {
        let read = || {
            let records = decoder.read_record_batch(&batch.place.block(), raw)?;
            let records = records.ok_or_else(|| ArrowError::ParseError("it is empty".to_owned()))?;
            if records.num_rows() as u64 != batch.rows {
                let text = format!("it has {} rows and claims {}", records.num_rows(), batch.rows);
                return Err(ArrowError::ParseError(text));
            }
            Ok(records)
        };
        guarded(&self.bytes.input, || "a record batch".to_owned(), read).map_err(|error| located(error, batch.place))
    }

    fn decoder(&self, dictionaries: usize) -> Result<Arc<FileDecoder>> {
        let mut decoders = self.decoders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = decoders.get(&dictionaries) {
            return Ok(Arc::clone(known));
        }
        let decoder = Arc::new(self.new_decoder(self.fields.clone(), dictionaries)?);
        if decoders.len() >= KEPT_DECODERS {
            let oldest = decoders.keys().min().copied();
            oldest.map(|oldest| decoders.remove(&oldest));
        }
        decoders.insert(dictionaries, Arc::clone(&decoder));
        Ok(decoder)
    }

    /// A decoder of these fields, with the dictionaries that they need.
    fn new_decoder(&self, fields: Vec<usize>, dictionaries: usize) -> Result<FileDecoder> {
        let mut ids = Vec::new();
        fields.iter().for_each(|&field| dictionary_ids(self.index.schema.field(field), &mut ids));
        let mut decoder = FileDecoder::new(Arc::clone(&self.index.schema), self.index.version).with_projection(fields);
        for dictionary in self.index.dictionaries_in_force(dictionaries) {
            if !ids.contains(&dictionary.id) {
                continue;
            }
            let place = dictionary.place;
            let raw = self.bytes.get(place.at, place.bytes())?;
            self.check(&raw, place)?;
            let read = || decoder.read_dictionary(&place.block(), &raw);
            guarded(&self.bytes.input, || "a dictionary".to_owned(), read).map_err(|error| located(error, place))?;
        }
        Ok(decoder)
    }

    /// Checks what the decoder takes for granted: that buffers lie within the body, and how large they say they become.
    fn check(&self, raw: &Buffer, place: Place) -> Result<()> {
        let body = raw.get(place.metadata_bytes as usize..).unwrap_or_default();
        let check = || {
            let message = message(raw)?;
            let batch = match message.header_as_dictionary_batch() {
                Some(dictionary) => dictionary.data(),
                None => message.header_as_record_batch(),
            };
            let batch = batch.ok_or_else(|| ArrowError::ParseError("it holds no data".to_owned()))?;
            for buffer in batch.buffers().iter().flatten() {
                let start = usize::try_from(buffer.offset()).ok();
                let range = start.zip(usize::try_from(buffer.length()).ok());
                let bytes = range.and_then(|(start, length)| body.get(start..start.checked_add(length)?));
                let Some(bytes) = bytes else {
                    return Err(ArrowError::ParseError("a buffer lies outside of it".to_owned()));
                };
                let claimed = bytes.first_chunk().map_or(0, |prefix| i64::from_le_bytes(*prefix));
                let most = (bytes.len() as u64).saturating_mul(MOST_PER_BYTE);
                if batch.compression().is_some() && u64::try_from(claimed).is_ok_and(|claimed| claimed > most) {
                    let text = format!("{} compressed bytes claim to become {claimed}", bytes.len());
                    return Err(ArrowError::ParseError(text));
                }
            }
            Ok(())
        };
        guarded(&self.bytes.input, || "a message".to_owned(), check).map_err(|error| located(error, place))
    }
}

fn located(error: Error, at: Place) -> Error {
    if error.kind() == ErrorKind::Io { error } else { error.with_place(|place| place.byte = Some(at.at)) }
}

/// The dictionaries that a field needs.
fn dictionary_ids(field: &Field, ids: &mut Vec<i64>) {
    #[expect(deprecated, reason = "the decoder itself knows dictionaries by nothing else")]
    ids.extend(field.dict_id());
    nested_ids(field.data_type(), ids);
}

fn nested_ids(data_type: &DataType, ids: &mut Vec<i64>) {
    match data_type {
        DataType::Struct(fields) => fields.iter().for_each(|field| dictionary_ids(field, ids)),
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => dictionary_ids(field, ids),
        DataType::RunEndEncoded(_, values) => dictionary_ids(values, ids),
        DataType::Union(fields, _) => fields.iter().for_each(|(_, field)| dictionary_ids(field, ids)),
        DataType::Dictionary(_, values) => nested_ids(values, ids),
        _ => {}
    }
}

fn touched_bytes(records: &RecordBatch) -> u64 {
    fn of(data: &ArrayData) -> u64 {
        let own: usize = data.buffers().iter().map(Buffer::len).sum();
        let nulls = data.nulls().map_or(0, |nulls| nulls.buffer().len());
        (own + nulls) as u64 + data.child_data().iter().map(of).sum::<u64>()
    }
    records.columns().iter().map(|column| of(&column.to_data())).sum()
}
