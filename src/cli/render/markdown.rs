//! A table for a Markdown document (the GitHub dialect).

use super::Writer;
use crate::write::text::{Column, Value, is_number};
use arrow::datatypes::Schema;

/// Writes a pipe table; numbers are aligned right, `|` in text is escaped, line breaks become `<br>`.
pub(super) struct Markdown;

impl Markdown {
    /// Writes the header and the alignment row.
    pub(super) fn begin(schema: &Schema, out: &mut Vec<u8>) -> Self {
        for field in schema.fields() {
            out.extend_from_slice(b"| ");
            append_text(field.name(), out);
            out.push(b' ');
        }
        out.extend_from_slice(b"|\n");
        for field in schema.fields() {
            out.extend_from_slice(if is_number(field.data_type()) { b"|--:" } else { b"|---" });
        }
        out.extend_from_slice(b"|\n");
        Markdown
    }
}

impl Writer for Markdown {
    fn rows(&mut self, columns: &[Column<'_>], rows: usize, out: &mut Vec<u8>) {
        for row in 0..rows {
            for column in columns {
                out.extend_from_slice(b"| ");
                match column.value(row) {
                    Value::Null => out.extend_from_slice(b"null"),
                    Value::Text(text) => append_text(text, out),
                    value @ Value::List(..) => {
                        let mut text = Vec::new();
                        value.append(&mut text);
                        append_text(&String::from_utf8_lossy(&text), out);
                    }
                    value => value.append(out),
                }
                out.push(b' ');
            }
            out.extend_from_slice(b"|\n");
        }
    }

    fn end(&mut self, _out: &mut Vec<u8>) {}
}

fn append_text(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'|' => out.extend_from_slice(b"\\|"),
            b'\n' => out.extend_from_slice(b"<br>"),
            b'\r' => {}
            _ => out.push(byte),
        }
    }
}
