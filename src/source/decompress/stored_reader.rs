//! The stored bytes of a file from front to back, for decoders that want a [`BufRead`].

use crate::error::Error;
use crate::source::input::InputFile;
use std::io::{self, BufRead, Read};
use std::sync::Arc;

/// Stored bytes read at a time.
pub(super) const READ_BYTES: usize = 256 << 10;

/// The stored file as a [`BufRead`] from front to back; remembers the located error that `io::Error` cannot carry.
pub(super) struct StoredReader {
    input: Arc<InputFile>,
    buffer: Vec<u8>,
    used: usize,
    read_to: u64,
    error: Option<Error>,
    keeps_head: bool,
    is_over: bool,
}

impl StoredReader {
    pub(super) fn new(input: Arc<InputFile>, keeps_head: bool) -> Self {
        StoredReader { input, buffer: vec![], used: 0, read_to: 0, error: None, keeps_head, is_over: false }
    }

    /// The stored file.
    pub(super) fn input(&self) -> &Arc<InputFile> {
        &self.input
    }

    /// Fills `into` from stored byte `at` on, as far as the file reaches, and stays where it is.
    pub(super) fn look_at<'a>(&self, at: u64, into: &'a mut [u8]) -> io::Result<&'a [u8]> {
        let failed = |_| io::Error::other("reading failed");
        let count = self.input.available(at, into.len()).map_err(failed)?;
        let into = &mut into[..count];
        let start = self.read_to - self.buffer.len() as u64;
        let held = at.checked_sub(start).and_then(|from| self.buffer.get(usize::try_from(from).ok()?..)?.get(..count));
        match held {
            Some(held) => into.copy_from_slice(held),
            None => self.input.read_at(at, into).map_err(failed)?,
        }
        Ok(into)
    }

    /// Goes on at stored byte `at`, which lies in the file or at its end.
    pub(super) fn seek(&mut self, at: u64) {
        let start = self.read_to - self.buffer.len() as u64;
        match at.checked_sub(start).map(usize::try_from) {
            Some(Ok(used)) if used <= self.buffer.len() => self.used = used,
            _ => {
                self.buffer.clear();
                self.used = 0;
                self.read_to = at;
                self.is_over = self.input.known_length() == Some(at);
            }
        }
        if self.is_over && self.used == self.buffer.len() {
            self.settle();
        }
    }

    /// Passes over `count` bytes; an error if there are fewer.
    pub(super) fn skip(&mut self, mut count: u64) -> io::Result<()> {
        while count > 0 {
            let step = usize::try_from(count).unwrap_or(usize::MAX).min(self.fill_buf()?.len());
            if step == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.consume(step);
            count -= step as u64;
        }
        Ok(())
    }

    /// Offset of the next stored byte.
    pub(super) fn at_byte(&self) -> u64 {
        self.read_to - (self.buffer.len() - self.used) as u64
    }

    /// Up to `count` bytes that follow; fewer only at the end of the file.
    pub(super) fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        while self.buffer.len() - self.used < count && !self.is_over {
            self.read_more()?;
        }
        let rest = &self.buffer[self.used..];
        Ok(&rest[..rest.len().min(count)])
    }

    fn read_more(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.used);
        self.used = 0;
        let held = self.buffer.len();
        let read = self.input.available(self.read_to, READ_BYTES).and_then(|fresh| {
            self.buffer.resize(held + fresh, 0);
            self.input.read_at(self.read_to, &mut self.buffer[held..]).map(|()| fresh)
        });
        let fresh = match read {
            Ok(fresh) => fresh,
            Err(error) => {
                self.buffer.truncate(held);
                self.error = Some(error);
                return Err(io::Error::other("reading failed"));
            }
        };
        self.read_to += fresh as u64;
        self.is_over = fresh < READ_BYTES || self.input.known_length() == Some(self.read_to);
        if self.is_over {
            self.settle();
        }
        Ok(())
    }

    fn settle(&self) {
        self.input.close();
        if !self.keeps_head {
            self.input.release_head();
        }
    }

    /// Forgets an error of reading, which comes up again if it matters.
    pub(super) fn forget_error(&mut self) {
        self.error = None;
    }

    /// The located error behind the last `io::Error`.
    pub(super) fn take_error(&mut self) -> Option<Error> {
        self.error.take()
    }
}

impl Drop for StoredReader {
    fn drop(&mut self) {
        self.input.close();
    }
}

impl Read for StoredReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(into)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for StoredReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used == self.buffer.len() && !self.is_over {
            self.read_more()?;
        }
        Ok(&self.buffer[self.used..])
    }

    fn consume(&mut self, count: usize) {
        self.used = (self.used + count).min(self.buffer.len());
    }
}
