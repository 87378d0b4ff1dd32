//! A scan over a set of text files: pieces to whoever asks, committed file by file.

use super::chain::{Chain, PieceRead};
use super::{ReadText, TextReader};
use crate::error::{Error, Result};
use crate::source::decompress::{Next, Piece, TextFile, TextStream};
use crate::source::input::InputCounters;
use crate::source::{Committed, PartitionId, Read, ReadNeeds, Scan, ScanRequest, ScanScratch, Ticket};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Pieces of one file that may wait for their commit, for each worker.
const PENDING_PER_WORKER: usize = 4;

/// Text that a worker has in its hands, in pieces: the one it reads, spent ones, and one read again.
const TEXTS_PER_WORKER: usize = 4;

/// Pieces that may wait to be transcoded.
const TRANSCODED_PIECES: usize = 16;

/// Pieces may not be larger: offsets into a piece and what was carried over to it are 32 bits wide.
const MAX_PIECE_BYTES: usize = 1 << 28;

/// What is to be read of a file.
pub(in crate::source) struct FilePlan<R> {
    pub(in crate::source) reader: R,
    /// Where the first record starts in the text.
    pub(in crate::source) data_start: usize,
    /// Line ends before that.
    pub(in crate::source) header_lines: u64,
}

/// A running scan.
pub(in crate::source) struct TextScan<R: TextReader> {
    files: Arc<[Arc<TextFile>]>,
    scans: Vec<FileScan<R>>,
    request: ScanRequest,
    /// Files before this one have been handed out whole.
    first: AtomicUsize,
    stop_from: AtomicU32,
    stored_bytes: u64,
    bytes_handed_out: AtomicU64,
    counters: Arc<InputCounters>,
}

struct FileScan<R: TextReader> {
    reader: Arc<R>,
    data_start: usize,
    stream: Mutex<Stream>,
    chain: Mutex<Chain<R>>,
    committed: Condvar,
}

/// The stream of a file: opened when it is first asked for, gone when all is committed.
enum Stream {
    New,
    Open(Arc<dyn TextStream>),
    Failed(Error),
    Done,
}

impl<R: TextReader> FileScan<R> {
    fn chain(&self) -> MutexGuard<'_, Chain<R>> {
        self.chain.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: TextReader> TextScan<R> {
    /// A scan of these files, each by its plan.
    pub(in crate::source) fn new(
        files: impl IntoIterator<Item = Arc<TextFile>>,
        plans: impl IntoIterator<Item = FilePlan<R>>,
        mut request: ScanRequest,
        counters: Arc<InputCounters>,
    ) -> Self {
        request.piece_bytes = request.piece_bytes.min(MAX_PIECE_BYTES);
        let files: Arc<[Arc<TextFile>]> = files.into_iter().collect();
        let scan = |(at, (text, plan)): (usize, (&Arc<TextFile>, FilePlan<R>))| {
            let reader = Arc::new(plan.reader);
            let name = Arc::clone(text.input().name());
            let mut chain = Chain::new(name, Arc::clone(&reader), plan.data_start, plan.header_lines, &request.budget);
            // Nothing is asked of a file that has been closed.
            chain.closed = request.skips(at);
            FileScan {
                reader,
                data_start: plan.data_start,
                stream: Mutex::new(Stream::New),
                chain: Mutex::new(chain),
                committed: Condvar::new(),
            }
        };
        let scans = files.iter().zip(plans).enumerate().map(scan).collect();
        let read = files.iter().enumerate().filter(|(at, _)| !request.skips(*at));
        let stored_bytes = read.map(|(_, text)| text.input().known_length().unwrap_or(0)).sum();
        TextScan {
            files,
            scans,
            request,
            first: AtomicUsize::new(0),
            stop_from: AtomicU32::new(u32::MAX),
            stored_bytes,
            bytes_handed_out: AtomicU64::new(0),
            counters,
        }
    }

    /// The stream of a file; `None` when all of it is committed.
    fn stream(&self, file: usize) -> Result<Option<Arc<dyn TextStream>>> {
        let mut stream = self.scans[file].stream.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*stream, Stream::New) {
            *stream = match self.files[file].open_stream_within(self.request.piece_bytes, &self.request.budget) {
                Ok(opened) => Stream::Open(opened.into()),
                Err(error) => Stream::Failed(error),
            };
        }
        match &*stream {
            Stream::Open(stream) => Ok(Some(Arc::clone(stream))),
            Stream::Failed(error) => Err(error.clone()),
            Stream::New | Stream::Done => Ok(None),
        }
    }

    /// Commits what can be; of a file that has come to its end, decoders and windows go.
    fn advance(&self, file: usize, chain: &mut Chain<R>) -> Result<Vec<Committed>> {
        let mut committed = Vec::new();
        if let Some(stream) = self.stream(file)? {
            chain.advance(&*stream, &mut committed);
        }
        if chain.closed {
            *self.scans[file].stream.lock().unwrap_or_else(PoisonError::into_inner) = Stream::Done;
        }
        Ok(committed)
    }

    /// Asks one file for a piece.
    fn ask(&self, file: usize, scratch: &mut ScanScratch, wait: bool) -> Result<Asked> {
        let scan = &self.scans[file];
        let mut chain = scan.chain();
        // The worker that holds the piece to be committed next never waits here: it commits before it asks again.
        let is_full =
            |chain: &Chain<R>| chain.pending.len() >= PENDING_PER_WORKER * self.request.workers && !chain.closed;
        if is_full(&chain) {
            if self.request.cancel.is_cancelled() || self.stop_from.load(Ordering::Relaxed) <= file as u32 {
                return Ok(Asked::Nothing);
            }
            let waited = scan.committed.wait_timeout(chain, Duration::from_millis(50));
            chain = waited.unwrap_or_else(PoisonError::into_inner).0;
            if is_full(&chain) {
                return Ok(Asked::Full);
            }
        }
        if chain.closed || chain.ended {
            return Ok(Asked::Nothing);
        }
        chain.calls += 1;
        drop(chain);
        let start = Instant::now();
        let next = self.stream(file).and_then(|stream| match stream {
            Some(stream) => stream.next(&mut scratch.text, wait),
            None => Ok(Next::End),
        });
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
                let committed = self.advance(file, &mut chain)?;
                Ok(if committed.is_empty() { Asked::Nothing } else { Asked::Committed(committed) })
            }
        }
    }

    fn read_piece(&self, file: usize, piece: Piece, scratch: &mut ScanScratch) -> Result<Read> {
        let begin = Instant::now();
        let FileScan { reader, data_start, .. } = &self.scans[file];
        let start = match piece.ordinal {
            0 => Some(*data_start).filter(|&start| start <= piece.text.len()),
            _ => reader.first_record(&piece.text),
        };
        let id = PartitionId { file: file as u32, ordinal: piece.ordinal };
        let mut read = match start {
            Some(start) => reader.read(&piece.text, start, &piece.cells, scratch)?,
            None => ReadText::from(piece.text.len()),
        };
        let batches = std::mem::take(&mut read.batches);
        scratch.times.parse += begin.elapsed().as_secs_f64();
        let held_bytes = piece.text.capacity();
        let notes: Box<PieceRead<R>> = Box::new(PieceRead { piece, start, read });
        Ok(Read::Partition(Ticket { id, notes, held_bytes }, batches))
    }
}

enum Asked {
    Piece(Piece),
    Committed(Vec<Committed>),
    Busy,
    /// Too many pieces wait for one that is not read yet.
    Full,
    Nothing,
}

impl<R: TextReader> Scan for TextScan<R> {
    fn needs(&self) -> ReadNeeds {
        let piece = self.request.piece_bytes;
        let read = self.files.iter().enumerate().filter(|(at, _)| !self.request.skips(*at));
        let (mut files, mut file_bytes, mut worker_bytes, mut text_bytes) = (0, 0, 0, 0);
        for (_, file) in read {
            files += 1;
            let needs = file.needs();
            let transcoding = if file.is_transcoded() { TRANSCODED_PIECES * piece } else { 0 };
            file_bytes = needs.file_bytes.saturating_add(transcoding).max(file_bytes);
            worker_bytes = needs.worker_bytes.max(worker_bytes);
            // A bzip2 block is a piece, whatever is asked for, and no piece is longer than its file where that is plain.
            text_bytes = file.piece_bytes(piece).max(text_bytes);
        }
        let rows_of = |text_bytes: usize| self.scans.first().map_or(0, |scan| scan.reader.rows_bytes(text_bytes));
        let read = self.files.iter().enumerate().filter(|(at, _)| !self.request.skips(*at));
        let all_text = read.map(|(_, file)| file.text_bytes()).try_fold(0, |sum: usize, bytes| sum.checked_add(bytes?));
        ReadNeeds {
            shared_bytes: file_bytes.saturating_add(self.counters.cached_bytes()),
            // Where there are several, each worker may have a file of its own.
            worker_bytes: [if files > 1 { file_bytes } else { 0 }, worker_bytes, TEXTS_PER_WORKER * text_bytes]
                .into_iter()
                .fold(0, usize::saturating_add),
            text_bytes,
            rows_bytes: rows_of(text_bytes),
            row_texts_bytes: 0,
            all_rows_bytes: all_text.map_or(usize::MAX, rows_of),
            texts_are_shared: false,
        }
    }

    fn awaits_commit(&self, id: PartitionId) -> bool {
        self.scans[id.file as usize].chain().pending.contains_key(&id.ordinal)
    }

    fn read(&self, scratch: &mut ScanScratch, wait: bool) -> Result<Read> {
        let first = self.first.load(Ordering::Relaxed);
        let last = self.scans.len().min(self.stop_from.load(Ordering::Relaxed) as usize);
        let mut busy = None;
        for file in first..last {
            match self.ask(file, scratch, false)? {
                Asked::Piece(piece) => return self.read_piece(file, piece, scratch),
                Asked::Committed(committed) => return Ok(Read::Committed(committed)),
                Asked::Busy => busy = busy.or(Some(file)),
                Asked::Full => return Ok(Read::Busy),
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
                Asked::Busy | Asked::Full | Asked::Nothing => Ok(Read::Busy),
            },
        }
    }

    fn commit(&self, ticket: Ticket) -> Vec<Committed> {
        let file = ticket.id.file as usize;
        let scan = &self.scans[file];
        let mut chain = scan.chain();
        if let Ok(read) = ticket.notes.downcast::<PieceRead<R>>() {
            chain.pending.insert(ticket.id.ordinal, *read);
        }
        let committed = self.advance(file, &mut chain).unwrap_or_default();
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
        self.counters.untold_bytes()
    }
}
