//! Rows picked from many batches, as one.
//!
//! **Problem.** What sorts rows in memory lets go of some thousands at a time, and these come from all of the thousands of batches
//! that are held. `interleave` looks at every one of its arrays before it takes the first row, so the whole takes time that
//! grows with the square of the rows.
//! **Idea.** All batches are looked at once; a pick then costs what its rows cost.
//! **Invariant.** Texts are copied, so a pick holds nothing of the batches.

use super::{INLINE_BYTES, compact, natives};
use crate::error::Result;
use arrow::array::{
    Array, ArrayDataBuilder, ArrayRef, AsArray, ByteView, RecordBatch, RecordBatchOptions, StringViewArray, make_array,
    new_empty_array,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, ScalarBuffer};
use arrow::compute::interleave;
use arrow::datatypes::{ArrowNativeType, DataType, FieldRef, SchemaRef};
use std::sync::Arc;

/// A batch and a row of it.
pub(crate) type Place = (usize, usize);

/// A buffer of texts is full when it has so many bytes, as their offsets have 32 bits.
const BUFFER_BYTES: usize = 1 << 28;

/// Batches of one schema, of which rows are picked.
pub(crate) struct Gather<'a> {
    schema: SchemaRef,
    columns: Vec<Column<'a>>,
}

/// A column of all batches.
struct Column<'a> {
    of_type: &'a DataType,
    values: Values<'a>,
    /// Where a batch has any.
    nulls: Option<Vec<Option<&'a NullBuffer>>>,
}

/// By batch.
enum Values<'a> {
    Bytes4(Vec<&'a [u32]>),
    Bytes8(Vec<&'a [u64]>),
    Bytes16(Vec<&'a [u128]>),
    Texts(Vec<(&'a [u128], &'a [Buffer])>),
    Other(Vec<&'a dyn Array>),
}

impl<'a> Gather<'a> {
    /// Looks at batches of this schema.
    pub(crate) fn of(schema: &'a SchemaRef, batches: &[&'a RecordBatch]) -> Self {
        let column = |(at, field): (usize, &'a FieldRef)| {
            Column::of(field.data_type(), batches.iter().map(|batch| &**batch.column(at)).collect())
        };
        Gather { schema: Arc::clone(schema), columns: schema.fields().iter().enumerate().map(column).collect() }
    }

    /// The rows at these places.
    ///
    /// # Errors
    /// Those of Arrow, for more than it can hold in one array.
    pub(crate) fn pick(&self, places: impl ExactSizeIterator<Item = Place> + Clone) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(places.len()));
        let columns = self.columns.iter().map(|column| column.pick(places.clone())).collect::<Result<_>>()?;
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}

impl<'a> Column<'a> {
    fn of(of_type: &'a DataType, arrays: Vec<&'a dyn Array>) -> Self {
        let nulls: Vec<_> = arrays.iter().map(|array| array.nulls().filter(|nulls| nulls.null_count() > 0)).collect();
        let nulls = nulls.iter().any(Option::is_some).then_some(nulls);
        let values = match of_type.primitive_width() {
            Some(4) => Values::Bytes4(numbers(&arrays)),
            Some(8) => Values::Bytes8(numbers(&arrays)),
            Some(16) => Values::Bytes16(numbers(&arrays)),
            _ if *of_type == DataType::Utf8View => Values::Texts(arrays.iter().map(|array| texts(*array)).collect()),
            _ => Values::Other(arrays),
        };
        Column { of_type, values, nulls }
    }

    fn pick(&self, places: impl ExactSizeIterator<Item = Place> + Clone) -> Result<ArrayRef> {
        match &self.values {
            Values::Bytes4(batches) => self.fixed(batches, places),
            Values::Bytes8(batches) => self.fixed(batches, places),
            Values::Bytes16(batches) => self.fixed(batches, places),
            Values::Texts(batches) => Ok(self.texts(batches, places)),
            Values::Other(_) if places.len() == 0 => Ok(new_empty_array(self.of_type)),
            Values::Other(arrays) => of_other(arrays, places),
        }
    }

    fn picked_nulls(&self, mut places: impl ExactSizeIterator<Item = Place>) -> Option<NullBuffer> {
        let nulls = self.nulls.as_ref()?;
        let rows = places.len();
        let valid = |_| {
            let place = places.next();
            place.is_some_and(|(batch, row)| nulls[batch].is_none_or(|nulls| nulls.is_valid(row)))
        };
        let valid = NullBuffer::new(BooleanBuffer::collect_bool(rows, valid));
        (valid.null_count() > 0).then_some(valid)
    }

    fn fixed<T: ArrowNativeType>(
        &self,
        batches: &[&[T]],
        places: impl ExactSizeIterator<Item = Place> + Clone,
    ) -> Result<ArrayRef> {
        let nulls = self.picked_nulls(places.clone());
        let values: Vec<T> = places.map(|(batch, row)| batches[batch][row]).collect();
        let data = ArrayDataBuilder::new(self.of_type.clone()).len(values.len()).nulls(nulls);
        Ok(make_array(data.add_buffer(Buffer::from_vec(values)).build()?))
    }

    fn texts(
        &self,
        batches: &[(&[u128], &[Buffer])],
        places: impl ExactSizeIterator<Item = Place> + Clone,
    ) -> ArrayRef {
        let nulls = self.picked_nulls(places.clone());
        let (mut views, mut buffers, mut texts) = (Vec::with_capacity(places.len()), Vec::new(), Vec::new());
        for (at, (batch, row)) in places.enumerate() {
            let (of_batch, behind) = batches[batch];
            let view = of_batch[row];
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(at)) {
                views.push(0);
            } else if view as u32 as usize <= INLINE_BYTES {
                views.push(view);
            } else {
                let view = ByteView::from(view);
                let text = &behind[view.buffer_index as usize][view.offset as usize..][..view.length as usize];
                if !texts.is_empty() && texts.len() + text.len() > BUFFER_BYTES {
                    buffers.push(Buffer::from_vec(std::mem::take(&mut texts)));
                }
                let (buffer_index, offset) = (buffers.len() as u32, texts.len() as u32);
                views.push(ByteView { buffer_index, offset, ..view }.as_u128());
                texts.extend_from_slice(text);
            }
        }
        if !texts.is_empty() {
            // It counts as what it could hold.
            texts.shrink_to_fit();
            buffers.push(Buffer::from_vec(texts));
        }
        // SAFETY: a view is that of a text in an array, with its length and the beginning of the text; where it names a buffer and
        // an offset, all bytes of that text have been copied there. The view of a null is that of the empty text.
        Arc::new(unsafe { StringViewArray::new_unchecked(ScalarBuffer::from(views), buffers.into(), nulls) })
    }
}

/// The values of arrays of a fixed width, as numbers as wide.
fn numbers<'a, T: ArrowNativeType>(arrays: &[&'a dyn Array]) -> Vec<&'a [T]> {
    arrays.iter().map(|array| natives(*array).map_or(&[][..], Buffer::typed_data)).collect()
}

fn texts<'a>(array: &'a dyn Array) -> (&'a [u128], &'a [Buffer]) {
    let array: &'a StringViewArray = array.as_string_view();
    (array.views(), array.data_buffers())
}

/// Of a type that few columns have: from the arrays that have a row among those that are picked.
fn of_other(arrays: &[&dyn Array], places: impl ExactSizeIterator<Item = Place> + Clone) -> Result<ArrayRef> {
    let mut taken: Vec<usize> = places.clone().map(|(batch, _)| batch).collect();
    taken.sort_unstable();
    taken.dedup();
    let own: Vec<&dyn Array> = taken.iter().map(|batch| arrays[*batch]).collect();
    let places: Vec<Place> = places.map(|(batch, row)| (taken.partition_point(|taken| *taken < batch), row)).collect();
    Ok(compact(&interleave(&own, &places)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{
        BinaryViewArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, ListArray, NullArray,
        TimestampMicrosecondArray, UInt8Array,
    };
    use arrow::compute::interleave_record_batch;
    use arrow::datatypes::Int64Type;

    /// Rows of all kinds of columns, of which some are null if `nulls`.
    fn batch(rows: usize, seed: usize, nulls: bool) -> RecordBatch {
        let there = |row: usize| !nulls || !(row + seed).is_multiple_of(3);
        let number = |row: usize| there(row).then_some((row * 7 + seed) as i64);
        let text =
            |row: usize| number(row).map(|number| "long enough ".repeat(number as usize % 4) + &number.to_string());
        let rows = || 0..rows;
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("int", Arc::new(rows().map(number).collect::<Int64Array>())),
            (
                "real",
                Arc::new(rows().map(|row| number(row).map(|number| number as f64 / 3.0)).collect::<Float64Array>()),
            ),
            ("day", Arc::new(rows().map(|row| number(row).map(|number| number as i32)).collect::<Date32Array>())),
            ("time", Arc::new(rows().map(number).collect::<TimestampMicrosecondArray>())),
            ("wide", Arc::new(rows().map(|row| number(row).map(i128::from)).collect::<Decimal128Array>())),
            ("small", Arc::new(rows().map(|row| number(row).map(|number| number as u8)).collect::<UInt8Array>())),
            ("truth", Arc::new(rows().map(|row| number(row).map(|number| number % 2 == 0)).collect::<BooleanArray>())),
            ("text", Arc::new(rows().map(text).collect::<StringViewArray>())),
            ("bytes", Arc::new(rows().map(|row| text(row).map(String::into_bytes)).collect::<BinaryViewArray>())),
            ("nothing", Arc::new(NullArray::new(rows().len()))),
            (
                "list",
                Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(
                    rows().map(|row| number(row).map(|number| vec![Some(number); row % 3])),
                )),
            ),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))
            .unwrap()
    }

    #[test]
    fn picks_are_what_arrow_interleaves() {
        let batches = [batch(50, 1, true), batch(9, 2, false), batch(70, 3, true).slice(11, 40), batch(3, 4, false)];
        let batches: Vec<&RecordBatch> = batches.iter().collect();
        let schema = batches[0].schema();
        let gather = Gather::of(&schema, &batches);
        let all: Vec<Place> = (0..200).map(|at| (at * 3 % 4, at * 31)).collect();
        let all: Vec<Place> = all.into_iter().map(|(batch, row)| (batch, row % batches[batch].num_rows())).collect();
        for places in [&all[..], &all[..1], &[], &[(1, 0), (3, 2), (1, 0)]] {
            let picked = gather.pick(places.iter().copied()).unwrap();
            assert_eq!(picked, crate::memory::compact(&interleave_record_batch(&batches, places).unwrap()).unwrap());
        }
    }

    #[test]
    fn a_pick_holds_nothing_of_the_batches() {
        let one = batch(1000, 1, false);
        let schema = one.schema();
        let picked = Gather::of(&schema, &[&one]).pick([(0, 3), (0, 7)].into_iter()).unwrap();
        assert!(crate::memory::held_bytes(&picked) < 4000, "{}", crate::memory::held_bytes(&picked));
    }
}
