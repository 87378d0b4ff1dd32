//! Rows that wait to be grouped when they are sorted, because looking for their groups does not pay.

use super::array_keys::ArrayKeys;
use super::keys::{GroupKeys, keys_for};
use super::table::GroupTable;
use super::tuple_keys::TupleKeys;
use crate::aggregate::Aggregate;
use crate::batch::{coded, compact};
use crate::error::{Error, Result};
use arrow::array::ArrayRef;
use arrow::compute::concat;
use arrow::datatypes::DataType;
use std::sync::Arc;

/// The keys and arguments of rows, as they came.
pub(crate) struct RowTable {
    keys: RowKeys,
    /// The aggregates, and the pieces of each of their arguments.
    arguments: Vec<Vec<Vec<ArrayRef>>>,
    aggregates: Vec<(Arc<dyn Aggregate>, Vec<DataType>)>,
    rows: usize,
    bytes: usize,
}

/// Bytes of the rows themselves: a slice is copied when the pieces are put together.
fn bytes_of(array: &ArrayRef) -> usize {
    match array.data_type() {
        DataType::Utf8View => array.get_array_memory_size(),
        _ => array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size()),
    }
}

/// One column in pieces, or numbered tuples: several columns are only compared by what they number to.
enum RowKeys {
    One(Vec<ArrayRef>),
    Several(TupleKeys),
}

impl RowTable {
    /// Of no rows, for keys and aggregates as [`GroupTable::new`] takes them.
    ///
    /// # Errors
    /// `Unsupported` for types that columns can't have.
    pub(crate) fn new(key_types: &[DataType], aggregates: Vec<(Arc<dyn Aggregate>, Vec<DataType>)>) -> Result<Self> {
        let keys = match key_types {
            [_] => RowKeys::One(Vec::new()),
            several => {
                let columns = several.iter().map(|key| keys_for(std::slice::from_ref(key))).collect::<Result<_>>()?;
                RowKeys::Several(TupleKeys::new(columns))
            }
        };
        let arguments = aggregates.iter().map(|(_, arguments)| vec![Vec::new(); arguments.len()]).collect();
        Ok(RowTable { keys, arguments, aggregates, rows: 0, bytes: 0 })
    }

    /// Takes rows: their key columns, and the arguments of each aggregate.
    ///
    /// # Errors
    /// `Internal` for columns other than agreed.
    pub(crate) fn append(&mut self, keys: &[ArrayRef], arguments: &[Vec<ArrayRef>], rows: usize) -> Result<()> {
        match (&mut self.keys, keys) {
            (RowKeys::One(pieces), [key]) => {
                // A slice of a long text would hold all of it.
                let key = compact(&coded::plain(key)?);
                self.bytes += bytes_of(&key);
                pieces.push(key);
            }
            (RowKeys::Several(tuples), keys) => tuples.append(keys)?,
            _ => return Err(Error::internal("other key columns than agreed")),
        }
        for (pieces, arguments) in self.arguments.iter_mut().zip(arguments) {
            for (pieces, argument) in pieces.iter_mut().zip(arguments) {
                let argument = compact(argument);
                self.bytes += bytes_of(&argument);
                pieces.push(argument);
            }
        }
        self.rows += rows;
        Ok(())
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn bytes_held(&self) -> usize {
        match &self.keys {
            RowKeys::One(_) => self.bytes,
            RowKeys::Several(tuples) => self.bytes + tuples.bytes_held(),
        }
    }

    /// The rows as a table to be sorted, in which keys repeat.
    ///
    /// # Errors
    /// `Internal` for columns other than agreed.
    pub(crate) fn into_table(self) -> Result<GroupTable> {
        let whole = |pieces: Vec<ArrayRef>| -> Result<ArrayRef> {
            Ok(concat(&pieces.iter().map(|piece| piece.as_ref()).collect::<Vec<_>>())?)
        };
        let keys: Box<dyn GroupKeys> = match self.keys {
            RowKeys::One(pieces) => Box::new(ArrayKeys::new(whole(pieces)?)?),
            RowKeys::Several(mut tuples) => {
                tuples.seal();
                Box::new(tuples)
            }
        };
        let of_aggregate = |arguments: Vec<Vec<ArrayRef>>| arguments.into_iter().map(whole).collect::<Result<_>>();
        let arguments = self.arguments.into_iter().map(of_aggregate).collect::<Result<_>>()?;
        GroupTable::of_rows(keys, arguments, self.aggregates)
    }
}
