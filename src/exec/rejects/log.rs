//! Entries in input order: in memory first, then in a file of what is spilled.
//!
//! Commits of a file come a little out of order, and files side by side; so each file has a queue of its own.
//! What is held is on the account of the run, and goes to disk where that refuses.

use crate::batch::RowId;
use crate::error::Result;
use crate::memory::{Budget, Reservation, Spill, SpillFile};
use std::collections::{BTreeMap, VecDeque};
use std::hash::Hasher;
use std::ops::Range;
use twox_hash::XxHash3_64;

/// More than this goes to disk, and more than this share of the limit.
const HELD_BYTES: usize = 16 << 20;
const HELD_SHARE: usize = 64;

/// So much is read from disk at once.
const READ_BYTES: usize = 64 << 10;

/// Bytes of an entry before its body: position, cause, set of stages, length of the body.
pub(super) const HEAD_BYTES: usize = 8 + 8 + 4 + 4;

/// Entries of one pass.
pub(super) struct Log {
    files: BTreeMap<u32, Queue>,
    held: Reservation,
    held_bytes: usize,
    most_bytes: usize,
    disk: SpillFile,
}

/// The entries of one input file.
#[derive(Default)]
struct Queue {
    /// The sequence number of the next commit.
    next: u64,
    early: BTreeMap<u64, Vec<u8>>,
    /// What is on disk, in order; what is held comes behind it.
    spilled: Vec<Spilled>,
    held: Vec<Vec<u8>>,
}

/// Whole entries that stand on disk.
#[derive(Clone, Copy)]
struct Spilled {
    start: u64,
    end: u64,
    checksum: u64,
}

impl Queue {
    /// Holds the entries of the next commit: as they are, where the last piece has no room for them.
    fn hold(&mut self, entries: Vec<u8>) {
        self.next += 1;
        match self.held.last_mut() {
            _ if entries.is_empty() => {}
            Some(last) if last.capacity() - last.len() >= entries.len() => last.extend_from_slice(&entries),
            _ => self.held.push(entries),
        }
    }
}

/// Appends an entry to what will be handed to [`Log::add`]; `body` appends its body.
pub(super) fn write(out: &mut Vec<u8>, position: u64, cause: u64, set: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    let mut head = [0; HEAD_BYTES];
    head[..8].copy_from_slice(&position.to_le_bytes());
    head[8..16].copy_from_slice(&cause.to_le_bytes());
    head[16..20].copy_from_slice(&set.to_le_bytes());
    out.extend_from_slice(&head);
    body(out);
    let length = (out.len() - start - HEAD_BYTES) as u32;
    out[start + 20..start + HEAD_BYTES].copy_from_slice(&length.to_le_bytes());
}

/// The entries that [`write`] has appended one after the other: the position and the whole entry of each.
pub(super) fn split(mut entries: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    std::iter::from_fn(move || {
        let (position, .., length) = head(entries.first_chunk()?);
        let (entry, rest) = entries.split_at_checked(HEAD_BYTES + length)?;
        entries = rest;
        Some((position, entry))
    })
}

/// Position, cause, set and length of the body.
fn head(head: &[u8; HEAD_BYTES]) -> (u64, u64, usize, usize) {
    let [position, cause] = [0, 8].map(|at| u64::from_le_bytes(std::array::from_fn(|byte| head[at + byte])));
    let [set, length] = [16, 20].map(|at| u32::from_le_bytes(std::array::from_fn(|byte| head[at + byte])) as usize);
    (position, cause, set, length)
}

impl Log {
    pub(super) fn new(budget: &Budget, spill: &Spill) -> Self {
        Log {
            files: BTreeMap::new(),
            held: budget.reservation("records set aside"),
            held_bytes: 0,
            most_bytes: (budget.limit_bytes() / HELD_SHARE).min(HELD_BYTES),
            disk: spill.file(),
        }
    }

    /// Takes the entries of a commit; each commit of a file has to be told of, even without entries.
    pub(super) fn add(&mut self, file: u32, sequence: u64, entries: Vec<u8>) -> Result<()> {
        let queue = self.files.entry(file).or_default();
        self.held_bytes += entries.len();
        if sequence != queue.next {
            queue.early.insert(sequence, entries);
            return Ok(());
        }
        queue.hold(entries);
        while let Some(entries) = queue.early.remove(&queue.next) {
            queue.hold(entries);
        }
        let fits = self.held_bytes <= self.most_bytes && self.held.resize(self.held_bytes).is_ok();
        if fits { Ok(()) } else { self.spill() }
    }

    fn spill(&mut self) -> Result<()> {
        for queue in self.files.values_mut() {
            let Some(first) = queue.held.first() else { continue };
            let mut checksum = XxHash3_64::new();
            checksum.write(first);
            let start = self.disk.append_bytes(first)?;
            let mut end = start + first.len() as u64;
            for piece in &queue.held[1..] {
                checksum.write(piece);
                end = self.disk.append_bytes(piece)? + piece.len() as u64;
            }
            queue.spilled.push(Spilled { start, end, checksum: checksum.finish() });
            queue.held.clear();
            self.held_bytes -= (end - start) as usize;
        }
        // Entries that came before their turn are few, and are taken whatever there is.
        self.held.resize(self.held_bytes.min(self.held.bytes()))
    }

    /// All entries, in input order.
    pub(super) fn entries(&self) -> Entries<'_> {
        let queues = self.files.iter().map(|(&file, queue)| (file, queue)).collect();
        let checksum = XxHash3_64::new();
        Entries { disk: &self.disk, queues, buffer: Vec::new(), checksum, rest: Rest::Nothing, entry: None }
    }
}

/// An entry of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Logged<'a> {
    pub(super) row: RowId,
    pub(super) cause: u64,
    pub(super) set: usize,
    pub(super) body: &'a [u8],
}

/// The entries of a log, in input order: what is held is read where it lies.
pub(super) struct Entries<'a> {
    disk: &'a SpillFile,
    /// Files that are not done with; of the first, `rest` tells what is left.
    queues: VecDeque<(u32, &'a Queue)>,
    /// What was read from disk, and the checksum of the range as far as it was.
    buffer: Vec<u8>,
    checksum: XxHash3_64,
    rest: Rest<'a>,
    /// The present entry, heads and all.
    entry: Option<Piece<'a>>,
}

/// What is left of the first file of [`Entries`].
enum Rest<'a> {
    /// It has not been begun, or there is none.
    Nothing,
    /// What is left of the buffer, of the range that is being read, and ranges behind it.
    Spilled { buffered: Range<usize>, range: Spilled, ranges: &'a [Spilled] },
    /// What is left of a piece that is held, and the pieces behind it.
    Held { piece: &'a [u8], pieces: &'a [Vec<u8>] },
}

/// Where an entry lies.
#[derive(Clone)]
enum Piece<'a> {
    Buffered(Range<usize>),
    Held(&'a [u8]),
}

impl Entries<'_> {
    /// The present entry; the first comes with the first [`Entries::advance`].
    pub(super) fn entry(&self) -> Option<Logged<'_>> {
        let entry = match self.entry.as_ref()? {
            Piece::Buffered(range) => self.buffer.get(range.clone())?,
            Piece::Held(entry) => entry,
        };
        let (heading, body) = entry.split_first_chunk()?;
        let (position, cause, set, _) = head(heading);
        let &(file, _) = self.queues.front()?;
        Some(Logged { row: RowId::new(file, position), cause, set, body })
    }

    /// Goes on to the next entry.
    pub(super) fn advance(&mut self) -> Result<()> {
        loop {
            match &mut self.rest {
                Rest::Held { piece, pieces } => {
                    if let Some((entry, rest)) = entry_length(piece).and_then(|length| piece.split_at_checked(length)) {
                        *piece = rest;
                        self.entry = Some(Piece::Held(entry));
                        return Ok(());
                    }
                    if let Some((next, behind)) = pieces.split_first() {
                        (*piece, *pieces) = (next, behind);
                        continue;
                    }
                    self.queues.pop_front();
                    self.rest = Rest::Nothing;
                }
                Rest::Spilled { buffered, range, ranges } => {
                    let known = &self.buffer[buffered.clone()];
                    let length = entry_length(known);
                    if let Some(length) = length.filter(|&length| length <= known.len()) {
                        self.entry = Some(Piece::Buffered(buffered.start..buffered.start + length));
                        buffered.start += length;
                        return Ok(());
                    }
                    if range.start < range.end {
                        let wanted = length.unwrap_or(HEAD_BYTES).max(READ_BYTES) - known.len();
                        let more = wanted.min(usize::try_from(range.end - range.start).unwrap_or(usize::MAX));
                        self.buffer.copy_within(buffered.clone(), 0);
                        *buffered = 0..buffered.len();
                        self.buffer.resize(buffered.end + more, 0);
                        self.disk.read_bytes(&mut self.buffer[buffered.end..], range.start)?;
                        self.checksum.write(&self.buffer[buffered.end..]);
                        buffered.end += more;
                        range.start += more as u64;
                        if range.start == range.end && self.checksum.finish() != range.checksum {
                            return Err(self.disk.changed(range.start));
                        }
                        continue;
                    }
                    if let Some((&next, behind)) = ranges.split_first() {
                        (*range, *ranges) = (next, behind);
                        self.checksum = XxHash3_64::new();
                        continue;
                    }
                    let pieces = self.queues.front().map(|(_, queue)| queue.held.as_slice()).unwrap_or_default();
                    self.rest = Rest::Held { piece: &[], pieces };
                }
                Rest::Nothing => {
                    let Some((_, queue)) = self.queues.front() else {
                        self.entry = None;
                        return Ok(());
                    };
                    self.rest = Rest::Spilled {
                        buffered: 0..0,
                        range: Spilled { start: 0, end: 0, checksum: 0 },
                        ranges: &queue.spilled,
                    };
                }
            }
        }
    }
}

/// Bytes of the entry that begins here, as far as its head is known.
fn entry_length(bytes: &[u8]) -> Option<usize> {
    let (.., body) = head(bytes.first_chunk()?);
    Some(HEAD_BYTES + body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_in_input_order_from_memory_and_disk() {
        let folder = tempfile::tempdir().unwrap();
        let (budget, spill) = (Budget::new(1 << 30), Spill::new(Some(folder.path().to_path_buf()), None));
        let mut log = Log::new(&budget, &spill);
        let mut expected = Vec::new();
        // Commits of two files in turns, neighbours swapped, together more than is held in memory.
        for file in 0..2 {
            for sequence in 0..300_u64 {
                let body = vec![b'a' + (sequence % 26) as u8; if sequence % 7 == 0 { 0 } else { 40_000 }];
                expected.push((RowId::new(file, sequence), body));
            }
        }
        for sequence in 0..300 {
            for file in [1, 0] {
                let swapped = sequence ^ 1;
                let (row, content) = &expected[(file * 300 + swapped) as usize];
                let mut bytes = Vec::new();
                write(&mut bytes, row.position, 1 << 33, 3, |body| body.extend_from_slice(content));
                assert!(split(&bytes).eq([(u64::from(swapped), &*bytes)]));
                log.add(file, u64::from(swapped), bytes).unwrap();
            }
        }
        assert!(spill.held_bytes() > 0 && log.held_bytes <= HELD_BYTES && budget.held_bytes() == log.held_bytes);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the file has no name");
        assert!(!log.files[&1].held.is_empty(), "some of it is in memory");
        let mut entries = log.entries();
        for (row, body) in &expected {
            entries.advance().unwrap();
            assert!(entries.entry() == Some(Logged { row: *row, cause: 1 << 33, set: 3, body }));
        }
        entries.advance().unwrap();
        assert_eq!(entries.entry(), None);
        drop(log);
        assert_eq!((spill.held_bytes(), budget.held_bytes()), (0, 0));
    }
}
