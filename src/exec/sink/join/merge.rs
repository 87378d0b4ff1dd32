//! Both sides by key, side by side.

use super::{Keys, Shown};
use crate::error::Result;
use crate::exec::join::sorter::{SortedRows, Sorter};
use crate::exec::runs::{BLOCK_ROWS, Order};
use crate::exec::sink::Room;
use crate::memory::StoredRows;
use crate::plan::{JoinKind, JoinSide};
use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::row::{OwnedRow, Row, Rows};
use std::cmp::Ordering;

/// Right rows of one key that are kept in memory as they are; of more, blocks are gone through.
const GROUP_ROWS: usize = BLOCK_ROWS;
/// Rows of the result that are made at once.
const RESULT_ROWS: usize = BLOCK_ROWS;

/// Goes through both sides.
pub(super) struct MergeJoin<'a> {
    kind: JoinKind,
    shown: Shown<'a>,
    order: Order,
    room: &'a Room,
    out: &'a mut Sorter,
    /// Rows of the current left and right batches that belong together.
    left: Vec<u32>,
    right: Vec<Option<u32>>,
}

/// The right rows of one key.
enum Group {
    /// Rows of the current batch.
    Here(std::ops::Range<usize>),
    /// Many, with their key.
    Stored(OwnedRow, StoredRows),
}

/// The right side, group by group.
struct RightRows<'a> {
    rows: SortedRows<'a>,
    batch: Option<(RecordBatch, Rows)>,
    /// Where the next group begins in the batch.
    next: usize,
    group: Option<Group>,
    /// A left row has the key of the group.
    matched: bool,
}

impl<'a> MergeJoin<'a> {
    pub(super) fn new(side: &'a JoinSide, room: &'a Room, out: &'a mut Sorter) -> Result<Self> {
        let keys = Keys::of(side);
        let (kind, order) = (side.shape.kind, keys.order()?);
        Ok(MergeJoin { kind, shown: Shown::of(side), order, room, out, left: Vec::new(), right: Vec::new() })
    }

    /// Hands all rows of the result on, in the order of the keys.
    pub(super) fn run(mut self, mut left: SortedRows<'_>, right: SortedRows<'_>) -> Result<()> {
        let mut right = RightRows { rows: right, batch: None, next: 0, group: None, matched: false };
        while let Some(batch) = left.next()? {
            let keys = self.order.encode(&batch)?;
            let mut row = 0;
            while row < batch.num_rows() {
                let key = keys.row(row);
                let end = (row + 1..batch.num_rows()).find(|&next| keys.row(next) != key).unwrap_or(batch.num_rows());
                let found = self.advance(&mut right, key, &batch)?;
                self.pairs(&batch, row..end, &right, found)?;
                right.matched |= found;
                row = end;
            }
            self.flush(&batch, right.batch.as_ref().map(|(batch, _)| batch))?;
        }
        if self.kind.keeps_right() {
            while right.group.is_some() || self.load(&mut right, None)? {
                self.drop_group(&mut right)?;
            }
        }
        Ok(())
    }

    /// Goes to the first right group that is not before `key`; whether it has that key.
    fn advance(&mut self, right: &mut RightRows<'_>, key: Row<'_>, left: &RecordBatch) -> Result<bool> {
        loop {
            if right.group.is_none() && !self.load(right, Some(left))? {
                return Ok(false);
            }
            let order = match (&right.group, &right.batch) {
                (Some(Group::Here(range)), Some((_, keys))) => keys.row(range.start).cmp(&key),
                (Some(Group::Stored(of_group, _)), _) => of_group.row().cmp(&key),
                _ => return Ok(false),
            };
            match order {
                Ordering::Less => self.drop_group(right)?,
                Ordering::Equal => return Ok(true),
                Ordering::Greater => return Ok(false),
            }
        }
    }

    /// Leaves a group; its rows are of the result if they have no match and such are wanted.
    fn drop_group(&mut self, right: &mut RightRows<'_>) -> Result<()> {
        let Some(group) = right.group.take() else { return Ok(()) };
        if self.kind.keeps_right() && !right.matched {
            match (&group, &right.batch) {
                (Group::Here(rows), Some((batch, _))) => {
                    self.out.push(self.shown.unmatched_right(&batch.slice(rows.start, rows.len()))?)?;
                }
                (Group::Stored(_, rows), _) => {
                    for batch in rows.batches() {
                        self.out.push(self.shown.unmatched_right(&batch?)?)?;
                    }
                }
                _ => {}
            }
        }
        right.matched = false;
        Ok(())
    }

    /// Goes to the next group, all of it; whether there is one. `left` is the batch that pairs refer to, if there are any.
    fn load(&mut self, right: &mut RightRows<'_>, left: Option<&RecordBatch>) -> Result<bool> {
        let end = |keys: &Rows, start: usize| {
            let key = keys.row(start);
            (start + 1..keys.num_rows()).find(|&next| keys.row(next) != key).unwrap_or(keys.num_rows())
        };
        if right.batch.as_ref().is_none_or(|(batch, _)| right.next == batch.num_rows()) && !self.turn(right, left)? {
            return Ok(false);
        }
        loop {
            let Some((batch, keys)) = &right.batch else { return Ok(false) };
            let (start, stop) = (right.next, end(keys, right.next));
            let rows = batch.num_rows();
            if stop == rows && stop - start > GROUP_ROWS {
                return self.store_group(right, left);
            }
            if stop == rows {
                let open = batch.slice(start, rows - start);
                if let Some(more) = self.following(right, left)? {
                    let all = concat_batches(&open.schema(), [&open, &more])?;
                    let keys = self.order.encode(&all)?;
                    (right.batch, right.next) = (Some((all, keys)), 0);
                    continue;
                }
            }
            right.group = Some(Group::Here(start..stop));
            right.next = stop;
            return Ok(true);
        }
    }

    /// The next right batch, pairs of the current one handed on.
    fn following(&mut self, right: &mut RightRows<'_>, left: Option<&RecordBatch>) -> Result<Option<RecordBatch>> {
        if let Some(left) = left {
            self.flush(left, right.batch.as_ref().map(|(batch, _)| batch))?;
        }
        right.rows.next()
    }

    /// Turns to the next right batch; whether there is one.
    fn turn(&mut self, right: &mut RightRows<'_>, left: Option<&RecordBatch>) -> Result<bool> {
        let Some(batch) = self.following(right, left)? else { return Ok(false) };
        let keys = self.order.encode(&batch)?;
        (right.batch, right.next) = (Some((batch, keys)), 0);
        Ok(true)
    }

    /// A group of many rows, from the next row on: they go where results go, on disk if need be.
    fn store_group(&mut self, right: &mut RightRows<'_>, left: Option<&RecordBatch>) -> Result<bool> {
        let Some((_, keys)) = &right.batch else { return Ok(false) };
        let key = keys.row(right.next).owned();
        let mut store = self.room.results();
        while let Some((batch, keys)) = &right.batch {
            let stop = (right.next..batch.num_rows()).find(|&row| keys.row(row) != key.row());
            let rows = stop.unwrap_or(batch.num_rows()) - right.next;
            store.push(batch.slice(right.next, rows))?;
            right.next += rows;
            if stop.is_some() || !self.turn(right, left)? {
                break;
            }
        }
        right.group = Some(Group::Stored(key, store.finish().cut(GROUP_ROWS)));
        Ok(true)
    }

    /// Notes what left rows of one key come to.
    fn pairs(
        &mut self,
        left: &RecordBatch,
        rows: std::ops::Range<usize>,
        right: &RightRows<'_>,
        found: bool,
    ) -> Result<()> {
        let alone = match self.kind {
            JoinKind::Semi => found,
            kind => kind.keeps_left() && !found,
        };
        let in_batch = right.batch.as_ref().map(|(batch, _)| batch);
        if alone {
            for row in rows {
                self.pair(row as u32, None);
            }
            return self.flush_if_full(left, in_batch);
        }
        if !found || !self.kind.shows_right() {
            return Ok(());
        }
        match &right.group {
            Some(Group::Here(group)) => {
                for row in rows {
                    group.clone().for_each(|other| self.pair(row as u32, Some(other as u32)));
                    self.flush_if_full(left, in_batch)?;
                }
                Ok(())
            }
            Some(Group::Stored(_, stored)) => {
                self.flush(left, in_batch)?;
                for block in stored.batches() {
                    let block = block?;
                    for row in rows.clone() {
                        (0..block.num_rows() as u32).for_each(|other| self.pair(row as u32, Some(other)));
                        self.flush_if_full(left, Some(&block))?;
                    }
                    self.flush(left, Some(&block))?;
                }
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn pair(&mut self, left: u32, right: Option<u32>) {
        self.left.push(left);
        self.right.push(right);
    }

    fn flush_if_full(&mut self, left: &RecordBatch, right: Option<&RecordBatch>) -> Result<()> {
        if self.left.len() >= RESULT_ROWS { self.flush(left, right) } else { Ok(()) }
    }

    /// Hands on the rows of the result that pairs of these batches come to.
    fn flush(&mut self, left: &RecordBatch, right: Option<&RecordBatch>) -> Result<()> {
        if self.left.is_empty() {
            return Ok(());
        }
        let rows = self.left.len();
        let ours = take_record_batch(left, &UInt32Array::from(std::mem::take(&mut self.left)))?;
        let theirs: UInt32Array = std::mem::take(&mut self.right).into_iter().collect();
        let theirs = right.map(|right| take_record_batch(right, &theirs)).transpose()?;
        self.out.push(self.shown.rows(Some(&ours), theirs.as_ref(), rows)?)
    }
}
