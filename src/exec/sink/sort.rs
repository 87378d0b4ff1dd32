//! All rows in order, or the first `limit` of them, or the first of each partition.
//!
//! Keys are encoded so that comparing bytes compares keys; ties are settled by row identity, which stands in two more
//! columns behind the others (three, where a join made several rows of one), so the order is total and does not depend on
//! how rows arrived. With a limit, rows behind the worst of the best are dropped on arrival, as are those of a partition of which
//! only the [first](best) are wanted. Rows that do not fit in memory are sorted and written as a run, of a block at least, for what
//! the sink has from the beginning it keeps; runs are merged in the end. Batches of few rows are put together.

mod best;
mod held;

use super::{Handed, Materialised, Room, Sink};
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::exec::parallel::Hands;
use crate::exec::runs::{BLOCK_ROWS, Bound, Headroom, Identities, Keys, Merge, Order, Run, in_ranges, reduce};
use crate::memory::{HeldBuffers, Part, Reservation, SpillFile, compact, without_unused_text};
use crate::plan::SortColumn;
use arrow::array::{RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
pub(super) use best::Best;
use held::{Entry, Held, HeldOrder};
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

/// So many short batches are put together.
const SHORT_BATCHES: usize = 64;

pub(super) struct SortSink {
    /// Of the result.
    schema: SchemaRef,
    /// Of what is held: the columns of a batch and those of the identity.
    held_schema: SchemaRef,
    limit: usize,
    width: usize,
    order: Order,
    held: Vec<Held>,
    /// Behind the records held.
    buffers: HeldBuffers,
    rows: usize,
    /// Of the batches held.
    short_batches: usize,
    /// Of keys, and of what sorting needs.
    bytes_beside: usize,
    /// Rows at or behind this one cannot be among the first.
    worst: Option<Bound>,
    /// Only so many rows of each partition.
    best: Option<Best>,
    runs: Vec<Run>,
    file: Arc<SpillFile>,
    room: Room,
    reservation: Reservation,
    /// Rows may be copies of each other, and a third column tells them apart.
    copies: bool,
    /// For what other workers held.
    joined: Vec<Reservation>,
}

/// Which rows a sort gives, and what they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// Only so many.
    pub(super) limit: Option<usize>,
    /// So many leading columns.
    pub(super) width: usize,
    /// Rows may be copies of each other.
    pub(super) copies: bool,
}

impl SortSink {
    pub(super) fn new(
        schema: SchemaRef,
        types: &[DataType],
        keys: Vec<SortColumn>,
        wanted: Wanted,
        room: &Room,
        reservation: Reservation,
    ) -> Result<Self> {
        let by_key = keys.iter().map(|key| (key.column, types[key.column].clone(), key.descending));
        let Wanted { limit, width, copies } = wanted;
        let field = |(at, of_type): (usize, &DataType)| Field::new(at.to_string(), of_type.clone(), true);
        let mut fields: Vec<Field> = types.iter().enumerate().map(field).collect();
        fields.extend(Identities::fields(types.len(), copies));
        Ok(SortSink {
            schema,
            held_schema: Arc::new(Schema::new(fields)),
            limit: limit.unwrap_or(usize::MAX),
            width,
            order: Order::new(by_key)?.then_by_identity(types.len()),
            held: Vec::new(),
            buffers: HeldBuffers::default(),
            rows: 0,
            short_batches: 0,
            bytes_beside: 0,
            worst: None,
            best: None,
            runs: Vec::new(),
            file: Arc::new(room.file()),
            room: room.clone(),
            reservation,
            copies,
            joined: Vec::new(),
        })
    }

    /// Only the first rows of each partition are wanted, or a few more.
    pub(super) fn keeping(mut self, best: Best) -> Self {
        self.best = Some(best);
        self
    }

    /// Takes over a reservation, which is for what comes.
    pub(super) fn take_reservation(&mut self, reservation: Reservation) {
        self.reservation.absorb(reservation);
    }

    fn push(&mut self, mut records: RecordBatch) -> Result<()> {
        let mut keys = self.order.keys(&records)?;
        if let Some(rows) = self.candidates(&records, &keys)? {
            if rows.is_empty() {
                return Ok(());
            }
            if rows.len() < records.num_rows() {
                records = take_record_batch(&records, &UInt32Array::from(rows))?;
                keys = self.order.keys(&records)?;
            }
        }
        let records = without_unused_text(records);
        self.hold(Held { span: keys.span(), records, keys });
        if self.short_batches >= SHORT_BATCHES {
            self.put_together()?;
        }
        if self.rows >= self.compact_at() {
            if !self.has_room_to_compact() {
                return self.spill(&self.room.hands.alone());
            }
            self.compact()?;
        }
        match self.reservation.resize(self.bytes()) {
            Err(_) if self.reservation.keeps(self.row_bytes()) => self.reservation.resize(0),
            Err(_) => self.spill(&self.room.hands.alone()),
            settled => settled,
        }
    }

    /// Asks for the memory of a copy of the rows that stay.
    fn has_room_to_compact(&mut self) -> bool {
        // Those are copied, and their texts once more, by places of so many bytes.
        let copied = self.buffers.bytes() + self.limit.min(self.rows) * size_of::<(usize, usize)>();
        self.reservation.keeps(self.row_bytes() + copied) || self.reservation.resize(self.bytes() + copied).is_ok()
    }

    /// Those of the rows that may be wanted; `None` for all.
    fn candidates(&self, records: &RecordBatch, keys: &Keys) -> Result<Option<Vec<u32>>> {
        match (&self.worst, &self.best) {
            (Some(worst), _) => {
                let better = |row: &u32| keys.compare_to(*row as usize, worst).is_lt();
                Ok(Some((0..records.num_rows() as u32).filter(better).collect()))
            }
            (None, Some(best)) => best.candidates(records, keys),
            (None, None) => Ok(None),
        }
    }

    /// How many rows are held when it pays to keep only those that are wanted.
    fn compact_at(&self) -> usize {
        self.best.as_ref().map_or_else(|| self.limit.saturating_mul(2).max(1024), Best::look_at)
    }

    fn row_bytes(&self) -> usize {
        self.buffers.bytes() + self.bytes_beside + self.best.as_ref().map_or(0, Best::bytes_held)
    }

    /// Bytes that the rows take, and what it takes to let a piece of them go.
    fn bytes(&self) -> usize {
        self.row_bytes() + self.room.piece_bytes()
    }

    /// How many of the rows make a piece.
    fn rows_of_piece(&self) -> usize {
        let row_bytes = self.buffers.bytes() / self.rows.max(1);
        (self.room.budget.block_bytes() / row_bytes.max(1)).clamp(1, BLOCK_ROWS)
    }

    /// Makes one batch of the short ones, which take more beside their rows than these.
    fn put_together(&mut self) -> Result<()> {
        let (short, long): (Vec<Held>, Vec<Held>) = self.take_held().into_iter().partition(Held::is_short);
        let records = compact(&concat_batches(&self.held_schema, short.iter().map(|held| &held.records))?)?;
        let keys = self.order.keys(&records)?;
        drop(short);
        long.into_iter().for_each(|held| self.hold(held));
        self.hold(Held { span: keys.span(), records, keys });
        // If it is short as well, it will be put together with others, but not alone with the next one.
        self.short_batches = 0;
        Ok(())
    }

    fn hold(&mut self, held: Held) {
        self.rows += held.records.num_rows();
        self.short_batches += usize::from(held.is_short());
        self.buffers.add(&held.records);
        // Keys of partitions, whose lengths are taken for sorting, are no longer than those of the rows.
        let partitions = self.best.as_ref().filter(|best| best.is_of_use());
        self.bytes_beside += held.bytes_beside() + partitions.map_or(0, |best| best.bytes_beside(&held.keys));
        self.held.push(held);
    }

    fn take_held(&mut self) -> Vec<Held> {
        (self.rows, self.bytes_beside, self.short_batches) = (0, 0, 0);
        self.buffers.clear();
        std::mem::take(&mut self.held)
    }

    /// Keeps only the rows that are wanted.
    fn compact(&mut self) -> Result<()> {
        let keeps_all = self.best.as_ref().map_or(self.rows <= self.limit, |best| !best.is_of_use());
        if self.rows == 0 || self.limit == 0 || keeps_all {
            return Ok(());
        }
        let (mut held, schema) = (self.take_held(), Arc::clone(&self.held_schema));
        let order = HeldOrder::of(&mut held, &schema, self.best.as_ref())?;
        let rows = order.rows();
        let of_batch = |(batch, rows): (usize, &usize)| (0..*rows).map(move |row| (batch, row));
        let places = rows.iter().enumerate().flat_map(of_batch);
        let mut entries: Vec<Entry> = places.map(|(batch, row)| order.entry(batch, row)).collect();
        match &mut self.best {
            None => {
                entries.select_nth_unstable_by(self.limit - 1, |a, b| order.compare(a, b));
                entries.truncate(self.limit);
                self.worst = entries.last().map(|last| order.held[last.batch as usize].keys.bound(last.row as usize));
            }
            Some(best) => {
                let before = entries.len();
                entries.sort_unstable_by(|a, b| order.compare(a, b));
                let last = order.drop_behind(&mut entries);
                if !best.pays(before, entries.len()) {
                    drop(order);
                    held.into_iter().for_each(|held| self.hold(held));
                    return Ok(());
                }
                best.remember(&order, &last);
            }
        }
        // As they came: then ties go on being settled by place.
        entries.sort_unstable_by_key(Entry::place);
        let records = order.pick(&entries)?;
        let keys = self.order.keys(&records)?;
        self.hold(Held { span: keys.span(), records, keys });
        Ok(())
    }

    /// Writes the rows that are in memory as a sorted run.
    fn spill(&mut self, hands: &Hands) -> Result<()> {
        if self.short_batches > 1 {
            self.put_together()?;
        }
        let rows = self.rows_of_piece();
        let (mut held, schema) = (self.take_held(), Arc::clone(&self.held_schema));
        let order = HeldOrder::of(&mut held, &schema, self.best.as_ref())?;
        let mut run = Run::default();
        let mut last = None;
        let written = |entries: &[Entry]| {
            let mut blocks = Run::default();
            for chunk in entries.chunks(rows) {
                blocks.append(&self.order, &self.file, &order.pick(chunk)?)?;
            }
            Ok((blocks, entries.last().copied()))
        };
        order.sorted(self.limit, hands, written, |(blocks, last_of_piece)| {
            run.extend(blocks);
            last = last_of_piece;
            Ok(())
        })?;
        if let Some(last) = last.filter(|_| run.rows() == self.limit) {
            // As many rows as are wanted stand before whatever comes behind the last of these.
            self.worst = Some(order.held[last.batch as usize].keys.bound(last.row as usize));
        }
        if run.rows() > 0 {
            self.runs.push(run);
        }
        drop(held);
        std::mem::take(&mut self.joined).into_iter().for_each(|joined| self.reservation.absorb(joined));
        // What is remembered stays if there is room for it.
        let remembered = self.best.as_ref().map_or(0, Best::bytes_held);
        if self.reservation.resize(remembered).is_err() {
            self.best.iter_mut().for_each(Best::forget);
            return self.reservation.resize(0);
        }
        Ok(())
    }

    /// The rows as the question wants to see them.
    fn shown(&self, records: &RecordBatch) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(records.num_rows()));
        let columns = records.columns()[..self.width].to_vec();
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}

impl Sink for SortSink {
    fn absorb(&mut self, batch: Batch) -> Result<()> {
        if batch.rows() == 0 || self.limit == 0 {
            return Ok(());
        }
        let mut columns = batch.records.columns().to_vec();
        columns.extend(Identities::columns(&batch.origin, batch.rows(), self.copies));
        self.push(RecordBatch::try_new(Arc::clone(&self.held_schema), columns)?)
    }

    fn join(&mut self, other: Box<dyn Sink>) -> Result<()> {
        let other = other.into_any().downcast::<SortSink>();
        let mut other = *other.map_err(|_| Error::internal("joined sinks of two kinds"))?;
        self.runs.append(&mut other.runs);
        other.take_held().into_iter().for_each(|held| self.hold(held));
        self.joined.append(&mut other.joined);
        self.joined.push(other.reservation);
        Ok(())
    }

    fn relieve(&mut self) -> Result<()> {
        self.best.iter_mut().for_each(Best::forget);
        if self.joined.is_empty() {
            let keeps = self.reservation.keeps(self.row_bytes());
            return if keeps { self.reservation.resize(0) } else { self.spill(&self.room.hands.alone()) };
        }
        self.spill(&self.room.hands.clone())
    }

    fn export(mut self: Box<Self>, out: Handed<'_>) -> Result<()> {
        // Who takes them drops what is not wanted, too.
        if self.has_room_to_compact() {
            self.compact()?;
        }
        for part in self.runs.iter().flat_map(Run::parts) {
            out(0, part.load()?)?;
        }
        self.take_held().into_iter().try_for_each(|held| out(0, held.records))
    }

    fn import(&mut self, _part: u32, records: RecordBatch) -> Result<()> {
        self.push(RecordBatch::try_new(Arc::clone(&self.held_schema), records.columns().to_vec())?)
    }

    fn finish(mut self: Box<Self>) -> Result<Materialised> {
        let hands = self.room.hands.clone();
        if self.runs.is_empty() {
            let rows = self.rows_of_piece();
            let (mut held, schema) = (self.take_held(), Arc::clone(&self.held_schema));
            let order = HeldOrder::of(&mut held, &schema, self.best.as_ref())?;
            let (results, mut parts) = (self.room.results(), Vec::new());
            let keep = |entries: &[Entry]| results.keep(self.shown(&order.pick(entries)?)?);
            let kept = |entries: &[Entry]| entries.chunks(rows).map(keep).collect::<Result<Vec<Part>>>();
            order.sorted(self.limit, &hands, kept, |mut kept| {
                parts.append(&mut kept);
                Ok(())
            })?;
            return Ok(Materialised { schema: self.schema, rows: results.finish_with(parts) });
        }
        self.spill(&hands)?;
        let nothing = self.room.budget.reservation("sorting");
        let own = std::mem::replace(&mut self.reservation, nothing);
        let runs = std::mem::take(&mut self.runs);
        let headroom = Headroom::of(&runs, &hands, own)?;
        let runs = reduce(runs, &self.order, &self.file, self.limit, &headroom)?;
        let (results, mut parts) = (self.room.results(), Vec::new());
        // What is left to place; ranges that are begun when nothing is need not be merged.
        let left = AtomicUsize::new(self.limit);
        let kept = |mut merge: Merge<'_>| {
            let mut kept = Vec::new();
            let mut wanted = left.load(Relaxed);
            while wanted > 0
                && let Some(batch) = merge.next(headroom.rows.min(wanted))?
            {
                wanted -= batch.num_rows();
                kept.push(results.keep(self.shown(&batch)?)?);
            }
            Ok(kept)
        };
        in_ranges(&headroom.hands, &runs, &self.order, kept, |kept| {
            for part in kept {
                let rows = part.rows().min(left.load(Relaxed));
                left.fetch_sub(rows, Relaxed);
                if rows == part.rows() {
                    parts.push(part);
                } else if rows > 0 {
                    parts.push(Part::Memory(part.load()?.slice(0, rows)));
                }
            }
            Ok(())
        })?;
        Ok(Materialised { schema: self.schema, rows: results.finish_with(parts) })
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
