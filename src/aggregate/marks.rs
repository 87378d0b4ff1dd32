//! Which row the state of a group comes from.

use super::store::{exported, not_an_export};
use crate::batch::RowId;
use crate::error::Result;
use arrow::array::{Array, ArrayRef, UInt64Array};
use arrow::buffer::NullBuffer;
use std::sync::Arc;

/// The identity of the row that a value came from, if there is one.
pub(super) type Mark = Option<RowId>;

/// Marks as exported columns.
pub(super) fn columns(marks: &[Mark]) -> [ArrayRef; 2] {
    let file_and_copy = |id: RowId| u64::from(id.file) << 32 | u64::from(id.copy);
    let files: UInt64Array = marks.iter().map(|mark| mark.map(file_and_copy)).collect();
    let positions: UInt64Array = marks.iter().map(|mark| mark.map(|id| id.position)).collect();
    [Arc::new(files), Arc::new(positions)]
}

/// The groups that have a mark.
pub(super) fn seen(marks: &[Mark]) -> NullBuffer {
    NullBuffer::from_iter(marks.iter().map(Option::is_some))
}

/// The marks in exported columns, of which `values` columns of values follow that are null where there is no mark.
pub(super) fn read<S>(exports: &[ArrayRef], values: usize) -> Result<Vec<Mark>> {
    let files = exported::<S, UInt64Array>(exports, 0)?;
    let positions = exported::<S, UInt64Array>(exports, 1)?;
    let mark = |(file, position): (Option<u64>, Option<u64>)| {
        let file = file?;
        Some(RowId { file: (file >> 32) as u32, position: position?, copy: file as u32 })
    };
    let marks: Vec<Mark> = files.iter().zip(positions).map(mark).collect();
    for column in exports.get(2..2 + values).ok_or_else(not_an_export::<S>)? {
        if marks.iter().enumerate().any(|(row, mark)| mark.is_some() != column.is_valid(row)) {
            return Err(not_an_export::<S>());
        }
    }
    Ok(marks)
}
