//! A scan over Arrow IPC files: slices of record batches to whoever asks, committed in file order.

use super::decode::{BatchDecoder, Decoded, Wanted};
use super::source::{Counted, IpcFile};
use crate::batch::{Batch, Positions, RowId, RowOrigin, coded};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::memory::Reservation;
use crate::panics::lock;
use crate::source::arrow_types::convert::Converted;
use crate::source::arrow_types::leave_out;
use crate::source::arrow_types::unify::SetColumn;
use crate::source::{
    Committed, CommittedRows, Locate, Misfit, PartitionId, Read, ReadNeeds, Remedy, Scan, ScanRequest, ScanScratch,
    SourceBatch, Ticket,
};
use crate::types::ColumnType;
use arrow::array::{ArrayRef, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::{Duration, Instant};

/// Partitions of one file that may wait for their commit, for each worker.
const PENDING_PER_WORKER: usize = 16;
/// How long a worker waits for others before it looks what else there is to do.
const PATIENCE: Duration = Duration::from_millis(20);

/// Rows that a stored byte stands for, if it is not damaged: Booleans, compressed well.
const MOST_ROWS_PER_BYTE: usize = 512;

/// Text becomes so many times what is stored, if it is compressed; if it is more, that is asked for when it shows.
const TEXT_RATIO: usize = 2;

/// Rows of a partition, and of a batch, at most.
const MOST_ROWS: u64 = 1 << 16;

/// A running scan.
pub(super) struct IpcScan {
    files: Arc<[IpcFile]>,
    scans: Vec<FileScan>,
    request: ScanRequest,
    schema: SchemaRef,
    cursor: Mutex<Cursor>,
    committed: Condvar,
    stop_from: AtomicU32,
    stored_bytes: u64,
    bytes_handed_out: AtomicU64,
    /// By column wanted: that its nanoseconds were cut off has been told.
    cut_told: Vec<AtomicBool>,
    counted: Counted,
    /// What one record batch is expected to take at most: reserved beforehand.
    batch_bytes: usize,
    /// For more of them.
    opened: Mutex<Opened>,
}

/// What all record batches take that are not committed to their ends.
struct Opened {
    bytes: usize,
    /// For what is beyond one of them.
    reservation: Reservation,
}

struct FileScan {
    decoder: BatchDecoder,
    /// Record batches that are being handed out.
    open: Mutex<HashMap<usize, Arc<OpenBatch>>>,
    chain: Mutex<Chain>,
}

/// A record batch of which slices are still to be handed out.
struct OpenBatch {
    decoded: OnceLock<Result<Decoded>>,
    /// Slices that nobody has asked for yet.
    left: AtomicU64,
}

/// What to hand out next.
#[derive(Default)]
struct Cursor {
    file: usize,
    batch: usize,
    /// Row of the batch.
    row: u64,
    /// Partitions of the file handed out.
    ordinal: u64,
}

/// The state of a file between commits.
#[derive(Default)]
struct Chain {
    next: u64,
    pending: BTreeMap<u64, Waiting>,
    sequence: u64,
    /// Committed to its end or to an error.
    closed: bool,
    /// What is held of record batches that are not committed to their ends.
    open_bytes: usize,
}

/// A partition that waits for its commit.
struct Waiting {
    records: u64,
    last: bool,
    error: Option<Error>,
    /// Columns of which nanoseconds were cut off.
    cut: Vec<usize>,
    /// What was held of a record batch that ends with it.
    ends_bytes: usize,
}

/// A slice of a record batch.
struct Slice {
    file: usize,
    batch: usize,
    rows: Range<u64>,
    ordinal: u64,
    last_of_batch: bool,
    last_of_file: bool,
}

enum Next {
    Slice(Slice),
    Committed(Vec<Committed>),
    /// Others have to commit first.
    Busy,
    End,
}

/// What a record batch is expected to take, and of that, what it becomes if it is decompressed.
fn expected(file: &IpcFile, batch: usize, schema: &Schema) -> (usize, usize) {
    let batch = &file.index.batches[batch];
    let stored = usize::try_from(batch.place.bytes()).unwrap_or(usize::MAX);
    // What a damaged file claims is for the decoder to refuse, with its place.
    let rows = usize::try_from(batch.rows).unwrap_or(usize::MAX).min(stored.saturating_mul(MOST_ROWS_PER_BYTE));
    let values = rows.saturating_mul(ScanRequest::row_bytes(schema));
    let has_text = schema.fields().iter().any(|field| *field.data_type() == DataType::Utf8View);
    let becomes = values.saturating_add(if has_text { TEXT_RATIO.saturating_mul(stored) } else { 0 });
    let raw = if file.bytes.is_mapped() { 0 } else { stored };
    (raw.saturating_add(becomes), becomes)
}

impl IpcScan {
    pub(super) fn new(files: Arc<[IpcFile]>, columns: &[SetColumn], request: ScanRequest, counted: Counted) -> Self {
        let wanted = |file: &IpcFile| -> Vec<Wanted> {
            let one = |(at, &column): (usize, &usize)| Wanted {
                column: file.map[column].and_then(|at| file.columns.columns.get(at)).cloned(),
                column_type: columns[column].column_type,
                coded: request.takes_codes(at) && columns[column].column_type == ColumnType::Utf8,
            };
            request.columns.iter().enumerate().map(one).collect()
        };
        let scan = |file: &IpcFile| FileScan {
            decoder: BatchDecoder::new(
                Arc::clone(&file.bytes),
                Arc::clone(&file.index),
                wanted(file),
                request.budget.clone(),
            ),
            open: Mutex::default(),
            chain: Mutex::default(),
        };
        let field = |&column: &usize| Field::new(&columns[column].name, columns[column].column_type.arrow(), true);
        let schema = Arc::new(Schema::new(request.columns.iter().map(field).collect::<Vec<_>>()));
        let read = files.iter().enumerate().filter(|(at, _)| !request.skips(*at));
        let stored_bytes =
            read.clone().flat_map(|(_, file)| &file.index.batches).map(|batch| batch.place.bytes()).sum::<u64>();
        let batches = read.flat_map(|(_, file)| (0..file.index.batches.len()).map(move |batch| (file, batch)));
        let batch_bytes = batches.map(|(file, batch)| expected(file, batch, &schema).0).max().unwrap_or(0);
        let reservation = request.budget.reservation("record batches");
        IpcScan {
            scans: files.iter().map(scan).collect(),
            schema,
            cursor: Mutex::default(),
            committed: Condvar::new(),
            stop_from: AtomicU32::new(u32::MAX),
            stored_bytes: stored_bytes.max(1),
            bytes_handed_out: AtomicU64::new(0),
            cut_told: request.columns.iter().map(|_| AtomicBool::new(false)).collect(),
            files,
            request,
            counted,
            batch_bytes,
            opened: Mutex::new(Opened { bytes: 0, reservation }),
        }
    }

    fn is_stopped(&self, file: usize) -> bool {
        self.stop_from.load(Ordering::Relaxed) as usize <= file
    }

    /// Rows of a slice that is to take about so many bytes of the file.
    fn rows_of(&self, file: usize, batch: usize, bytes: usize) -> u64 {
        let batch = &self.files[file].index.batches[batch];
        ((bytes as u64).saturating_mul(batch.rows) / batch.place.bytes().max(1)).clamp(1, MOST_ROWS)
    }

    fn next(&self) -> Next {
        loop {
            let mut cursor = lock(&self.cursor);
            let file = cursor.file;
            if file >= self.files.len() || self.is_stopped(file) || self.request.cancel.is_cancelled() {
                return Next::End;
            }
            if self.request.skips(file) {
                *cursor = Cursor { file: file + 1, ..Cursor::default() };
                continue;
            }
            let batches = &self.files[file].index.batches;
            let mut chain = lock(&self.scans[file].chain);
            if batches.is_empty() || chain.closed {
                *cursor = Cursor { file: file + 1, ..Cursor::default() };
                if chain.closed {
                    continue;
                }
                chain.closed = true;
                let id = PartitionId { file: file as u32, ordinal: 0 };
                let nothing = CommittedRows::Between(Vec::new());
                return Next::Committed(vec![Committed { file_done: true, ..Committed::new(id, 0, nothing) }]);
            }
            if chain.pending.len() >= PENDING_PER_WORKER * self.request.workers {
                // The worker whose partition is to be committed next is still reading it and does not wait here.
                drop(cursor);
                drop(self.committed.wait_timeout(chain, PATIENCE));
                return Next::Busy;
            }
            if cursor.row == 0 && !self.admit(file, cursor.batch, &mut chain) {
                // Those before it can be committed without it, and leave their memory.
                drop(cursor);
                drop(self.committed.wait_timeout(chain, PATIENCE));
                return Next::Busy;
            }
            drop(chain);
            return Next::Slice(self.take_slice(&mut cursor));
        }
    }

    /// Whether there is memory for one more record batch, which is taken then. For the only one there always is.
    fn admit(&self, file: usize, batch: usize, chain: &mut Chain) -> bool {
        let bytes = expected(&self.files[file], batch, &self.schema).0;
        let mut opened = lock(&self.opened);
        let sum = opened.bytes + bytes;
        let admitted = opened.reservation.resize(sum.saturating_sub(self.batch_bytes)).is_ok();
        if admitted {
            opened.bytes = sum;
            chain.open_bytes += bytes;
        }
        admitted
    }

    /// Gives back what was held of record batches of a file.
    fn release(&self, chain: &mut Chain, bytes: usize) {
        let bytes = bytes.min(chain.open_bytes);
        chain.open_bytes -= bytes;
        let mut opened = lock(&self.opened);
        opened.bytes -= bytes;
        let beyond = opened.bytes.saturating_sub(self.batch_bytes);
        // Giving back is never refused.
        let _ = opened.reservation.resize(beyond);
    }

    fn take_slice(&self, cursor: &mut Cursor) -> Slice {
        let Cursor { file, batch, row, ordinal } = *cursor;
        let batches = &self.files[file].index.batches;
        let of_batch = batches[batch].rows;
        let end = of_batch.min(row + self.rows_of(file, batch, self.request.piece_bytes));
        let last_of_batch = end == of_batch;
        let last_of_file = last_of_batch && batch + 1 == batches.len();
        *cursor = match (last_of_batch, last_of_file) {
            (_, true) => Cursor { file: file + 1, ..Cursor::default() },
            (true, false) => Cursor { file, batch: batch + 1, row: 0, ordinal: ordinal + 1 },
            (false, false) => Cursor { file, batch, row: end, ordinal: ordinal + 1 },
        };
        if row == 0 {
            self.bytes_handed_out.fetch_add(batches[batch].place.bytes(), Ordering::Relaxed);
        }
        Slice { file, batch, rows: row..end, ordinal, last_of_batch, last_of_file }
    }

    /// The record batch of a slice, decoded once for all its slices.
    fn open(&self, slice: &Slice) -> Arc<OpenBatch> {
        let scan = &self.scans[slice.file];
        let open = {
            let mut all = lock(&scan.open);
            let slices = || {
                let rows = self.files[slice.file].index.batches[slice.batch].rows;
                let slices = rows.div_ceil(self.rows_of(slice.file, slice.batch, self.request.piece_bytes)).max(1);
                Arc::new(OpenBatch { decoded: OnceLock::new(), left: AtomicU64::new(slices) })
            };
            let open = Arc::clone(all.entry(slice.batch).or_insert_with(slices));
            if open.left.fetch_sub(1, Ordering::Relaxed) == 1 {
                all.remove(&slice.batch);
            }
            open
        };
        open.decoded.get_or_init(|| {
            let file = &self.files[slice.file];
            let expected = expected(file, slice.batch, &self.schema).1;
            let decoded = scan.decoder.decode(&file.index.batches[slice.batch], expected)?;
            if self.files[slice.file].bytes.is_mapped() {
                self.counted.touched.fetch_add(decoded.touched_bytes, Ordering::Relaxed);
            }
            Ok(decoded)
        });
        open
    }

    fn read_slice(&self, slice: &Slice) -> (Waiting, Vec<SourceBatch>) {
        let ends_bytes =
            if slice.last_of_batch { expected(&self.files[slice.file], slice.batch, &self.schema).0 } else { 0 };
        let mut waiting = Waiting { records: 0, last: slice.last_of_file, error: None, cut: Vec::new(), ends_bytes };
        let open = self.open(slice);
        let batches = match open.decoded.get() {
            Some(Ok(decoded)) => self.batches(slice, decoded, &mut waiting),
            Some(Err(error)) => Err(error.clone()),
            None => Err(Error::internal("a record batch was not decoded")),
        };
        match batches {
            Ok(batches) => {
                waiting.records = slice.rows.end - slice.rows.start;
                (waiting, batches)
            }
            Err(error) => {
                waiting.error = Some(error);
                (waiting, Vec::new())
            }
        }
    }

    fn batches(&self, slice: &Slice, decoded: &Decoded, waiting: &mut Waiting) -> Result<Vec<SourceBatch>> {
        let first_row = self.files[slice.file].index.batches[slice.batch].first_row;
        let step = self.rows_of(slice.file, slice.batch, self.request.batch_bytes);
        let is_cut = |column: &usize| decoded.columns[*column].as_ref().is_ok_and(|converted| converted.cut);
        waiting.cut = (0..decoded.columns.len()).filter(is_cut).collect();
        let mut batches = Vec::new();
        let mut start = slice.rows.start;
        while start < slice.rows.end {
            let end = slice.rows.end.min(start + step);
            let rows = start as usize..end as usize;
            let mut misfits = Vec::new();
            let column = |(at, column): (usize, &Result<_>)| self.column(at, column, &rows, &mut misfits);
            let arrays = decoded.columns.iter().enumerate().map(column).collect();
            misfits.sort_by_key(|misfit| misfit.row);
            let records = coded::records(&self.schema, arrays, rows.len())?;
            let origin = RowOrigin { file: slice.file as u32, positions: Positions::Consecutive(first_row + start) };
            batches.push(SourceBatch { batch: Batch { records, origin }, misfits, recoded: Vec::new() });
            start = end;
        }
        Ok(batches)
    }

    /// Some rows of a column; those of a column that cannot be read are null, and each is a misfit.
    fn column(
        &self,
        at: usize,
        column: &Result<Converted>,
        rows: &Range<usize>,
        misfits: &mut Vec<Misfit>,
    ) -> ArrayRef {
        let field = self.schema.field(at);
        let named = |error: Error| error.with_place(|place| place.column = Some(field.name().as_str().into()));
        match column {
            Ok(converted) => {
                let own = converted.misfits.iter().filter(|(row, _)| rows.contains(row));
                misfits.extend(own.map(|(row, text)| {
                    let message = format!("this value does not fit {}", field.data_type());
                    let error = named(Error::new(ErrorKind::Value, message));
                    let error = error.with_place(|place| place.value = Some(text.clone()));
                    let error = error.hint(leave_out(field.name()));
                    Misfit { row: row - rows.start, column: at, text: text.clone(), remedy: Remedy::Fail(error) }
                }));
                converted.array.slice(rows.start, rows.len())
            }
            Err(error) => {
                let error = named(error.clone());
                let lost = |row| Misfit { row, column: at, text: String::new(), remedy: Remedy::Fail(error.clone()) };
                misfits.extend((0..rows.len()).map(lost));
                new_null_array(field.data_type(), rows.len())
            }
        }
    }

    /// Commits whatever has its predecessors committed.
    fn advance(&self, file: usize, chain: &mut Chain) -> Vec<Committed> {
        let mut committed = Vec::new();
        while !chain.closed {
            let Some(waiting) = chain.pending.remove(&chain.next) else { break };
            let id = PartitionId { file: file as u32, ordinal: chain.next };
            chain.next += 1;
            chain.closed = waiting.last || waiting.error.is_some();
            self.release(chain, if chain.closed { usize::MAX } else { waiting.ends_bytes });
            if chain.closed {
                self.files[file].bytes.input.close();
            }
            let name = Arc::clone(self.files[file].name());
            committed.push(Committed {
                records: waiting.records,
                locate: Some(Box::new(RowPlace { name })),
                file_done: waiting.last && waiting.error.is_none(),
                error: waiting.error,
                warning: self.warning(&waiting.cut),
                ..Committed::new(id, chain.sequence, CommittedRows::AsRead)
            });
            chain.sequence += 1;
        }
        if chain.closed {
            chain.pending.clear();
        }
        committed
    }

    /// Tells of columns of which nanoseconds were cut off, each once.
    fn warning(&self, cut: &[usize]) -> Option<String> {
        let new = cut.iter().filter(|&&column| !self.cut_told[column].swap(true, Ordering::Relaxed));
        let names: Vec<String> = new.map(|&column| format!("`{}`", self.schema.field(column).name())).collect();
        (!names.is_empty())
            .then(|| format!("{}: nanoseconds are cut off; timestamps are read in microseconds", names.join(", ")))
    }
}

impl Scan for IpcScan {
    fn needs(&self) -> ReadNeeds {
        let piece = self.request.piece_bytes;
        let rows = (self.files.iter().enumerate().filter(|(file, _)| !self.request.skips(*file)))
            .flat_map(|(file, of)| (0..of.index.batches.len()).map(move |batch| (file, batch)))
            .map(|(file, batch)| self.rows_of(file, batch, piece))
            .max();
        let rows = usize::try_from(rows.unwrap_or(0)).unwrap_or(usize::MAX);
        let rows_bytes = piece.saturating_add(rows.saturating_mul(ScanRequest::row_bytes(&self.schema)));
        let read = self.files.iter().enumerate().filter(|(file, _)| !self.request.skips(*file));
        let batches = read.flat_map(|(_, file)| (0..file.index.batches.len()).map(move |batch| (file, batch)));
        let bytes = batches.map(|(file, batch)| expected(file, batch, &self.schema).0);
        let all_rows_bytes = bytes.fold(0, usize::saturating_add);
        let shared_bytes = self.batch_bytes;
        ReadNeeds { shared_bytes, rows_bytes, all_rows_bytes, texts_are_shared: true, ..ReadNeeds::default() }
    }

    fn awaits_commit(&self, id: PartitionId) -> bool {
        lock(&self.scans[id.file as usize].chain).pending.contains_key(&id.ordinal)
    }

    fn read(&self, scratch: &mut ScanScratch, _wait: bool) -> Result<Read> {
        Ok(match self.next() {
            Next::Slice(slice) => {
                let start = Instant::now();
                let id = PartitionId { file: slice.file as u32, ordinal: slice.ordinal };
                let (waiting, batches) = self.read_slice(&slice);
                scratch.times.parse += start.elapsed().as_secs_f64();
                Read::Partition(Ticket { id, notes: Box::new(waiting), held_bytes: 0 }, batches)
            }
            Next::Committed(committed) => Read::Committed(committed),
            Next::Busy => Read::Busy,
            Next::End => Read::End,
        })
    }

    fn commit(&self, ticket: Ticket) -> Vec<Committed> {
        let file = ticket.id.file as usize;
        let mut chain = lock(&self.scans[file].chain);
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
        (self.bytes_handed_out.load(Ordering::Relaxed), self.stored_bytes)
    }

    fn bytes_read(&self) -> u64 {
        self.counted.untold_bytes()
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
