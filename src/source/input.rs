//! One stored input: positioned reads that are counted, and a small cache of its first bytes.
//!
//! A set may have more files than a process may open, so a file is open only between its first read and
//! `InputFile::close`, which every sample and every pass calls behind its last read; a later read opens it again.
//!
//! What cannot be read twice (a pipe, a device) is stored on its way (`spool`), and then is a file like any other but
//! for its length, which is not known before its end: ask [`InputFile::available`] where that matters. The text of a
//! compression around another one is stored in the same way, and made anew when it is needed again.
//!
//! The schema is inferred from the beginning of every file before the pass reads it. What [`InputFile::head`] has read
//! is kept and served to later reads from memory, so that no byte of a small file is fetched twice. All files of one
//! run share an [`InputCounters`], which also caps what they keep once they have been sampled.

mod counters;
mod file;
mod place;
mod remedy;
mod spool;
mod stream;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use counters::DEFAULT_CACHE_BYTES;
pub use counters::InputCounters;
pub(crate) use file::KnownFile;
pub use place::SpoolPlace;

pub(crate) use remedy::io_error;
pub(crate) use spool::Pull;

use crate::error::{Error, ErrorKind, Result};
use crate::panics::lock;
use file::StoredFile;
use spool::Spool;
use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
#[cfg(feature = "cli")]
pub(crate) use stream::refuse_stdin;
use stream::{OpenStream, is_refused_stdin, take_stdin};

/// Bytes looked at first: enough for the format, the schema, and all of a small file.
pub(crate) const HEAD_BYTES: usize = 256 << 10;

/// How standard input is named on the command line.
pub(crate) const STDIN_WORD: &str = "-";
/// How standard input is called in messages.
pub(crate) const STDIN_NAME: &str = "stdin";

const DO_NOT_CHANGE: &str = "do not change input files while they are read";

/// An input of fixed length, open while it is read.
pub struct InputFile {
    name: Arc<str>,
    storage: Storage,
    counters: Arc<InputCounters>,
    head: Mutex<Head>,
}

enum Storage {
    File(StoredFile),
    /// A stream that comes only once.
    Stream(Spool),
    /// Bytes that are made from other files, as often as asked for.
    Made(Made),
}

/// Makes a stream that gives the same bytes each time.
pub(crate) type Maker = Box<dyn Fn() -> Result<Box<dyn Pull>> + Send + Sync>;

/// What is made of other files, stored while it is read.
struct Made {
    maker: Maker,
    spool: Mutex<Option<Arc<Spool>>>,
    length: OnceLock<u64>,
    failure: OnceLock<Error>,
    warning: OnceLock<Option<String>>,
}

/// The first bytes of a file.
#[derive(Debug, Default)]
struct Head {
    bytes: Arc<Vec<u8>>,
    /// How many of them the cache limit knows of: none or all, save while the file is sampled.
    booked: usize,
}

impl fmt::Debug for InputFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InputFile").field("name", &self.name).field("length", &self.known_length()).finish()
    }
}

/// How the input at `path` is called in messages.
pub(crate) fn shown_name(path: &Path) -> String {
    if path.as_os_str() == STDIN_WORD { STDIN_NAME.to_owned() } else { path.display().to_string() }
}

impl InputFile {
    /// Opens the file at `path`, or standard input if that is `-`. The length of a file is taken now and holds for the
    /// whole run; a pipe or a device is read when its bytes are wanted, and stored.
    ///
    /// # Errors
    /// `Io` when it cannot be opened or is a directory.
    pub fn open(path: &Path, counters: &Arc<InputCounters>) -> Result<Self> {
        let name: Arc<str> = shown_name(path).into();
        let (file, again) = if path.as_os_str() == STDIN_WORD || is_refused_stdin(path) {
            take_stdin()?
        } else {
            (File::open(path).map_err(|error| io_error(path, &error))?, Some(path))
        };
        let metadata = file.metadata().map_err(|error| io_error(&*name, &error))?;
        if metadata.is_dir() {
            return Err(Error::new(ErrorKind::Io, "is a directory").in_file(&name));
        }
        let storage = match again {
            Some(path) if metadata.is_file() => {
                Storage::File(StoredFile::new(Arc::clone(&name), path, file, &metadata)?)
            }
            _ => {
                let stream = OpenStream::new(Arc::clone(&name), path, file, Arc::clone(counters))?;
                Storage::Stream(Spool::new(Arc::clone(&name), counters.spool().clone(), Box::new(stream)))
            }
        };
        Ok(InputFile { name, storage, counters: Arc::clone(counters), head: Mutex::default() })
    }

    /// The file that another process has opened. It is not opened before it is read, and must then be what it was.
    pub(crate) fn known(known: &KnownFile, counters: &Arc<InputCounters>) -> Self {
        let storage = Storage::File(StoredFile::known(known));
        InputFile { name: known.name(), storage, counters: Arc::clone(counters), head: Mutex::default() }
    }

    /// What another process needs to open the same file; `None` of a stream, which comes only once.
    pub(crate) fn as_known(&self) -> Option<KnownFile> {
        match &self.storage {
            Storage::File(file) => Some(file.as_known()),
            Storage::Stream(_) | Storage::Made(_) => None,
        }
    }

    /// Bytes that `maker` makes of the file called `name`.
    pub(crate) fn made(name: Arc<str>, counters: Arc<InputCounters>, maker: Maker) -> Self {
        let made = Made {
            maker,
            spool: Mutex::default(),
            length: OnceLock::new(),
            failure: OnceLock::new(),
            warning: OnceLock::new(),
        };
        InputFile { name, storage: Storage::Made(made), counters, head: Mutex::default() }
    }

    /// The path as the user gave it, or `stdin`.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Length in bytes when the file was opened; of a stream, which is then read to its end, all that came.
    pub fn length(&self) -> u64 {
        match &self.storage {
            Storage::File(file) => file.length(),
            Storage::Stream(spool) => spool.reach(u64::MAX),
            Storage::Made(made) => made.length.get().copied().unwrap_or_else(|| match made.open(self) {
                Ok(spool) => spool.reach(u64::MAX),
                Err(_) => 0,
            }),
        }
    }

    /// The length, if that is known without reading to the end.
    pub fn known_length(&self) -> Option<u64> {
        match &self.storage {
            Storage::File(file) => Some(file.length()),
            Storage::Stream(spool) => spool.length(),
            Storage::Made(made) => made.length.get().copied(),
        }
    }

    /// Whether this is a pipe or device, whose length is not known before its end.
    pub fn is_stream(&self) -> bool {
        matches!(self.storage, Storage::Stream(_))
    }

    /// The counters shared by the files of this run.
    pub fn counters(&self) -> &Arc<InputCounters> {
        &self.counters
    }

    /// How many of the `wanted` bytes from byte `at` on there are; fewer only at the end. Waits for those of a stream.
    ///
    /// # Errors
    /// A stream failed before byte `at`.
    pub fn available(&self, at: u64, wanted: usize) -> Result<usize> {
        let until = at.saturating_add(wanted as u64);
        let (there, failure) = match &self.storage {
            Storage::File(file) => (file.length(), None),
            Storage::Stream(spool) => (spool.reach(until), spool.failure()),
            Storage::Made(made) => match made.length.get() {
                Some(&length) => (length, made.failure.get().cloned()),
                None => {
                    let spool = made.open(self)?;
                    (spool.reach(until), spool.failure())
                }
            },
        };
        let count = there.min(until).saturating_sub(at);
        match failure {
            Some(error) if count == 0 && wanted > 0 => Err(error),
            _ => Ok(usize::try_from(count).unwrap_or(usize::MAX)),
        }
    }

    /// Waits up to `patience` until [`InputFile::available`] need not wait for the bytes before `until`, or all bytes
    /// there are; whether it is so.
    pub(crate) fn is_ready(&self, until: u64, patience: Duration) -> bool {
        match &self.storage {
            Storage::Stream(spool) => spool.reach_soon(until, patience),
            Storage::File(_) | Storage::Made(_) => true,
        }
    }

    /// Why a stream ended before its end, if it did and that is known.
    pub(crate) fn failure(&self) -> Option<Error> {
        match &self.storage {
            Storage::File(_) => None,
            Storage::Stream(spool) => spool.failure(),
            Storage::Made(made) => made.failure.get().cloned().or_else(|| made.now().and_then(|spool| spool.failure())),
        }
    }

    /// What the user should know of the input once it has been read to its end.
    pub(crate) fn warning(&self) -> Option<String> {
        match &self.storage {
            Storage::File(file) => file.warning().map(|warning| format!("{}: {warning}", self.name)),
            Storage::Stream(spool) => spool.warning(),
            Storage::Made(made) => match made.warning.get() {
                Some(warning) => warning.clone(),
                None => made.now().and_then(|spool| spool.warning()),
            },
        }
    }

    /// Fills `buffer` from byte offset `at`, which must lie in the file with all of `buffer`.
    ///
    /// # Errors
    /// `Io` when opening or reading fails, `Malformed` when the file is seen to have changed.
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
        let mut head = lock(&self.head);
        let known = head.bytes.len();
        if known >= bytes {
            return Ok(Arc::clone(&head.bytes));
        }
        let wanted = match self.available(known as u64, bytes - known) {
            Ok(fresh) => known + fresh,
            // What came before the failure is there; the failure is for who reads on.
            Err(_) if known > 0 => known,
            Err(error) => return Err(error),
        };
        if wanted == known {
            return Ok(Arc::clone(&head.bytes));
        }
        let mut longer = Vec::with_capacity(wanted);
        longer.extend_from_slice(&head.bytes);
        longer.resize(wanted, 0);
        self.fetch(known as u64, &mut longer[known..])?;
        self.close();
        if let Storage::File(file) = &self.storage {
            file.remember(&longer);
        }
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
        let error = self.error(ErrorKind::Malformed, message).with_place(|place| place.byte = Some(at));
        match &self.storage {
            Storage::Made(_) => {
                let message = format!("{} (the byte is counted inside the outer compression)", error.message());
                self.error(ErrorKind::Malformed, message).at(error.place().clone())
            }
            _ => error,
        }
    }

    /// Closes the file until the next read; reads under way on other threads end undisturbed.
    pub(crate) fn close(&self) {
        match &self.storage {
            Storage::File(file) => file.close(),
            // It would be lost.
            Storage::Stream(_) => {}
            Storage::Made(made) => made.close(),
        }
    }

    fn fetch(&self, at: u64, buffer: &mut [u8]) -> Result<()> {
        if buffer.is_empty() {
            return Ok(());
        }
        let is_whole = match &self.storage {
            Storage::File(file) => return self.fetch_stored(&*file.handle()?, at, buffer),
            Storage::Stream(spool) => spool.read_at(at, buffer)?,
            Storage::Made(made) => made.open(self)?.read_at(at, buffer)?,
        };
        if is_whole { Ok(()) } else { Err(Error::internal("a read goes beyond the end of its stream")) }
    }

    fn fetch_stored(&self, file: &File, mut at: u64, mut buffer: &mut [u8]) -> Result<()> {
        while !buffer.is_empty() {
            match file.read_at(buffer, at) {
                Ok(0) => {
                    return Err(self
                        .damage(at, format!("the file was {} bytes long and now ends here", self.length()))
                        .hint(DO_NOT_CHANGE));
                }
                Ok(count) => {
                    self.counters.count_read(count);
                    at += count as u64;
                    buffer = &mut buffer[count..];
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(io_error(&*self.name, &error)),
            }
        }
        Ok(())
    }
}

impl Made {
    /// The stream as far as it has been made, or a new one.
    fn open(&self, input: &InputFile) -> Result<Arc<Spool>> {
        let mut spool = lock(&self.spool);
        if let Some(spool) = &*spool {
            return Ok(Arc::clone(spool));
        }
        let fresh = Spool::new(Arc::clone(&input.name), input.counters.spool().clone(), (self.maker)()?);
        Ok(Arc::clone(spool.insert(Arc::new(fresh))))
    }

    fn now(&self) -> Option<Arc<Spool>> {
        lock(&self.spool).clone()
    }

    /// Forgets the bytes, but not what their end has told.
    fn close(&self) {
        let Some(spool) = lock(&self.spool).take() else { return };
        if let Some(length) = spool.length() {
            self.length.get_or_init(|| length);
            self.warning.get_or_init(|| spool.warning());
            if let Some(failure) = spool.failure() {
                self.failure.get_or_init(|| failure);
            }
        }
    }
}

impl Drop for InputFile {
    fn drop(&mut self) {
        self.release_head();
    }
}
