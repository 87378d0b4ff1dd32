//! One record batch to the columns wanted, under guard.

use super::bytes::FileBytes;
use super::check::{Fault, check, children};
use super::index::{BatchPlace, FileIndex, Place};
use crate::batch::coded::Coder;
use crate::error::{Error, ErrorKind, Result};
use crate::memory::{Budget, Reservation};
use crate::source::arrow_types::columns::{FileColumn, Meaning, at_path};
use crate::source::arrow_types::convert::{Converted, convert};
use crate::source::arrow_types::guard::guarded;
use crate::types::ColumnType;
use arrow::array::{Array, ArrayData, RecordBatch, new_null_array};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;
use arrow::ipc::reader::FileDecoder;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The dictionaries of so many stretches of a stream are kept; those of the others are read again when asked for.
const KEPT_DECODERS: usize = 4;

/// A column wanted, and as what.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// `None` where the file lacks it: it is null in every row.
    pub(super) column: Option<FileColumn>,
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
    decoders: Mutex<HashMap<usize, Arc<Decoder>>>,
    budget: Budget,
    /// One a column wanted.
    coders: Vec<Mutex<Coder>>,
}

/// A decoder with its dictionaries.
struct Decoder {
    decoder: FileDecoder,
    /// For the dictionaries.
    _held: Reservation,
}

/// A record batch as the engine takes it.
pub(super) struct Decoded {
    /// One a column wanted; a column that cannot be read is an error.
    pub(super) columns: Vec<Result<Converted>>,
    /// Bytes of the file that were touched.
    pub(super) touched_bytes: u64,
    /// For what it became beyond what was expected.
    pub(super) _held: Option<Reservation>,
}

impl BatchDecoder {
    pub(super) fn new(bytes: Arc<FileBytes>, index: Arc<FileIndex>, wanted: Vec<Wanted>, budget: Budget) -> Self {
        let mut fields: Vec<usize> = wanted.iter().filter_map(|wanted| Some(wanted.column.as_ref()?.field)).collect();
        fields.sort_unstable();
        fields.dedup();
        // How many rows there are is believed only if a column has as many.
        if fields.is_empty() && !index.schema.fields().is_empty() {
            fields.push(0);
        }
        let coders = wanted.iter().map(|_| Mutex::default()).collect();
        BatchDecoder { bytes, index, wanted, fields, decoders: Mutex::default(), budget, coders }
    }

    /// Decodes a record batch, which is expected to become so many bytes when it is decompressed.
    ///
    /// # Errors
    /// It cannot be read whatever is wanted of it.
    pub(super) fn decode(&self, batch: &BatchPlace, expected_bytes: usize) -> Result<Decoded> {
        let place = batch.place;
        let raw = self.bytes.get(place.at, place.bytes())?;
        let mut held = None;
        let checked = self.check(&raw, place, &self.fields);
        if let Ok(bytes) = checked {
            held = Some(self.hold(bytes.saturating_sub(expected_bytes as u64), "a record batch", place)?);
        }
        let whole = checked.and_then(|_| self.decoder(batch.dictionaries));
        let whole = whole.and_then(|decoder| self.read(&decoder.decoder, batch, &raw));
        let (columns, touched) = match whole {
            Ok(records) => {
                let columns = (0..self.wanted.len()).map(|at| self.convert(at, &records, place)).collect();
                (columns, touched_bytes(&records))
            }
            Err(error) if self.wanted.is_empty() => return Err(error),
            Err(_) => ((0..self.wanted.len()).map(|at| self.alone(at, batch, &raw)).collect(), place.bytes()),
        };
        Ok(Decoded { columns, touched_bytes: touched.min(place.bytes()), _held: held })
    }

    /// One column by itself, so that another's damage does not concern it.
    fn alone(&self, at: usize, batch: &BatchPlace, raw: &Buffer) -> Result<Converted> {
        let fields: Vec<usize> = self.wanted[at].column.iter().map(|column| column.field).collect();
        self.check(raw, batch.place, &fields)?;
        let decoder = self.new_decoder(fields, batch.dictionaries)?;
        self.convert(at, &self.read(&decoder.decoder, batch, raw)?, batch.place)
    }

    fn convert(&self, at: usize, records: &RecordBatch, place: Place) -> Result<Converted> {
        let wanted = &self.wanted[at];
        let Some(column) = &wanted.column else {
            return Ok(new_null_array(&wanted.column_type.arrow(), records.num_rows()).into());
        };
        let what = || format!("the column `{}`", column.name);
        let values = || {
            let array = at_path(records, &column.path)?;
            if wanted.coded && column.meaning == Meaning::Values {
                let mut coder = self.coders[at].lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(codes) = coder.codes(&array)? {
                    return Ok(codes.into());
                }
            }
            convert(&array, column.meaning, wanted.column_type)
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

    fn decoder(&self, dictionaries: usize) -> Result<Arc<Decoder>> {
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
    fn new_decoder(&self, fields: Vec<usize>, dictionaries: usize) -> Result<Decoder> {
        let mut ids = Vec::new();
        fields.iter().for_each(|&field| dictionary_ids(self.index.schema.field(field), &mut ids));
        let mut held = self.budget.reservation("a dictionary");
        let mut decoder = FileDecoder::new(Arc::clone(&self.index.schema), self.index.version).with_projection(fields);
        for dictionary in self.index.dictionaries_in_force(dictionaries) {
            if !ids.contains(&dictionary.id) {
                continue;
            }
            let place = dictionary.place;
            let raw = self.bytes.get(place.at, place.bytes())?;
            let becomes = self.check(&raw, place, &[])?;
            let own = if self.bytes.is_mapped() { becomes } else { becomes.max(place.bytes()) };
            let sum = (held.bytes() as u64).saturating_add(own);
            held.resize(usize::try_from(sum).unwrap_or(usize::MAX)).map_err(|error| self.too_large(&error, place))?;
            let read = || decoder.read_dictionary(&place.block(), &raw);
            guarded(&self.bytes.input, || "a dictionary".to_owned(), read).map_err(|error| located(error, place))?;
        }
        Ok(Decoder { decoder, _held: held })
    }

    /// Asks for the memory of `what`.
    fn hold(&self, bytes: u64, what: &'static str, place: Place) -> Result<Reservation> {
        let mut held = self.budget.reservation(what);
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        held.resize(bytes).map_err(|error| self.too_large(&error, place))?;
        Ok(held)
    }

    fn too_large(&self, error: &Error, place: Place) -> Error {
        let error = self.bytes.input.error(ErrorKind::Limit, error.message());
        located(error, place)
            .hint("raise the memory limit (--memory), or write the file with fewer rows a record batch")
    }

    /// Checks what the decoder takes for granted of these fields of a record batch, or of a dictionary. How many bytes
    /// they become when they are decompressed.
    fn check(&self, raw: &Buffer, place: Place, fields: &[usize]) -> Result<u64> {
        let mut too_large = None;
        let check = || match check(raw, place, &self.index.schema, self.index.version, fields) {
            Ok(bytes) => Ok(bytes),
            Err(Fault::Broken(text)) => Err(ArrowError::ParseError(text)),
            Err(Fault::TooLarge(text)) => {
                too_large = Some(text);
                Ok(0)
            }
        };
        let checked = guarded(&self.bytes.input, || "a message".to_owned(), check);
        let checked = checked.and_then(|bytes| match too_large {
            None => Ok(bytes),
            Some(text) => Err(self
                .bytes
                .input
                .error(ErrorKind::Limit, text)
                .hint("was this file made to do harm? If not, write it anew with fewer rows a record batch")),
        });
        checked.map_err(|error| located(error, place))
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
    children(data_type).into_iter().for_each(|field| dictionary_ids(field, ids));
    if let DataType::Dictionary(_, values) = data_type {
        nested_ids(values, ids);
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
