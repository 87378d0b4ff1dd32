//! A scan over Parquet files: fragments to whoever asks, their partitions committed in file order.

use super::columns::FileReader;
use super::fragments::{plan, stored_bytes, wanted_leaves};
use super::needs::needs;
use super::open::ParquetFile;
use super::read::{FragmentReader, PartitionRead};
use crate::batch::RowId;
use crate::error::{Place, Result};
use crate::source::arrow_types::unify::SetColumn;
use crate::source::input::InputCounters;
use crate::source::{
    Committed, CommittedRows, Locate, PartitionId, Read, ReadNeeds, Scan, ScanRequest, ScanScratch, SourceBatch, Ticket,
};
use arrow::datatypes::{Field, Schema};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Partitions of one file that may wait for their commit, for each worker.
const PENDING_PER_WORKER: usize = 16;
/// How long a worker waits for others before it looks what else there is to do.
const PATIENCE: Duration = Duration::from_millis(20);

/// Partitions of one fragment are fewer.
const PIECES: u64 = 1 << 40;

/// A running scan.
pub(super) struct ParquetScan {
    files: Arc<[ParquetFile]>,
    columns: Arc<[SetColumn]>,
    request: ScanRequest,
    readers: Vec<OnceLock<Arc<FileReader>>>,
    /// The next fragment to hand out.
    cursor: Mutex<(usize, usize)>,
    chains: Vec<Mutex<Chain>>,
    committed: Condvar,
    stop_from: AtomicU32,
    rows_in_all: u64,
    stored_bytes: u64,
    bytes_handed_out: AtomicU64,
    /// By column wanted: its nanoseconds have been cut off; and that has been told.
    cuts: Vec<(Arc<AtomicBool>, AtomicBool)>,
    counters: Arc<InputCounters>,
}

/// The state of a file between commits.
#[derive(Default)]
struct Chain {
    /// The partition to commit next.
    next: u64,
    pending: BTreeMap<u64, Waiting>,
    sequence: u64,
    /// Committed to its end.
    closed: bool,
}

/// A partition that waits for its commit.
struct Waiting {
    records: u64,
    last_of_fragment: bool,
}

impl ParquetScan {
    pub(super) fn new(
        files: Arc<[ParquetFile]>,
        columns: Arc<[SetColumn]>,
        request: ScanRequest,
        counters: Arc<InputCounters>,
    ) -> Self {
        let read = files.iter().enumerate().filter(|(at, _)| !request.skips(*at)).map(|(_, file)| file);
        let (mut stored, mut rows) = (0, 0);
        for file in read {
            let leaves = wanted_leaves(file, &request);
            for row_group in 0..file.row_groups() {
                stored += stored_bytes(file, &leaves, row_group);
                rows += file.rows(row_group);
            }
        }
        ParquetScan {
            readers: files.iter().map(|_| OnceLock::new()).collect(),
            cursor: Mutex::new((0, 0)),
            chains: files.iter().map(|_| Mutex::default()).collect(),
            committed: Condvar::new(),
            stop_from: AtomicU32::new(u32::MAX),
            rows_in_all: rows,
            // A run whose questions need no column has read the files all the same.
            stored_bytes: stored.max(1),
            bytes_handed_out: AtomicU64::new(0),
            cuts: request.columns.iter().map(|_| Default::default()).collect(),
            files,
            columns,
            request,
            counters,
        }
    }

    fn chain(&self, file: usize) -> MutexGuard<'_, Chain> {
        self.chains[file].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cursor(&self) -> MutexGuard<'_, (usize, usize)> {
        self.cursor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopped(&self, file: usize) -> bool {
        self.stop_from.load(Ordering::Relaxed) as usize <= file
    }

    fn reader(&self, file: usize) -> &Arc<FileReader> {
        self.readers[file].get_or_init(|| {
            let plan = plan(&self.files[file], &self.columns, &self.request, self.rows_in_all);
            let cuts: Vec<Arc<AtomicBool>> = self.cuts.iter().map(|(cut, _)| Arc::clone(cut)).collect();
            let files = Arc::clone(&self.files);
            Arc::new(FileReader::new(files, file, plan, &self.columns, &self.request, &cuts))
        })
    }

    /// The next fragment, or what became certain instead.
    fn next_fragment(&self) -> Next {
        loop {
            let file = self.cursor().0;
            if file >= self.files.len() || self.is_stopped(file) {
                return Next::End;
            }
            if self.request.skips(file) {
                self.leave(file);
                continue;
            }
            let reader = Arc::clone(self.reader(file));
            if reader.fragments().is_empty() {
                if self.leave(file) {
                    return Next::Committed(self.close(file));
                }
                continue;
            }
            if !self.wait_for_room(file) {
                return Next::Busy;
            }
            let mut cursor = self.cursor();
            let (now, fragment) = *cursor;
            if now != file {
                continue;
            }
            *cursor = if fragment + 1 < reader.fragments().len() { (file, fragment + 1) } else { (file + 1, 0) };
            self.bytes_handed_out.fetch_add(reader.fragments()[fragment].stored_bytes, Ordering::Relaxed);
            return Next::Fragment(Box::new(FragmentReader::new(reader, fragment)));
        }
    }

    /// Whoever moves the cursor off a file without fragments tells of its end.
    fn leave(&self, file: usize) -> bool {
        let mut cursor = self.cursor();
        let moved = cursor.0 == file;
        if moved {
            *cursor = (file + 1, 0);
        }
        moved
    }

    /// Waits a moment, if too much waits for its commit; whether it still does, so that the worker can see to what others
    /// ask of it. The one whose fragment is to be committed next is still reading it and never waits here.
    fn wait_for_room(&self, file: usize) -> bool {
        let has_room = |chain: &Chain| chain.pending.len() < PENDING_PER_WORKER * self.request.workers;
        let chain = self.chain(file);
        if has_room(&chain) || self.request.cancel.is_cancelled() {
            return has_room(&chain);
        }
        let waited = self.committed.wait_timeout(chain, PATIENCE);
        has_room(&waited.unwrap_or_else(PoisonError::into_inner).0)
    }

    /// Tells of the end of a file of which nothing is read.
    fn close(&self, file: usize) -> Vec<Committed> {
        let mut chain = self.chain(file);
        chain.closed = true;
        let id = PartitionId { file: file as u32, ordinal: 0 };
        let nothing = CommittedRows::Between(Vec::new());
        self.files[file].input.close();
        vec![Committed { file_done: true, ..Committed::new(id, chain.sequence, nothing) }]
    }

    fn read_partition(
        &self,
        mut fragment: Box<FragmentReader>,
        scratch: &mut ScanScratch,
    ) -> Result<(Ticket, Vec<SourceBatch>)> {
        let start = Instant::now();
        let file = fragment.file();
        let ordinal = fragment.fragment as u64 * PIECES + fragment.piece;
        let read = fragment.next();
        scratch.times.parse += start.elapsed().as_secs_f64();
        let PartitionRead { batches, records, last } = read?;
        if !last {
            scratch.reader = Some(fragment);
        }
        let waiting = Waiting { records, last_of_fragment: last };
        let id = PartitionId { file: file as u32, ordinal };
        Ok((Ticket { id, notes: Box::new(waiting), held_bytes: 0 }, batches))
    }

    /// Commits whatever has its predecessors committed.
    fn advance(&self, file: usize, chain: &mut Chain) -> Vec<Committed> {
        let mut committed = Vec::new();
        let fragments = self.reader(file).fragments().len() as u64;
        while !chain.closed {
            let Some(waiting) = chain.pending.remove(&chain.next) else { break };
            let id = PartitionId { file: file as u32, ordinal: chain.next };
            let fragment = chain.next / PIECES;
            chain.next = if waiting.last_of_fragment { (fragment + 1) * PIECES } else { chain.next + 1 };
            chain.closed = waiting.last_of_fragment && fragment + 1 == fragments;
            if chain.closed {
                self.files[file].input.close();
            }
            committed.push(Committed {
                records: waiting.records,
                locate: Some(Box::new(RowPlace { name: Arc::clone(self.files[file].input.name()) })),
                file_done: chain.closed,
                warning: self.warning(),
                ..Committed::new(id, chain.sequence, CommittedRows::AsRead)
            });
            chain.sequence += 1;
        }
        committed
    }

    /// What is to be told of the columns read, each once.
    fn warning(&self) -> Option<String> {
        let told = |(at, (cut, told)): (usize, &(Arc<AtomicBool>, AtomicBool))| {
            let new = cut.load(Ordering::Relaxed) && !told.swap(true, Ordering::Relaxed);
            new.then(|| format!("`{}`", self.columns[self.request.columns[at]].name))
        };
        let names: Vec<String> = self.cuts.iter().enumerate().filter_map(told).collect();
        (!names.is_empty())
            .then(|| format!("{}: nanoseconds are cut off; timestamps are read in microseconds", names.join(", ")))
    }
}

enum Next {
    Fragment(Box<FragmentReader>),
    Committed(Vec<Committed>),
    /// Too much waits for its commit, or the scan was cancelled; the worker finds out which.
    Busy,
    End,
}

impl Scan for ParquetScan {
    fn needs(&self) -> ReadNeeds {
        let field = |&of_source: &usize| {
            let column = &self.columns[of_source];
            Field::new(&column.name, column.column_type.arrow(), true)
        };
        let schema = Schema::new(self.request.columns.iter().map(field).collect::<Vec<_>>());
        needs(&self.files, &schema, &self.request)
    }

    fn awaits_commit(&self, id: PartitionId) -> bool {
        self.chain(id.file as usize).pending.contains_key(&id.ordinal)
    }

    fn read(&self, scratch: &mut ScanScratch, _wait: bool) -> Result<Read> {
        let kept = scratch.reader.take().and_then(|kept| kept.downcast::<FragmentReader>().ok());
        if let Some(fragment) = kept
            && !self.is_stopped(fragment.file())
        {
            let (ticket, batches) = self.read_partition(fragment, scratch)?;
            return Ok(Read::Partition(ticket, batches));
        }
        Ok(match self.next_fragment() {
            Next::Fragment(fragment) => {
                let (ticket, batches) = self.read_partition(fragment, scratch)?;
                Read::Partition(ticket, batches)
            }
            Next::Committed(committed) => Read::Committed(committed),
            Next::Busy => Read::Busy,
            Next::End => Read::End,
        })
    }

    fn commit(&self, ticket: Ticket) -> Vec<Committed> {
        let file = ticket.id.file as usize;
        let mut chain = self.chain(file);
        if let Ok(waiting) = ticket.notes.downcast::<Waiting>() {
            chain.pending.insert(ticket.id.ordinal, *waiting);
        }
        let committed = self.advance(file, &mut chain);
        drop(chain);
        self.committed.notify_all();
        committed
    }

    fn stop_from(&self, file: u32) {
        self.stop_from.fetch_min(file, Ordering::Relaxed);
        self.committed.notify_all();
    }

    fn progress(&self) -> (u64, u64) {
        (self.bytes_handed_out.load(Ordering::Relaxed).min(self.stored_bytes), self.stored_bytes)
    }

    fn bytes_read(&self) -> u64 {
        self.counters.untold_bytes()
    }
}

/// A row's position is its number in the file.
struct RowPlace {
    name: Arc<str>,
}

impl Locate for RowPlace {
    fn place(&self, row: RowId) -> Place {
        Place { file: Some(Arc::clone(&self.name)), record: Some(row.position + 1), ..Place::default() }
    }

    fn recycle(self: Box<Self>, _scratch: &mut ScanScratch) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::CancelToken;
    use crate::source::column_policy::ColumnPolicy;
    use crate::source::parquet::open::open;
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::WriterProperties;

    #[test]
    fn chunks_are_let_go_behind_the_last_fragment_of_their_row_group() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.parquet");
        let values: ArrayRef = Arc::new(Int64Array::from_iter_values(0..300_000));
        let batch = RecordBatch::try_from_iter([("a", values)]).unwrap();
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(100_000)).build();
        let file = std::fs::File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();

        let counters = Arc::new(InputCounters::default());
        let opened = open(&[path], &counters, 1, ColumnPolicy::Error).unwrap();
        let request = ScanRequest {
            columns: vec![0],
            filter: None,
            coded: Arc::default(),
            skip: None,
            workers: 1,
            piece_bytes: 1 << 20,
            batch_bytes: 1 << 16,
            cancel: CancelToken::new(),
            budget: crate::memory::Budget::unlimited(),
        };
        let (files, columns) = (opened.files.into(), opened.columns.into());
        let scan = ParquetScan::new(files, columns, request, counters);
        let mut scratch = ScanScratch::default();
        let (mut rows, mut most_kept) = (0, 0);
        while let Read::Partition(ticket, batches) = scan.read(&mut scratch, true).unwrap() {
            rows += batches.iter().map(|batch| batch.batch.rows()).sum::<usize>();
            scan.commit(ticket);
            let reader = scan.reader(0);
            let kept = reader.fragments().iter().filter(|fragment| fragment.chunks.kept_bytes() > 0);
            let mut row_groups: Vec<usize> = kept.map(|fragment| fragment.row_group).collect();
            row_groups.dedup();
            most_kept = most_kept.max(row_groups.len());
        }
        let kept: usize = scan.reader(0).fragments().iter().map(|one| one.chunks.kept_bytes()).sum();
        assert_eq!((rows, most_kept, kept), (300_000, 1, 0));
    }
}
