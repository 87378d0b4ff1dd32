//! From rows in order to bytes in order, encoded on the way by whoever has time.
//!
//! **Idea.** The worker whose turn it is cuts rows into numbered chunks and queues them; workers that are about to read
//! on, or that wait for their turn, encode what is queued; whoever has encoded the next number appends it, and all that
//! waited behind it.
//! **Invariants.**
//! - Numbers are taken from the queue in order, and whoever works on the smallest waits for nobody. So the workers that
//!   wait because the window is full are woken.
//! - The queue holds no more than one chunk a worker, and no chunk is appended further ahead than the window.

use super::atomic::Partial;
use super::chunk::{ChunkLimits, Chunker, Cut, rows_until, value_bytes};
use super::files::{Appender, Encoded, Encoder, OutFile, writing};
use super::folders::{Routed, Router};
use crate::error::{Error, ErrorKind, Result};
use crate::memory::{Budget, Reservation};
use arrow::array::RecordBatch;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// So many files may be open; another is begun in a folder whose file had to be closed.
const MAX_OPEN: usize = 100;

/// Where the bytes go.
pub(super) enum Place {
    /// A file that is renamed in the end.
    File(Partial),
    /// A folder that is renamed in the end, and the ending of the files in it.
    Folder(Partial, String),
    /// A pipe or a device.
    Direct(std::fs::File),
    /// Standard output.
    Stdout,
}

/// A chunk that is not yet encoded.
struct Chunk {
    number: u64,
    folder: Arc<str>,
    epoch: u64,
    /// All folders are written now, so that files may be closed.
    ends_epoch: bool,
    batches: Vec<RecordBatch>,
    bytes: u64,
}

/// Cuts rows into chunks.
struct Cutter {
    chunkers: BTreeMap<Arc<str>, Chunker>,
    next_number: u64,
    rows: u64,
    epoch: u64,
    epoch_bytes: u64,
    /// Bytes of values that were taken and not yet encoded.
    pending_bytes: u64,
    reservation: Reservation,
}

/// Appends chunks.
struct Tail {
    next_number: u64,
    /// Chunks encoded before their turn.
    waiting: BTreeMap<u64, (Chunk, Encoded)>,
    open: BTreeMap<Arc<str>, OpenFile>,
    /// How many files were begun in a folder.
    begun: BTreeMap<Arc<str>, u64>,
    place: Place,
    bytes: u64,
    files: u64,
    /// Appending failed: nothing more will be.
    failed: bool,
}

struct OpenFile {
    appender: Box<dyn Appender>,
    last_epoch: u64,
}

/// How a pipeline works.
pub(super) struct Settings {
    /// What is written to, for messages.
    pub(super) name: Arc<str>,
    pub(super) workers: usize,
    /// Wait until files in folders are on the disk.
    pub(super) sync: bool,
    /// When the rows of all folders that are not yet written have so many bytes, they are.
    pub(super) epoch_bytes: u64,
}

/// One writing of one answer.
pub(super) struct Pipeline {
    encoder: Box<dyn Encoder>,
    router: Option<Router>,
    limits: ChunkLimits,
    settings: Settings,
    cutter: Mutex<Cutter>,
    queue: Mutex<VecDeque<Chunk>>,
    tail: Mutex<Tail>,
    appended: Condvar,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets the others go on when a chunk was appended, or stop when it could not be, be it by a panic.
struct Guard<'a> {
    pipeline: &'a Pipeline,
    well: bool,
}

impl Guard<'_> {
    fn disarm(mut self) {
        self.well = true;
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        lock(&self.pipeline.tail).failed |= !self.well;
        self.pipeline.appended.notify_all();
    }
}

impl Tail {
    /// The chunk that is next, if it is encoded.
    fn take_next(&mut self) -> Option<(Chunk, Encoded)> {
        self.waiting.remove(&self.next_number)
    }
}

/// Bytes and files written.
pub(super) struct Complete {
    pub(super) place: Place,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) files: u64,
}

impl Pipeline {
    pub(super) fn new(
        encoder: Box<dyn Encoder>,
        router: Option<Router>,
        place: Place,
        settings: Settings,
        budget: &Budget,
    ) -> Self {
        let cutter = Cutter {
            chunkers: BTreeMap::new(),
            next_number: 0,
            rows: 0,
            epoch: 0,
            epoch_bytes: 0,
            pending_bytes: 0,
            reservation: budget.reservation("writing"),
        };
        let tail = Tail {
            next_number: 0,
            waiting: BTreeMap::new(),
            open: BTreeMap::new(),
            begun: BTreeMap::new(),
            place,
            bytes: 0,
            files: 0,
            failed: false,
        };
        Pipeline {
            limits: encoder.limits(),
            encoder,
            router,
            settings,
            cutter: Mutex::new(cutter),
            queue: Mutex::default(),
            tail: Mutex::new(tail),
            appended: Condvar::new(),
        }
    }

    /// Whether bytes have gone where they cannot be taken back.
    pub(super) fn has_flowed(&self) -> bool {
        let tail = lock(&self.tail);
        matches!(tail.place, Place::Direct(_) | Place::Stdout) && !tail.begun.is_empty()
    }

    /// Sorts the rows of a batch into folders, and lets go of memory that they do not need.
    pub(super) fn route(&self, records: &RecordBatch) -> Result<Vec<Routed>> {
        match &self.router {
            Some(router) => router.route(records),
            None => Ok(vec![Routed::new(Arc::from(""), records.clone())?]),
        }
    }

    /// Takes the next rows, and their parts by folder.
    pub(super) fn take(&self, records: RecordBatch, parts: Vec<Routed>, stopped: &dyn Fn() -> bool) -> Result<()> {
        let mut chunks = Vec::new();
        {
            let mut cutter = lock(&self.cutter);
            if self.router.is_none() {
                cutter.push(parts, self.limits, &mut chunks)?;
            } else {
                self.take_routed(&mut cutter, records, parts, &mut chunks)?;
            }
            cutter.account()?;
        }
        lock(&self.queue).extend(chunks);
        while self.queued() > self.settings.workers && !stopped() && self.help(stopped)? {}
        Ok(())
    }

    /// An epoch ends at the row with which the values since the last reach their number of bytes, so that it does not
    /// depend on batches.
    fn take_routed(
        &self,
        cutter: &mut Cutter,
        mut records: RecordBatch,
        mut parts: Vec<Routed>,
        chunks: &mut Vec<Chunk>,
    ) -> Result<()> {
        loop {
            let bytes = value_bytes(&records);
            if cutter.epoch_bytes + bytes < self.settings.epoch_bytes {
                cutter.epoch_bytes += bytes;
                return cutter.push(parts, self.limits, chunks);
            }
            let rows = rows_until(&records, records.num_rows(), self.settings.epoch_bytes - cutter.epoch_bytes);
            cutter.push(self.route(&records.slice(0, rows))?, self.limits, chunks)?;
            cutter.end_epoch(chunks);
            records = records.slice(rows, records.num_rows() - rows);
            parts = self.route(&records)?;
        }
    }

    fn queued(&self) -> usize {
        lock(&self.queue).len()
    }

    /// Encodes a queued chunk and appends it if it is next; false if none is queued.
    pub(super) fn help(&self, stopped: &dyn Fn() -> bool) -> Result<bool> {
        let Some(mut chunk) = lock(&self.queue).pop_front() else { return Ok(false) };
        let guard = Guard { pipeline: self, well: false };
        let window = 2 * self.settings.workers as u64 + 2;
        let mut tail = lock(&self.tail);
        while chunk.number >= tail.next_number + window && !tail.failed && !stopped() {
            let waited = self.appended.wait_timeout(tail, Duration::from_millis(50));
            tail = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if tail.failed || stopped() {
            drop(tail);
            return Ok(false);
        }
        drop(tail);
        let encoded = self.encoder.encode(std::mem::take(&mut chunk.batches))?;
        {
            let mut cutter = lock(&self.cutter);
            cutter.pending_bytes = cutter.pending_bytes.saturating_sub(chunk.bytes);
            cutter.account()?;
        }
        let mut tail = lock(&self.tail);
        tail.waiting.insert(chunk.number, (chunk, encoded));
        while !tail.failed
            && let Some(next) = tail.take_next()
        {
            if let Err(error) = self.append(&mut tail, next) {
                drop(tail);
                return Err(error);
            }
            tail.next_number += 1;
        }
        drop(tail);
        guard.disarm();
        Ok(true)
    }

    fn append(&self, tail: &mut Tail, (chunk, encoded): (Chunk, Encoded)) -> Result<()> {
        if !tail.open.contains_key(&chunk.folder) {
            if chunk.ends_epoch && tail.open.len() >= MAX_OPEN {
                // The open files are the same at the end of an epoch however its chunks came; so is the one closed.
                let oldest = tail.open.iter().min_by_key(|(name, file)| (file.last_epoch, Arc::clone(name)));
                if let Some(name) = oldest.map(|(name, _)| Arc::clone(name)) {
                    self.close(tail, &name)?;
                }
            }
            self.open(tail, &chunk.folder)?;
        }
        let file = tail.open.get_mut(&chunk.folder).ok_or_else(|| Error::internal("a file that was opened is gone"))?;
        file.last_epoch = chunk.epoch;
        file.appender.append(encoded)
    }

    fn open(&self, tail: &mut Tail, folder: &Arc<str>) -> Result<()> {
        let number = tail.begun.entry(Arc::clone(folder)).or_default();
        let failed = |error: std::io::Error| writing(&self.settings.name, &error);
        let file = match &tail.place {
            Place::File(partial) => OutFile::file(partial.handle().map_err(failed)?, Arc::clone(&self.settings.name)),
            Place::Direct(file) => OutFile::file(file.try_clone().map_err(failed)?, Arc::clone(&self.settings.name)),
            Place::Stdout => OutFile::stdout(),
            Place::Folder(partial, ending) => {
                let path = Path::new(&**folder).join(format!("part-{number}{ending}"));
                let name = Path::new(&*self.settings.name).join(&path).display().to_string();
                let file = partial.create(&path).map_err(|error| writing(&name, &error))?;
                OutFile::file(file, name.into())
            }
        };
        *number += 1;
        let appender = self.encoder.create(file)?;
        tail.open.insert(Arc::clone(folder), OpenFile { appender, last_epoch: 0 });
        Ok(())
    }

    fn close(&self, tail: &mut Tail, folder: &Arc<str>) -> Result<()> {
        if let Some(file) = tail.open.remove(folder) {
            // A device cannot be synced, and a file by itself is when it gets its name.
            let sync = self.settings.sync && matches!(tail.place, Place::Folder(..));
            tail.bytes += file.appender.finish()?.close(sync)?;
            tail.files += 1;
        }
        Ok(())
    }

    /// Writes all that is left, on as many threads as the pass had.
    pub(super) fn finish(self, stopped: &(dyn Fn() -> bool + Sync)) -> Result<Complete> {
        {
            let mut chunks = Vec::new();
            lock(&self.cutter).end_epoch(&mut chunks);
            lock(&self.queue).extend(chunks);
        }
        let work = || -> Result<()> {
            while !stopped() && self.help(stopped)? {}
            Ok(())
        };
        let helpers = self.queued().min(self.settings.workers).saturating_sub(1);
        std::thread::scope(|scope| {
            let start = |at: usize| std::thread::Builder::new().name(format!("outcrop-{at}")).spawn_scoped(scope, work);
            // A thread that cannot be started is not missed: the others do its work.
            let threads: Vec<_> = (0..helpers).filter_map(|at| start(at).ok()).collect();
            let own = work();
            let joined = threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|_| Err(Error::internal("a thread that wrote panicked"))));
            joined.fold(own, Result::and)
        })?;
        let mut tail = lock(&self.tail);
        if stopped() {
            return Err(cancelled());
        }
        if !tail.waiting.is_empty() || tail.failed {
            return Err(Error::internal("chunks were left unwritten"));
        }
        if self.router.is_none() && tail.begun.is_empty() {
            self.open(&mut tail, &Arc::from(""))?;
        }
        while let Some(folder) = tail.open.keys().next().cloned() {
            self.close(&mut tail, &folder)?;
        }
        drop(tail);
        let tail = self.tail.into_inner().unwrap_or_else(PoisonError::into_inner);
        let rows = lock(&self.cutter).rows;
        Ok(Complete { place: tail.place, rows, bytes: tail.bytes, files: tail.files })
    }
}

fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "the run was cancelled")
}

impl Cutter {
    fn push(&mut self, parts: Vec<Routed>, limits: ChunkLimits, chunks: &mut Vec<Chunk>) -> Result<()> {
        for part in parts {
            let bytes = part.bytes;
            self.rows += part.records.num_rows() as u64;
            self.pending_bytes += bytes;
            let cut = match self.chunkers.get_mut(&part.folder) {
                Some(chunker) => chunker.push(part.records, bytes, limits)?,
                None => {
                    let chunker = self.chunkers.entry(Arc::clone(&part.folder)).or_default();
                    chunker.push(part.records, bytes, limits)?
                }
            };
            for cut in cut {
                chunks.push(self.chunk(&part.folder, cut, false));
            }
        }
        Ok(())
    }

    fn chunk(&mut self, folder: &Arc<str>, cut: Cut, ends_epoch: bool) -> Chunk {
        let Cut { batches, bytes } = cut;
        let number = self.next_number;
        self.next_number += 1;
        Chunk { number, folder: Arc::clone(folder), epoch: self.epoch, ends_epoch, batches, bytes }
    }

    /// Makes chunks of whatever rows there are.
    fn end_epoch(&mut self, chunks: &mut Vec<Chunk>) {
        for (folder, mut chunker) in std::mem::take(&mut self.chunkers) {
            if !chunker.is_empty() {
                chunks.push(self.chunk(&folder, chunker.take(), true));
            }
        }
        self.epoch += 1;
        self.epoch_bytes = 0;
    }

    fn account(&mut self) -> Result<()> {
        self.reservation.resize(usize::try_from(self.pending_bytes).unwrap_or(usize::MAX))
    }
}
