//! Files without a name, in a directory that is on a disk: gone when they are closed, however the process ends.

use super::size::ByteSize;
use crate::error::{Error, ErrorKind, Result};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Environment variable: the directory for temporary files.
pub const DIRECTORY_VARIABLE: &str = "OUTCROP_TMPDIR";

/// An open file without a name.
#[derive(Debug)]
pub(crate) struct Unlinked {
    pub(crate) file: File,
    pub(crate) directory: PathBuf,
    /// Nine tenths of what was free when it was made.
    pub(crate) room_bytes: u64,
}

impl Unlinked {
    /// A new file that is to hold `what`, as in "a stream". It is made in `directory`, else in `$OUTCROP_TMPDIR`, else
    /// in the first of `$TMPDIR`, `/var/tmp` and the current directory that is writable and not in memory.
    ///
    /// # Errors
    /// `Io` when no directory will do.
    pub(crate) fn create(directory: Option<&Path>, what: &str) -> Result<Self> {
        let named = |variable| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
        let hint = format!("name a directory on a disk with room: {DIRECTORY_VARIABLE}=/path");
        if let Some(directory) = directory.map(Path::to_owned).or_else(|| named(DIRECTORY_VARIABLE)) {
            return Unlinked::create_in(&directory).map_err(|error| {
                let message = format!("{what} cannot be stored here: {error}");
                Error::new(ErrorKind::Io, message).in_file(&directory.display().to_string()).hint(hint)
            });
        }
        let usual = [named("TMPDIR"), Some(PathBuf::from("/var/tmp")), Some(PathBuf::from("."))];
        let mut reasons = Vec::new();
        for directory in usual.into_iter().flatten() {
            if is_in_memory(&directory) {
                reasons.push(format!("{} is in memory", directory.display()));
                continue;
            }
            match Unlinked::create_in(&directory) {
                Ok(unlinked) => return Ok(unlinked),
                Err(error) => reasons.push(format!("{}: {error}", directory.display())),
            }
        }
        let message = format!("there is no place to store {what}: {}", reasons.join("; "));
        Err(Error::new(ErrorKind::Io, message).hint(hint))
    }

    /// A new file in this directory.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn create_in(directory: &Path) -> io::Result<Self> {
        let room_bytes =
            rustix::fs::statvfs(directory).map(|place| place.f_bavail.saturating_mul(place.f_frsize) / 10 * 9)?;
        let file = match never_linked(directory) {
            Some(file) => file,
            None => linked_for_a_moment(directory)?,
        };
        Ok(Unlinked { file, directory: directory.to_owned(), room_bytes })
    }
}

/// The number of bytes that an environment variable gives, if it does.
///
/// # Errors
/// `Syntax` when it is no number of bytes.
pub(crate) fn limit_of(variable: &str) -> Result<Option<u64>> {
    let Some(text) = std::env::var_os(variable).filter(|text| !text.is_empty()) else { return Ok(None) };
    let size = ByteSize::parse(&text.to_string_lossy());
    size.map(|size| Some(size.0)).map_err(|_| {
        Error::new(ErrorKind::Syntax, format!("{variable} is {text:?}, which is no number of bytes"))
            .hint(format!("for example {variable}=20G"))
    })
}

/// A file that never had a name, where the file system has such files.
#[cfg(target_os = "linux")]
fn never_linked(directory: &Path) -> Option<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    rustix::fs::open(directory, flags, Mode::RUSR | Mode::WUSR).ok().map(File::from)
}

#[cfg(not(target_os = "linux"))]
fn never_linked(_directory: &Path) -> Option<File> {
    None
}

const PREFIX: &str = ".outcrop-";
const SUFFIX: &str = ".tmp";

/// A file whose name is taken away at once. A run that is killed in between leaves an empty file: whatever such files
/// there are go as well, and one whose maker lives is about to lose its name anyway.
fn linked_for_a_moment(directory: &Path) -> io::Result<File> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("{PREFIX}{}-{number}{SUFFIX}", std::process::id()));
        let file = match OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            file => file?,
        };
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => sweep(directory),
        }
        return Ok(file);
    }
}

fn sweep(directory: &Path) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_ours =
            name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)).is_some_and(|numbers| {
                numbers.split('-').count() == 2 && numbers.bytes().all(|b| b == b'-' || b.is_ascii_digit())
            });
        if is_ours && entry.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0) {
            // Another run may have swept it.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Whether files in `directory` take memory: then storing something there defeats its purpose.
#[cfg(target_os = "linux")]
fn is_in_memory(directory: &Path) -> bool {
    const TMPFS: rustix::fs::FsWord = 0x0102_1994;
    const RAMFS: rustix::fs::FsWord = 0x8584_58f6_u32 as rustix::fs::FsWord;
    rustix::fs::statfs(directory).is_ok_and(|place| [TMPFS, RAMFS].contains(&place.f_type))
}

#[cfg(not(target_os = "linux"))]
fn is_in_memory(_directory: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let unlinked = Unlinked::create(Some(folder.path()), "a stream").unwrap();
        assert!(unlinked.room_bytes > 0);
        linked_for_a_moment(folder.path()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let error = Unlinked::create(Some(&folder.path().join("absent")), "a stream").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains("absent") && error.to_string().contains(DIRECTORY_VARIABLE), "{error}");
    }

    #[test]
    fn what_killed_runs_left_is_swept_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in [(".outcrop-1-2.tmp", ""), (".outcrop-1-3.tmp", "full"), (".outcrop-mine.tmp", "")] {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        linked_for_a_moment(folder.path()).unwrap();
        let mut left: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".outcrop-1-3.tmp", ".outcrop-mine.tmp"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_is_told_from_disk() {
        assert!(!is_in_memory(Path::new("/proc")));
        assert!(!Path::new("/dev/shm").exists() || is_in_memory(Path::new("/dev/shm")));
    }
}
