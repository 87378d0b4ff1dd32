//! JSON (RFC 8259): an array of row objects, one row a line, or the objects alone.

use super::cell::{Column, Value};
use arrow::array::{Array, ListArray};
use arrow::datatypes::Schema;

/// Writes row objects with their keys in select order. What JSON has no number for, NaN and the infinities, is
/// text, which is read as those again.
#[derive(Clone, Debug)]
pub(crate) struct Json {
    /// `{"key":` of the first column, `,"key":` of the others.
    keys: Vec<Vec<u8>>,
    array: bool,
    first: bool,
}

impl Json {
    /// Rows in one array, as the program prints them.
    #[cfg(feature = "cli")]
    pub(crate) fn array(schema: &Schema, out: &mut Vec<u8>) -> Self {
        out.push(b'[');
        Json { array: true, ..Json::lines(schema) }
    }

    /// One row a line.
    pub(crate) fn lines(schema: &Schema) -> Self {
        let key = |name: &str| {
            let mut key = Vec::from(b",");
            append_string(name, &mut key);
            key.push(b':');
            key
        };
        let mut keys: Vec<_> = schema.fields().iter().map(|field| key(field.name())).collect();
        if let Some(first) = keys.first_mut() {
            first[0] = b'{';
        }
        Json { keys, array: false, first: true }
    }

    /// Appends rows of these columns.
    pub(crate) fn rows(&mut self, columns: &[Column<'_>], rows: usize, out: &mut Vec<u8>) {
        for row in 0..rows {
            if self.array {
                out.extend_from_slice(if self.first { b"\n" } else { b",\n" });
            }
            self.first = false;
            if columns.is_empty() {
                out.push(b'{');
            }
            for (column, key) in columns.iter().zip(&self.keys) {
                out.extend_from_slice(key);
                append_value(column.value(row), out);
            }
            out.push(b'}');
            if !self.array {
                out.push(b'\n');
            }
        }
    }

    /// Appends what comes after the last row.
    #[cfg(feature = "cli")]
    pub(crate) fn end(&mut self, out: &mut Vec<u8>) {
        if self.array {
            out.extend_from_slice(if self.first { b"]\n" } else { b"\n]\n" });
        }
    }
}

fn append_value(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Text(text) => append_string(text, out),
        value if value.is_json_literal() => value.append(out),
        value => {
            out.push(b'"');
            value.append(out);
            out.push(b'"');
        }
    }
}

/// Appends the list in a row.
pub(super) fn append_list(list: &ListArray, row: usize, out: &mut Vec<u8>) {
    let items = list.value(row);
    out.push(b'[');
    // Whoever has a view of a list has looked at the type of its items.
    if let Ok(column) = Column::of(&items) {
        for item in 0..items.len() {
            if item > 0 {
                out.push(b',');
            }
            append_value(column.value(item), out);
        }
    }
    out.push(b']');
}

/// Appends `text` in quotes, copying runs that need no escape whole.
pub(crate) fn append_string(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..0x20 | 0x7f => &[b'\\', b'u', b'0', b'0', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]],
            _ => continue,
        };
        out.extend_from_slice(&bytes[copied..at]);
        out.extend_from_slice(escape);
        copied = at + 1;
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}
