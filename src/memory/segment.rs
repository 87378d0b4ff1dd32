//! Bytes that several processes read in place: files without a name, in memory or on disk.
//!
//! A [`SegmentFile`] is written once and becomes a [`Segment`], which nobody can write to or cut short: on Linux a sealed
//! memfd, elsewhere shared memory without a name. Beyond what the account allows it is an unlinked file on disk, mapped all
//! the same, whose pages the system takes back when it needs them.

use super::budget::{Budget, Reservation};
use super::spill::{DiskShare, Spill};
use super::temporary::Unlinked;
use crate::error::{Error, ErrorKind, Result};
use arrow::buffer::Buffer;
use memmap2::Mmap;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::panic::AssertUnwindSafe;
use std::ptr::NonNull;
use std::sync::Arc;

/// A segment that is being written.
#[derive(Debug)]
pub(crate) struct SegmentFile {
    file: Arc<File>,
    bytes: u64,
    held: Held,
}

/// What a segment takes, until it is dropped.
#[derive(Debug)]
enum Held {
    Memory { _reserved: Reservation },
    Disk(DiskShare),
}

/// Bytes that do not change any more. Clones share them; they are gone when the last clone and the last mapping is.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    file: Arc<File>,
    bytes: u64,
    /// Given back on drop.
    held: Arc<Held>,
}

impl SegmentFile {
    /// Room for so many bytes: in memory if they are no more than `most_in_memory` and the account agrees, else on disk.
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) fn create(bytes: u64, most_in_memory: u64, budget: &Budget, spill: &Spill) -> Result<Self> {
        if bytes <= most_in_memory
            && let Ok(length) = usize::try_from(bytes)
        {
            let mut reserved = budget.reservation("shared memory");
            if reserved.resize(length).is_ok()
                && let Ok(file) = in_memory(bytes)
            {
                return Ok(SegmentFile { file: Arc::new(file), bytes, held: Held::Memory { _reserved: reserved } });
            }
        }
        let (Unlinked { file, directory, .. }, share) = spill.whole_file(bytes, "shared memory")?;
        let set = file.set_len(bytes);
        set.map_err(|error| Error::io(&directory, &error))?;
        Ok(SegmentFile { file: Arc::new(file), bytes, held: Held::Disk(share) })
    }

    /// Puts bytes in their place.
    ///
    /// # Errors
    /// `Io` when there is no room after all.
    pub(crate) fn write_at(&self, bytes: &[u8], at: u64) -> Result<()> {
        let written = match &self.held {
            Held::Memory { .. } => self.file.write_all_at(bytes, at),
            Held::Disk(share) => share.write_at(&self.file, bytes, at),
        };
        written.map_err(|error| Error::new(ErrorKind::Io, format!("shared memory could not be stored: {error}")))
    }

    /// Nothing can be written to it any more.
    ///
    /// # Errors
    /// `Io` when the system does not agree.
    pub(crate) fn seal(self) -> Result<Segment> {
        let SegmentFile { file, bytes, held } = self;
        let sealed = match held {
            Held::Memory { .. } => seal(&file),
            // Who gets it gets a handle that only reads.
            Held::Disk(_) => Ok(()),
        };
        sealed.map_err(|error| Error::new(ErrorKind::Io, format!("shared memory could not be sealed: {error}")))?;
        Ok(Segment { file, bytes, held: Arc::new(held) })
    }
}

impl Segment {
    /// How long it is.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether it is a file on disk.
    pub(crate) fn is_on_disk(&self) -> bool {
        matches!(*self.held, Held::Disk(_))
    }

    /// The bytes, mapped: all processes that map a segment share its pages.
    ///
    /// # Errors
    /// `Io` when there is no room in the address space.
    pub(crate) fn map(&self) -> Result<Buffer> {
        // What maps it holds what it takes.
        mapped(&self.file, self.bytes, Some(self.clone()))
    }

    /// A handle of its own for a process to be started, at the beginning of the bytes.
    ///
    /// # Errors
    /// `Io` when there are no more handles.
    pub(crate) fn handle(&self) -> Result<OwnedFd> {
        let reopened = File::open(handle_path(self.file.as_raw_fd()));
        let file =
            reopened.map_err(|error| Error::new(ErrorKind::Io, format!("shared memory cannot be opened: {error}")))?;
        Ok(file.into())
    }
}

/// The path by which a process opens one of its own handles anew.
pub(crate) fn handle_path(handle: i32) -> String {
    if cfg!(target_os = "linux") { format!("/proc/self/fd/{handle}") } else { format!("/dev/fd/{handle}") }
}

/// Maps a segment of another process, by the handle that came from there.
///
/// # Errors
/// `Io` when it cannot be mapped.
pub(crate) fn map_handle(handle: File) -> Result<Buffer> {
    let length = handle.metadata().map_err(|error| Error::new(ErrorKind::Io, error.to_string()))?.len();
    mapped(&handle, length, None)
}

/// Keeps a mapping, and what it is of.
struct Mapping {
    _map: Mmap,
    /// Behind an account that only counts, so nothing is left half done by a panic.
    _owner: AssertUnwindSafe<Option<Segment>>,
}

/// Maps a segment; `owner` lives as long as the mapping.
fn mapped(file: &File, bytes: u64, owner: Option<Segment>) -> Result<Buffer> {
    if bytes == 0 {
        return Ok(Buffer::from_vec(Vec::<u8>::new()));
    }
    // SAFETY: a segment is sealed, or a file without a name to which only its maker had a handle that writes; nobody writes
    // to it or cuts it short any more.
    let map = unsafe { Mmap::map(file) };
    let map = map.map_err(|error| Error::new(ErrorKind::Io, format!("shared memory cannot be mapped: {error}")))?;
    let (start, length) = (NonNull::from(&map[..]).cast::<u8>(), map.len());
    let mapping = Arc::new(Mapping { _map: map, _owner: AssertUnwindSafe(owner) });
    // SAFETY: `start` points at `length` bytes that stay where they are until the mapping, which the buffer owns, is
    // dropped.
    Ok(unsafe { Buffer::from_custom_allocation(start, length, mapping) })
}

#[cfg(target_os = "linux")]
fn in_memory(bytes: u64) -> io::Result<File> {
    use rustix::fs::{MemfdFlags, memfd_create};
    let file = File::from(memfd_create("outcrop", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
    file.set_len(bytes)?;
    Ok(file)
}

#[cfg(target_os = "linux")]
fn seal(file: &File) -> io::Result<()> {
    use rustix::fs::{SealFlags, fcntl_add_seals};
    Ok(fcntl_add_seals(file, SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?)
}

#[cfg(not(target_os = "linux"))]
fn in_memory(bytes: u64) -> io::Result<File> {
    use rustix::fs::Mode;
    use rustix::shm::{OFlags, open, unlink};
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!("/outcrop-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let file = File::from(open(&*name, OFlags::CREATE | OFlags::EXCL | OFlags::RDWR, Mode::RUSR | Mode::WUSR)?);
    unlink(&*name)?;
    file.set_len(bytes)?;
    Ok(file)
}

/// Without seals, that nobody gets a handle that writes must do.
#[cfg(not(target_os = "linux"))]
fn seal(_file: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(budget: &Budget, spill: &Spill, most_in_memory: u64) -> Segment {
        let file = SegmentFile::create(10_000, most_in_memory, budget, spill).unwrap();
        file.write_at(b"begin", 0).unwrap();
        file.write_at(b"end", 9_997).unwrap();
        file.seal().unwrap()
    }

    #[test]
    fn bytes_are_shared_counted_and_given_back_with_the_last_mapping() {
        let (budget, spill) = (Budget::new(20_000), Spill::default());
        let one = segment(&budget, &spill, u64::MAX);
        let mapped = one.map().unwrap();
        assert_eq!((&mapped[..5], &mapped[9_997..], mapped.len()), (&b"begin"[..], &b"end"[..], 10_000));
        let other = segment(&budget, &spill, u64::MAX);
        assert!(!other.is_on_disk() && budget.held_bytes() == 20_000);
        let beyond = segment(&budget, &spill, u64::MAX);
        assert!(beyond.is_on_disk() && spill.held_bytes() == 10_000, "the account is full");
        assert_eq!(&beyond.map().unwrap()[9_997..], b"end");
        drop((one, other, beyond));
        assert_eq!((budget.held_bytes(), spill.held_bytes()), (10_000, 0), "one is still mapped");
        drop(mapped);
        assert_eq!(budget.held_bytes(), 0);
    }

    #[test]
    fn nobody_can_write_to_a_segment_or_cut_it_short() {
        let (budget, spill) = (Budget::unlimited(), Spill::default());
        for most_in_memory in [u64::MAX, 0] {
            let segment = segment(&budget, &spill, most_in_memory);
            assert_eq!(segment.is_on_disk(), most_in_memory == 0);
            let handle = File::from(segment.handle().unwrap());
            assert!(handle.write_all_at(b"x", 0).is_err());
            assert!(handle.set_len(1).is_err());
            // SAFETY: the mapping is dropped at once, should there be one.
            assert!(unsafe { memmap2::MmapMut::map_mut(&handle) }.is_err());
            assert_eq!(map_handle(handle).unwrap(), segment.map().unwrap());
        }
        let segment = segment(&budget, &spill, u64::MAX);
        assert!(segment.file.write_all_at(b"x", 0).is_err(), "not even its maker");
    }
}
