//! What goes to a worker process and comes back: values as bytes.

use crate::error::{Error, Result};
use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;

/// A value that can be sent to a worker process. Numbers, text, options, vectors, tuples and record batches can; other types
/// by sending their parts.
pub trait Message: Sized {
    /// Puts the value behind the bytes.
    ///
    /// # Errors
    /// `Internal` for a record batch that Arrow cannot write.
    fn send(&self, bytes: &mut Vec<u8>) -> Result<()>;

    /// Takes the value off the front of the bytes.
    ///
    /// # Errors
    /// `Internal` when they do not begin with one.
    fn receive(bytes: &mut &[u8]) -> Result<Self>;
}

fn cut() -> Error {
    Error::internal("a message that ends too soon")
}

macro_rules! numbers {
    ($($number:ty),+) => {$(
        impl Message for $number {
            fn send(&self, bytes: &mut Vec<u8>) -> Result<()> {
                bytes.extend(self.to_le_bytes());
                Ok(())
            }

            fn receive(bytes: &mut &[u8]) -> Result<Self> {
                let (number, rest) = bytes.split_first_chunk().ok_or_else(cut)?;
                *bytes = rest;
                Ok(<$number>::from_le_bytes(*number))
            }
        }
    )+};
}

numbers!(u8, i32, u32, i64, u64, u128, usize, f32, f64);

impl Message for bool {
    fn send(&self, bytes: &mut Vec<u8>) -> Result<()> {
        u8::from(*self).send(bytes)
    }

    fn receive(bytes: &mut &[u8]) -> Result<Self> {
        Ok(u8::receive(bytes)? != 0)
    }
}

impl Message for String {
    fn send(&self, bytes: &mut Vec<u8>) -> Result<()> {
        self.len().send(bytes)?;
        bytes.extend(self.as_bytes());
        Ok(())
    }

    fn receive(bytes: &mut &[u8]) -> Result<Self> {
        let length = usize::receive(bytes)?;
        let (text, rest) = bytes.split_at_checked(length).ok_or_else(cut)?;
        *bytes = rest;
        String::from_utf8(text.to_vec()).map_err(|_| Error::internal("a message with text that is none"))
    }
}

impl<T: Message> Message for Option<T> {
    fn send(&self, bytes: &mut Vec<u8>) -> Result<()> {
        self.is_some().send(bytes)?;
        self.iter().try_for_each(|value| value.send(bytes))
    }

    fn receive(bytes: &mut &[u8]) -> Result<Self> {
        bool::receive(bytes)?.then(|| T::receive(bytes)).transpose()
    }
}

impl<T: Message> Message for Vec<T> {
    fn send(&self, bytes: &mut Vec<u8>) -> Result<()> {
        self.len().send(bytes)?;
        self.iter().try_for_each(|value| value.send(bytes))
    }

    fn receive(bytes: &mut &[u8]) -> Result<Self> {
        (0..usize::receive(bytes)?).map(|_| T::receive(bytes)).collect()
    }
}

macro_rules! tuples {
    ($($part:ident $at:tt),*) => {
        impl<$($part: Message),*> Message for ($($part,)*) {
            fn send(&self, _bytes: &mut Vec<u8>) -> Result<()> {
                $(self.$at.send(_bytes)?;)*
                Ok(())
            }

            fn receive(_bytes: &mut &[u8]) -> Result<Self> {
                Ok(($($part::receive(_bytes)?,)*))
            }
        }
    };
}

tuples!();
tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);

impl Message for RecordBatch {
    fn send(&self, bytes: &mut Vec<u8>) -> Result<()> {
        let mut writer = StreamWriter::try_new(Vec::new(), self.schema_ref())?;
        writer.write(self)?;
        writer.into_inner()?.send(bytes)
    }

    fn receive(bytes: &mut &[u8]) -> Result<Self> {
        let stream = Vec::<u8>::receive(bytes)?;
        Ok(StreamReader::try_new(stream.as_slice(), None)?.next().ok_or_else(cut)??)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, StringArray};
    use std::sync::Arc;

    #[test]
    fn values_come_as_they_were_sent_and_a_part_is_an_error() {
        let column: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
        let batch = RecordBatch::try_from_iter_with_nullable([("t", column, true)]).unwrap();
        let value = (vec![(1_u8, "ä".to_owned()), (2, String::new())], Some(-0.5), (None::<i32>, true, ()), batch);
        let mut bytes = Vec::new();
        value.send(&mut bytes).unwrap();
        let mut left = bytes.as_slice();
        assert_eq!(
            <(Vec<(u8, String)>, Option<f64>, (Option<i32>, bool, ()), RecordBatch)>::receive(&mut left).unwrap(),
            value
        );
        assert!(left.is_empty());
        for end in 0..20 {
            assert!(<(Vec<(u8, String)>, Option<f64>)>::receive(&mut &bytes[..end]).is_err());
        }
    }
}
