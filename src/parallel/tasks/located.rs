//! Errors with their places, and row identities, as messages.

use super::message::Message;
use crate::batch::RowId;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::types::ColumnType;
use std::sync::Arc;

/// All kinds, by their numbers.
const KINDS: [ErrorKind; 13] = [
    ErrorKind::Io,
    ErrorKind::NoInput,
    ErrorKind::Malformed,
    ErrorKind::Value,
    ErrorKind::Name,
    ErrorKind::Type,
    ErrorKind::Syntax,
    ErrorKind::Arithmetic,
    ErrorKind::Limit,
    ErrorKind::Cancelled,
    ErrorKind::Unsupported,
    ErrorKind::Task,
    ErrorKind::Internal,
];

impl Message for RowId {
    fn send(&self, bytes: &mut Vec<u8>) -> Result<()> {
        (self.file, self.position, self.copy).send(bytes)
    }

    fn receive(bytes: &mut &[u8]) -> Result<Self> {
        let (file, position, copy) = Message::receive(bytes)?;
        Ok(RowId { file, position, copy })
    }
}

impl Message for Arc<str> {
    fn send(&self, bytes: &mut Vec<u8>) -> Result<()> {
        self.to_string().send(bytes)
    }

    fn receive(bytes: &mut &[u8]) -> Result<Self> {
        String::receive(bytes).map(Arc::from)
    }
}

impl Message for Place {
    fn send(&self, bytes: &mut Vec<u8>) -> Result<()> {
        (self.file.clone(), self.record, self.line, self.byte).send(bytes)?;
        (self.column.clone(), self.value.clone()).send(bytes)
    }

    fn receive(bytes: &mut &[u8]) -> Result<Self> {
        let (file, record, line, byte) = Message::receive(bytes)?;
        let (column, value) = Message::receive(bytes)?;
        Ok(Place { file, record, line, byte, column, value })
    }
}

/// Types of columns of files; those that aggregates make are not sent.
impl Message for ColumnType {
    fn send(&self, bytes: &mut Vec<u8>) -> Result<()> {
        self.to_string().send(bytes)
    }

    fn receive(bytes: &mut &[u8]) -> Result<Self> {
        ColumnType::parse(&String::receive(bytes)?)
    }
}

/// Without the underlined text: only who reads a question underlines it.
impl Message for Error {
    fn send(&self, bytes: &mut Vec<u8>) -> Result<()> {
        let kind = KINDS.iter().position(|kind| *kind == self.kind()).unwrap_or(KINDS.len() - 1);
        let hint = self.hint_text().map(str::to_owned);
        (kind as u8, self.message().to_owned(), hint, self.place().clone()).send(bytes)
    }

    fn receive(bytes: &mut &[u8]) -> Result<Self> {
        let (kind, message, hint, place) = <(u8, String, Option<String>, Place)>::receive(bytes)?;
        let kind = KINDS.get(usize::from(kind)).copied().unwrap_or(ErrorKind::Internal);
        let error = Error::new(kind, message).at(place);
        Ok(match hint {
            Some(hint) => error.hint(hint),
            None => error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_come_as_they_were_sent() {
        let place = Place {
            file: Some("a.csv".into()),
            record: Some(7),
            line: None,
            byte: Some(1 << 40),
            column: Some("x".into()),
            value: Some("y\"".to_owned()),
        };
        for kind in KINDS {
            for hint in ["", "try z"] {
                let mut error = Error::new(kind, "no").at(place.clone());
                if !hint.is_empty() {
                    error = error.hint(hint);
                }
                let mut bytes = Vec::new();
                error.send(&mut bytes).unwrap();
                let came = Error::receive(&mut bytes.as_slice()).unwrap();
                assert_eq!((came.kind(), came.to_string()), (kind, error.to_string()));
                assert!(Error::receive(&mut &bytes[..bytes.len() - 1]).is_err());
            }
        }
    }
}
