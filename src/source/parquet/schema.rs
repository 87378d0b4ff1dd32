//! What the decoder is asked to deliver.

use crate::source::arrow_types::columns::leaf_count;
use arrow::datatypes::{DataType, FieldRef, Schema, TimeUnit};
use parquet::basic::Type as PhysicalType;
use parquet::schema::types::SchemaDescriptor;
use std::sync::Arc;

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

/// The schema to ask the decoder for where it will meet damage: its decoder of views skips damaged lengths without
/// checking them.
pub(super) fn checked_schema(schema: &Schema) -> Schema {
    let fields: Vec<FieldRef> = schema.fields().iter().map(checked_field).collect();
    Schema::new_with_metadata(fields, schema.metadata().clone())
}

fn checked_field(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(checked_field).collect()),
        DataType::Utf8View => DataType::LargeUtf8,
        DataType::BinaryView => DataType::LargeBinary,
        other => other.clone(),
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
