//! From Arrow arrays of any type, those of files and of users, to those of the engine.
//!
//! - Integers become Int64; an unsigned one beyond it fits no type and is a misfit.
//! - Integers of a column that is Float64 in other files become doubles; one that no double holds is a misfit.
//! - Floats of any width become Float64; so do decimals that are no integers of up to 18 digits, correctly rounded.
//! - Timestamps of any unit become microseconds, rounded down; a zone says how to show them, not which instant.
//! - Times of day become text `HH:MM:SS`, with as many digits behind the point as their unit has.
//! - Bytes become text where they are UTF-8; bytes that are not are written `\xNN`.

use super::ColumnType;
use crate::error::{Error, ErrorKind, Result};
use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, Int64Array, PrimitiveArray, StringViewArray, StringViewBuilder,
    new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowTimestampType, DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    DecimalType, Float64Type, Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt64Type,
};
use arrow::util::display::array_value_to_string;
use std::fmt::Write;
use std::sync::Arc;

/// What an array means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Its values, by its Arrow type.
    Values,
    /// Its values, 16 bytes each, are UUIDs.
    Uuids,
    /// The lengths of its lists.
    Lengths,
}

/// A column as the engine takes it.
pub(crate) struct Converted {
    pub(crate) array: ArrayRef,
    /// Rows whose value fits no type, and the value; they are null in `array`.
    pub(crate) misfits: Vec<(usize, String)>,
    /// Nanoseconds were cut off.
    pub(crate) cut: bool,
}

impl From<ArrayRef> for Converted {
    fn from(array: ArrayRef) -> Self {
        Converted { array, misfits: Vec::new(), cut: false }
    }
}

/// Integers up to here, of either sign, are doubles without rounding.
pub(crate) const EXACT_DOUBLES: i64 = 1 << 53;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Decimals of more digits than this do not fit Int64.
const INTEGER_DIGITS: u8 = 18;

/// The engine's type for values of an Arrow type, or what they are.
pub(crate) fn column_type(data_type: &DataType) -> Result<ColumnType, String> {
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

/// An array of a user's, as the engine takes it.
///
/// # Errors
/// `Unsupported` for types that columns do not have, `Value` for a value that its column's type does not hold.
pub(crate) fn taken(array: &ArrayRef) -> Result<ArrayRef> {
    let refused = |what: String| Error::new(ErrorKind::Unsupported, format!("it is {what}, which is not supported"));
    let wanted = column_type(array.data_type()).map_err(refused)?;
    let converted = convert(array, Meaning::Values, wanted)?;
    match converted.misfits.first() {
        None => Ok(converted.array),
        Some((_, value)) => Err(Error::new(ErrorKind::Value, format!("the value {value} is no {wanted}"))),
    }
}

/// The engine's values for those of `array`, as type `wanted`: to which the file's own type widens, or which other
/// files have, while this one says that it has no values. A value that is not of that type is a misfit.
pub(crate) fn convert(array: &ArrayRef, meaning: Meaning, wanted: ColumnType) -> Result<Converted> {
    let own = match meaning {
        Meaning::Lengths => Converted::from(lengths(array)?),
        Meaning::Uuids => Converted::from(uuids(array)),
        Meaning::Values => values(array)?,
    };
    if *own.array.data_type() == wanted.arrow() {
        return Ok(own);
    }
    let mut wider = match (ColumnType::from_arrow(own.array.data_type())?, wanted) {
        (ColumnType::Null, _) => Converted::from(new_null_array(&wanted.arrow(), array.len())),
        (ColumnType::Int64, ColumnType::Float64) => checked::<Int64Type, Float64Type>(&own.array, |value| {
            let double = value as f64;
            // 2^63, which is no Int64, is what the largest of them round to.
            (double < 9_223_372_036_854_775_808.0 && double as i64 == value).then_some(double)
        }),
        (ColumnType::Date, ColumnType::Timestamp) => {
            checked::<Date32Type, TimestampMicrosecondType>(&own.array, |days| {
                i64::from(days).checked_mul(MICROS_PER_DAY)
            })
        }
        (_, _) => {
            let text = |row| -> Result<_> { Ok((row, array_value_to_string(&own.array, row)?)) };
            let valid = (0..own.array.len()).filter(|&row| own.array.is_valid(row));
            let misfits = valid.map(text).collect::<Result<_>>()?;
            Converted { array: new_null_array(&wanted.arrow(), array.len()), misfits, cut: false }
        }
    };
    wider.misfits.extend(own.misfits);
    wider.misfits.sort();
    wider.cut |= own.cut;
    Ok(wider)
}

fn values(array: &ArrayRef) -> Result<Converted> {
    use DataType as D;
    Ok(match array.data_type() {
        D::Null | D::Boolean | D::Int64 | D::Float64 | D::Date32 | D::Utf8View => Arc::clone(array).into(),
        D::Int8 | D::Int16 | D::Int32 | D::UInt8 | D::UInt16 | D::UInt32 => cast(array, &D::Int64)?.into(),
        D::UInt64 => checked::<UInt64Type, Int64Type>(array, |value| i64::try_from(value).ok()),
        D::Float16 | D::Float32 => cast(array, &D::Float64)?.into(),
        D::Decimal32(_, scale) => decimals::<Decimal32Type>(array, *scale, |digits| Some(i128::from(digits))),
        D::Decimal64(_, scale) => decimals::<Decimal64Type>(array, *scale, |digits| Some(i128::from(digits))),
        D::Decimal128(_, scale) => decimals::<Decimal128Type>(array, *scale, Some),
        D::Decimal256(_, scale) => decimals::<Decimal256Type>(array, *scale, |digits| digits.to_i128()),
        D::Date64 => checked::<Date64Type, Date32Type>(array, |millis| {
            i32::try_from(millis.div_euclid(MICROS_PER_DAY / 1000)).ok()
        }),
        D::Timestamp(TimeUnit::Second, _) => timestamps::<TimestampSecondType>(array, |v| v.checked_mul(1_000_000)),
        D::Timestamp(TimeUnit::Millisecond, _) => {
            timestamps::<TimestampMillisecondType>(array, |v| v.checked_mul(1000))
        }
        D::Timestamp(TimeUnit::Microsecond, _) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().clone();
            (Arc::new(micros.with_timezone_opt(None::<Arc<str>>)) as ArrayRef).into()
        }
        D::Timestamp(TimeUnit::Nanosecond, _) => {
            let mut converted = timestamps::<TimestampNanosecondType>(array, |v| Some(v.div_euclid(1000)));
            let nanos = array.as_primitive::<TimestampNanosecondType>();
            converted.cut = nanos.iter().flatten().any(|nanos| nanos % 1000 != 0);
            converted
        }
        D::Time32(TimeUnit::Second) => times::<Time32SecondType>(array, 1, 0),
        D::Time32(_) => times::<Time32MillisecondType>(array, 1000, 3),
        D::Time64(TimeUnit::Microsecond) => times::<Time64MicrosecondType>(array, 1_000_000, 6),
        D::Time64(_) => times::<Time64NanosecondType>(array, 1_000_000_000, 9),
        D::Utf8 | D::LargeUtf8 => cast(array, &D::Utf8View)?.into(),
        D::Binary | D::LargeBinary | D::BinaryView | D::FixedSizeBinary(_) => {
            let bytes = cast(array, &D::BinaryView)?;
            let bytes = bytes.as_binary_view();
            let texts = bytes.clone().to_string_view().unwrap_or_else(|_| bytes.iter().map(escaped).collect());
            (Arc::new(texts) as ArrayRef).into()
        }
        D::Dictionary(_, value) => values(&cast(array, value)?)?,
        other => return Err(Error::new(ErrorKind::Unsupported, format!("columns of type {other} are not supported"))),
    })
}

/// Each value by `convert`, which is asked about values only, not about what stands under a null.
fn checked<From: ArrowPrimitiveType, To: ArrowPrimitiveType>(
    array: &ArrayRef,
    convert: impl Fn(From::Native) -> Option<To::Native>,
) -> Converted
where
    From::Native: std::fmt::Display,
{
    let values = array.as_primitive::<From>();
    let converted: PrimitiveArray<To> = values.unary_opt(&convert);
    let mut misfits = Vec::new();
    if converted.null_count() > values.null_count() {
        let lost = |row: &usize| values.is_valid(*row) && converted.is_null(*row);
        misfits.extend((0..values.len()).filter(lost).map(|row| (row, values.value(row).to_string())));
    }
    Converted { array: Arc::new(converted), misfits, cut: false }
}

fn timestamps<From: ArrowTimestampType>(array: &ArrayRef, micros: impl Fn(i64) -> Option<i64>) -> Converted {
    checked::<From, TimestampMicrosecondType>(array, micros)
}

/// Powers of ten that are doubles without rounding.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

fn decimals<From: DecimalType>(
    array: &ArrayRef,
    scale: i8,
    digits: impl Fn(From::Native) -> Option<i128>,
) -> Converted {
    if column_type(array.data_type()) == Ok(ColumnType::Int64) {
        return checked::<From, Int64Type>(array, |value| i64::try_from(digits(value)?).ok());
    }
    let power = usize::try_from(scale).ok().and_then(|scale| EXACT_POWERS.get(scale));
    checked::<From, Float64Type>(array, |value| {
        match (digits(value), power) {
            // Both operands are exact, so the quotient is rounded once.
            (Some(digits), Some(power)) if digits.unsigned_abs() < 1 << 53 => Some(digits as f64 / power),
            _ => fast_float2::parse(format!("{value}e{}", -i32::from(scale))).ok(),
        }
    })
}

fn times<From: ArrowPrimitiveType>(array: &ArrayRef, per_second: i64, digits: usize) -> Converted
where
    From::Native: Into<i64> + std::fmt::Display,
{
    let values = array.as_primitive::<From>();
    let mut texts = StringViewBuilder::with_capacity(values.len());
    let mut text = String::new();
    for value in values {
        let Some(value) = value else {
            texts.append_null();
            continue;
        };
        let value: i64 = value.into();
        let (seconds, fraction) = (value.div_euclid(per_second), value.rem_euclid(per_second));
        text.clear();
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "{:02}:{:02}:{:02}",
            seconds.div_euclid(3600),
            seconds.div_euclid(60).rem_euclid(60),
            seconds.rem_euclid(60)
        );
        if digits > 0 {
            let _ = write!(text, ".{fraction:0digits$}");
        }
        texts.append_value(&text);
    }
    (Arc::new(texts.finish()) as ArrayRef).into()
}

/// The text of bytes; those that are no part of UTF-8 as `\xNN`.
fn escaped(bytes: Option<&[u8]>) -> Option<String> {
    let mut text = String::new();
    for chunk in bytes?.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02X}");
        }
    }
    Some(text)
}

fn uuids(array: &ArrayRef) -> ArrayRef {
    let Some(values) = array.as_fixed_size_binary_opt() else {
        return new_null_array(&DataType::Utf8View, array.len());
    };
    let canonical = |bytes: Option<&[u8]>| {
        let mut text = String::with_capacity(36);
        for (at, byte) in bytes?.iter().enumerate() {
            if [4, 6, 8, 10].contains(&at) {
                text.push('-');
            }
            let _ = write!(text, "{byte:02x}");
        }
        Some(text)
    };
    Arc::new(values.iter().map(canonical).collect::<StringViewArray>())
}

fn lengths(array: &ArrayRef) -> Result<ArrayRef> {
    let lengths: Vec<i64> = match array.data_type() {
        DataType::List(_) => array.as_list::<i32>().offsets().lengths().map(|length| length as i64).collect(),
        DataType::LargeList(_) => array.as_list::<i64>().offsets().lengths().map(|length| length as i64).collect(),
        DataType::Map(..) => array.as_map().offsets().lengths().map(|length| length as i64).collect(),
        DataType::FixedSizeList(_, length) => vec![i64::from(*length); array.len()],
        other => return Err(Error::internal(format!("a column of type {other} is no list"))),
    };
    Ok(Arc::new(Int64Array::new(lengths.into(), array.nulls().cloned())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{
        BinaryArray, Date64Array, Decimal128Array, Decimal256Array, FixedSizeBinaryArray, Time32MillisecondArray,
        Time64NanosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    };
    use arrow::datatypes::i256;

    fn doubles(array: impl Array + 'static) -> Vec<f64> {
        let converted = convert(&(Arc::new(array) as ArrayRef), Meaning::Values, ColumnType::Float64).unwrap();
        converted.array.as_primitive::<Float64Type>().values().to_vec()
    }

    fn texts(array: impl Array + 'static, meaning: Meaning) -> Vec<Option<String>> {
        let converted = convert(&(Arc::new(array) as ArrayRef), meaning, ColumnType::Utf8).unwrap();
        converted.array.as_string_view().iter().map(|text| text.map(str::to_owned)).collect()
    }

    #[test]
    fn decimals_are_the_nearest_doubles() {
        let digits = [1, -15, 10_000_000_000_000_001, 12_345_678_901_234_567_890_123_456_789];
        let decimals = Decimal128Array::from(digits.to_vec()).with_precision_and_scale(38, 2).unwrap();
        let expected = ["0.01", "-0.15", "100000000000000.01", "123456789012345678901234567.89"];
        assert_eq!(doubles(decimals), expected.map(|text| text.parse::<f64>().unwrap()));
        let wide = Decimal256Array::from(vec![i256::from_i128(i128::MAX).wrapping_mul(i256::from_i128(1000))]);
        let wide = wide.with_precision_and_scale(76, 30).unwrap();
        assert_eq!(doubles(wide), [format!("{}e-27", i128::MAX).parse::<f64>().unwrap()]);
        let negative_scale = Decimal128Array::from(vec![123]).with_precision_and_scale(5, -3).unwrap();
        assert_eq!(doubles(negative_scale), [123_000.0]);
    }

    #[test]
    fn whole_decimals_of_few_digits_are_integers() {
        let decimals = Decimal128Array::from(vec![Some(42), None]).with_precision_and_scale(18, 0).unwrap();
        let converted = convert(&(Arc::new(decimals) as ArrayRef), Meaning::Values, ColumnType::Int64).unwrap();
        assert_eq!(converted.array.as_primitive::<Int64Type>(), &Int64Array::from(vec![Some(42), None]));
    }

    #[test]
    fn timestamps_are_rounded_down_to_microseconds_and_what_is_cut_is_told() {
        let nanos: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![-1, 1999]).with_timezone("+02:00"));
        let converted = convert(&nanos, Meaning::Values, ColumnType::Timestamp).unwrap();
        assert_eq!(converted.array.as_primitive::<TimestampMicrosecondType>().values()[..], [-1, 1]);
        assert!(converted.cut);
        let millis: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![5, i64::MAX]));
        let converted = convert(&millis, Meaning::Values, ColumnType::Timestamp).unwrap();
        assert_eq!(converted.misfits, [(1, i64::MAX.to_string())]);
        assert!(!converted.cut && converted.array.is_null(1));
    }

    #[test]
    fn days_may_be_stored_as_milliseconds_and_wanted_as_timestamps() {
        let days: ArrayRef = Arc::new(Date64Array::from(vec![Some(-1), Some(86_400_000), None]));
        let converted = convert(&days, Meaning::Values, ColumnType::Timestamp).unwrap();
        let expected =
            arrow::array::TimestampMicrosecondArray::from(vec![Some(-MICROS_PER_DAY), Some(MICROS_PER_DAY), None]);
        assert_eq!(converted.array.as_primitive::<TimestampMicrosecondType>(), &expected);
    }

    #[test]
    fn times_bytes_and_uuids_are_text() {
        let times = Time32MillisecondArray::from(vec![Some(45_296_789), None]);
        assert_eq!(texts(times, Meaning::Values), [Some("12:34:56.789".to_owned()), None]);
        let times = Time64NanosecondArray::from(vec![1]);
        assert_eq!(texts(times, Meaning::Values), [Some("00:00:00.000000001".to_owned())]);
        let bytes = BinaryArray::from(vec![Some(&b"caf\xC3\xA9"[..]), Some(b"caf\xE9!\xFF"), None]);
        let expected = [Some("caf\u{e9}".to_owned()), Some("caf\\xE9!\\xFF".to_owned()), None];
        assert_eq!(texts(bytes, Meaning::Values), expected);
        let uuid = FixedSizeBinaryArray::try_from_iter([(0..16).collect::<Vec<u8>>()].into_iter()).unwrap();
        assert_eq!(texts(uuid, Meaning::Uuids), [Some("00010203-0405-0607-0809-0a0b0c0d0e0f".to_owned())]);
    }
}
