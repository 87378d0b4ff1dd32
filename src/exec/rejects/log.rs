//! Entries in input order: in memory first, then in a temporary file.
//!
//! Commits of a file come a little out of order, and files side by side; so each file has a queue of its own.

use crate::batch::RowId;
use crate::error::{Error, ErrorKind, Result};
use crate::memory::Unlinked;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// More than this goes to the temporary file.
const HELD_BYTES: usize = 16 << 20;

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
    /// Ranges of the temporary file, in order; what is held comes behind them.
    spilled: Vec<(u64, u64)>,
    held: Vec<u8>,
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
        match queue.held.is_empty() {
            true => queue.held = entries,
            false => queue.held.extend_from_slice(&entries),
        }
        queue.next += 1;
        while let Some(entries) = queue.early.remove(&queue.next) {
            queue.held.extend_from_slice(&entries);
            queue.next += 1;
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
            spill.file.write_all_at(&queue.held, spill.length).map_err(failed)?;
            let end = spill.length + queue.held.len() as u64;
            match queue.spilled.last_mut() {
                Some((_, last_end)) if *last_end == spill.length => *last_end = end,
                _ => queue.spilled.push((spill.length, end)),
            }
            spill.length = end;
            self.held_bytes -= queue.held.len();
            queue.held.clear();
        }
        Ok(())
    }

    /// All entries, in input order.
    pub(super) fn entries(&self) -> Entries<'_> {
        Entries { log: self, files: self.files.keys().copied().collect(), at: 0, reader: None }
    }
}

/// An entry as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Logged {
    pub(super) row: RowId,
    pub(super) cause: u64,
    pub(super) set: usize,
    pub(super) body: Vec<u8>,
}

/// The entries of a log, in input order.
pub(super) struct Entries<'a> {
    log: &'a Log,
    files: Vec<u32>,
    at: usize,
    reader: Option<io::BufReader<QueueReader<'a>>>,
}

impl Entries<'_> {
    /// The next entry; its body takes the memory of `spare`.
    pub(super) fn next(&mut self, spare: Vec<u8>) -> Result<Option<Logged>> {
        let failed = |error: io::Error| Error::new(ErrorKind::Io, format!("records set aside are lost: {error}"));
        while let Some(&file) = self.files.get(self.at) {
            let log = self.log;
            let reader = self.reader.get_or_insert_with(|| io::BufReader::with_capacity(1 << 16, log.reader(file)));
            if io::BufRead::fill_buf(reader).map_err(failed)?.is_empty() {
                self.reader = None;
                self.at += 1;
                continue;
            }
            let mut bytes = [0; HEAD_BYTES];
            reader.read_exact(&mut bytes).map_err(failed)?;
            let (position, cause, set, length) = head(&bytes);
            let mut body = spare;
            body.resize(length, 0);
            reader.read_exact(&mut body).map_err(failed)?;
            return Ok(Some(Logged { row: RowId::new(file, position), cause, set, body }));
        }
        Ok(None)
    }
}

impl Log {
    fn reader(&self, file: u32) -> QueueReader<'_> {
        let queue = self.files.get(&file);
        QueueReader {
            spill: self.spill.as_ref(),
            spilled: queue.map(|queue| queue.spilled.clone()).unwrap_or_default(),
            held: queue.map(|queue| queue.held.as_slice()).unwrap_or_default(),
        }
    }
}

struct QueueReader<'a> {
    spill: Option<&'a Spill>,
    /// What is still to be read of the temporary file, in order.
    spilled: Vec<(u64, u64)>,
    held: &'a [u8],
}

impl Read for QueueReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let (Some((start, end)), Some(spill)) = (self.spilled.first_mut(), self.spill) {
            let most = buffer.len().min(usize::try_from(*end - *start).unwrap_or(usize::MAX));
            let read = spill.file.read_at(&mut buffer[..most], *start)?;
            if read == 0 && most > 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            *start += read as u64;
            if start == end {
                self.spilled.remove(0);
            }
            return Ok(read);
        }
        self.held.read(buffer)
    }
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
                expected.push(Logged { row: RowId::new(file, sequence), cause: 1 << 33, set: 3, body });
            }
        }
        for sequence in 0..300 {
            for file in [1, 0] {
                let swapped = sequence ^ 1;
                let entry = &expected[(file * 300 + swapped) as usize];
                let mut bytes = Vec::new();
                write(&mut bytes, entry.row.position, entry.cause, entry.set as u32, |body| {
                    body.extend_from_slice(&entry.body);
                });
                assert!(split(&bytes).eq([(u64::from(swapped), &*bytes)]));
                log.add(file, u64::from(swapped), bytes).unwrap();
            }
        }
        assert!(log.spill.is_some() && log.held_bytes <= HELD_BYTES + (1 << 20));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the file has no name");
        let (mut entries, mut found) = (log.entries(), Vec::new());
        while let Some(entry) = entries.next(Vec::new()).unwrap() {
            found.push(entry);
        }
        assert!(found == expected);
    }
}
