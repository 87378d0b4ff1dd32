//! Writing a table into a segment, a slice of rows after the other.

use super::layout::{BatchSize, ColumnPlace, ColumnSize, FileLayout};
use crate::error::{Error, ErrorKind, Result};
use crate::memory::{Budget, Segment, SegmentFile, Spill};
use arrow::array::{Array, ArrayRef, AsArray, BooleanBufferBuilder, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Field, Float64Type, Int64Type, Schema, SchemaRef, TimestampMicrosecondType,
};
use std::sync::Arc;

/// The ends of texts in a batch are 32-bit numbers.
const MOST_TEXT_BYTES: usize = i32::MAX as usize;
/// So much of a buffer waits to be written at once.
const WAITING_BYTES: usize = 16 << 10;
/// A segment of no more than this is put together first and written at once.
const SMALL_BYTES: u64 = 256 << 10;

/// Columns as they stand in a segment: texts one behind the other, which every program can read.
///
/// # Errors
/// `Unsupported` for types that columns of the engine do not have.
pub(crate) fn stored(schema: &Schema) -> Result<SchemaRef> {
    let field = |field: &Arc<Field>| {
        let of_type = match field.data_type() {
            DataType::Utf8View => DataType::Utf8,
            known @ (DataType::Null
            | DataType::Boolean
            | DataType::Int64
            | DataType::Float64
            | DataType::Date32
            | DataType::Timestamp(..)) => known.clone(),
            other => {
                let message = format!(
                    "the column `{}` is of Arrow type {other}, which tables that are shared do not have",
                    field.name()
                );
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
        };
        Ok(Field::new(field.name(), of_type, true))
    };
    Ok(Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Result<Vec<_>>>()?)))
}

/// Rows that are written one slice after the other; they are asked for twice.
pub(crate) trait Slices {
    /// Hands every slice on, in order.
    ///
    /// # Errors
    /// Those of reading rows back, and those of `take`.
    fn each(&mut self, take: &mut dyn FnMut(&RecordBatch) -> Result<()>) -> Result<()>;
}

impl Slices for Vec<RecordBatch> {
    fn each(&mut self, take: &mut dyn FnMut(&RecordBatch) -> Result<()>) -> Result<()> {
        self.iter().try_for_each(take)
    }
}

/// Where segments may be made.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) budget: Budget,
    pub(crate) spill: Spill,
    /// A larger segment goes to disk whatever there is.
    pub(crate) most_in_memory: u64,
}

/// Writes rows whose columns are those of `stored`.
///
/// # Errors
/// Those of the disk, and of reading rows back.
pub(crate) fn write(slices: &mut dyn Slices, stored: &Schema, place: &Place) -> Result<Segment> {
    write_cut(slices, stored, place, MOST_TEXT_BYTES)
}

/// [`write`], with a new batch wherever a column of texts would have more than `most_text_bytes`.
fn write_cut(slices: &mut dyn Slices, stored: &Schema, place: &Place, most_text_bytes: usize) -> Result<Segment> {
    let columns = stored.fields().len();
    let mut sizes = vec![empty(columns)];
    slices.each(&mut |slice| cut(slice, most_text_bytes, &mut |piece| measure(piece, most_text_bytes, &mut sizes)))?;
    sizes.retain(|size| size.rows > 0);
    let layout = FileLayout::new(stored, &sizes)?;
    let file = SegmentFile::create(layout.bytes, place.most_in_memory, &place.budget, &place.spill)?;
    let mut out = Output { file, whole: (layout.bytes <= SMALL_BYTES).then(|| vec![0; layout.bytes as usize]) };
    for (at, bytes) in &layout.frame {
        out.put(bytes, *at)?;
    }
    let mut batches = sizes.iter().zip(&layout.batches).map(|(size, places)| BatchWriter::new(size.rows, places));
    let mut current: Option<BatchWriter> = None;
    slices.each(&mut |slice| {
        cut(slice, most_text_bytes, &mut |piece| {
            if current.as_ref().is_none_or(|writer| writer.rows_left == 0) {
                finish(current.take(), &mut out)?;
                current = batches.next();
            }
            let writer = current.as_mut().ok_or_else(|| Error::internal("a table with more rows than it had"))?;
            writer.append(piece, &mut out)
        })
    })?;
    finish(current, &mut out)?;
    if let Some(whole) = &out.whole {
        out.file.write_at(whole, 0)?;
    }
    out.file.seal()
}

fn empty(columns: usize) -> BatchSize {
    BatchSize { rows: 0, columns: vec![ColumnSize::default(); columns] }
}

fn text_bytes(column: &ArrayRef) -> usize {
    column.as_string_view_opt().map_or(0, |texts| texts.lengths().map(|length| length as usize).sum())
}

/// Hands a slice on in pieces whose texts fit into a batch.
fn cut(slice: &RecordBatch, most: usize, take: &mut dyn FnMut(&RecordBatch) -> Result<()>) -> Result<()> {
    let rows = slice.num_rows();
    if rows > 1 && slice.columns().iter().any(|column| text_bytes(column) > most) {
        cut(&slice.slice(0, rows / 2), most, take)?;
        return cut(&slice.slice(rows / 2, rows - rows / 2), most, take);
    }
    if rows > 0 { take(slice) } else { Ok(()) }
}

/// Counts a piece into the last batch, or into a new one.
fn measure(piece: &RecordBatch, most: usize, sizes: &mut Vec<BatchSize>) -> Result<()> {
    let texts: Vec<usize> = piece.columns().iter().map(text_bytes).collect();
    let fits =
        |size: &BatchSize| size.columns.iter().zip(&texts).all(|(column, bytes)| column.text_bytes + bytes <= most);
    if !sizes.last().is_some_and(|size| size.rows == 0 || fits(size)) {
        sizes.push(empty(piece.num_columns()));
    }
    let Some(size) = sizes.last_mut() else { return Err(Error::internal("a table without a batch")) };
    size.rows += piece.num_rows();
    for ((column, array), bytes) in size.columns.iter_mut().zip(piece.columns()).zip(texts) {
        column.nulls += array.null_count();
        column.text_bytes += bytes;
    }
    Ok(())
}

/// Takes bytes for a segment.
struct Output {
    file: SegmentFile,
    whole: Option<Vec<u8>>,
}

impl Output {
    fn put(&mut self, bytes: &[u8], at: u64) -> Result<()> {
        let Some(whole) = &mut self.whole else { return self.file.write_at(bytes, at) };
        let start = usize::try_from(at).unwrap_or(usize::MAX);
        let room = whole.get_mut(start..start.saturating_add(bytes.len()));
        room.ok_or_else(|| Error::internal("a table with more bytes than it had"))?.copy_from_slice(bytes);
        Ok(())
    }
}

/// Bytes that follow each other from a place on.
struct Run {
    at: u64,
    waiting: Vec<u8>,
}

impl Run {
    fn new(at: u64) -> Self {
        Run { at, waiting: Vec::new() }
    }

    fn push(&mut self, bytes: &[u8], out: &mut Output) -> Result<()> {
        if self.waiting.is_empty() && bytes.len() >= WAITING_BYTES {
            out.put(bytes, self.at)?;
            self.at += bytes.len() as u64;
            return Ok(());
        }
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= WAITING_BYTES { self.flush(out) } else { Ok(()) }
    }

    fn flush(&mut self, out: &mut Output) -> Result<()> {
        out.put(&self.waiting, self.at)?;
        self.at += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }
}

/// Bits that follow each other from a place on.
struct Bits {
    run: Run,
    waiting: BooleanBufferBuilder,
}

impl Bits {
    fn new(at: u64) -> Self {
        Bits { run: Run::new(at), waiting: BooleanBufferBuilder::new(0) }
    }

    fn push(&mut self, bits: &arrow::buffer::BooleanBuffer, out: &mut Output) -> Result<()> {
        self.waiting.append_buffer(bits);
        if self.waiting.len() >= 8 * WAITING_BYTES { self.pass_on(out) } else { Ok(()) }
    }

    fn push_set(&mut self, count: usize, out: &mut Output) -> Result<()> {
        self.waiting.append_n(count, true);
        if self.waiting.len() >= 8 * WAITING_BYTES { self.pass_on(out) } else { Ok(()) }
    }

    /// Whole bytes go, the bits behind them stay.
    fn pass_on(&mut self, out: &mut Output) -> Result<()> {
        let bits = self.waiting.finish();
        let whole = bits.len() / 8;
        self.run.push(&bits.inner().as_slice()[..whole], out)?;
        self.waiting.append_buffer(&bits.slice(8 * whole, bits.len() - 8 * whole));
        Ok(())
    }

    fn flush(&mut self, out: &mut Output) -> Result<()> {
        let bits = self.waiting.finish();
        self.run.push(&bits.inner().as_slice()[..bits.len().div_ceil(8)], out)?;
        self.run.flush(out)
    }
}

enum Values {
    /// A column without values.
    None,
    Bits(Bits),
    Fixed(Run),
    Texts {
        ends: Run,
        texts: Run,
        length: i32,
    },
}

struct ColumnWriter {
    validity: Option<Bits>,
    values: Values,
}

impl ColumnWriter {
    fn append(&mut self, array: &ArrayRef, out: &mut Output) -> Result<()> {
        if let Some(validity) = &mut self.validity {
            match array.nulls() {
                Some(nulls) => validity.push(nulls.inner(), out)?,
                None => validity.push_set(array.len(), out)?,
            }
        }
        match &mut self.values {
            Values::None => Ok(()),
            Values::Bits(bits) => bits.push(array.as_boolean().values(), out),
            Values::Fixed(run) => run.push(fixed_bytes(array)?, out),
            Values::Texts { ends, texts, length } => {
                let views = array.as_string_view();
                let mut all = Vec::with_capacity(views.len() * size_of::<i32>());
                for row in 0..views.len() {
                    let text = if views.is_valid(row) { views.value(row) } else { "" };
                    texts.push(text.as_bytes(), out)?;
                    *length += text.len() as i32;
                    all.extend(length.to_le_bytes());
                }
                ends.push(&all, out)
            }
        }
    }

    fn finish(self, out: &mut Output) -> Result<()> {
        if let Some(mut validity) = self.validity {
            validity.flush(out)?;
        }
        match self.values {
            Values::None => Ok(()),
            Values::Bits(mut bits) => bits.flush(out),
            Values::Fixed(mut run) => run.flush(out),
            Values::Texts { mut ends, mut texts, .. } => ends.flush(out).and_then(|()| texts.flush(out)),
        }
    }
}

/// The values of a column of fixed width.
fn fixed_bytes(array: &ArrayRef) -> Result<&[u8]> {
    Ok(match array.data_type() {
        DataType::Int64 => array.as_primitive::<Int64Type>().values().inner().as_slice(),
        DataType::Float64 => array.as_primitive::<Float64Type>().values().inner().as_slice(),
        DataType::Date32 => array.as_primitive::<Date32Type>().values().inner().as_slice(),
        DataType::Timestamp(..) => array.as_primitive::<TimestampMicrosecondType>().values().inner().as_slice(),
        other => return Err(Error::internal(format!("a column of a shared table of type {other}"))),
    })
}

struct BatchWriter {
    columns: Vec<Option<ColumnWriter>>,
    places: Vec<ColumnPlace>,
    rows_left: usize,
}

impl BatchWriter {
    fn new(rows: usize, places: &[ColumnPlace]) -> Self {
        BatchWriter { columns: places.iter().map(|_| None).collect(), places: places.to_vec(), rows_left: rows }
    }

    fn append(&mut self, piece: &RecordBatch, out: &mut Output) -> Result<()> {
        for ((writer, place), array) in self.columns.iter_mut().zip(&self.places).zip(piece.columns()) {
            if writer.is_none() {
                *writer = Some(ColumnWriter::at(place, array.data_type(), out)?);
            }
            if let Some(writer) = writer {
                writer.append(array, out)?;
            }
        }
        self.rows_left = self.rows_left.saturating_sub(piece.num_rows());
        Ok(())
    }
}

impl ColumnWriter {
    fn at(place: &ColumnPlace, of_type: &DataType, out: &mut Output) -> Result<Self> {
        let values = match (of_type, place.values, place.texts) {
            (DataType::Boolean, Some(at), _) => Values::Bits(Bits::new(at)),
            (DataType::Utf8View, Some(at), Some(texts)) => {
                let mut ends = Run::new(at);
                ends.push(&0_i32.to_le_bytes(), out)?;
                Values::Texts { ends, texts: Run::new(texts), length: 0 }
            }
            (_, Some(at), _) => Values::Fixed(Run::new(at)),
            (_, None, _) => Values::None,
        };
        Ok(ColumnWriter { validity: place.validity.map(Bits::new), values })
    }
}

fn finish(writer: Option<BatchWriter>, out: &mut Output) -> Result<()> {
    writer.into_iter().flat_map(|writer| writer.columns).flatten().try_for_each(|column| column.finish(out))
}

#[cfg(test)]
mod tests {
    use super::super::read::batches;
    use super::*;
    use arrow::array::{
        BooleanArray, Date32Array, Float64Array, Int64Array, NullArray, StringViewArray, TimestampMicrosecondArray,
    };
    use arrow::compute::{cast, concat_batches};
    use proptest::prelude::*;

    fn place(most_in_memory: u64) -> Place {
        Place { budget: Budget::unlimited(), spill: Spill::default(), most_in_memory }
    }

    /// Rows of all types; which are null depends on the column.
    fn rows(count: usize, start: i64) -> RecordBatch {
        let value = |row: i64, every: i64| (row % every != 0).then_some(row);
        let range = || start..start + count as i64;
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("nothing", Arc::new(NullArray::new(count))),
            ("truth", Arc::new(range().map(|row| value(row, 5).map(|row| row % 3 == 0)).collect::<BooleanArray>())),
            ("whole", Arc::new(range().map(|row| value(row, 3)).collect::<Int64Array>())),
            ("real", Arc::new(range().map(|row| Some(row as f64 / 7.0)).collect::<Float64Array>())),
            ("day", Arc::new(range().map(|row| value(row, 2).map(|row| row as i32)).collect::<Date32Array>())),
            ("instant", Arc::new(range().map(|row| value(row, 4)).collect::<TimestampMicrosecondArray>())),
            (
                "text",
                Arc::new(
                    range()
                        .map(|row| value(row, 6).map(|row| "ä".repeat(row as usize % 20)))
                        .collect::<StringViewArray>(),
                ),
            ),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
    }

    /// The rows as a segment has them.
    fn expected(slices: &[RecordBatch], schema: &SchemaRef) -> RecordBatch {
        let whole = concat_batches(&slices[0].schema(), slices).unwrap();
        let columns = whole.columns().iter().zip(schema.fields());
        let columns = columns.map(|(column, field)| cast(column, field.data_type()).unwrap()).collect();
        RecordBatch::try_new(Arc::clone(schema), columns).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn what_is_written_in_slices_is_read_as_a_whole(
            cuts in prop::collection::vec((0usize..70, 0usize..9), 1..8), large in any::<bool>(), on_disk in any::<bool>(),
        ) {
            let scale = if large { 500 } else { 1 };
            let mut start = 0;
            let slices: Vec<RecordBatch> = cuts.iter().map(|(count, offset)| {
                start += *count as i64;
                rows(count * scale + offset, start).slice(*offset, count * scale)
            }).collect();
            let schema = stored(&slices[0].schema()).unwrap();
            let segment = write(&mut slices.clone(), &schema, &place(if on_disk { 0 } else { u64::MAX })).unwrap();
            let read = batches(&segment.map().unwrap()).unwrap().1;
            let expected = expected(&slices, &schema);
            if expected.num_rows() == 0 {
                prop_assert!(read.is_empty());
            } else {
                prop_assert_eq!(read, vec![expected]);
            }
        }
    }

    #[test]
    fn texts_beyond_what_a_batch_holds_begin_a_new_one() {
        let whole = rows(1000, 1);
        let schema = stored(&whole.schema()).unwrap();
        let segment = write_cut(&mut vec![whole.clone()], &schema, &place(u64::MAX), 700).unwrap();
        let read = batches(&segment.map().unwrap()).unwrap().1;
        assert!(
            read.len() > 10 && read.iter().all(|batch| batch.column(6).as_string::<i32>().value_data().len() <= 700)
        );
        assert_eq!(concat_batches(&schema, &read).unwrap(), expected(&[whole], &schema));
    }

    #[test]
    fn buffers_lie_in_the_mapping_at_multiples_of_64_bytes() {
        let segment =
            write(&mut vec![rows(20_000, 1)], &stored(&rows(1, 1).schema()).unwrap(), &place(u64::MAX)).unwrap();
        let mapped = segment.map().unwrap();
        let within = mapped.as_ptr_range();
        let read = batches(&mapped).unwrap().1;
        let mut buffers = 0;
        for column in read[0].columns() {
            let data = column.to_data();
            for buffer in data.buffers().iter().chain(data.nulls().map(|nulls| nulls.buffer())) {
                assert!(
                    within.contains(&buffer.as_ptr()) && buffer.as_ptr().addr().is_multiple_of(64),
                    "{}",
                    data.data_type()
                );
                buffers += 1;
            }
        }
        assert_eq!(buffers, 12);
    }
}
