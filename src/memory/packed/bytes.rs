//! Bytes that are taken from the front, and numbers among them.

use crate::error::{Error, ErrorKind, Result};

pub(super) fn put_number(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&number.to_le_bytes());
}

pub(super) fn cut_short() -> Error {
    Error::new(ErrorKind::Io, "what was spilled ends too early")
}

/// What is still to be read.
pub(super) struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Input { rest: bytes }
    }

    /// The next bytes.
    ///
    /// # Errors
    /// `Io` when there are not so many.
    pub(super) fn take(&mut self, bytes: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or_else(cut_short)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next eight bytes as a number.
    ///
    /// # Errors
    /// `Io` when there are fewer.
    pub(super) fn number(&mut self) -> Result<u64> {
        let bytes = self.take(8)?;
        Ok(u64::from_le_bytes(bytes.try_into().map_err(|_| cut_short())?))
    }

    /// A number of bytes.
    ///
    /// # Errors
    /// `Io` when it is none that memory could have.
    pub(super) fn length(&mut self) -> Result<usize> {
        usize::try_from(self.number()?).map_err(|_| cut_short())
    }
}
