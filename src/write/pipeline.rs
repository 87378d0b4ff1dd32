//! From rows in order to bytes in order, encoded on the way by whoever has time.
//!
//! **Idea.** The worker whose turn it is cuts rows into numbered chunks and queues them; workers that are about to read
//! on, or that wait for their turn, encode what is queued; whoever has encoded the next number appends it, and all that
//! waited behind it.
//! **Invariants.**
//! - Numbers are taken from the queue in order, and whoever works on the smallest waits for nobody. So the workers that
//!   wait because the window is full are woken.
//! - The queue holds no more than one chunk a worker, and no chunk is appended further ahead than the window.
//! - Where memory is scarce, rows wait on disk, and the chunk that is next is encoded and appended in one: what is set aside is
//!   enough for that, however many rows wait.

use super::chunk::{
    ChunkLimits, Chunker, Cut, Held, NominalRow, Part, ROW_OVERHEAD_BYTES, Small, compacted, put_on_disk, rows_until,
    value_bytes,
};
use super::files::{Appender, Encoded, Encoder, OutFile, writing};
use super::folders::{Routed, Router};
use super::room::{ChunkNeeds, WriteRoom};
use crate::atomic::Partial;
use crate::error::{Error, ErrorKind, Result};
use crate::memory::{Budget, Reservation, Spill, SpillFile, used_bytes};
use crate::panics::lock;
use arrow::array::RecordBatch;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// So many files may be open. Then the one written to longest ago is closed; when its folder gets more rows, text is
/// appended to it, and other formats begin another file. The number is fixed, because it shows in what files there are.
const MAX_OPEN: usize = 100;

/// Rows come in batches, of which one must have room; those that wait for more can do so on disk.
const LEAST_ROWS_BYTES: usize = 512 << 10;

/// How long a worker waits for others before it looks whether it still has to.
const PATIENCE: Duration = Duration::from_millis(50);

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
    cut: Cut,
}

/// Cuts rows into chunks.
struct Cutter {
    chunkers: BTreeMap<Arc<str>, Chunker>,
    small: Small,
    next_number: u64,
    rows: u64,
    epoch_bytes: u64,
    /// For what is in `small`.
    reservations: Vec<Reservation>,
}

/// Appends chunks.
struct Tail {
    next_number: u64,
    /// Chunks encoded before their turn, and what is reserved for each.
    waiting: BTreeMap<u64, (Chunk, Encoded, Reservation)>,
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
    /// The chunk appended last.
    last_number: u64,
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
    /// Makes the file of a folder that gets no rows, with the columns that name folders too.
    when_empty: Option<Box<dyn Encoder>>,
    router: Option<Router>,
    limits: ChunkLimits,
    settings: Settings,
    room: WriteRoom,
    cutter: Mutex<Cutter>,
    queue: Mutex<VecDeque<Chunk>>,
    tail: Mutex<Tail>,
    appended: Condvar,
    /// For rows that wait.
    waiting_file: Arc<SpillFile>,
}

/// Memory that writing needs to go on whatever others take: of a batch, and of the chunk that is next, of rows that have
/// `all_bytes` in all, at most.
pub(super) fn least_needs(encoder: &dyn Encoder, row: NominalRow, all_bytes: usize) -> ChunkNeeds {
    let ChunkLimits { rows, bytes } = encoder.limits();
    let values = rows.saturating_mul(row.value_bytes).min(usize::try_from(bytes).unwrap_or(usize::MAX));
    let values = values.min(all_bytes);
    // A chunk ends behind the row that fills it.
    let encoding_bytes = encoder.least_encoding_bytes(values.saturating_add(values / 16));
    ChunkNeeds { rows_bytes: LEAST_ROWS_BYTES, encoding_bytes }
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
    fn take_next(&mut self) -> Option<(Chunk, Encoded, Reservation)> {
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
        when_empty: Option<Box<dyn Encoder>>,
        router: Option<Router>,
        place: Place,
        settings: Settings,
        budget: &Budget,
        spill: &Spill,
    ) -> Self {
        let cutter = Cutter {
            chunkers: BTreeMap::new(),
            small: Small::default(),
            next_number: 0,
            rows: 0,
            epoch_bytes: 0,
            reservations: Vec::new(),
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
            when_empty,
            router,
            settings,
            room: WriteRoom::new(budget),
            cutter: Mutex::new(cutter),
            queue: Mutex::default(),
            tail: Mutex::new(tail),
            appended: Condvar::new(),
            waiting_file: Arc::new(spill.file()),
        }
    }

    /// So much is set aside for that.
    pub(super) fn set_aside(&self, needs: ChunkNeeds, reservation: Reservation) {
        self.room.set_aside(needs, reservation);
    }

    /// Whether bytes have gone where they cannot be taken back.
    pub(super) fn has_flowed(&self) -> bool {
        let tail = lock(&self.tail);
        matches!(tail.place, Place::Direct(_) | Place::Stdout) && !tail.begun.is_empty()
    }

    /// Lets go of memory that the rows of a batch do not need, and sorts them into folders unless they are few.
    pub(super) fn prepare(&self, records: RecordBatch) -> Result<(RecordBatch, Option<Routed>)> {
        let records = compacted(records)?;
        let routed = if Small::is_small(&records) { None } else { Some(self.route(&records)?) };
        Ok((records, routed))
    }

    fn route(&self, records: &RecordBatch) -> Result<Routed> {
        match &self.router {
            Some(router) => router.route(records),
            None => Ok(Routed::whole(records.clone())),
        }
    }

    /// Takes the next rows, as [`Pipeline::prepare`] left them.
    pub(super) fn take(&self, records: RecordBatch, routed: Option<Routed>, stopped: &dyn Fn() -> bool) -> Result<()> {
        // Of rows that are put together with others, both are there for a moment.
        let own = self.reserve(used_bytes([&records].into_iter(), true), stopped)?;
        let mut chunks = Vec::new();
        {
            let mut cutter = lock(&self.cutter);
            match routed {
                None => {
                    cutter.small.add(records);
                    cutter.reservations.push(own);
                    if cutter.small.is_full() {
                        self.take_small(&mut cutter, &mut chunks)?;
                    }
                }
                Some(routed) => {
                    self.take_small(&mut cutter, &mut chunks)?;
                    self.take_routed(&mut cutter, records, routed, Arc::new([own]), &mut chunks)?;
                }
            }
        }
        lock(&self.queue).extend(chunks);
        while self.queued() > self.settings.workers && !stopped() && self.help(stopped)? {}
        Ok(())
    }

    fn take_small(&self, cutter: &mut Cutter, chunks: &mut Vec<Chunk>) -> Result<()> {
        match cutter.small.take()? {
            None => Ok(()),
            Some(records) => {
                let routed = self.route(&records)?;
                let own = std::mem::take(&mut cutter.reservations);
                self.take_routed(cutter, records, routed, own.into(), chunks)
            }
        }
    }

    /// An epoch ends at the row with which the values since the last reach their number of bytes, so that it does not
    /// depend on batches. All rows are written then, so that no more than these are ever held.
    fn take_routed(
        &self,
        cutter: &mut Cutter,
        mut records: RecordBatch,
        mut routed: Routed,
        own: Arc<[Reservation]>,
        chunks: &mut Vec<Chunk>,
    ) -> Result<()> {
        if self.router.is_none() {
            return cutter.push(routed, own, self.limits, chunks);
        }
        loop {
            let bytes = value_bytes(&records) + ROW_OVERHEAD_BYTES * records.num_rows() as u64;
            if cutter.epoch_bytes + bytes < self.settings.epoch_bytes {
                cutter.epoch_bytes += bytes;
                return cutter.push(routed, own, self.limits, chunks);
            }
            let room = self.settings.epoch_bytes - cutter.epoch_bytes;
            let rows = rows_until(&records, records.num_rows(), room, ROW_OVERHEAD_BYTES);
            cutter.push(self.route(&records.slice(0, rows))?, Arc::clone(&own), self.limits, chunks)?;
            cutter.end_epoch(chunks);
            records = records.slice(rows, records.num_rows() - rows);
            routed = self.route(&records)?;
        }
    }

    /// Memory for rows: if there is none, what has been cut is written first, and what waits goes to disk.
    fn reserve(&self, bytes: usize, stopped: &dyn Fn() -> bool) -> Result<Reservation> {
        loop {
            let refusal = match self.room.rows(bytes) {
                Ok(own) => return Ok(own),
                Err(refusal) => refusal,
            };
            let cut = lock(&self.cutter).next_number;
            if self.help(stopped)? || self.put_waiting_on_disk()? {
                continue;
            }
            let tail = lock(&self.tail);
            if tail.next_number >= cut || tail.failed || stopped() {
                // What was written since has given its memory back.
                return self.room.rows(bytes).map_err(|_| refusal);
            }
            drop(self.appended.wait_timeout(tail, PATIENCE));
        }
    }

    /// Rows that wait for their chunks to be whole go to disk; whether there were any in memory.
    fn put_waiting_on_disk(&self) -> Result<bool> {
        let mut chunks = Vec::new();
        let mut cutter = lock(&self.cutter);
        self.take_small(&mut cutter, &mut chunks)?;
        let any = put_on_disk(&mut cutter.chunkers.values_mut().collect::<Vec<_>>(), &self.waiting_file)?;
        drop(cutter);
        let any = any || !chunks.is_empty();
        lock(&self.queue).extend(chunks);
        Ok(any)
    }

    /// What is to be done where a column of a chunk does not fit in memory.
    fn too_little(&self, refusal: Error) -> Error {
        match (self.encoder.remedy(), refusal.hint_text()) {
            (Some(remedy), Some(hint)) => {
                let hint = format!("{hint}, or {remedy}");
                refusal.hint(hint)
            }
            _ => refusal,
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
        let bytes = chunk.cut.bytes;
        let copies = self.encoder.encoding_bytes(usize::try_from(bytes).unwrap_or(usize::MAX));
        let own = loop {
            if tail.failed || stopped() {
                drop(tail);
                return Ok(false);
            }
            if chunk.number < tail.next_number + window {
                match self.room.encoding(copies) {
                    Err(_) if chunk.number == tail.next_number => {
                        self.append_at_once(&mut tail, chunk)?;
                        drop(tail);
                        guard.disarm();
                        return Ok(true);
                    }
                    Err(_) => {}
                    Ok(own) => break own,
                }
            }
            let waited = self.appended.wait_timeout(tail, PATIENCE);
            tail = waited.unwrap_or_else(PoisonError::into_inner).0;
        };
        drop(tail);
        let parts = std::mem::take(&mut chunk.cut.parts);
        let encoded = self.encoder.encode(&parts, bytes)?;
        drop(parts);
        let mut tail = lock(&self.tail);
        tail.waiting.insert(chunk.number, (chunk, encoded, own));
        self.append_waiting(&mut tail)?;
        drop(tail);
        guard.disarm();
        Ok(true)
    }

    /// Encodes the chunk that is next into its file, with as little memory as that takes, and appends what waited behind it.
    fn append_at_once(&self, tail: &mut Tail, chunk: Chunk) -> Result<()> {
        let bytes = chunk.cut.bytes;
        let least = self.encoder.least_encoding_bytes(usize::try_from(bytes).unwrap_or(usize::MAX));
        let own = self.room.encoding_next(least).map_err(|refusal| self.too_little(refusal))?;
        let file = self.file_of(tail, &chunk)?;
        self.encoder.encode_to(&mut *file.appender, &chunk.cut.parts, bytes)?;
        // Whoever sees that it is appended finds its memory free.
        drop((own, chunk));
        tail.next_number += 1;
        self.append_waiting(tail)
    }

    fn append_waiting(&self, tail: &mut Tail) -> Result<()> {
        while !tail.failed
            && let Some((chunk, encoded, _own)) = tail.take_next()
        {
            self.file_of(tail, &chunk)?.appender.append(encoded)?;
            tail.next_number += 1;
        }
        Ok(())
    }

    /// The file that a chunk is appended to, open.
    fn file_of<'a>(&self, tail: &'a mut Tail, chunk: &Chunk) -> Result<&'a mut OpenFile> {
        if !tail.open.contains_key(&chunk.folder) {
            if tail.open.len() >= MAX_OPEN {
                let oldest = tail.open.iter().min_by_key(|(_, file)| file.last_number);
                if let Some(name) = oldest.map(|(name, _)| Arc::clone(name)) {
                    self.close(tail, &name)?;
                }
            }
            self.open(tail, &chunk.folder, &*self.encoder)?;
        }
        let file = tail.open.get_mut(&chunk.folder).ok_or_else(|| Error::internal("a file that was opened is gone"))?;
        file.last_number = chunk.number;
        Ok(file)
    }

    fn open(&self, tail: &mut Tail, folder: &Arc<str>, encoder: &dyn Encoder) -> Result<()> {
        let begun = tail.begun.entry(Arc::clone(folder)).or_default();
        let resumes = *begun > 0 && encoder.can_resume();
        let number = if resumes { *begun - 1 } else { *begun };
        let failed = |error: std::io::Error| writing(&self.settings.name, &error);
        let file = match &tail.place {
            Place::File(partial) => OutFile::file(partial.handle().map_err(failed)?, Arc::clone(&self.settings.name)),
            Place::Direct(file) => OutFile::file(file.try_clone().map_err(failed)?, Arc::clone(&self.settings.name)),
            Place::Stdout => OutFile::stdout(),
            Place::Folder(partial, ending) => {
                let path = Path::new(&**folder).join(format!("part-{number}{ending}"));
                let name = Path::new(&*self.settings.name).join(&path).display().to_string();
                let file = if resumes { partial.reopen(&path) } else { partial.create(&path) };
                OutFile::file(file.map_err(|error| writing(&name, &error))?, name.into())
            }
        };
        let appender = if resumes {
            encoder.resume(file)?
        } else {
            *begun += 1;
            tail.files += 1;
            encoder.create(file)?
        };
        tail.open.insert(Arc::clone(folder), OpenFile { appender, last_number: 0 });
        Ok(())
    }

    fn close(&self, tail: &mut Tail, folder: &Arc<str>) -> Result<()> {
        if let Some(file) = tail.open.remove(folder) {
            // A device cannot be synced, and a file by itself is when it gets its name.
            let sync = self.settings.sync && matches!(tail.place, Place::Folder(..));
            tail.bytes += file.appender.finish()?.close(sync)?;
        }
        Ok(())
    }

    /// Writes all that is left, on as many threads as the pass had.
    pub(super) fn finish(self, stopped: &(dyn Fn() -> bool + Sync)) -> Result<Complete> {
        {
            let mut chunks = Vec::new();
            let mut cutter = lock(&self.cutter);
            self.take_small(&mut cutter, &mut chunks)?;
            cutter.end_epoch(&mut chunks);
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
        if tail.begun.is_empty() {
            let encoder = self.when_empty.as_ref().unwrap_or(&self.encoder);
            self.open(&mut tail, &Arc::from(""), &**encoder)?;
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
    fn push(
        &mut self,
        routed: Routed,
        own: Arc<[Reservation]>,
        limits: ChunkLimits,
        chunks: &mut Vec<Chunk>,
    ) -> Result<()> {
        self.rows += routed.records.num_rows() as u64;
        let held = Arc::new(Held::new(routed.records.clone(), own));
        let mut complete = Vec::new();
        for folder in &routed.folders {
            let part = Part { held: Arc::clone(&held), rows: folder.rows.clone() };
            let chunker = match self.chunkers.get_mut(&folder.name) {
                Some(chunker) => chunker,
                None => self.chunkers.entry(Arc::clone(&folder.name)).or_default(),
            };
            for cut in chunker.push(part, folder.bytes, limits)? {
                let last = cut.parts.last().map_or(0, |part| part.rows.end.saturating_sub(1));
                complete.push((routed.input_row(last), &folder.name, cut));
            }
        }
        // Numbered by their last rows, which no batch has a say in.
        complete.sort_by_key(|(last, ..)| *last);
        for (_, folder, cut) in complete {
            chunks.push(self.chunk(folder, cut));
        }
        Ok(())
    }

    fn chunk(&mut self, folder: &Arc<str>, cut: Cut) -> Chunk {
        let number = self.next_number;
        self.next_number += 1;
        Chunk { number, folder: Arc::clone(folder), cut }
    }

    /// Makes chunks of whatever rows there are.
    fn end_epoch(&mut self, chunks: &mut Vec<Chunk>) {
        for (folder, mut chunker) in std::mem::take(&mut self.chunkers) {
            if !chunker.is_empty() {
                chunks.push(self.chunk(&folder, chunker.take()));
            }
        }
        self.epoch_bytes = 0;
    }
}
