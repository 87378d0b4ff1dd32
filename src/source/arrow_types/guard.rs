//! Third-party decoding under guard: whatever it does with hostile bytes becomes an error that names the file.

use crate::error::{Error, ErrorKind, Result};
use crate::panics::caught;
use crate::source::input::InputFile;
use parquet::errors::ParquetError;

/// What can go wrong in the decoder, as it tells.
pub(in crate::source) trait Failure {
    /// An error of ours that came back through the decoder, or else what the decoder says.
    fn told(self) -> Result<Error, String>;
}

impl Failure for ParquetError {
    fn told(self) -> Result<Error, String> {
        match self {
            ParquetError::External(inner) => match inner.downcast::<Error>() {
                Ok(own) => Ok(*own),
                Err(other) => Err(other.to_string()),
            },
            ParquetError::General(text) | ParquetError::EOF(text) | ParquetError::ArrowError(text) => Err(text),
            other => Err(other.to_string()),
        }
    }
}

impl Failure for arrow::error::ArrowError {
    fn told(self) -> Result<Error, String> {
        match self {
            arrow::error::ArrowError::ParquetError(text) => Err(text),
            other => Err(other.to_string()),
        }
    }
}

/// Runs `decode`; a panic or an error in it becomes a `Malformed` error about `what` of this file.
pub(in crate::source) fn guarded<T, E: Failure>(
    input: &InputFile,
    what: impl FnOnce() -> String,
    decode: impl FnOnce() -> Result<T, E>,
) -> Result<T> {
    let told = match caught(decode) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => match error.told() {
            Ok(own) => return Err(own),
            Err(text) => text,
        },
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
        }
    };
    Err(damaged(input, &what(), &told))
}

fn damaged(input: &InputFile, what: &str, told: &str) -> Error {
    // The decoder's texts name their own crate and may quote what they have read.
    let told: String = told.trim_start_matches("Parquet error: ").chars().take(200).collect();
    let unsupported = ["NYI", "not supported", "encrypt"].iter().any(|sign| told.contains(sign));
    let kind = if unsupported { ErrorKind::Unsupported } else { ErrorKind::Malformed };
    input.error(kind, format!("{what} cannot be read: {told}"))
}

/// Runs `decode`, whose result is of use only if all goes well.
pub(in crate::source) fn attempted<T, E>(decode: impl FnOnce() -> Result<T, E>) -> Option<T> {
    caught(decode).ok()?.ok()
}
