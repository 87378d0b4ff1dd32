//! What the decoder is asked to deliver.

use super::codes::all_pages_are_said_to_hold_codes;
use crate::source::arrow_types::columns::leaf_count;
use arrow::datatypes::{DataType, FieldRef, Schema, TimeUnit};
use parquet::basic::{Encoding, Type as PhysicalType};
use parquet::file::metadata::ColumnChunkMetaData;
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

/// The schema to ask the decoder for where it will meet damage, given how the chunk of each leaf is coded: texts and
/// bytes in the form in which the decoder neither looks ahead, so that a row could be read or not by where reading
/// began, nor trusts what it passes over.
///
/// - Its views and its offsets decode codes a thousand ahead; codes by themselves are decoded as they are asked for.
/// - Its views do not check lengths that are stored together.
/// - Its offsets, having passed over a length that leads beyond the page, ask for more memory than there is, which ends
///   the process.
pub(super) fn checked_schema(schema: &Schema, coded: impl Fn(usize) -> Coded) -> Schema {
    let mut next = 0;
    let fields: Vec<FieldRef> = schema.fields().iter().map(|field| checked_field(field, &coded, &mut next)).collect();
    Schema::new_with_metadata(fields, schema.metadata().clone())
}

/// How texts are stored in a column chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coded {
    /// As codes on every page.
    Everywhere,
    /// Some with all lengths of a page before all texts.
    LengthsFirst,
    /// Some, or all, each behind its length.
    Otherwise,
}

impl Coded {
    /// As the footer has it.
    pub(super) fn of(chunk: &ColumnChunkMetaData) -> Self {
        if all_pages_are_said_to_hold_codes(chunk) == Some(true) {
            Coded::Everywhere
        } else if chunk.encodings().any(|encoding| encoding == Encoding::DELTA_LENGTH_BYTE_ARRAY) {
            Coded::LengthsFirst
        } else {
            Coded::Otherwise
        }
    }
}

fn checked_field(field: &FieldRef, coded: &impl Fn(usize) -> Coded, next: &mut usize) -> FieldRef {
    let first = *next;
    let data_type = match field.data_type() {
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|field| checked_field(field, coded, next)).collect())
        }
        other => {
            *next += leaf_count(other);
            let offsets = match other {
                DataType::Utf8View => Some(DataType::LargeUtf8),
                DataType::BinaryView => Some(DataType::LargeBinary),
                _ => None,
            };
            match (offsets, coded(first)) {
                (Some(texts), Coded::Everywhere) => DataType::Dictionary(Box::new(DataType::Int32), Box::new(texts)),
                (Some(texts), Coded::LengthsFirst) => texts,
                _ => other.clone(),
            }
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
