//! CSV as RFC 4180 has it, but with `\n` line ends.

use super::Writer;
use super::cell::{Column, Value};
use arrow::datatypes::Schema;

/// Writes CSV. A missing value is an empty field (so a row of one missing value is a blank line); a text that would be
/// read as missing, empty or `NA`, is quoted, because a quoted field is never missing.
pub(super) struct Csv;

impl Csv {
    /// Writes the header.
    pub(super) fn begin(schema: &Schema, out: &mut Vec<u8>) -> Self {
        for (number, field) in schema.fields().iter().enumerate() {
            if number > 0 {
                out.push(b',');
            }
            append_text(field.name(), out);
        }
        out.push(b'\n');
        Csv
    }
}

impl Writer for Csv {
    fn rows(&mut self, columns: &[Column<'_>], rows: usize, out: &mut Vec<u8>) {
        for row in 0..rows {
            for (number, column) in columns.iter().enumerate() {
                if number > 0 {
                    out.push(b',');
                }
                match column.value(row) {
                    Value::Text(text) => append_text(text, out),
                    value => value.append(out),
                }
            }
            out.push(b'\n');
        }
    }

    fn end(&mut self, _out: &mut Vec<u8>) {}
}

fn append_text(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let special = |byte: &u8| matches!(byte, b',' | b'"' | b'\n' | b'\r');
    if !bytes.is_empty() && bytes != b"NA" && !bytes.iter().any(special) {
        return out.extend_from_slice(bytes);
    }
    out.push(b'"');
    for byte in bytes {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}
