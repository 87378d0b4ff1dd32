//! The account of bytes on disk, which all files of a run share, and which has a cap.

use super::budget::Budget;
use super::disk::{Disk, RealDisk, write_all};
use super::size::ByteSize;
use super::spill_file::SpillFile;
use super::temporary::{DIRECTORY_VARIABLE, Unlinked, limit_of};
use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind, Result};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Environment variable: how many bytes may be spilled.
pub const SPILL_LIMIT_VARIABLE: &str = "OUTCROP_SPILL_LIMIT";

/// Where what does not fit in memory goes, and how much of it has gone there; clones share the account.
#[derive(Clone, Debug, Default)]
pub struct Spill {
    pub(super) account: Arc<Account>,
    /// Nothing is spilled any more when it is cancelled.
    cancel: CancelToken,
}

#[derive(Debug)]
pub(super) struct Account {
    pub(super) directory: Option<PathBuf>,
    limit_bytes: Option<u64>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) held_bytes: AtomicU64,
    /// What others may write, of the limit.
    others_bytes: AtomicU64,
    peak_bytes: AtomicU64,
    written_bytes: AtomicU64,
    /// How far the input has been read that is spilled, of so many bytes.
    read_bytes: AtomicU64,
    input_bytes: AtomicU64,
}

impl Default for Account {
    fn default() -> Self {
        let (held_bytes, others_bytes, peak_bytes, written_bytes) = Default::default();
        let (read_bytes, input_bytes) = Default::default();
        Account {
            directory: None,
            limit_bytes: None,
            disk: Arc::new(RealDisk),
            held_bytes,
            others_bytes,
            peak_bytes,
            written_bytes,
            read_bytes,
            input_bytes,
        }
    }
}

impl Spill {
    /// Into `directory` (default: `$OUTCROP_TMPDIR`; else the first of `$TMPDIR`, `/var/tmp` and the current directory
    /// that is writable and not in memory), at most `limit_bytes` at a time (default: `$OUTCROP_SPILL_LIMIT`; else nine
    /// tenths of what is free there).
    pub fn new(directory: Option<PathBuf>, limit_bytes: Option<u64>) -> Self {
        Spill { account: Arc::new(Account { directory, limit_bytes, ..Account::default() }), ..Spill::default() }
    }

    /// As [`Spill::new`], by way of a disk that may fail.
    #[doc(hidden)]
    pub fn on_disk(directory: Option<PathBuf>, limit_bytes: Option<u64>, disk: Arc<dyn Disk>) -> Self {
        let account = Account { directory, limit_bytes, disk, ..Account::default() };
        Spill { account: Arc::new(account), ..Spill::default() }
    }

    /// The same account, for a run that this token stops.
    pub(crate) fn until(&self, cancel: &CancelToken) -> Self {
        Spill { account: Arc::clone(&self.account), cancel: cancel.clone() }
    }

    /// Whether the run may go on.
    ///
    /// # Errors
    /// `Cancelled` when it may not.
    pub(crate) fn check(&self) -> Result<()> {
        self.cancel.check()
    }

    /// Bytes on disk now.
    pub fn held_bytes(&self) -> u64 {
        self.account.held_bytes.load(Ordering::Relaxed)
    }

    /// The most bytes on disk at any time.
    pub fn peak_bytes(&self) -> u64 {
        self.account.peak_bytes.load(Ordering::Relaxed)
    }

    /// Bytes written, those that are gone again included.
    pub fn written_bytes(&self) -> u64 {
        self.account.written_bytes.load(Ordering::Relaxed)
    }

    /// A new file; it is made when something is appended.
    pub(crate) fn file(&self) -> SpillFile {
        self.file_of_blocks(Budget::unlimited().block_bytes())
    }

    /// A new file, whose blocks are to be of so many bytes at most.
    pub(crate) fn file_of_blocks(&self, block_bytes: usize) -> SpillFile {
        SpillFile::new(self.clone(), block_bytes)
    }

    /// So much of the input has been read, whose rows may be spilled.
    pub(crate) fn note_progress(&self, (read_bytes, input_bytes): (u64, u64)) {
        self.account.read_bytes.store(read_bytes, Ordering::Relaxed);
        self.account.input_bytes.store(input_bytes, Ordering::Relaxed);
    }

    /// What all of the input would take on disk, if so much has been needed so far.
    pub(super) fn expected(&self, held_bytes: u64) -> Option<u64> {
        let read_bytes = self.account.read_bytes.load(Ordering::Relaxed);
        let input_bytes = self.account.input_bytes.load(Ordering::Relaxed);
        let share = input_bytes as f64 / read_bytes as f64;
        (read_bytes > 0 && read_bytes < input_bytes).then_some((held_bytes as f64 * share) as u64)
    }

    /// How many bytes there may be on disk at a time, where that is limited.
    pub(crate) fn limit_bytes(&self) -> Option<u64> {
        self.limit().ok().filter(|limit| *limit < u64::MAX)
    }

    /// The directory that was asked for.
    pub(crate) fn directory(&self) -> Option<&Path> {
        self.account.directory.as_deref()
    }

    /// A file of its own that is to hold `what`, with room for so many bytes on the account.
    ///
    /// # Errors
    /// `Limit` beyond the cap, `Io` when the disk refuses.
    pub(crate) fn whole_file(&self, bytes: u64, what: &str) -> Result<(Unlinked, DiskShare)> {
        self.check()?;
        let file = Unlinked::create(self.account.directory.as_deref(), what)?;
        self.take(bytes, self.limit()?, &file)?;
        Ok((file, DiskShare { account: Arc::clone(&self.account), bytes }))
    }

    /// Leaves so much of the limit to others, such as worker processes, as long as what is returned lives.
    pub(crate) fn set_aside(&self, bytes: u64) -> SetAside {
        self.account.others_bytes.fetch_add(bytes, Ordering::Relaxed);
        SetAside { account: Arc::clone(&self.account), bytes }
    }

    /// The limit that was asked for.
    pub(super) fn limit(&self) -> Result<u64> {
        match self.account.limit_bytes {
            Some(given) => Ok(given),
            None => Ok(limit_of(SPILL_LIMIT_VARIABLE)?.unwrap_or(u64::MAX)),
        }
    }

    /// Books `bytes`, if `limit` and the room for the file allow.
    pub(super) fn take(&self, bytes: u64, limit: u64, file: &Unlinked) -> Result<()> {
        let limit = limit.saturating_sub(self.account.others_bytes.load(Ordering::Relaxed));
        let held = self.account.held_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if held > limit.min(file.room_bytes) {
            self.account.held_bytes.fetch_sub(bytes, Ordering::Relaxed);
            let cap = if limit <= file.room_bytes { "the limit on spilling" } else { "nine tenths of what was free" };
            let mut text = format!(
                "{cap}, {}, is too little: at least {} are needed",
                ByteSize(limit.min(file.room_bytes)),
                ByteSize(held)
            );
            if let Some(bytes) = self.expected(held) {
                text += &format!(", about {} if the rest of the input is like what has been read", ByteSize(bytes));
            }
            return Err(Error::new(ErrorKind::Limit, text).in_file(&file.directory.display().to_string()).hint(format!(
                "raise the memory limit, or spill to a directory with more room ({DIRECTORY_VARIABLE}, --spill-limit)"
            )));
        }
        self.account.peak_bytes.fetch_max(held, Ordering::Relaxed);
        self.account.written_bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }
}

/// A part of the limit that is left to others; given back on drop.
#[derive(Debug)]
pub(crate) struct SetAside {
    account: Arc<Account>,
    bytes: u64,
}

impl Drop for SetAside {
    fn drop(&mut self) {
        self.account.others_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What a file takes on disk; given back on drop.
#[derive(Debug)]
pub(crate) struct DiskShare {
    account: Arc<Account>,
    bytes: u64,
}

impl DiskShare {
    /// Puts bytes in their place in the file.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn write_at(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        write_all(&*self.account.disk, file, bytes, at)
    }
}

impl Drop for DiskShare {
    fn drop(&mut self) {
        self.account.held_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
