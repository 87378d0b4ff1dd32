//! A batch as bytes that take little room on disk and little time: what is spilled.
//!
//! **Problem.** Rows that are set aside are read back soon, once. A general compressor spends more time on them than all else
//! that is done with them, and without one they are several times as large as the files that they came from.
//! **Idea.** What is in columns is mostly small numbers: they are written as their distances from the smallest one, in as few
//! bytes as the largest distance takes; doubles that were short decimals in a file, as these decimals are as integers
//! (numbers.rs); texts as their lengths and their bytes, and of these alone a compressor is asked (texts.rs). Types that few columns
//! have go as Arrow IPC.
//! **Invariants.** What is read back is what was written, bit for bit, but for what stands where there is null. Bytes that are
//! cut short or changed are an error, never a panic or undefined behaviour; that they are the ones that were written is for a
//! checksum to say.
//!
//! Sources: "frame of reference" of Goldstein et al., *Compressing Relations and Indexes*, 1998; decimals after Afroozeh et al.,
//! *ALP: Adaptive Lossless floating-Point Compression*, 2023.

mod bytes;
mod numbers;
mod texts;

use crate::batch::natives;
use crate::error::{Error, Result};
use arrow::array::{
    Array, ArrayDataBuilder, ArrayRef, AsArray, BooleanArray, GenericByteViewArray, RecordBatch, RecordBatchOptions,
    make_array,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow::datatypes::{ByteViewType, DataType, Float64Type, SchemaRef};
use arrow::ipc::CompressionType;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use bytes::{Input, put_number};
use std::sync::Arc;

/// How hard columns of other types are compressed.
const LEVEL: i32 = 1;

/// Appends a batch to `out`; the bytes of its texts that stand outside of their views when it is read back.
///
/// # Errors
/// Those of Arrow, for types that go as IPC.
pub(super) fn encode(batch: &RecordBatch, out: &mut Vec<u8>) -> Result<usize> {
    let mut outside = 0;
    for column in batch.columns() {
        let nulls = column.nulls().filter(|nulls| nulls.null_count() > 0);
        out.push(u8::from(nulls.is_some()));
        if let Some(nulls) = nulls {
            out.extend_from_slice(&nulls.inner().sliced());
        }
        outside += encode_column(column, nulls, out)?;
    }
    Ok(outside)
}

fn encode_column(column: &ArrayRef, nulls: Option<&NullBuffer>, out: &mut Vec<u8>) -> Result<usize> {
    match (column.data_type(), column.data_type().primitive_width()) {
        (DataType::Float64, _) => numbers::put_doubles(column.as_primitive::<Float64Type>().values(), out),
        (_, Some(4)) => {
            numbers::put(
                natives(column).map_or(&[][..], Buffer::typed_data::<i32>).iter().map(|value| i64::from(*value)),
                out,
            );
        }
        (_, Some(8)) => numbers::put(natives(column).map_or(&[][..], Buffer::typed_data::<i64>).iter().copied(), out),
        (DataType::Utf8View, _) => return put_texts(column.as_string_view(), column, nulls, out),
        (DataType::BinaryView, _) => return put_texts(column.as_binary_view(), column, nulls, out),
        (DataType::Boolean, _) => out.extend_from_slice(&column.as_boolean().values().sliced()),
        _ => put_other(column, out)?,
    }
    Ok(0)
}

/// Texts behind a byte that says whether they go as IPC.
fn put_texts<T: ByteViewType + ?Sized>(
    texts: &GenericByteViewArray<T>,
    column: &ArrayRef,
    nulls: Option<&NullBuffer>,
    out: &mut Vec<u8>,
) -> Result<usize> {
    let tag = out.len();
    out.push(0);
    if let Some(outside) = texts::put(texts, nulls, out) {
        return Ok(outside);
    }
    out[tag] = 1;
    put_other(column, out)?;
    Ok(column.get_buffer_memory_size())
}

/// The batch that was appended to nothing, of a known schema and number of rows.
///
/// # Errors
/// `Io` when the bytes are not those of such a batch.
pub(super) fn decode(bytes: &[u8], schema: &SchemaRef, rows: usize) -> Result<RecordBatch> {
    let mut input = Input::of(bytes);
    let mut columns = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let nulls = match input.take(1)?[0] {
            0 => None,
            _ => Some(NullBuffer::new(bits(&mut input, rows)?)),
        };
        columns.push(decode_column(field.data_type(), rows, nulls, &mut input)?);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

fn decode_column(
    of_type: &DataType,
    rows: usize,
    nulls: Option<NullBuffer>,
    input: &mut Input<'_>,
) -> Result<ArrayRef> {
    let values = match (of_type, of_type.primitive_width()) {
        (DataType::Float64, _) => Buffer::from_vec(numbers::doubles(rows, input)?),
        (_, Some(4)) => {
            // What was written fitted; what was not written is cut.
            Buffer::from_vec(numbers::numbers(rows, input)?.map(|value| value as i32).collect::<Vec<i32>>())
        }
        (_, Some(8)) => Buffer::from_vec(numbers::numbers(rows, input)?.collect::<Vec<i64>>()),
        (DataType::Utf8View | DataType::BinaryView, _) if input.take(1)?[0] != 0 => return other(of_type, rows, input),
        (DataType::Utf8View, _) => return Ok(Arc::new(texts::texts(rows, nulls, input)?)),
        (DataType::BinaryView, _) => return Ok(Arc::new(texts::byte_texts(rows, nulls, input)?)),
        (DataType::Boolean, _) => return Ok(Arc::new(BooleanArray::new(bits(input, rows)?, nulls))),
        _ => return other(of_type, rows, input),
    };
    Ok(make_array(ArrayDataBuilder::new(of_type.clone()).len(rows).nulls(nulls).add_buffer(values).build()?))
}

fn bits(input: &mut Input<'_>, rows: usize) -> Result<BooleanBuffer> {
    Ok(BooleanBuffer::new(Buffer::from(input.take(rows.div_ceil(8))?), 0, rows))
}

/// A column as an Arrow IPC stream, behind the number of its bytes.
fn put_other(column: &ArrayRef, out: &mut Vec<u8>) -> Result<()> {
    let batch = RecordBatch::try_from_iter_with_nullable([("", Arc::clone(column), true)])?;
    let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD))?;
    let options = options.try_with_compression_level(Some(LEVEL))?;
    let mut stream = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options)?;
    stream.write(&batch)?;
    let stream = stream.into_inner()?;
    put_number(stream.len() as u64, out);
    out.extend_from_slice(&stream);
    Ok(())
}

fn other(of_type: &DataType, rows: usize, input: &mut Input<'_>) -> Result<ArrayRef> {
    let length = input.length()?;
    let mut reader = StreamReader::try_new(input.take(length)?, None)?;
    let batch = reader.next().ok_or_else(bytes::cut_short)??;
    let column = batch.columns().first().filter(|column| column.data_type() == of_type && column.len() == rows);
    column.cloned().ok_or_else(|| Error::internal("what was spilled has another type"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{
        BinaryViewArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int64Array, ListArray, NullArray,
        StringViewArray, TimestampMicrosecondArray, UInt8Array, UInt64Array,
    };
    use arrow::datatypes::{Int32Type, Int64Type};
    use proptest::prelude::*;

    fn back(batch: &RecordBatch) -> (RecordBatch, usize) {
        let mut bytes = Vec::new();
        encode(batch, &mut bytes).unwrap();
        (decode(&bytes, &batch.schema(), batch.num_rows()).unwrap(), bytes.len())
    }

    fn of(columns: Vec<ArrayRef>) -> RecordBatch {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
        RecordBatch::try_from_iter_with_nullable(
            names.into_iter().zip(columns).map(|(name, column)| (name, column, true)),
        )
        .unwrap()
    }

    proptest! {
        #[test]
        fn what_comes_back_is_what_went(
            rows in prop::collection::vec((
                prop::option::weighted(0.8, prop_oneof![any::<i64>(), -9i64..300]),
                prop::option::weighted(0.8, prop_oneof![any::<f64>(), (-99_999i32..99_999).prop_map(|cents| f64::from(cents) / 100.0)]),
                prop::option::weighted(0.8, "[a-zäß語]{0,20}"),
            ), 0..70),
            start in 0usize..10,
        ) {
            let ints = || rows.iter().map(|row| row.0);
            let texts = || rows.iter().map(|row| row.2.clone());
            let list = |row: &(Option<i64>, Option<f64>, Option<String>)| row.0.map(|number| vec![Some(number), row.0.map(|_| 1)]);
            let batch = of(vec![
                Arc::new(ints().collect::<Int64Array>()),
                Arc::new(rows.iter().map(|row| row.1).collect::<Float64Array>()),
                Arc::new(texts().collect::<StringViewArray>()),
                Arc::new(texts().map(|text| text.map(String::into_bytes)).collect::<BinaryViewArray>()),
                Arc::new(ints().map(|number| number.map(|number| number as i32)).collect::<Date32Array>()),
                Arc::new(ints().collect::<TimestampMicrosecondArray>()),
                Arc::new(ints().map(|number| number.map(|number| number as u64)).collect::<UInt64Array>()),
                Arc::new(ints().map(|number| number.map(|number| number as u8)).collect::<UInt8Array>()),
                Arc::new(ints().map(|number| number.map(|number| number % 2 == 0)).collect::<BooleanArray>()),
                Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(rows.iter().map(list))),
                Arc::new(texts().map(|text| text.map(|_| "same")).collect::<DictionaryArray<Int32Type>>()),
                Arc::new(ints().map(|number| number.map(i128::from)).collect::<Decimal128Array>()),
            ]);
            let start = start.min(batch.num_rows());
            let batch = batch.slice(start, batch.num_rows() - start);
            let found = back(&batch).0;
            prop_assert_eq!(&found, &batch);
            let bits = |batch: &RecordBatch| -> Vec<Option<u64>> {
                batch.column(1).as_primitive::<Float64Type>().iter().map(|value| value.map(f64::to_bits)).collect()
            };
            prop_assert_eq!(bits(&found), bits(&batch));
        }

        #[test]
        fn bytes_that_are_cut_or_changed_do_no_harm(cut in 0usize..4000, at in 0usize..4000, to in any::<u8>()) {
            let texts = (0..60).map(|row| (row % 7 > 0).then(|| "ä long text ".repeat(row % 3) + "é"));
            let batch = of(vec![
                Arc::new((0..60).map(|row| Some(row * 1000)).collect::<Int64Array>()),
                Arc::new((0..60).map(|row| Some(f64::from(row) / 8.0)).collect::<Float64Array>()),
                Arc::new(texts.collect::<StringViewArray>()),
                Arc::new(NullArray::new(60)),
            ]);
            let mut bytes = Vec::new();
            encode(&batch, &mut bytes).unwrap();
            prop_assert!(decode(&bytes[..cut % bytes.len()], &batch.schema(), 60).is_err());
            let at = at % bytes.len();
            bytes[at] = to;
            if let Ok(other) = decode(&bytes, &batch.schema(), 60) {
                let texts = other.column(2).as_string_view();
                prop_assert!(texts.iter().flatten().all(|text| std::str::from_utf8(text.as_bytes()).is_ok()));
            }
        }
    }

    #[test]
    fn what_is_like_files_takes_few_bytes() {
        let rows = 10_000;
        let bytes_of = |column: ArrayRef| back(&of(vec![column])).1 / rows;
        let numbers = || (0..rows).map(|row| (row * 7919 % 250) as i64 - 100);
        assert_eq!(bytes_of(Arc::new(numbers().map(Some).collect::<Int64Array>())), 1);
        assert_eq!(bytes_of(Arc::new(Int64Array::from(vec![i64::MIN; rows]))), 0);
        assert_eq!(
            bytes_of(Arc::new(Int64Array::from_iter_values((0..rows).map(|row| if row % 2 == 0 {
                i64::MIN
            } else {
                i64::MAX
            })))),
            8
        );
        let cents = || (0..rows).map(|row| (row * 7919 % 65_000) as f64 / 100.0);
        assert_eq!(bytes_of(Arc::new(Float64Array::from_iter_values(cents()))), 2);
        let some = cents().enumerate().map(|(row, value)| if row % 50 == 0 { -0.0 } else { value });
        assert_eq!(bytes_of(Arc::new(Float64Array::from_iter_values(some))), 2);
        assert_eq!(bytes_of(Arc::new(Float64Array::from_iter_values(cents().map(f64::sqrt)))), 8);
        let names = (0..rows).map(|row| Some(format!("id{:03}", row * 7919 % 1000)));
        assert!(bytes_of(Arc::new(names.collect::<StringViewArray>())) <= 5);
    }
}
