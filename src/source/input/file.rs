//! A regular file between its sampling and the pass: closed, perhaps changed, opened again.
//!
//! What was there when the file was opened first is what is read: its length holds. A file that has shrunk, was
//! replaced or rewritten is an error. One that has grown at its end, as logs do, is read to the length it had, and the
//! rest is told of.

use super::remedy::io_error;
use super::{DO_NOT_CHANGE, lock};
use crate::error::{Error, ErrorKind, Result};
use crate::parallel::Message;
use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

/// Bytes at the start of a file by which it is known again.
const MARK_BYTES: usize = 256;

/// A file that is opened when it is needed.
#[derive(Debug)]
pub(super) struct StoredFile {
    name: Arc<str>,
    /// Absolute, so that the file is found again whatever the working directory is by then.
    path: PathBuf,
    handle: Mutex<Option<Arc<File>>>,
    length: u64,
    identity: Identity,
    mark: OnceLock<Box<[u8]>>,
}

/// What tells a file from another, and one state of it from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    modified: (i64, i64),
}

/// What is known of a file that another process has opened.
#[derive(Clone, Debug)]
pub(crate) struct KnownFile {
    name: Arc<str>,
    path: PathBuf,
    length: u64,
    identity: Identity,
}

impl KnownFile {
    /// The path as the user gave it.
    pub(super) fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// The path by which it is found.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Message for KnownFile {
    fn send(&self, bytes: &mut Vec<u8>) -> Result<()> {
        let Identity { device, inode, modified } = self.identity;
        self.name.send(bytes)?;
        self.path.as_os_str().as_bytes().to_vec().send(bytes)?;
        (self.length, device, inode, modified).send(bytes)
    }

    fn receive(bytes: &mut &[u8]) -> Result<Self> {
        let (name, path): (Arc<str>, Vec<u8>) = Message::receive(bytes)?;
        let (length, device, inode, modified) = Message::receive(bytes)?;
        let identity = Identity { device, inode, modified };
        Ok(KnownFile { name, path: OsString::from_vec(path).into(), length, identity })
    }
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        Identity { device: metadata.dev(), inode: metadata.ino(), modified }
    }

    fn is_same_file(self, other: Identity) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

impl StoredFile {
    pub(super) fn new(name: Arc<str>, path: &Path, file: File, metadata: &Metadata) -> Result<Self> {
        let path = std::path::absolute(path).map_err(|error| io_error(path, &error))?;
        Ok(StoredFile {
            name,
            path,
            handle: Mutex::new(Some(Arc::new(file))),
            length: metadata.len(),
            identity: Identity::of(metadata),
            mark: OnceLock::new(),
        })
    }

    /// A file as another process has found it: closed, and looked at when it is opened.
    pub(super) fn known(known: &KnownFile) -> Self {
        StoredFile {
            name: Arc::clone(&known.name),
            path: known.path.clone(),
            handle: Mutex::default(),
            length: known.length,
            identity: known.identity,
            mark: OnceLock::new(),
        }
    }

    /// What another process needs to open the same file.
    pub(super) fn as_known(&self) -> KnownFile {
        KnownFile {
            name: Arc::clone(&self.name),
            path: self.path.clone(),
            length: self.length,
            identity: self.identity,
        }
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Remembers how the file begins, given its first bytes.
    pub(super) fn remember(&self, head: &[u8]) {
        self.mark.get_or_init(|| head[..head.len().min(MARK_BYTES)].into());
    }

    /// Closes the file until the next read; reads under way on other threads end undisturbed.
    pub(super) fn close(&self) {
        *lock(&self.handle) = None;
    }

    #[cfg(test)]
    pub(super) fn is_open(&self) -> bool {
        lock(&self.handle).is_some()
    }

    /// The open file. Only handing it out is under the lock, reading from it is not.
    pub(super) fn handle(&self) -> Result<Arc<File>> {
        let mut handle = lock(&self.handle);
        if let Some(file) = &*handle {
            return Ok(Arc::clone(file));
        }
        let reopened = File::open(&self.path).and_then(|file| Ok((file.metadata()?, file)));
        let (metadata, file) = reopened.map_err(|error| io_error(&*self.name, &error))?;
        self.check(&file, &metadata).map_err(|error| io_error(&*self.name, &error))??;
        Ok(Arc::clone(handle.insert(Arc::new(file))))
    }

    /// Whether what was opened again is what was there before.
    fn check(&self, file: &File, metadata: &Metadata) -> io::Result<Result<()>> {
        let (now, length) = (Identity::of(metadata), metadata.len());
        if !self.identity.is_same_file(now) {
            return Ok(Err(self.changed("another file has taken this name since the file was opened")));
        }
        if length < self.length {
            let message = format!("the file was {} bytes long and now has {length}", self.length);
            return Ok(Err(self.changed(message).with_place(|place| place.byte = Some(length))));
        }
        if length == self.length && self.identity.modified != now.modified {
            return Ok(Err(self.changed("the file was written to since it was opened")));
        }
        if length > self.length
            && let Some(mark) = self.mark.get()
        {
            let mut begins = vec![0; mark.len()];
            file.read_exact_at(&mut begins, 0)?;
            if begins[..] != mark[..] {
                return Ok(Err(self.changed("the file was written anew since it was opened")));
            }
        }
        Ok(Ok(()))
    }

    fn changed(&self, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Malformed, message).in_file(&self.name).hint(DO_NOT_CHANGE)
    }

    /// What has happened to the file while it was read, if that is no error; asked after the last read.
    pub(super) fn warning(&self) -> Option<String> {
        // A file that was deleted after it had been read has been read.
        let metadata = std::fs::metadata(&self.path).ok()?;
        let now = Identity::of(&metadata);
        if !self.identity.is_same_file(now) || self.identity.modified == now.modified {
            return None;
        }
        let more = metadata.len().saturating_sub(self.length);
        Some(if more > 0 {
            format!(
                "the file has grown by {more} bytes while it was read; they are left out, and the last record before \
                 them may be cut\nhint: run again to include them"
            )
        } else {
            format!("the file was written to while it was read; the answer may mix old and new\nhint: {DO_NOT_CHANGE}")
        })
    }
}
