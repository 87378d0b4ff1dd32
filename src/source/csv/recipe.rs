//! How another process opens the same CSV files.

use super::date_formats::{DateFormat, DateFormats};
use super::decisions::FileDecision;
use super::dialect::{Dialect, LineEnd};
use super::encoding::{Encoding, InvalidBytes};
use super::fields::{Format, NullTokens};
use super::number_style::NumberStyle;
use super::open::{CsvColumn, CsvFile};
use super::options::MalformedPolicy;
use crate::error::Result;
use crate::parallel::Message;
use crate::source::decompress::TextFile;
use crate::source::input::InputCounters;
use crate::source::recipe::put;
use crate::types::ColumnType;
use std::sync::Arc;

impl Message for MalformedPolicy {
    fn send(&self, bytes: &mut Vec<u8>) -> Result<()> {
        match self {
            MalformedPolicy::Error => 0_u8,
            MalformedPolicy::Skip => 1,
            MalformedPolicy::Pad => 2,
        }
        .send(bytes)
    }

    fn receive(bytes: &mut &[u8]) -> Result<Self> {
        Ok(match u8::receive(bytes)? {
            0 => MalformedPolicy::Error,
            1 => MalformedPolicy::Skip,
            _ => MalformedPolicy::Pad,
        })
    }
}

impl Message for Dialect {
    fn send(&self, bytes: &mut Vec<u8>) -> Result<()> {
        (self.delimiter(), self.quote(), self.escape(), self.comment()).send(bytes)?;
        (self.line_end() == LineEnd::CarriageReturn).send(bytes)
    }

    fn receive(bytes: &mut &[u8]) -> Result<Self> {
        let (delimiter, quote, escape, comment) = Message::receive(bytes)?;
        let line_end = if bool::receive(bytes)? { LineEnd::CarriageReturn } else { LineEnd::Newline };
        let dialect = Dialect::new(delimiter, quote)?.with_escape(escape)?.with_comment(comment)?;
        Ok(dialect.with_line_end(line_end))
    }
}

impl Message for Encoding {
    fn send(&self, bytes: &mut Vec<u8>) -> Result<()> {
        let label = match self {
            Encoding::Undeclared => None,
            declared => Some(declared.name().to_owned()),
        };
        label.send(bytes)
    }

    fn receive(bytes: &mut &[u8]) -> Result<Self> {
        Option::<String>::receive(bytes)?.map_or(Ok(Encoding::Undeclared), |label| Encoding::from_label(&label))
    }
}

impl Message for Format {
    fn send(&self, bytes: &mut Vec<u8>) -> Result<()> {
        let Format { dialect, nulls, encoding, invalid_bytes, numbers, dates } = self;
        dialect.send(bytes)?;
        nulls.tokens().send(bytes)?;
        encoding.send(bytes)?;
        (*invalid_bytes == InvalidBytes::Replace).send(bytes)?;
        (numbers.decimal, numbers.thousands).send(bytes)?;
        dates.given().send(bytes)
    }

    fn receive(bytes: &mut &[u8]) -> Result<Self> {
        let dialect = Dialect::receive(bytes)?;
        let tokens = Vec::<String>::receive(bytes)?;
        let encoding = Encoding::receive(bytes)?;
        let invalid_bytes = if bool::receive(bytes)? { InvalidBytes::Replace } else { InvalidBytes::Error };
        let (decimal, thousands) = Message::receive(bytes)?;
        let dates = Vec::<String>::receive(bytes)?;
        Ok(Format {
            dialect,
            nulls: NullTokens::new(tokens.iter().map(String::as_str)),
            encoding,
            invalid_bytes,
            numbers: NumberStyle { decimal, thousands },
            dates: DateFormats::new(dates.iter().map(String::as_str))?,
        })
    }
}

impl Message for CsvColumn {
    fn send(&self, bytes: &mut Vec<u8>) -> Result<()> {
        (self.name.clone(), self.column_type, self.declared).send(bytes)?;
        (self.date_format.code(), self.why_text.clone()).send(bytes)
    }

    fn receive(bytes: &mut &[u8]) -> Result<Self> {
        let (name, column_type, declared): (String, ColumnType, bool) = Message::receive(bytes)?;
        let (code, why_text) = Message::receive(bytes)?;
        Ok(CsvColumn { name, column_type, declared, date_format: DateFormat::of_code(code), why_text })
    }
}

impl CsvFile {
    /// Puts what another process needs to read the file alike behind the bytes.
    pub(super) fn send(&self, bytes: &mut Vec<u8>) -> Result<(), String> {
        self.text.send(bytes)?;
        put(&self.format, bytes)?;
        put(&(self.malformed, self.fields, self.map.clone()), bytes)?;
        let header = self.header.as_ref().map(|header| header.to_vec());
        put(&(header, self.data_start, self.header_lines), bytes)
    }

    /// The file that [`CsvFile::send`] told of.
    pub(super) fn receive(bytes: &mut &[u8], wanted: bool, counters: &Arc<InputCounters>) -> Result<Self> {
        let text = Arc::new(TextFile::receive(bytes, wanted, counters)?);
        let format = Format::receive(bytes)?;
        let (malformed, fields, map) = Message::receive(bytes)?;
        let (header, data_start, header_lines): (Option<Vec<u8>>, _, _) = Message::receive(bytes)?;
        let header: Option<Arc<[u8]>> = header.map(Arc::from);
        let decision = FileDecision {
            file: Arc::clone(text.input().name()),
            format: format.clone(),
            encoding: format.encoding.name(),
            has_header: header.is_some(),
            by_position: false,
            skip_rows: 0,
            fields,
            malformed,
            confidence: 1.0,
            reasons: Vec::new(),
            samples: Vec::new(),
            decimal_seen: None,
        };
        Ok(CsvFile { text, format, malformed, fields, map, header, data_start, header_lines, decision })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent<T: Message>(value: &T) -> T {
        let mut bytes = Vec::new();
        value.send(&mut bytes).unwrap();
        let mut left = bytes.as_slice();
        let came = T::receive(&mut left).unwrap();
        assert!(left.is_empty());
        assert!(T::receive(&mut &bytes[..bytes.len() - 1]).is_err());
        came
    }

    #[test]
    fn formats_and_columns_come_as_they_were_sent() {
        let dialect = Dialect::new(b';', Some(b'\'')).unwrap().with_escape(Some(b'\\')).unwrap();
        let odd = Format {
            dialect: dialect.with_comment(Some(b'#')).unwrap().with_line_end(LineEnd::CarriageReturn),
            nulls: NullTokens::new(["", "-", "N, A"]),
            encoding: Encoding::from_label("shift_jis").unwrap(),
            invalid_bytes: InvalidBytes::Replace,
            numbers: NumberStyle { decimal: b',', thousands: Some(b'.') },
            dates: DateFormats::new(["%d %b %Y", "%Y%m%d"]).unwrap(),
        };
        for format in [Format::default(), Format { encoding: Encoding::Utf8, ..Format::default() }, odd] {
            assert_eq!(format!("{:?}", sent(&format)), format!("{format:?}"));
        }
        for code in 0..40 {
            let date_format = DateFormat::of_code(code);
            for column_type in [ColumnType::Null, ColumnType::Date, ColumnType::Utf8] {
                let why_text = (code % 2 == 0).then(|| "because".to_owned());
                let name = "a b".to_owned();
                let column = CsvColumn { name, column_type, declared: code % 3 == 0, date_format, why_text };
                assert_eq!(format!("{:?}", sent(&column)), format!("{column:?}"));
            }
        }
        for policy in [MalformedPolicy::Error, MalformedPolicy::Skip, MalformedPolicy::Pad] {
            assert_eq!(sent(&policy), policy);
        }
    }
}
