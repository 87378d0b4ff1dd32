//! Where streams are stored: an unlinked file in a directory that is on a disk.

use crate::error::{Error, ErrorKind, Result};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Environment variable: the directory for streams.
pub(crate) const DIRECTORY_VARIABLE: &str = "OUTCROP_TMPDIR";
/// Environment variable: how many bytes of a stream may be stored.
pub(crate) const LIMIT_VARIABLE: &str = "OUTCROP_SPOOL_LIMIT";

/// Where a stream (a pipe, a terminal, stdin) is stored so that it can be read like a file, and how much of it.
#[derive(Clone, Debug, Default)]
pub struct SpoolPlace {
    /// The directory. Default: `$OUTCROP_TMPDIR`; else the first of `$TMPDIR`, `/var/tmp` and the current directory
    /// that is writable and not in memory.
    pub directory: Option<PathBuf>,
    /// The largest number of bytes. Default: `$OUTCROP_SPOOL_LIMIT` (bytes, or with K, M, G or T behind the number);
    /// else nine tenths of what is free in the directory.
    pub limit_bytes: Option<u64>,
}

/// An open file without a name: it is gone when it is closed, however the process ends.
#[derive(Debug)]
pub(super) struct Unlinked {
    pub(super) file: File,
    pub(super) directory: PathBuf,
    /// Nine tenths of what was free.
    pub(super) room_bytes: u64,
}

impl SpoolPlace {
    /// The limit that was asked for.
    ///
    /// # Errors
    /// `Syntax` when the environment variable is no number of bytes.
    pub(super) fn limit(&self) -> Result<Option<u64>> {
        match (self.limit_bytes, std::env::var_os(LIMIT_VARIABLE)) {
            (Some(given), _) => Ok(Some(given)),
            (None, Some(text)) if !text.is_empty() => parse_bytes(&text).map(Some).ok_or_else(|| {
                Error::new(ErrorKind::Syntax, format!("{LIMIT_VARIABLE} is {text:?}, which is no number of bytes"))
                    .hint(format!("for example {LIMIT_VARIABLE}=20G"))
            }),
            _ => Ok(None),
        }
    }

    /// A new file.
    ///
    /// # Errors
    /// `Io` when no directory will do.
    pub(super) fn create(&self) -> Result<Unlinked> {
        let named = |variable| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
        let hint = format!("name a directory on a disk with room: {DIRECTORY_VARIABLE}=/path");
        if let Some(directory) = self.directory.clone().or_else(|| named(DIRECTORY_VARIABLE)) {
            return unlinked_in(&directory).map_err(|error| {
                let message = format!("a stream cannot be stored here: {error}");
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
            match unlinked_in(&directory) {
                Ok(unlinked) => return Ok(unlinked),
                Err(error) => reasons.push(format!("{}: {error}", directory.display())),
            }
        }
        let message = format!("there is no place to store a stream: {}", reasons.join("; "));
        Err(Error::new(ErrorKind::Io, message).hint(hint))
    }
}

fn unlinked_in(directory: &Path) -> io::Result<Unlinked> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let room_bytes =
        rustix::fs::statvfs(directory).map(|place| place.f_bavail.saturating_mul(place.f_frsize) / 10 * 9)?;
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!(".outcrop-{}-{number}.tmp", std::process::id()));
        let file = match OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            file => file?,
        };
        std::fs::remove_file(&path)?;
        return Ok(Unlinked { file, directory: directory.to_owned(), room_bytes });
    }
}

/// Whether files in `directory` take memory: then storing a stream there defeats its purpose.
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

fn parse_bytes(text: &OsString) -> Option<u64> {
    let text = text.to_str()?.trim();
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let shift = match text[digits.len()..].to_ascii_lowercase().trim_end_matches("ib").trim_end_matches('b') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_stored_in_a_file_without_a_name() {
        let folder = tempfile::tempdir().unwrap();
        let place = SpoolPlace { directory: Some(folder.path().to_owned()), limit_bytes: None };
        let unlinked = place.create().unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(unlinked.room_bytes > 0);
        let absent = SpoolPlace { directory: Some(folder.path().join("absent")), limit_bytes: None };
        let error = absent.create().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains("absent") && error.to_string().contains(DIRECTORY_VARIABLE), "{error}");
    }

    #[test]
    fn limits_are_numbers_of_bytes_with_units() {
        for (text, bytes) in [("17", 17), ("2K", 2048), ("3MiB", 3 << 20), ("1gb", 1 << 30), ("2T", 2 << 40)] {
            assert_eq!(parse_bytes(&text.into()), Some(bytes), "{text}");
        }
        for text in ["", "x", "1Q", "-1", "99999999999999999999", "99999999999999T"] {
            assert_eq!(parse_bytes(&text.into()), None, "{text}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_is_told_from_disk() {
        assert!(!is_in_memory(Path::new("/proc")));
        assert!(!Path::new("/dev/shm").exists() || is_in_memory(Path::new("/dev/shm")));
    }
}
