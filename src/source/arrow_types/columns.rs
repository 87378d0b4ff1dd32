//! The columns of one file: what its fields and leaves are called, and which of them the engine can read.
//!
//! A field of a struct is a column `struct.field`. Lists and maps have no value of one type in a row; what is offered
//! in their place is their length, `list.length`, and a question that names the list itself is told why not.

use crate::error::{Error, Result};
use crate::types::ColumnType;
pub(in crate::source) use crate::types::convert::{Meaning, column_type};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, make_array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Schema};
use std::collections::HashMap;
use std::sync::Arc;

/// What the name of a column of lengths ends in.
pub(super) const LENGTH: &str = ".length";

/// A column that a file offers.
#[derive(Clone, Debug)]
pub(in crate::source) struct FileColumn {
    /// Its name, with dots between the names of structs and fields.
    pub(in crate::source) name: String,
    /// The names from the root to the array.
    pub(in crate::source) path: Vec<String>,
    /// The field of the file's schema that holds it.
    pub(in crate::source) field: usize,
    /// The leaves to read, counted over the whole schema, ascending.
    pub(in crate::source) leaves: Vec<usize>,
    pub(in crate::source) meaning: Meaning,
    /// The Arrow type that the decoder delivers.
    pub(in crate::source) stored: DataType,
    pub(in crate::source) column_type: ColumnType,
    /// The file says that it holds no value.
    pub(in crate::source) only_nulls: bool,
}

/// The columns of a file.
#[derive(Clone, Debug, Default)]
pub(in crate::source) struct FileColumns {
    pub(in crate::source) columns: Vec<FileColumn>,
    /// Names that stand in the file but are not offered, and what they are.
    pub(in crate::source) refused: Vec<(String, String)>,
}

impl FileColumns {
    /// The columns of a file with this schema, and how many leaves it has; `is_uuid` tells whether the values of a leaf,
    /// 16 bytes each, are UUIDs.
    pub(in crate::source) fn of(schema: &Schema, is_uuid: impl Fn(usize) -> bool) -> (FileColumns, usize) {
        let mut walk = Walk { is_uuid: &is_uuid, field: 0, leaf: 0, path: Vec::new(), found: FileColumns::default() };
        for (at, field) in schema.fields().iter().enumerate() {
            walk.field = at;
            walk.enter(field);
        }
        walk.found.refuse_doubles();
        (walk.found, walk.leaf)
    }

    /// A name that stands twice is no name; a length gives way to a column that is really called so.
    fn refuse_doubles(&mut self) {
        let mut count: HashMap<String, usize> = HashMap::new();
        for column in self.columns.iter().filter(|column| column.meaning != Meaning::Lengths) {
            *count.entry(column.name.clone()).or_default() += 1;
        }
        for (name, _) in &self.refused {
            *count.entry(name.clone()).or_default() += 1;
        }
        let times = |name: &str| count.get(name).copied().unwrap_or(0);
        let twice = count.iter().filter(|(_, times)| **times > 1).map(|(name, _)| name.clone());
        let mut refused: Vec<(String, String)> =
            twice.map(|name| (name, "a name that several columns of the file have".to_owned())).collect();
        refused.sort();
        self.columns.retain(|column| times(&column.name) <= usize::from(column.meaning != Meaning::Lengths));
        self.refused.retain(|(name, _)| times(name) <= 1);
        self.refused.append(&mut refused);
    }
}

struct Walk<'a> {
    is_uuid: &'a dyn Fn(usize) -> bool,
    /// The field of the schema on the way.
    field: usize,
    /// The next leaf.
    leaf: usize,
    path: Vec<String>,
    found: FileColumns,
}

impl Walk<'_> {
    fn enter(&mut self, field: &Field) {
        self.path.push(field.name().clone());
        self.visit(field.data_type());
        self.path.pop();
    }

    fn visit(&mut self, data_type: &DataType) {
        let first = self.leaf;
        match data_type {
            DataType::Struct(fields) => return fields.iter().for_each(|field| self.enter(field)),
            DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) | DataType::Map(..) => {
                self.leaf += leaf_count(data_type);
                // A map is read with all its leaves or not at all.
                let last = if holds_map(data_type) { self.leaf } else { first + 1 };
                let what = if matches!(data_type, DataType::Map(..)) { "a map" } else { "a list" };
                self.refuse(what);
                let name = format!("{}{LENGTH}", self.path.join("."));
                self.offer(name, (first..last).collect(), Meaning::Lengths, data_type, ColumnType::Int64);
                return;
            }
            _ => self.leaf += leaf_count(data_type),
        }
        let meaning = if (self.is_uuid)(first) { Meaning::Uuids } else { Meaning::Values };
        match column_type(data_type) {
            Ok(column_type) => self.offer(self.path.join("."), vec![first], meaning, data_type, column_type),
            Err(what) => self.refuse(&what),
        }
    }

    fn offer(&mut self, name: String, leaves: Vec<usize>, meaning: Meaning, stored: &DataType, to: ColumnType) {
        let (path, stored, field) = (self.path.clone(), stored.clone(), self.field);
        let only_nulls = to == ColumnType::Null;
        self.found.columns.push(FileColumn { name, path, field, leaves, meaning, stored, column_type: to, only_nulls });
    }

    fn refuse(&mut self, what: &str) {
        self.found.refused.push((self.path.join("."), what.to_owned()));
    }
}

/// How many leaves of a Parquet schema make a value of this type.
pub(in crate::source) fn leaf_count(data_type: &DataType) -> usize {
    match data_type {
        DataType::Struct(fields) => fields.iter().map(|field| leaf_count(field.data_type())).sum(),
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => leaf_count(field.data_type()),
        _ => 1,
    }
}

fn holds_map(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(..) => true,
        DataType::Struct(fields) => fields.iter().any(|field| holds_map(field.data_type())),
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            holds_map(field.data_type())
        }
        _ => false,
    }
}

/// The array under these names, null where a struct around it is.
pub(in crate::source) fn at_path(batch: &RecordBatch, path: &[String]) -> Result<ArrayRef> {
    let missing = || Error::internal(format!("the decoder delivers no column `{}`", path.join(".")));
    let (root, rest) = path.split_first().ok_or_else(missing)?;
    let mut array = Arc::clone(batch.column_by_name(root).ok_or_else(missing)?);
    for name in rest {
        let parent = array.as_struct_opt().ok_or_else(missing)?;
        let child = parent.column_by_name(name).ok_or_else(missing)?;
        array = match parent.nulls() {
            Some(outer) if child.data_type() != &DataType::Null => {
                let nulls = NullBuffer::union(Some(outer), child.nulls());
                make_array(child.to_data().into_builder().nulls(nulls).build()?)
            }
            _ => Arc::clone(child),
        };
    }
    Ok(array)
}
