//! Each row as lines of `column  value`, for rows that are too wide for a table.

use super::Writer;
use super::table::{cell_exact, printable};
use crate::write::text::Column;
use arrow::datatypes::Schema;
use unicode_width::UnicodeWidthStr;

/// Writes a line a value, the names flush right, and a rule with its number before each row.
pub(super) struct Vertical {
    names: Vec<String>,
    rows: u64,
}

impl Vertical {
    /// Rows of these columns.
    pub(super) fn new(schema: &Schema) -> Self {
        let names: Vec<String> = schema.fields().iter().map(|field| printable(field.name())).collect();
        let width = names.iter().map(|name| name.width()).max().unwrap_or(0);
        let padded = |name: &String| format!("{}{name}", " ".repeat(width - name.width()));
        Vertical { names: names.iter().map(padded).collect(), rows: 0 }
    }
}

impl Writer for Vertical {
    fn rows(&mut self, columns: &[Column<'_>], rows: usize, out: &mut Vec<u8>) {
        for row in 0..rows {
            self.rows += 1;
            out.extend_from_slice(format!("── row {} ──\n", self.rows).as_bytes());
            for (name, column) in self.names.iter().zip(columns) {
                out.extend_from_slice(format!("{name}  {}\n", cell_exact(column.value(row))).as_bytes());
            }
        }
    }

    fn end(&mut self, _out: &mut Vec<u8>) {}
}
