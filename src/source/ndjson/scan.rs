//! A scan over a set of NDJSON files: pieces of text to whoever asks, committed file by file.

use super::chain::{Chain, PieceRead};
use super::reader::Reader;
use super::source::NdjsonSource;
use crate::error::Result;
use crate::source::csv::MalformedPolicy;
use crate::source::decompress::{Next, Piece, TextStream};
use crate::source::{Committed, PartitionId, Read, Scan, ScanRequest, ScanScratch, SourceBatch, Ticket};
use arrow::datatypes::{Field, Schema};
use memchr::memchr;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Pieces of one file that may wait for their commit, for each worker.
const PENDING_PER_WORKER: usize = 4;

/// Pieces may not be larger: offsets into a piece and what was carried over to it are 32 bits wide.
const MAX_PIECE_BYTES: usize = 1 << 28;

/// A running scan.
pub(super) struct NdjsonScan {
    source: NdjsonSource,
    scans: Vec<FileScan>,
    request: ScanRequest,
    /// Files before this one have been handed out whole.
    first: AtomicUsize,
    stop_from: AtomicU32,
    stored_bytes: u64,
    bytes_handed_out: AtomicU64,
}

struct FileScan {
    reader: Reader,
    stream: OnceLock<Result<Box<dyn TextStream>>>,
    chain: Mutex<Chain>,
    committed: Condvar,
}

impl FileScan {
    fn chain(&self) -> MutexGuard<'_, Chain> {
        self.chain.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NdjsonScan {
    pub(super) fn new(source: NdjsonSource, mut request: ScanRequest) -> Self {
        let columns: Vec<_> = request.columns.iter().map(|&at| &source.columns[at]).collect();
        let types: Vec<_> = columns.iter().map(|column| (column.column_type, column.declared)).collect();
        let field = |(name, (column_type, _)): (&String, &(crate::types::ColumnType, bool))| {
            Field::new(name, column_type.arrow(), true)
        };
        let fields: Vec<Field> = columns.iter().map(|column| &column.name).zip(&types).map(field).collect();
        let schema = Arc::new(Schema::new(fields));
        let wanted: Vec<Option<usize>> =
            (0..source.columns.len()).map(|column| request.columns.binary_search(&column).ok()).collect();
        let scan = |(at, file): (usize, &super::open::NdjsonFile)| {
            let reader = Reader {
                file: at as u32,
                tree: Arc::clone(&source.tree),
                wanted: wanted.clone(),
                types: types.clone(),
                schema: Arc::clone(&schema),
                filter: request.filter.clone(),
                batch_bytes: request.batch_bytes,
                max_record_bytes: source.options.max_record_bytes,
                skips_malformed: source.options.malformed != MalformedPolicy::Error,
            };
            let name = Arc::clone(file.text.input().name());
            let mut chain = Chain::new(name, file.data_start, source.options.max_record_bytes);
            // Nothing is asked of a file that has been closed.
            chain.closed = request.skips(at);
            FileScan { reader, stream: OnceLock::new(), chain: Mutex::new(chain), committed: Condvar::new() }
        };
        let scans = source.files.iter().enumerate().map(scan).collect();
        let read = source.files.iter().enumerate().filter(|(at, _)| !request.skips(*at));
        let stored_bytes = read.map(|(_, file)| file.text.input().known_length().unwrap_or(0)).sum();
        request.piece_bytes = request.piece_bytes.min(MAX_PIECE_BYTES);
        NdjsonScan {
            source,
            scans,
            request,
            first: AtomicUsize::new(0),
            stop_from: AtomicU32::new(u32::MAX),
            stored_bytes,
            bytes_handed_out: AtomicU64::new(0),
        }
    }

    fn stream(&self, file: usize) -> Result<&dyn TextStream> {
        let open = || self.source.files[file].text.open_stream(self.request.piece_bytes);
        match self.scans[file].stream.get_or_init(open) {
            Ok(stream) => Ok(&**stream),
            Err(error) => Err(error.clone()),
        }
    }

    /// Asks one file for a piece.
    fn ask(&self, file: usize, scratch: &mut ScanScratch, wait: bool) -> Result<Asked> {
        let scan = &self.scans[file];
        let mut chain = scan.chain();
        // The worker that holds the piece to be committed next never waits here: it commits before it asks again.
        while chain.pending.len() >= PENDING_PER_WORKER * self.request.workers && !chain.closed {
            if self.request.cancel.is_cancelled() || self.stop_from.load(Ordering::Relaxed) <= file as u32 {
                return Ok(Asked::Nothing);
            }
            let waited = scan.committed.wait_timeout(chain, Duration::from_millis(50));
            chain = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if chain.closed || chain.ended {
            return Ok(Asked::Nothing);
        }
        chain.calls += 1;
        drop(chain);
        let start = Instant::now();
        let next = self.stream(file).and_then(|stream| stream.next(&mut scratch.text, wait));
        scratch.times.decompress += start.elapsed().as_secs_f64();
        let mut chain = scan.chain();
        chain.calls -= 1;
        match next? {
            Next::Piece(piece) => {
                chain.handed_out += 1;
                drop(chain);
                self.bytes_handed_out.fetch_add(piece.stored_bytes, Ordering::Relaxed);
                Ok(Asked::Piece(piece))
            }
            Next::Busy if !chain.ended => Ok(Asked::Busy),
            // Whoever is the last to leave a stream that has ended closes the file, whatever it was told itself.
            Next::Busy | Next::End => {
                chain.ended = true;
                let mut committed = Vec::new();
                chain.advance(self.stream(file)?, &scan.reader, &mut committed);
                Ok(if committed.is_empty() { Asked::Nothing } else { Asked::Committed(committed) })
            }
        }
    }

    fn read_piece(&self, file: usize, piece: Piece, scratch: &mut ScanScratch) -> Result<Read> {
        let begin = Instant::now();
        let start = match piece.ordinal {
            0 => Some(self.source.files[file].data_start).filter(|&start| start <= piece.text.len()),
            _ => memchr(b'\n', &piece.text).map(|end| end + 1),
        };
        let id = PartitionId { file: file as u32, ordinal: piece.ordinal };
        let mut read = PieceRead { start, text: Default::default(), piece };
        let mut batches: Vec<SourceBatch> = Vec::new();
        if let Some(start) = start {
            read.text = self.scans[file].reader.read(&read.piece.text, start, &read.piece.cells, false)?;
            batches = std::mem::take(&mut read.text.batches);
        }
        scratch.times.parse += begin.elapsed().as_secs_f64();
        Ok(Read::Partition(Ticket { id, notes: Box::new(read) }, batches))
    }
}

enum Asked {
    Piece(Piece),
    Committed(Vec<Committed>),
    Busy,
    Nothing,
}

impl Scan for NdjsonScan {
    fn read(&self, scratch: &mut ScanScratch, wait: bool) -> Result<Read> {
        let first = self.first.load(Ordering::Relaxed);
        let last = self.scans.len().min(self.stop_from.load(Ordering::Relaxed) as usize);
        let mut busy = None;
        for file in first..last {
            match self.ask(file, scratch, false)? {
                Asked::Piece(piece) => return self.read_piece(file, piece, scratch),
                Asked::Committed(committed) => return Ok(Read::Committed(committed)),
                Asked::Busy => busy = busy.or(Some(file)),
                Asked::Nothing if file == self.first.load(Ordering::Relaxed) => {
                    self.first.fetch_max(file + 1, Ordering::Relaxed);
                }
                Asked::Nothing => {}
            }
            // Files far ahead of the first one would fill memory with what cannot be put in order yet.
            if file >= self.first.load(Ordering::Relaxed) + self.request.workers {
                break;
            }
        }
        match busy {
            None => Ok(Read::End),
            Some(_) if !wait => Ok(Read::Busy),
            Some(file) => match self.ask(file, scratch, true)? {
                Asked::Piece(piece) => self.read_piece(file, piece, scratch),
                Asked::Committed(committed) => Ok(Read::Committed(committed)),
                Asked::Busy | Asked::Nothing => Ok(Read::Busy),
            },
        }
    }

    fn commit(&self, ticket: Ticket) -> Vec<Committed> {
        let file = ticket.id.file as usize;
        let scan = &self.scans[file];
        let mut committed = Vec::new();
        let mut chain = scan.chain();
        if let (Ok(read), Ok(stream)) = (ticket.notes.downcast::<PieceRead>(), self.stream(file)) {
            chain.pending.insert(ticket.id.ordinal, *read);
            chain.advance(stream, &scan.reader, &mut committed);
        }
        drop(chain);
        scan.committed.notify_all();
        committed
    }

    fn stop_from(&self, file: u32) {
        self.stop_from.fetch_min(file, Ordering::Relaxed);
    }

    fn progress(&self) -> (u64, u64) {
        (self.bytes_handed_out.load(Ordering::Relaxed), self.stored_bytes)
    }

    fn bytes_read(&self) -> u64 {
        self.source.counters.untold_bytes()
    }
}
