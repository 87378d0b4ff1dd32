//! Text columns as codes into a dictionary: the form in which columnar files hold short texts.
//!
//! **Problem.** A column of few distinct texts is read, compared and grouped much faster by code than by text, but codes
//! mean something only together with their dictionary, which differs from row group to row group.
//! **Idea.** Between a source and the sinks a text column may stand as `Dictionary(Int32, Utf8View)` in place of
//! `Utf8View`, in batches whose schema says so. Only expressions and group keys know that form; whatever else takes
//! columns is given plain ones, by [`plain_from`].
//! **Invariants.** Every code of a row that is not null names an entry. A null is a null code; entries that no row names
//! may be anything, and two entries may be the same text. Columns of one dictionary share it, so that whoever has
//! looked at it once need not look again.

use crate::error::{Error, Result};
use arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, DictionaryArray, Int32Array, RecordBatch, RecordBatchOptions, StringViewArray,
};
use arrow::buffer::NullBuffer;
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Int32Type, Schema, SchemaRef};
use std::sync::Arc;

/// A column of codes.
pub(crate) struct Coded<'a> {
    /// One a row; anything where null.
    pub(crate) codes: &'a Int32Array,
    /// The text of each code.
    pub(crate) texts: &'a StringViewArray,
    entries: &'a ArrayRef,
}

impl<'a> Coded<'a> {
    /// The column as codes, if it is one of codes.
    pub(crate) fn of(array: &'a dyn Array) -> Option<Self> {
        let coded = array.as_dictionary_opt::<Int32Type>()?;
        let entries = coded.values();
        Some(Coded { codes: coded.keys(), texts: entries.as_string_view_opt()?, entries })
    }

    /// The nulls among the rows, if there are any.
    pub(crate) fn nulls(&self) -> Option<&'a NullBuffer> {
        self.codes.nulls().filter(|nulls| nulls.null_count() > 0)
    }

    /// Whether this is the dictionary of the column. It compares addresses, so `dictionary` must be kept alive meanwhile.
    pub(crate) fn is_of(&self, dictionary: &ArrayRef) -> bool {
        let known = dictionary.as_string_view_opt().map(StringViewArray::views);
        known.is_some_and(|known| known.ptr_eq(self.texts.views()) && known.len() == self.texts.len())
    }

    /// The dictionary, to be kept.
    pub(crate) fn dictionary(&self) -> ArrayRef {
        Arc::clone(self.entries)
    }
}

fn is_coded(array: &ArrayRef) -> bool {
    matches!(array.data_type(), DataType::Dictionary(..))
}

/// The column as the type that its schema promises: texts in place of codes.
pub(crate) fn plain(array: &ArrayRef) -> Result<ArrayRef> {
    let Some(coded) = Coded::of(array.as_ref()) else { return Ok(Arc::clone(array)) };
    let texts = take(coded.texts, coded.codes, None)?;
    let texts = texts.as_string_view();
    // A few rows should not hold on to a dictionary of many.
    let is_sparse = coded.texts.len() / 4 > texts.len() && !texts.data_buffers().is_empty();
    Ok(Arc::new(if is_sparse { texts.gc() } else { texts.clone() }))
}

/// The records with columns from `first` on in plain form.
pub(crate) fn plain_from(first: usize, records: RecordBatch) -> Result<RecordBatch> {
    if !records.columns().iter().skip(first).any(is_coded) {
        return Ok(records);
    }
    let form = |(at, array): (usize, &ArrayRef)| if at < first { Ok(Arc::clone(array)) } else { plain(array) };
    let arrays = records.columns().iter().enumerate().map(form).collect::<Result<Vec<_>>>()?;
    let field = |(at, field): (usize, &Arc<arrow::datatypes::Field>)| match at < first {
        true => Arc::clone(field),
        false => Arc::new(field.as_ref().clone().with_data_type(arrays[at].data_type().clone())),
    };
    let fields: Vec<_> = records.schema_ref().fields().iter().enumerate().map(field).collect();
    let schema = Schema::new_with_metadata(fields, records.schema_ref().metadata().clone());
    let options = RecordBatchOptions::new().with_row_count(Some(records.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::new(schema), arrays, &options)?)
}

/// Records of `rows` rows and these columns, each of the type that `schema` says or, in place of text, of codes.
pub(crate) fn records(schema: &SchemaRef, arrays: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    if !arrays.iter().any(is_coded) {
        return Ok(RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)?);
    }
    let field = |(field, array): (&Arc<arrow::datatypes::Field>, &ArrayRef)| match Coded::of(array.as_ref()) {
        Some(_) if *field.data_type() == DataType::Utf8View => {
            Arc::new(field.as_ref().clone().with_data_type(array.data_type().clone()))
        }
        _ => Arc::clone(field),
    };
    let fields: Vec<_> = schema.fields().iter().zip(&arrays).map(field).collect();
    let schema = Schema::new_with_metadata(fields, schema.metadata().clone());
    Ok(RecordBatch::try_new_with_options(Arc::new(schema), arrays, &options)?)
}

/// Brings dictionary columns as decoders deliver them into the form of the engine, each dictionary once.
#[derive(Debug, Default)]
pub(crate) struct Coder {
    /// The entries seen last, and what became of them.
    last: Option<(ArrayData, ArrayRef)>,
}

impl Coder {
    /// The column as codes; `None` for what is not a dictionary column of text.
    ///
    /// # Errors
    /// A code names no entry.
    pub(crate) fn codes(&mut self, array: &dyn Array) -> Result<Option<ArrayRef>> {
        let Some(dictionary) = array.as_any_dictionary_opt() else { return Ok(None) };
        let entries = dictionary.values();
        let is_text = matches!(entries.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        if !is_text || i32::try_from(entries.len()).is_err() {
            return Ok(None);
        }
        let data = entries.to_data();
        let texts = match &self.last {
            Some((known, texts)) if known.ptr_eq(&data) => Arc::clone(texts),
            _ => {
                let texts = cast(entries, &DataType::Utf8View)?;
                // Addresses tell one dictionary from another as long as both are kept.
                self.last = Some((data, Arc::clone(&texts)));
                texts
            }
        };
        if texts.is_empty() && array.logical_null_count() < array.len() {
            return Err(Error::internal("codes into an empty dictionary"));
        }
        if let (DataType::Int32, 0) = (dictionary.keys().data_type(), entries.null_count()) {
            return Ok(Some(dictionary.with_values(texts)));
        }
        let codes = cast(dictionary.keys(), &DataType::Int32)?;
        let codes = codes.as_primitive_opt::<Int32Type>().ok_or_else(|| Error::internal("codes are no integers"))?;
        // Entries that are null make null rows.
        let codes = Int32Array::new(codes.values().clone(), array.logical_nulls());
        Ok(Some(Arc::new(DictionaryArray::<Int32Type>::try_new(codes, texts)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{StringArray, UInt8Array};
    use arrow::datatypes::{Field, UInt8Type};

    fn shown(array: &ArrayRef) -> Vec<Option<String>> {
        array.as_string_view().iter().map(|text| text.map(str::to_owned)).collect()
    }

    #[test]
    fn nulls_of_rows_and_of_entries_are_null_codes_and_equal_dictionaries_are_kept() {
        let entries: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some(""), Some("a")]));
        let keys = UInt8Array::from(vec![Some(3), Some(1), None, Some(2), Some(0)]);
        let array = DictionaryArray::<UInt8Type>::new(keys, Arc::clone(&entries));
        let mut coder = Coder::default();
        let coded = coder.codes(&array).unwrap().unwrap();
        let expected = [Some("a"), None, None, Some(""), Some("a")].map(|text| text.map(str::to_owned));
        assert_eq!(shown(&plain(&coded).unwrap()), expected);
        assert_eq!(Coded::of(coded.as_ref()).unwrap().nulls().unwrap().null_count(), 2);
        let again = coder.codes(&array.slice(1, 3)).unwrap().unwrap();
        let dictionary = Coded::of(coded.as_ref()).unwrap().dictionary();
        assert!(Coded::of(again.as_ref()).unwrap().is_of(&dictionary), "the dictionary is converted once");
        let other: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
        let other = DictionaryArray::<UInt8Type>::new(UInt8Array::from(vec![0]), other);
        let other = coder.codes(&other).unwrap().unwrap();
        assert!(!Coded::of(other.as_ref()).unwrap().is_of(&dictionary));
    }

    #[test]
    fn codes_stand_in_place_of_text_and_of_nothing_else() {
        let schema = |data_type| Arc::new(Schema::new(vec![Field::new("t", data_type, true)]));
        let entries: ArrayRef = Arc::new(StringViewArray::from(vec!["x", "longer than twelve bytes"]));
        let array: ArrayRef =
            Arc::new(DictionaryArray::<Int32Type>::new(Int32Array::from(vec![Some(1), None]), entries));
        let coded = records(&schema(DataType::Utf8View), vec![Arc::clone(&array)], 2).unwrap();
        assert!(is_coded(coded.column(0)));
        assert!(is_coded(plain_from(1, coded.clone()).unwrap().column(0)));
        let plain = plain_from(0, coded).unwrap();
        assert_eq!(plain.schema(), schema(DataType::Utf8View));
        assert_eq!(shown(plain.column(0)), [Some("longer than twelve bytes".to_owned()), None]);
        assert!(records(&schema(DataType::Int64), vec![array], 2).is_err());
    }

    #[test]
    fn few_rows_do_not_hold_on_to_a_large_dictionary() {
        let entries: ArrayRef =
            Arc::new(StringViewArray::from_iter_values((0..1000).map(|at| format!("entry number {at:>20}"))));
        let array: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::new(Int32Array::from(vec![7]), entries));
        let text = plain(&array).unwrap();
        assert!(text.as_string_view().data_buffers()[0].len() < 100);
    }
}
