//! A stream as something that can be read anywhere: what has been pulled from it is kept.
//!
//! Nobody reads ahead of what is wanted: whoever wants bytes that have not come yet pulls them itself, while the
//! others go on with those that have. So the head of an endless stream is there at once and costs nothing more.
//! The first bytes are kept in memory, longer streams in a file without a name.

use super::place::{LIMIT_VARIABLE, SpoolPlace};
use crate::error::{Error, ErrorKind, Result};
use crate::memory::Unlinked;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

/// Streams up to this long stay in memory.
const MEMORY_BYTES: usize = 8 << 20;

/// Bytes that come one after another, once.
pub(crate) trait Pull: Send {
    /// Appends the bytes that come next to `into`, which is empty; none at the end.
    ///
    /// # Errors
    /// Nothing follows after an error.
    fn pull(&mut self, into: &mut Vec<u8>) -> Result<()>;

    /// Whether a pull would give something at once; waits up to `patience` for that.
    fn is_ready(&self, _patience: Duration) -> bool {
        true
    }

    /// What the user should know once the end has been reached.
    fn warning(&self) -> Option<String> {
        None
    }
}

/// A stream, and all that has come of it.
pub(super) struct Spool {
    name: Arc<str>,
    place: SpoolPlace,
    /// `None` once it has ended. Only who holds this lock changes `kept`.
    source: Mutex<Option<Box<dyn Pull>>>,
    kept: RwLock<Kept>,
}

#[derive(Default)]
struct Kept {
    /// All bytes, unless there is a file.
    memory: Vec<u8>,
    file: Option<Arc<Unlinked>>,
    length: u64,
    end: Option<Result<Option<String>>>,
}

impl Spool {
    pub(super) fn new(name: Arc<str>, place: SpoolPlace, source: Box<dyn Pull>) -> Self {
        Spool { name, place, source: Mutex::new(Some(source)), kept: RwLock::default() }
    }

    /// Pulls until there are `until` bytes or the stream has ended; how many there are now.
    pub(super) fn reach(&self, until: u64) -> u64 {
        let mut fresh = Vec::new();
        loop {
            let known = self.known();
            if known.0 >= until || known.1 {
                return known.0;
            }
            let mut source = self.source();
            // Another may have been here meanwhile.
            let known = self.known();
            if known.0 < until && !known.1 {
                self.pull(&mut source, &mut fresh);
            }
        }
    }

    /// As [`Spool::reach`], but gives up when nothing comes for `patience`; whether it got there.
    pub(super) fn reach_soon(&self, until: u64, patience: Duration) -> bool {
        let give_up = Instant::now() + patience;
        let mut fresh = Vec::new();
        loop {
            let known = self.known();
            if known.0 >= until || known.1 {
                return true;
            }
            let Ok(mut source) = self.source.try_lock() else {
                std::thread::sleep(Duration::from_millis(1));
                if Instant::now() >= give_up {
                    return false;
                }
                continue;
            };
            let left = give_up.saturating_duration_since(Instant::now());
            match &*source {
                Some(stream) if stream.is_ready(left) => self.pull(&mut source, &mut fresh),
                Some(_) => return false,
                None => {}
            }
            if Instant::now() >= give_up {
                return false;
            }
        }
    }

    /// The length if the end has been reached.
    pub(super) fn length(&self) -> Option<u64> {
        let kept = self.kept();
        kept.end.is_some().then_some(kept.length)
    }

    /// Why the stream ended before its end.
    pub(super) fn failure(&self) -> Option<Error> {
        self.kept().end.as_ref().and_then(|end| end.as_ref().err().cloned())
    }

    /// What the user should know about the stream, once it has ended.
    pub(super) fn warning(&self) -> Option<String> {
        self.kept().end.as_ref().and_then(|end| end.clone().ok().flatten())
    }

    /// Fills `buffer` from byte `at`; `Ok(false)` if the stream ends before it is full.
    ///
    /// # Errors
    /// The stream failed before the buffer was full, or what was stored cannot be read.
    pub(super) fn read_at(&self, at: u64, buffer: &mut [u8]) -> Result<bool> {
        let until = at.saturating_add(buffer.len() as u64);
        if self.reach(until) < until {
            return self.failure().map_or(Ok(false), Err);
        }
        let kept = self.kept();
        let Some(stored) = kept.file.clone() else {
            let stored = usize::try_from(at).ok().and_then(|at| kept.memory.get(at..at + buffer.len()));
            return Ok(stored.is_some_and(|stored| {
                buffer.copy_from_slice(stored);
                true
            }));
        };
        drop(kept);
        let read = stored.file.read_exact_at(buffer, at);
        read.map(|()| true).map_err(|error| {
            let place = stored.directory.display();
            self.error(ErrorKind::Io, format!("what was stored of the stream in {place} cannot be read: {error}"))
        })
    }

    fn error(&self, kind: ErrorKind, message: String) -> Error {
        Error::new(kind, message).in_file(&self.name)
    }

    fn pull(&self, source: &mut MutexGuard<'_, Option<Box<dyn Pull>>>, fresh: &mut Vec<u8>) {
        let Some(stream) = source.as_mut() else { return };
        fresh.clear();
        let pulled = stream.pull(fresh).and_then(|()| self.keep(fresh));
        if pulled.is_err() || fresh.is_empty() {
            let end = pulled.map(|()| stream.warning());
            **source = None;
            self.kept_mut().end = Some(end);
        }
    }

    /// Called by the holder of the source's lock only.
    fn keep(&self, fresh: &[u8]) -> Result<()> {
        let (length, file) = {
            let kept = self.kept();
            (kept.length, kept.file.clone())
        };
        let next_length = length + fresh.len() as u64;
        let asked = self.place.limit()?;
        if asked.is_some_and(|limit| next_length > limit) {
            return Err(self.too_long(next_length, asked.unwrap_or_default(), "the limit that was set"));
        }
        let file = match file {
            Some(file) => file,
            None if next_length <= MEMORY_BYTES as u64 => {
                let mut kept = self.kept_mut();
                kept.memory.extend_from_slice(fresh);
                kept.length = next_length;
                return Ok(());
            }
            None => {
                let file = Arc::new(self.place.create()?);
                let memory = self.kept();
                self.write(&file, &memory.memory, 0)?;
                file
            }
        };
        if asked.is_none() && next_length > file.room_bytes {
            let what = format!("nine tenths of what was free in {}", file.directory.display());
            return Err(self.too_long(next_length, file.room_bytes, &what));
        }
        self.write(&file, fresh, length)?;
        let mut kept = self.kept_mut();
        kept.memory = Vec::new();
        kept.file = Some(file);
        kept.length = next_length;
        Ok(())
    }

    fn write(&self, file: &Unlinked, bytes: &[u8], at: u64) -> Result<()> {
        file.file.write_all_at(bytes, at).map_err(|error| {
            let place = file.directory.display();
            let what = match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "the disk is full".to_owned(),
                _ => error.to_string(),
            };
            let come = at + bytes.len() as u64;
            let message =
                format!("the stream cannot be stored in {place}: {what}; {come} bytes have come, and it goes on");
            self.error(ErrorKind::Io, message).hint(ELSEWHERE)
        })
    }

    fn too_long(&self, needed: u64, limit: u64, what: &str) -> Error {
        let message =
            format!("the stream is longer than {limit} bytes, {what}: {needed} bytes have come, and it goes on");
        let hint = format!("{ELSEWHERE}; {LIMIT_VARIABLE}=BYTES sets the limit");
        self.error(ErrorKind::Limit, message).hint(hint)
    }

    fn known(&self) -> (u64, bool) {
        let kept = self.kept();
        (kept.length, kept.end.is_some())
    }

    fn source(&self) -> MutexGuard<'_, Option<Box<dyn Pull>>> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> RwLockReadGuard<'_, Kept> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept_mut(&self) -> RwLockWriteGuard<'_, Kept> {
        self.kept.write().unwrap_or_else(PoisonError::into_inner)
    }
}

const ELSEWHERE: &str = "store it in a file and name that, or name a directory with room: OUTCROP_TMPDIR=/path";
