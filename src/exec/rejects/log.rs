//! Entries in input order: in memory first, then in a temporary file.
//!
//! Commits of a file come a little out of order, and files side by side; so each file has a queue of its own.

use crate::batch::RowId;
use crate::error::{Error, ErrorKind, Result};
use crate::memory::Unlinked;
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// More than this goes to the temporary file.
const HELD_BYTES: usize = 16 << 20;

/// So much of the temporary file is read at once.
const READ_BYTES: usize = 64 << 10;

/// Bytes of an entry before its body: position, cause, set of stages, length of the body.
pub(super) const HEAD_BYTES: usize = 8 + 8 + 4 + 4;

/// Entries of one pass.
pub(super) struct Log {
    files: BTreeMap<u32, Queue>,
    held_bytes: usize,
    /// Where a temporary file may be made.
    folder: PathBuf,
    spill: Option<Spill>,
}

/// The entries of one input file.
#[derive(Default)]
struct Queue {
    /// The sequence number of the next commit.
    next: u64,
    early: BTreeMap<u64, Vec<u8>>,
    /// Ranges of the temporary file, in order; what is held comes behind them. Each range, and each piece held, is made
    /// of whole entries.
    spilled: Vec<(u64, u64)>,
    held: Vec<Vec<u8>>,
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

/// A temporary file without a name.
struct Spill {
    file: File,
    length: u64,
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
    pub(super) fn new(folder: PathBuf) -> Self {
        Log { files: BTreeMap::new(), held_bytes: 0, folder, spill: None }
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
        if self.held_bytes > HELD_BYTES { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> Result<()> {
        let folder = if self.folder.as_os_str().is_empty() { Path::new(".") } else { &self.folder };
        let failed = |error: io::Error| {
            let message = format!("cannot keep records that were set aside: {error}");
            Error::new(ErrorKind::Io, message).in_file(&folder.display().to_string())
        };
        let spill = match &mut self.spill {
            Some(spill) => spill,
            None => self.spill.insert(Spill { file: Unlinked::create_in(folder).map_err(failed)?.file, length: 0 }),
        };
        for queue in self.files.values_mut().filter(|queue| !queue.held.is_empty()) {
            let start = spill.length;
            for piece in queue.held.drain(..) {
                spill.file.write_all_at(&piece, spill.length).map_err(failed)?;
                spill.length += piece.len() as u64;
                self.held_bytes -= piece.len();
            }
            match queue.spilled.last_mut() {
                Some((_, end)) if *end == start => *end = spill.length,
                _ => queue.spilled.push((start, spill.length)),
            }
        }
        Ok(())
    }

    /// All entries, in input order.
    pub(super) fn entries(&self) -> Entries<'_> {
        let queues = self.files.iter().map(|(&file, queue)| (file, queue)).collect();
        Entries { spill: self.spill.as_ref(), queues, buffer: Vec::new(), rest: Rest::Nothing, entry: None }
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
    spill: Option<&'a Spill>,
    /// Files that are not done with; of the first, `rest` tells what is left.
    queues: VecDeque<(u32, &'a Queue)>,
    /// What was read of the temporary file.
    buffer: Vec<u8>,
    rest: Rest<'a>,
    /// The present entry, heads and all.
    entry: Option<Piece<'a>>,
}

/// What is left of the first file of [`Entries`].
enum Rest<'a> {
    /// It has not been begun, or there is none.
    Nothing,
    /// What is left of the buffer, of the range that is being read, and ranges behind it.
    Spilled { buffered: Range<usize>, range: (u64, u64), ranges: &'a [(u64, u64)] },
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
        let failed = |error: io::Error| Error::new(ErrorKind::Io, format!("records set aside are lost: {error}"));
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
                    if let (Some(spill), true) = (self.spill, range.0 < range.1) {
                        let wanted = length.unwrap_or(HEAD_BYTES).max(READ_BYTES) - known.len();
                        let more = wanted.min(usize::try_from(range.1 - range.0).unwrap_or(usize::MAX));
                        self.buffer.copy_within(buffered.clone(), 0);
                        *buffered = 0..buffered.len();
                        self.buffer.resize(buffered.end + more, 0);
                        spill.file.read_exact_at(&mut self.buffer[buffered.end..], range.0).map_err(failed)?;
                        buffered.end += more;
                        range.0 += more as u64;
                        continue;
                    }
                    if let Some((&next, behind)) = ranges.split_first() {
                        (*range, *ranges) = (next, behind);
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
                    self.rest = Rest::Spilled { buffered: 0..0, range: (0, 0), ranges: &queue.spilled };
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
        let mut log = Log::new(folder.path().to_path_buf());
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
        assert!(log.spill.is_some() && log.held_bytes <= HELD_BYTES + (1 << 20));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the file has no name");
        assert!(!log.files[&1].held.is_empty(), "some of it is in memory");
        let mut entries = log.entries();
        for (row, body) in &expected {
            entries.advance().unwrap();
            assert!(entries.entry() == Some(Logged { row: *row, cause: 1 << 33, set: 3, body }));
        }
        entries.advance().unwrap();
        assert_eq!(entries.entry(), None);
    }
}
