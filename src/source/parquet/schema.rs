//! The columns of one file: what its leaves are called, and which of them the engine can read.
//!
//! A field of a struct is a column `struct.field`. Lists and maps have no value of one type in a row; what is offered
//! in their place is their length, `list.length`, and a question that names the list itself is told why not.

use crate::types::ColumnType;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, TimeUnit};
use parquet::basic::{LogicalType, Type as PhysicalType};
use parquet::schema::types::SchemaDescriptor;
use std::collections::HashMap;
use std::sync::Arc;

/// What the array that the decoder delivers means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::source) enum Meaning {
    /// Its values, by its Arrow type.
    Values,
    /// Its values, 16 bytes each, are UUIDs.
    Uuids,
    /// The lengths of its lists.
    Lengths,
}

/// A column that a file offers.
#[derive(Clone, Debug)]
pub(super) struct FileColumn {
    /// Its name, with dots between the names of structs and fields.
    pub(super) name: String,
    /// The names from the root to the array.
    pub(super) path: Vec<String>,
    /// The leaves of the file to read, ascending.
    pub(super) leaves: Vec<usize>,
    pub(super) meaning: Meaning,
    /// The Arrow type that the decoder delivers.
    pub(super) stored: DataType,
    pub(super) column_type: ColumnType,
}

/// The columns of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct FileSchema {
    pub(super) columns: Vec<FileColumn>,
    /// Names that stand in the file but are not offered, and what they are.
    pub(super) refused: Vec<(String, String)>,
}

impl FileSchema {
    /// The columns of a file with this Arrow schema; `None` when its leaves are not those of the Parquet schema.
    pub(super) fn of(schema: &Schema, leaves: &SchemaDescriptor) -> Option<FileSchema> {
        let mut walk = Walk { leaves, next: 0, path: Vec::new(), found: FileSchema::default() };
        walk.fields(schema.fields());
        let mut found = (walk.next == leaves.num_columns()).then_some(walk.found)?;
        found.refuse_doubles();
        Some(found)
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
    leaves: &'a SchemaDescriptor,
    next: usize,
    path: Vec<String>,
    found: FileSchema,
}

impl Walk<'_> {
    fn fields(&mut self, fields: &Fields) {
        for field in fields {
            self.path.push(field.name().clone());
            self.field(field);
            self.path.pop();
        }
    }

    fn field(&mut self, field: &Field) {
        let first = self.next;
        let data_type = field.data_type();
        match data_type {
            DataType::Struct(fields) => return self.fields(fields),
            DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) | DataType::Map(..) => {
                self.next += leaf_count(data_type);
                // A map is read with all its leaves or not at all.
                let last = if holds_map(data_type) { self.next } else { first + 1 };
                let what = if matches!(data_type, DataType::Map(..)) { "a map" } else { "a list" };
                self.refuse(what);
                let name = format!("{}.length", self.path.join("."));
                self.offer(name, (first..last).collect(), Meaning::Lengths, data_type, ColumnType::Int64);
                return;
            }
            _ => self.next += leaf_count(data_type),
        }
        if first >= self.leaves.num_columns() {
            return;
        }
        let is_uuid = matches!(self.leaves.column(first).logical_type_ref(), Some(LogicalType::Uuid));
        let meaning = if is_uuid { Meaning::Uuids } else { Meaning::Values };
        match column_type(data_type) {
            Ok(column_type) => self.offer(self.path.join("."), vec![first], meaning, data_type, column_type),
            Err(what) => self.refuse(&what),
        }
    }

    fn offer(&mut self, name: String, leaves: Vec<usize>, meaning: Meaning, stored: &DataType, to: ColumnType) {
        let (path, stored) = (self.path.clone(), stored.clone());
        self.found.columns.push(FileColumn { name, path, leaves, meaning, stored, column_type: to });
    }

    fn refuse(&mut self, what: &str) {
        self.found.refused.push((self.path.join("."), what.to_owned()));
    }
}

/// How many leaves of a Parquet schema make a value of this type.
fn leaf_count(data_type: &DataType) -> usize {
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

/// Decimals of more digits than this do not fit Int64.
const INTEGER_DIGITS: u8 = 18;

/// The engine's type for values of an Arrow type, or what they are.
pub(in crate::source) fn column_type(data_type: &DataType) -> Result<ColumnType, String> {
    use DataType as D;
    Ok(match data_type {
        D::Null => ColumnType::Null,
        D::Boolean => ColumnType::Boolean,
        D::Int8 | D::Int16 | D::Int32 | D::Int64 | D::UInt8 | D::UInt16 | D::UInt32 | D::UInt64 => ColumnType::Int64,
        D::Float16 | D::Float32 | D::Float64 => ColumnType::Float64,
        D::Decimal32(precision, 0) | D::Decimal64(precision, 0) | D::Decimal128(precision, 0)
            if *precision <= INTEGER_DIGITS =>
        {
            ColumnType::Int64
        }
        D::Decimal32(..) | D::Decimal64(..) | D::Decimal128(..) | D::Decimal256(..) => ColumnType::Float64,
        D::Date32 | D::Date64 => ColumnType::Date,
        D::Timestamp(..) => ColumnType::Timestamp,
        D::Time32(_) | D::Time64(_) => ColumnType::Utf8,
        D::Utf8 | D::LargeUtf8 | D::Utf8View => ColumnType::Utf8,
        D::Binary | D::LargeBinary | D::BinaryView | D::FixedSizeBinary(_) => ColumnType::Utf8,
        D::Dictionary(_, value) => column_type(value)?,
        D::Interval(_) => return Err("an interval".to_owned()),
        D::Duration(_) => return Err("a duration".to_owned()),
        other => return Err(format!("of type {other}")),
    })
}

/// The schema to ask the decoder for: text and bytes as views, so that values of a dictionary are shared, and
/// INT96 timestamps in microseconds, which reach further than nanoseconds.
pub(super) fn wanted_schema(schema: &Schema, leaves: &SchemaDescriptor) -> Schema {
    let mut next = 0;
    let fields: Vec<FieldRef> = schema.fields().iter().map(|field| wanted_field(field, leaves, &mut next)).collect();
    Schema::new_with_metadata(fields, schema.metadata().clone())
}

fn wanted_field(field: &FieldRef, leaves: &SchemaDescriptor, next: &mut usize) -> FieldRef {
    let first = *next;
    let data_type = match field.data_type() {
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|field| wanted_field(field, leaves, next)).collect())
        }
        other => {
            *next += leaf_count(other);
            let is_int96 = first < leaves.num_columns() && leaves.column(first).physical_type() == PhysicalType::INT96;
            wanted_type(other, is_int96)
        }
    };
    Arc::new(field.as_ref().clone().with_data_type(data_type))
}

fn wanted_type(data_type: &DataType, is_int96: bool) -> DataType {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => DataType::BinaryView,
        DataType::Dictionary(_, value) => wanted_type(value, is_int96),
        DataType::Timestamp(TimeUnit::Nanosecond, zone) if is_int96 => {
            DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
        }
        other => other.clone(),
    }
}
