//! Aggregates over frames that need all values of the frame at once.
//!
//! **Problem.** A fold sees all values of a group, sorted, and a frame is a group that differs from the one before by few rows.
//! **Idea.** The values of the frame are kept [counted](super::counted), or, where their order counts, one behind the other; rows come
//! in at its end and go at its beginning. What a fold is shown of sorted values is what it looks at: where a quantile lies, and not what
//! lies below, so that a row costs little more than finding its place. Other folds see every different value of every frame.
//! **Invariant.** A fold's result depends on the values alone, so it is that of the group that these rows would be.

use super::Evaluation;
use super::aggregate::{Memory, of_each_row};
use super::counted::{Counted, Key, Short};
use super::frame::Frames;
use super::piece::Place;
use super::rows::{Cursor, SortedRows};
use crate::aggregate::holistic::{Chunk, Fold, Looks, Stretch};
use crate::aggregate::{Aggregate, Over};
use crate::error::{Error, Result};
use crate::groupby::normalise_floats;
use crate::plan::WindowColumn;
use crate::source::CancelToken;
use arrow::array::{Array, ArrayRef, Int64Array, new_empty_array};
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, RowParser, SortField};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// So many values are shown to a fold together, or a few more.
const SHOWN_AT_ONCE: usize = 1 << 14;
/// What values may take more than when their memory was asked for last; and texts, until they are shown.
const UNSETTLED_BYTES: usize = 256 << 10;

/// A column of such an aggregate.
pub(super) trait OfFrames {
    /// The results for the rows from `first` on.
    ///
    /// # Errors
    /// Those of the aggregate, of reading what was spilled, `Cancelled`, and `Limit` where the values of a frame have no room.
    fn column(&mut self, first: usize, places: &[Place]) -> Result<ArrayRef>;
}

/// An aggregate of frames, one after the other.
///
/// # Errors
/// Those of the aggregate.
pub(super) fn of_frames<'a>(
    aggregate: &'a Arc<dyn Aggregate>,
    call: &'a WindowColumn,
    evaluation: &'a Evaluation<'_>,
    rows: &'a SortedRows<'a>,
) -> Result<Box<dyn OfFrames + 'a>> {
    let [column] = call.arguments[..] else {
        return Err(Error::internal(format!("`{}` is folded over one argument", aggregate.name())));
    };
    let data_type = &evaluation.types[column];
    Ok(match data_type.is_primitive() || *data_type == DataType::Boolean {
        true => Box::new(Folded::<Short>::new(aggregate, call, column, evaluation, rows)?),
        false => Box::new(Folded::<Box<[u8]>>::new(aggregate, call, column, evaluation, rows)?),
    })
}

/// The values of a frame.
enum Held<K> {
    Sorted(Counted<K>),
    InOrder(VecDeque<K>),
}

struct Folded<'a, K> {
    frames: Frames<'a>,
    aggregate: &'a Arc<dyn Aggregate>,
    fold: Box<dyn Fold>,
    /// The rows whose values are held.
    rows: Range<usize>,
    held: Held<K>,
    /// Of the keys on the heap that are held in order.
    heap_bytes: usize,
    coming: Encoded<'a, K>,
    going: Encoded<'a, K>,
    shown: Shown<K>,
    /// Where the number of different values is the result.
    numbers: Vec<i64>,
    decoding: Decoding,
    memory: Memory,
    /// What was held when it was asked for last.
    settled_at: usize,
    cancel: &'a CancelToken,
}

/// What a fold is to be shown next.
struct Shown<K> {
    keys: Vec<K>,
    /// Behind the keys.
    heap_bytes: usize,
    counts: Vec<i64>,
    stretches: Vec<Stretch>,
}

struct Decoding {
    converter: RowConverter,
    parser: RowParser,
    data_type: DataType,
}

/// The values of sorted rows, as keys.
struct Encoded<'a, K> {
    cursor: Cursor<'a>,
    column: usize,
    converter: RowConverter,
    /// Values that count as equal are made the same.
    normalises: bool,
    rows: Range<usize>,
    keys: Vec<Option<K>>,
    /// Behind the keys.
    heap_bytes: usize,
}

fn converter(data_type: &DataType) -> Result<RowConverter> {
    Ok(RowConverter::new(vec![SortField::new(data_type.clone())])?)
}

impl<K: Key> Encoded<'_, K> {
    fn bytes_held(&self) -> usize {
        self.keys.capacity() * size_of::<Option<K>>() + self.heap_bytes
    }

    /// The key of a row; `None` for null.
    fn at(&mut self, row: usize) -> Result<Option<K>> {
        if !self.rows.contains(&row) {
            let (batch, at) = self.cursor.at(row)?;
            let column = match self.normalises {
                true => normalise_floats(batch.column(self.column)),
                false => Arc::clone(batch.column(self.column)),
            };
            let rows = self.converter.convert_columns(std::slice::from_ref(&column))?;
            // A column without any value has no mask.
            let nulls = column.logical_nulls();
            let is_valid = |at: usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(at));
            let key = |at: usize| is_valid(at).then(|| K::of(rows.row(at).data()));
            self.keys = (0..column.len()).map(key).collect();
            self.rows = row - at..row - at + column.len();
            self.heap_bytes = self.keys.iter().flatten().map(Key::heap_bytes).sum();
        }
        Ok(self.keys[row - self.rows.start].clone())
    }
}

impl<'a, K: Key> Folded<'a, K> {
    fn new(
        aggregate: &'a Arc<dyn Aggregate>,
        call: &'a WindowColumn,
        column: usize,
        evaluation: &'a Evaluation<'_>,
        rows: &'a SortedRows<'a>,
    ) -> Result<Self> {
        let data_type = &evaluation.types[column];
        let in_order = aggregate.over() == Over::InputOrder;
        let encoded = || -> Result<Encoded<'a, K>> {
            let (cursor, converter) = (Cursor::new(rows), converter(data_type)?);
            let (rows, keys, heap_bytes) = (0..0, Vec::new(), 0);
            Ok(Encoded { cursor, column, converter, normalises: !in_order, rows, keys, heap_bytes })
        };
        let converter = converter(data_type)?;
        Ok(Folded {
            frames: Frames::new(call.frame, evaluation, rows),
            aggregate,
            fold: aggregate.fold(std::slice::from_ref(data_type))?,
            rows: 0..0,
            held: if in_order { Held::InOrder(VecDeque::new()) } else { Held::Sorted(Counted::default()) },
            heap_bytes: 0,
            coming: encoded()?,
            going: encoded()?,
            shown: Shown { keys: Vec::new(), heap_bytes: 0, counts: Vec::new(), stretches: Vec::new() },
            settled_at: 0,
            numbers: Vec::new(),
            decoding: Decoding { parser: converter.parser(), converter, data_type: data_type.clone() },
            memory: Memory::of(&evaluation.room.budget),
            cancel: &evaluation.room.hands.cancel,
        })
    }

    /// Takes the values of a frame in place of those of the one before.
    fn slide(&mut self, frame: &Range<usize>) -> Result<()> {
        if frame.start < self.rows.start || frame.end < self.rows.end || frame.start >= self.rows.end {
            match &mut self.held {
                Held::Sorted(counted) => *counted = Counted::default(),
                Held::InOrder(values) => values.clear(),
            }
            (self.heap_bytes, self.rows) = (0, frame.start..frame.start);
        }
        for row in self.rows.start..frame.start {
            let Some(key) = self.going.at(row)? else { continue };
            match &mut self.held {
                Held::Sorted(counted) => counted.remove(&key),
                Held::InOrder(values) => {
                    self.heap_bytes -= key.heap_bytes();
                    values.pop_front();
                }
            }
        }
        for row in self.rows.end..frame.end {
            if let Some(key) = self.coming.at(row)? {
                match &mut self.held {
                    Held::Sorted(counted) => counted.add(key),
                    Held::InOrder(values) => {
                        self.heap_bytes += key.heap_bytes();
                        values.push_back(key);
                    }
                }
            }
            if self.held_bytes() > self.settled_at + UNSETTLED_BYTES {
                self.settle(0)?;
            }
            if (row + 1).is_multiple_of(SHOWN_AT_ONCE) {
                self.cancel.check()?;
            }
        }
        self.rows = frame.clone();
        Ok(())
    }

    /// Shows the fold the values that are held, as a group.
    fn show(&mut self) -> Result<()> {
        let start = self.shown.keys.len();
        let values = match &self.held {
            Held::InOrder(values) => {
                self.shown.keys.extend(values.iter().cloned());
                self.shown.heap_bytes += self.heap_bytes;
                values.len() as u64
            }
            Held::Sorted(counted) => {
                let values = counted.values();
                match self.aggregate.looks_at(values) {
                    Looks::AtNumber => {
                        self.numbers.push(counted.different() as i64);
                        return Ok(());
                    }
                    Looks::AtPlaces(mut places) => {
                        places.sort_unstable();
                        self.shown.at_places(counted, &places);
                    }
                    Looks::AtAll => {
                        self.shown.heap_bytes += counted.heap_bytes();
                        counted.each(|key, count| {
                            self.shown.keys.push(key.clone());
                            self.shown.counts.push(count as i64);
                        });
                    }
                }
                values
            }
        };
        self.shown.stretches.push(Stretch { rows: start..self.shown.keys.len(), begins: Some(values), ends: true });
        let is_much = self.shown.heap_bytes >= UNSETTLED_BYTES || self.shown.keys.len() >= SHOWN_AT_ONCE;
        if is_much || self.shown.stretches.len() >= SHOWN_AT_ONCE {
            self.hand_on()?;
        }
        Ok(())
    }

    fn hand_on(&mut self) -> Result<()> {
        self.cancel.check()?;
        // Those of the values, and once more as a column.
        self.settle(self.shown.heap_bytes)?;
        let values = self.decoding.values(&self.shown.keys)?;
        let counts = matches!(self.held, Held::Sorted(_)).then_some(&self.shown.counts[..]);
        self.fold.absorb(&Chunk { values: &values, counts }, &self.shown.stretches)?;
        self.settle(values.get_array_memory_size())?;
        self.shown.clear();
        Ok(())
    }

    fn held_bytes(&self) -> usize {
        match &self.held {
            Held::Sorted(counted) => counted.bytes_held(),
            Held::InOrder(values) => values.capacity() * size_of::<K>() + self.heap_bytes,
        }
    }

    fn settle(&mut self, more: usize) -> Result<()> {
        self.settled_at = self.held_bytes();
        let shown = self.shown.keys.capacity() * (size_of::<K>() + size_of::<i64>()) + self.shown.heap_bytes;
        let encoded = self.coming.bytes_held() + self.going.bytes_held();
        self.memory.settle(self.settled_at + shown + encoded + self.fold.bytes_held() + more)
    }
}

impl<K: Key> OfFrames for Folded<'_, K> {
    fn column(&mut self, first: usize, places: &[Place]) -> Result<ArrayRef> {
        let (mut known, mut of_rows): (Option<Range<usize>>, Vec<u32>) = (None, Vec::with_capacity(places.len()));
        let mut groups = 0_u32;
        for (at, place) in places.iter().enumerate() {
            let frame = self.frames.of(first + at, place)?;
            if known.as_ref() != Some(&frame) {
                self.slide(&frame)?;
                self.show()?;
                groups += 1;
                known = Some(frame);
            }
            of_rows.push(groups - 1);
        }
        self.hand_on()?;
        let results: ArrayRef = match self.numbers.is_empty() {
            true => self.fold.finish()?,
            false => Arc::new(Int64Array::from(std::mem::take(&mut self.numbers))),
        };
        self.settle(0)?;
        of_each_row(results, &of_rows)
    }
}

impl<K: Key> Shown<K> {
    /// Values that stand at these places, ascending, as often as it takes for them to stand there.
    fn at_places(&mut self, counted: &Counted<K>, places: &[u64]) {
        let mut before = 0;
        for place in places.iter().filter(|place| **place < counted.values()) {
            if *place < before {
                continue;
            }
            let Some((key, end)) = counted.at(*place) else { continue };
            self.keys.push(key.clone());
            self.heap_bytes += key.heap_bytes();
            self.counts.push((end - before) as i64);
            before = end;
        }
    }

    fn clear(&mut self) {
        self.keys.clear();
        self.heap_bytes = 0;
        self.counts.clear();
        self.stretches.clear();
    }
}

impl Decoding {
    fn values<K: Key>(&self, keys: &[K]) -> Result<ArrayRef> {
        if keys.is_empty() {
            return Ok(new_empty_array(&self.data_type));
        }
        let rows = keys.iter().map(|key| self.parser.parse(key.bytes()));
        let mut columns = self.converter.convert_rows(rows)?;
        columns.pop().ok_or_else(|| Error::internal("values of no column"))
    }
}
