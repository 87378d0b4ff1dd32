//! One stored input file: positioned reads that are counted, and a small cache of its first bytes.
//!
//! A set may have more files than a process may open, so a file is open only between its first read and
//! `InputFile::close`, which every sample and every pass calls behind its last read; a later read opens it again.
//!
//! The schema is inferred from the beginning of every file before the pass reads it. What [`InputFile::head`] has read
//! is kept and served to later reads from memory, so that no byte of a small file is fetched twice. All files of one
//! run share an [`InputCounters`], which also caps what they keep once they have been sampled.

use crate::error::{Error, ErrorKind, Result};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes looked at first: enough for the format, the schema, and all of a small file.
pub(crate) const HEAD_BYTES: usize = 256 << 10;

/// What all input files of a run may keep in memory between sampling and the pass, unless said otherwise.
pub(crate) const DEFAULT_CACHE_BYTES: u64 = 48 << 20;

const DO_NOT_CHANGE: &str = "do not change input files while they are read";

/// Counts what the files of one run read and keep.
#[derive(Debug)]
pub struct InputCounters {
    bytes_read: AtomicU64,
    cache_used: AtomicU64,
    cache_limit: u64,
    /// Text that has been decoded ahead of its turn and not been handed out.
    ahead: AtomicU64,
}

impl Default for InputCounters {
    fn default() -> Self {
        InputCounters::with_cache_limit(DEFAULT_CACHE_BYTES)
    }
}

impl InputCounters {
    /// Counters whose files keep at most `cache_limit` bytes between sampling and the pass (default 48 MiB).
    pub fn with_cache_limit(cache_limit: u64) -> Self {
        InputCounters {
            bytes_read: AtomicU64::new(0),
            cache_used: AtomicU64::new(0),
            cache_limit,
            ahead: AtomicU64::new(0),
        }
    }

    /// Stored bytes fetched from the operating system so far.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// Whether `bytes` more may be kept; if so they are booked until [`InputCounters::give_back`].
    pub(crate) fn book(&self, bytes: usize) -> bool {
        let within = |used: u64| used.checked_add(bytes as u64).filter(|&sum| sum <= self.cache_limit);
        self.cache_used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).is_ok()
    }

    pub(crate) fn give_back(&self, bytes: usize) {
        self.cache_used.fetch_sub(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes of text that all files hold decoded ahead of their turn.
    pub(crate) fn ahead(&self) -> u64 {
        self.ahead.load(Ordering::Relaxed)
    }

    pub(crate) fn book_ahead(&self, bytes: u64) {
        self.ahead.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn give_back_ahead(&self, bytes: u64) {
        self.ahead.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// An input file of fixed length, open while it is read.
#[derive(Debug)]
pub struct InputFile {
    name: Arc<str>,
    /// Absolute, so that the file is found again whatever the working directory is by then.
    path: PathBuf,
    handle: Mutex<Option<Arc<File>>>,
    length: u64,
    counters: Arc<InputCounters>,
    head: Mutex<Head>,
}

/// The first bytes of a file.
#[derive(Debug, Default)]
struct Head {
    bytes: Arc<Vec<u8>>,
    /// How many of them the cache limit knows of: none or all, save while the file is sampled.
    booked: usize,
}

impl InputFile {
    /// Opens the file at `path`; its length is taken now and holds for the whole run.
    ///
    /// # Errors
    /// `Io` when it cannot be opened or is a directory; `Unsupported` when it is a pipe or a device.
    pub fn open(path: &Path, counters: &Arc<InputCounters>) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::io(path, &error))?;
        let metadata = file.metadata().map_err(|error| Error::io(path, &error))?;
        let name: Arc<str> = path.display().to_string().into();
        if metadata.is_dir() {
            return Err(Error::new(ErrorKind::Io, "is a directory").in_file(&name));
        }
        if !metadata.is_file() {
            return Err(Error::new(ErrorKind::Unsupported, "is not a regular file, so it cannot be read in parallel")
                .in_file(&name)
                .hint("store the input in a file first"));
        }
        Ok(InputFile {
            name,
            path: std::path::absolute(path).map_err(|error| Error::io(path, &error))?,
            handle: Mutex::new(Some(Arc::new(file))),
            length: metadata.len(),
            counters: Arc::clone(counters),
            head: Mutex::default(),
        })
    }

    /// The path as the user gave it.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Length in bytes when the file was opened.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The counters shared by the files of this run.
    pub fn counters(&self) -> &Arc<InputCounters> {
        &self.counters
    }

    /// Fills `buffer` from byte offset `at`, which must lie in the file with all of `buffer`.
    ///
    /// # Errors
    /// `Io` when opening or reading fails, `Malformed` when the file's length is seen to have changed.
    pub fn read_at(&self, at: u64, buffer: &mut [u8]) -> Result<()> {
        let head = Arc::clone(&lock(&self.head).bytes);
        let kept = usize::try_from(at).ok().and_then(|start| head.get(start..)).unwrap_or_default();
        let kept = &kept[..kept.len().min(buffer.len())];
        let (from_head, from_file) = buffer.split_at_mut(kept.len());
        from_head.copy_from_slice(kept);
        self.fetch(at + kept.len() as u64, from_file)
    }

    /// The first `bytes` bytes of the file, or all of a shorter one; kept until `InputFile::settle_head` at least.
    /// Leaves the file closed.
    ///
    /// # Errors
    /// As [`InputFile::read_at`].
    pub fn head(&self, bytes: usize) -> Result<Arc<Vec<u8>>> {
        let wanted = usize::try_from(self.length).unwrap_or(usize::MAX).min(bytes);
        let mut head = lock(&self.head);
        let known = head.bytes.len();
        if known >= wanted {
            return Ok(Arc::clone(&head.bytes));
        }
        let mut longer = Vec::with_capacity(wanted);
        longer.extend_from_slice(&head.bytes);
        longer.resize(wanted, 0);
        self.fetch(known as u64, &mut longer[known..])?;
        self.close();
        head.bytes = Arc::new(longer);
        Ok(Arc::clone(&head.bytes))
    }

    /// Keeps the first bytes if the cache has room for them, or else forgets them; called when sampling is over.
    pub(crate) fn settle_head(&self) {
        let mut head = lock(&self.head);
        if self.counters.book(head.bytes.len() - head.booked) {
            head.booked = head.bytes.len();
        } else {
            self.counters.give_back(std::mem::take(&mut *head).booked);
        }
    }

    /// Forgets the first bytes; called when the pass has consumed them.
    pub(crate) fn release_head(&self) {
        let head = std::mem::take(&mut *lock(&self.head));
        self.counters.give_back(head.booked);
    }

    /// Forgets the first bytes if all of them lie before byte `end`.
    pub(crate) fn release_head_before(&self, end: u64) {
        if lock(&self.head).bytes.len() as u64 <= end {
            self.release_head();
        }
    }

    /// An error of `kind` that names this file.
    pub(crate) fn error(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        Error::new(kind, message).in_file(&self.name)
    }

    /// A `Malformed` error at byte `at` of the stored file.
    pub(crate) fn damage(&self, at: u64, message: impl Into<String>) -> Error {
        self.error(ErrorKind::Malformed, message).with_place(|place| place.byte = Some(at))
    }

    /// Closes the file until the next read; reads under way on other threads end undisturbed.
    pub(crate) fn close(&self) {
        *lock(&self.handle) = None;
    }

    /// The open file. Only handing it out is under the lock, reading from it is not.
    fn handle(&self) -> Result<Arc<File>> {
        let mut handle = lock(&self.handle);
        if let Some(file) = &*handle {
            return Ok(Arc::clone(file));
        }
        let reopened = File::open(&self.path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (length, file) = reopened.map_err(|error| Error::io(&*self.name, &error))?;
        if length != self.length {
            let message = format!("the file was {} bytes long and now has {length}", self.length);
            return Err(self.damage(length.min(self.length), message).hint(DO_NOT_CHANGE));
        }
        Ok(Arc::clone(handle.insert(Arc::new(file))))
    }

    fn fetch(&self, mut at: u64, mut buffer: &mut [u8]) -> Result<()> {
        if buffer.is_empty() {
            return Ok(());
        }
        let file = self.handle()?;
        while !buffer.is_empty() {
            match file.read_at(buffer, at) {
                Ok(0) => {
                    return Err(self
                        .damage(at, format!("the file was {} bytes long and now ends here", self.length))
                        .hint(DO_NOT_CHANGE));
                }
                Ok(count) => {
                    self.counters.bytes_read.fetch_add(count as u64, Ordering::Relaxed);
                    at += count as u64;
                    buffer = &mut buffer[count..];
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io(&*self.name, &error)),
            }
        }
        Ok(())
    }
}

impl Drop for InputFile {
    fn drop(&mut self) {
        self.release_head();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(bytes: &[u8], counters: &Arc<InputCounters>) -> (tempfile::NamedTempFile, InputFile) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let input = InputFile::open(file.path(), counters).unwrap();
        (file, input)
    }

    #[test]
    fn bytes_of_the_head_are_fetched_once() {
        let counters = Arc::new(InputCounters::default());
        let bytes: Vec<u8> = (0..=255).collect();
        let (_file, input) = stored(&bytes, &counters);
        assert_eq!(input.head(100).unwrap()[..], bytes[..100]);
        assert_eq!(input.head(120).unwrap()[..], bytes[..120]);
        let mut buffer = [0; 60];
        input.read_at(90, &mut buffer).unwrap();
        assert_eq!(buffer[..], bytes[90..150]);
        assert_eq!(counters.bytes_read(), 150);
        assert_eq!(input.head(usize::MAX).unwrap()[..], bytes[..]);
    }

    #[test]
    fn the_cache_limit_holds_and_is_given_back() {
        let counters = Arc::new(InputCounters::with_cache_limit(100));
        let (_one, first) = stored(&[1; 80], &counters);
        let (_two, second) = stored(&[2; 80], &counters);
        for input in [&first, &second] {
            input.head(70).unwrap();
            input.head(80).unwrap();
            input.settle_head();
        }
        assert_eq!(counters.bytes_read(), 160);
        first.read_at(0, &mut [0; 80]).unwrap();
        second.read_at(0, &mut [0; 80]).unwrap();
        assert_eq!(counters.bytes_read(), 240);
        first.release_head();
        second.head(80).unwrap();
        second.settle_head();
        second.settle_head();
        second.read_at(0, &mut [0; 80]).unwrap();
        assert_eq!(counters.bytes_read(), 320);
        drop((first, second));
        assert!(counters.book(100));
    }

    #[test]
    fn a_file_that_shrinks_is_an_error_with_its_place() {
        let counters = Arc::new(InputCounters::default());
        let (file, input) = stored(&[7; 50], &counters);
        file.as_file().set_len(20).unwrap();
        let error = input.read_at(10, &mut [0; 30]).unwrap_err();
        assert_eq!((error.kind(), error.place().byte), (ErrorKind::Malformed, Some(20)));
        assert!(error.to_string().contains("50 bytes long"));
    }

    #[test]
    fn a_closed_file_is_opened_by_the_next_read_unless_its_length_has_changed() {
        let counters = Arc::new(InputCounters::default());
        let (file, input) = stored(&[7; 50], &counters);
        input.head(10).unwrap();
        assert!(lock(&input.handle).is_none());
        input.read_at(2, &mut [0; 5]).unwrap();
        assert!(lock(&input.handle).is_none(), "what is kept is read from memory");
        input.read_at(5, &mut [0; 45]).unwrap();
        assert!(lock(&input.handle).is_some());
        for length in [49, 51] {
            input.close();
            file.as_file().set_len(length).unwrap();
            let error = input.read_at(20, &mut [0; 5]).unwrap_err();
            assert_eq!((error.kind(), error.place().byte), (ErrorKind::Malformed, Some(length.min(50))));
            assert!(error.to_string().contains(&format!("was 50 bytes long and now has {length}")));
        }
        std::fs::remove_file(file.path()).unwrap();
        assert_eq!(input.read_at(20, &mut [0; 5]).unwrap_err().kind(), ErrorKind::Io);
    }

    #[test]
    fn missing_file_and_directory_name_themselves() {
        let counters = Arc::new(InputCounters::default());
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().to_path_buf(), folder.path().join("absent.csv")] {
            let error = InputFile::open(&path, &counters).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Io);
            assert_eq!(error.place().file.as_deref(), path.to_str());
        }
    }
}
