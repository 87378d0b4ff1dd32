//! The bytes of a file: mapped into memory, or read by place.

use crate::error::{Error, ErrorKind, Result};
use crate::source::input::InputFile;
use arrow::buffer::{Buffer, MutableBuffer};
use memmap2::Mmap;
use std::fs::File;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::Arc;

/// The bytes of a file.
#[derive(Debug)]
pub(super) struct FileBytes {
    pub(super) input: InputFile,
    mapped: Option<Buffer>,
}

impl FileBytes {
    /// The bytes of `input`, the file at `path`; mapped if `map` and the file has any.
    pub(super) fn new(input: InputFile, path: &Path, map: bool) -> Result<Self> {
        if !map || input.is_stream() || input.length() == 0 {
            return Ok(FileBytes { input, mapped: None });
        }
        let file = File::open(path).map_err(|error| Error::io(path, &error))?;
        // SAFETY: the mapping is private to this process's reading and never written. That nobody else changes the
        // file while it is read is asked of the user (see the module's notes).
        let map = unsafe { Mmap::map(&file) }.map_err(|error| Error::io(path, &error))?;
        if map.len() as u64 != input.length() {
            return Err(input.error(ErrorKind::Malformed, "the file changed while it was opened"));
        }
        let (start, length) = (NonNull::from(&map[..]).cast::<u8>(), map.len());
        // SAFETY: `start` points at `length` bytes that stay where they are until `map`, which the buffer owns, is
        // dropped.
        let mapped = unsafe { Buffer::from_custom_allocation(start, length, Arc::new(map)) };
        Ok(FileBytes { input, mapped: Some(mapped) })
    }

    /// Whether arrays are views of the mapped file.
    pub(super) fn is_mapped(&self) -> bool {
        self.mapped.is_some()
    }

    /// Bytes `at..at + length`.
    ///
    /// # Errors
    /// `Malformed` when the file has no such bytes; `Io` when reading fails.
    pub(super) fn get(&self, at: u64, length: u64) -> Result<Buffer> {
        let whole = self.input.length();
        let within = at.checked_add(length).is_some_and(|end| end <= whole);
        let (Ok(start), Ok(count), true) = (usize::try_from(at), usize::try_from(length), within) else {
            let message = format!("{length} bytes should stand here, beyond the end of a file of {whole} bytes");
            return Err(self.input.damage(at, message).hint("was the file written, or copied, to its end?"));
        };
        if let Some(mapped) = &self.mapped {
            return Ok(mapped.slice_with_length(start, count));
        }
        let mut bytes = MutableBuffer::from_len_zeroed(count);
        self.input.read_at(at, bytes.as_slice_mut())?;
        Ok(bytes.into())
    }
}
