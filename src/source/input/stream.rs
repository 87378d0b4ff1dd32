//! Input that cannot be read twice: stdin, named pipes, process substitution, devices.

use super::counters::InputCounters;
use super::remedy::io_error;
use super::spool::Pull;
use crate::error::{Error, ErrorKind, Result};
use crate::panics::lock;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::BTreeSet;
use std::fs::{File, Metadata};
use std::io::{ErrorKind as IoKind, Read, Seek};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// Bytes read at a time; a pipe usually gives 64 KiB.
const READ_BYTES: usize = 256 << 10;

/// The bytes of an open file that has no length.
pub(super) struct OpenStream {
    name: Arc<str>,
    file: File,
    counters: Arc<InputCounters>,
    /// Keeps others from opening it.
    _pipe: Option<Pipe>,
}

impl OpenStream {
    /// The stream of an open file at `path`.
    ///
    /// # Errors
    /// `Unsupported` for a pipe that has been opened before.
    pub(super) fn new(name: Arc<str>, path: &Path, file: File, counters: Arc<InputCounters>) -> Result<Self> {
        let metadata = file.metadata().map_err(|error| io_error(&*name, &error))?;
        let pipe = if metadata.file_type().is_fifo() { Some(Pipe::take(path, &metadata, &name)?) } else { None };
        Ok(OpenStream { name, file, counters, _pipe: pipe })
    }
}

impl Pull for OpenStream {
    fn pull(&mut self, into: &mut Vec<u8>) -> Result<()> {
        into.resize(READ_BYTES, 0);
        loop {
            match self.file.read(into) {
                Ok(count) => {
                    into.truncate(count);
                    self.counters.count_read(count);
                    return Ok(());
                }
                Err(error) if error.kind() == IoKind::Interrupted => {}
                // A descriptor that somebody else has set not to block.
                Err(error) if error.kind() == IoKind::WouldBlock => {
                    self.is_ready(Duration::from_millis(100));
                }
                Err(error) => return Err(io_error(&*self.name, &error)),
            }
        }
    }

    fn is_ready(&self, patience: Duration) -> bool {
        let mut waited = [PollFd::new(&self.file, PollFlags::IN)];
        let timeout = Timespec::try_from(patience).ok();
        // What poll cannot wait for is for the read to report.
        poll(&mut waited, timeout.as_ref()).map_or(true, |ready| ready > 0)
    }
}

/// Device and inode of the pipes that have been opened.
static PIPES: Mutex<BTreeSet<(u64, u64)>> = Mutex::new(BTreeSet::new());

/// A pipe that nobody else may open: two readers would each get a part of the bytes.
struct Pipe {
    key: (u64, u64),
    /// The process has it open beside us: what is read is gone for good. Another may write into a pipe with a name.
    is_lent: bool,
}

impl Pipe {
    fn take(path: &Path, metadata: &Metadata, name: &str) -> Result<Self> {
        let is_lent = path.as_os_str() == super::STDIN_WORD
            || ["/dev/fd", "/dev/stdin", "/proc"].iter().any(|lent| path.starts_with(lent));
        let key = (metadata.dev(), metadata.ino());
        if lock(&PIPES).insert(key) {
            return Ok(Pipe { key, is_lent });
        }
        let message = "a pipe is read once, and this one has been opened already";
        Err(Error::new(ErrorKind::Unsupported, message)
            .in_file(name)
            .hint("store it in a file to read it again, or in other ways"))
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        if !self.is_lent {
            lock(&PIPES).remove(&self.key);
        }
    }
}

/// Why standard input is no table, where it is something else.
static REFUSED: OnceLock<Error> = OnceLock::new();

/// From now on whoever reads standard input as a table gets this error.
#[cfg(feature = "cli")]
pub(crate) fn refuse_stdin(error: Error) {
    // The first reason holds.
    let _ = REFUSED.set(error);
}

/// Whether a path is another name of standard input that is no table.
pub(super) fn is_refused_stdin(path: &Path) -> bool {
    const NAMES: [&str; 3] = ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"];
    REFUSED.get().is_some() && NAMES.iter().any(|name| path == Path::new(name))
}

/// The standard input of the process, once; and, if it is a file from its beginning, where that can be opened again.
///
/// # Errors
/// `Io` when it cannot be used, `Unsupported` when it has been taken before, and that of [`refuse_stdin`].
pub(super) fn take_stdin() -> Result<(File, Option<&'static Path>)> {
    if let Some(refused) = REFUSED.get() {
        return Err(refused.clone());
    }
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Err(Error::new(ErrorKind::Unsupported, "standard input has been read already, and comes only once")
            .in_file(super::STDIN_NAME)
            .hint("store it in a file to read it again"));
    }
    let duplicate = std::io::stdin().as_fd().try_clone_to_owned();
    let mut file = duplicate.map(File::from).map_err(|error| io_error(super::STDIN_NAME, &error))?;
    let is_at_start =
        file.metadata().is_ok_and(|metadata| metadata.is_file()) && file.stream_position().is_ok_and(|at| at == 0);
    let again = Path::new("/dev/fd/0");
    // Who may read the open file need not have the right to open it.
    let reopened = if is_at_start { File::open(again).ok() } else { None };
    Ok(reopened.map_or((file, None), |reopened| (reopened, Some(again))))
}
