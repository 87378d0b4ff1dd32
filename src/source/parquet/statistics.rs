//! What a file says about the values of a column in a row group or page, in terms of the engine's values.
//!
//! Only what is surely meant in the engine's order is taken: minima and maxima of unsigned integers, doubles and text
//! in the fields that old writers filled by another order are left out, and so is everything about INT96, decimals in
//! bytes, and NaN.

use crate::source::arrow_types::columns::{FileColumn, Meaning, column_type};
use crate::types::ColumnType;
use arrow::datatypes::{DataType, TimeUnit};
use parquet::basic::ColumnOrder;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::Statistics;

/// A value that no value is below, or above.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Bound {
    /// Of integers, Booleans (0 and 1), dates (days) and timestamps (microseconds).
    Integer(i64),
    Double(f64),
    Text(Vec<u8>),
}

/// What is known of a column in a part of a file; what is `None` is not known.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) rows: u64,
    pub(super) min: Option<Bound>,
    pub(super) max: Option<Bound>,
    pub(super) nulls: Option<u64>,
    /// Whether NaN, which no minimum or maximum tells of, may be among the values.
    pub(super) may_hold_nan: bool,
}

/// How the stored values of a leaf are to be understood.
pub(super) struct Reading<'a> {
    stored: &'a DataType,
    /// The engine's type, to which the file's widens.
    wanted: ColumnType,
    /// The order in which minima and maxima were taken is the one the format prescribes for the type.
    ordered: bool,
}

impl<'a> Reading<'a> {
    /// For a column without lists on its way.
    pub(super) fn of(column: &'a FileColumn, wanted: ColumnType, metadata: &ParquetMetaData) -> Option<Self> {
        let &[leaf] = column.leaves.as_slice() else { return None };
        let flat = metadata.file_metadata().schema_descr().column(leaf).max_rep_level() == 0;
        let ordered = matches!(
            metadata.file_metadata().column_order(leaf),
            ColumnOrder::TYPE_DEFINED_ORDER(_) | ColumnOrder::IEEE_754_TOTAL_ORDER
        );
        let known = flat && column.meaning == Meaning::Values;
        known.then_some(Reading { stored: &column.stored, wanted, ordered })
    }

    /// What is known of a row group.
    pub(super) fn row_group(&self, statistics: Option<&Statistics>, rows: u64) -> Known {
        let floats = self.is_float();
        let Some(statistics) = statistics else { return Known { rows, may_hold_nan: floats, ..Known::default() } };
        let reading = Reading { ordered: self.ordered && !statistics.is_min_max_deprecated(), ..*self };
        let (min, max) = match statistics {
            Statistics::Boolean(values) => (integer(values.min_opt()), integer(values.max_opt())),
            Statistics::Int32(values) => (reading.int32(values.min_opt()), reading.int32(values.max_opt())),
            Statistics::Int64(values) => (reading.int64(values.min_opt()), reading.int64(values.max_opt())),
            Statistics::Float(values) => {
                let wide = |value: Option<&f32>| reading.double(value.map(|&value| f64::from(value)));
                (wide(values.min_opt()), wide(values.max_opt()))
            }
            Statistics::Double(values) => {
                (reading.double(values.min_opt().copied()), reading.double(values.max_opt().copied()))
            }
            Statistics::ByteArray(_) => {
                (reading.text(statistics.min_bytes_opt()), reading.text(statistics.max_bytes_opt()))
            }
            Statistics::Int96(_) | Statistics::FixedLenByteArray(_) => (None, None),
        };
        let nulls = statistics.null_count_opt().filter(|&nulls| nulls <= rows);
        Known { rows, min, max, nulls, may_hold_nan: floats && statistics.nan_count_opt() != Some(0) }.checked()
    }

    /// What is known of page `page`.
    pub(super) fn page(&self, index: &ColumnIndexMetaData, page: usize, rows: u64) -> Known {
        let floats = self.is_float();
        if index.is_null_page(page) {
            return Known { rows, nulls: Some(rows), may_hold_nan: false, ..Known::default() };
        }
        let (min, max) = match index {
            ColumnIndexMetaData::BOOLEAN(values) => (integer(values.min_value(page)), integer(values.max_value(page))),
            ColumnIndexMetaData::INT32(values) => {
                (self.int32(values.min_value(page)), self.int32(values.max_value(page)))
            }
            ColumnIndexMetaData::INT64(values) => {
                (self.int64(values.min_value(page)), self.int64(values.max_value(page)))
            }
            ColumnIndexMetaData::FLOAT(values) => {
                let wide = |value: Option<&f32>| self.double(value.map(|&value| f64::from(value)));
                (wide(values.min_value(page)), wide(values.max_value(page)))
            }
            ColumnIndexMetaData::DOUBLE(values) => {
                (self.double(values.min_value(page).copied()), self.double(values.max_value(page).copied()))
            }
            ColumnIndexMetaData::BYTE_ARRAY(values) => {
                (self.text(values.min_value(page)), self.text(values.max_value(page)))
            }
            ColumnIndexMetaData::INT96(_) | ColumnIndexMetaData::FIXED_LEN_BYTE_ARRAY(_) => (None, None),
        };
        let nulls = index.null_count(page).and_then(|nulls| u64::try_from(nulls).ok()).filter(|&nulls| nulls <= rows);
        Known { rows, min, max, nulls, may_hold_nan: floats && index.nan_count(page) != Some(0) }.checked()
    }

    fn is_float(&self) -> bool {
        matches!(self.stored, DataType::Float16 | DataType::Float32 | DataType::Float64)
    }

    fn int32(&self, value: Option<&i32>) -> Option<Bound> {
        let value = *value?;
        match self.stored {
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 if self.ordered => {
                Some(Bound::Integer(i64::from(value as u32)))
            }
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
                Some(Bound::Integer(i64::from(value)))
            }
            DataType::Date32 => self.date(value),
            other => self.integer_decimal(other, i64::from(value)),
        }
    }

    fn date(&self, days: i32) -> Option<Bound> {
        match self.wanted {
            ColumnType::Date => Some(Bound::Integer(i64::from(days))),
            ColumnType::Timestamp => i64::from(days).checked_mul(86_400_000_000).map(Bound::Integer),
            _ => None,
        }
    }

    fn int64(&self, value: Option<&i64>) -> Option<Bound> {
        let value = *value?;
        let micros = match self.stored {
            DataType::Int64 => Some(value),
            DataType::UInt64 if self.ordered => i64::try_from(value as u64).ok(),
            DataType::Timestamp(TimeUnit::Second, _) => value.checked_mul(1_000_000),
            DataType::Timestamp(TimeUnit::Millisecond, _) => value.checked_mul(1000),
            DataType::Timestamp(TimeUnit::Microsecond, _) => Some(value),
            // Rounded down as the values are, which keeps their order.
            DataType::Timestamp(TimeUnit::Nanosecond, _) => Some(value.div_euclid(1000)),
            other => return self.integer_decimal(other, value),
        };
        micros.map(Bound::Integer)
    }

    fn integer_decimal(&self, stored: &DataType, value: i64) -> Option<Bound> {
        let is_decimal = matches!(stored, DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..));
        let is_integer = column_type(stored) == Ok(ColumnType::Int64);
        (is_decimal && is_integer).then_some(Bound::Integer(value))
    }

    fn double(&self, value: Option<f64>) -> Option<Bound> {
        value.filter(|value| self.ordered && !value.is_nan()).map(Bound::Double)
    }

    fn text(&self, value: Option<&[u8]>) -> Option<Bound> {
        let is_text = matches!(self.stored, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        value.filter(|_| self.ordered && is_text).map(|bytes| Bound::Text(bytes.to_vec()))
    }
}

fn integer(value: Option<&bool>) -> Option<Bound> {
    value.map(|&value| Bound::Integer(i64::from(value)))
}

impl Known {
    /// A minimum above the maximum says nothing.
    fn checked(mut self) -> Self {
        let contradictory = match (&self.min, &self.max) {
            (Some(Bound::Integer(min)), Some(Bound::Integer(max))) => min > max,
            (Some(Bound::Double(min)), Some(Bound::Double(max))) => min > max,
            (Some(Bound::Text(min)), Some(Bound::Text(max))) => min > max,
            _ => false,
        };
        if contradictory {
            (self.min, self.max) = (None, None);
        }
        self
    }
}
