//! The keys of hive-style folders: `…/Year=2001/Month=03/part.csv`.

use super::Constant;
use crate::error::{Error, ErrorKind, Result};
use crate::source::csv::datetime::{parse_date, parse_timestamp};
use crate::source::csv::number::{parse_boolean, parse_float, parse_integer};
use crate::source::csv::{Dialect, Format, NullTokens, TypeGuess};
use crate::types::ColumnType;
use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, NullArray, StringViewArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::Field;
use std::path::Path;
use std::sync::Arc;

/// How a null is spelt in the name of a folder.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// The keys and values in the folders of a path, outermost first; a null value is `None`.
pub(crate) fn hive_keys(path: &str) -> Vec<(String, Option<String>)> {
    let folders = Path::new(path).parent().into_iter().flat_map(Path::components);
    let pair = |folder: std::path::Component<'_>| {
        let (key, value) = folder.as_os_str().to_str()?.split_once('=')?;
        let key = decoded(key);
        // Before decoding, so that a text of these letters can be written `%5F…`.
        let value = (value != NULL).then(|| decoded(value));
        (!key.is_empty()).then_some((key, value))
    };
    folders.filter_map(pair).collect()
}

/// The text with `%41` read as `A`; as it is, if that gives no UTF-8.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let digits = behind.get(..2).filter(|digits| first == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let byte = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// A column for each key, in the order of the folders; none if no file has keys.
pub(super) fn columns(files: &[Arc<str>], types: &[(String, ColumnType)]) -> Result<Vec<Constant>> {
    let all: Vec<Vec<(String, Option<String>)>> = files.iter().map(|file| hive_keys(file)).collect();
    let Some(first) = all.first() else { return Ok(Vec::new()) };
    let names: Vec<&str> = first.iter().map(|(key, _)| key.as_str()).collect();
    for (file, keys) in files.iter().zip(&all) {
        if !keys.iter().map(|(key, _)| key.as_str()).eq(names.iter().copied()) {
            let shown = |keys: &[(String, Option<String>)]| match keys {
                [] => "no keys".to_owned(),
                _ => keys.iter().map(|(key, _)| format!("`{key}`")).collect::<Vec<_>>().join(", "),
            };
            let message = format!(
                "the folders of this file name {}, those of {} name {}",
                shown(keys),
                files.first().map_or("", |file| file),
                shown(first)
            );
            return Err(Error::new(ErrorKind::Malformed, message)
                .in_file(file)
                .hint("ask about them separately, or use --no-hive to take folders as folders"));
        }
    }
    if let Some(twice) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
        let message = format!("the folders name `{}` twice", twice.1);
        return Err(Error::new(ErrorKind::Malformed, message)
            .in_file(files.first().map_or("", |file| file))
            .hint("use --no-hive to take folders as folders"));
    }
    let column = |(at, name): (usize, &&str)| {
        let values: Vec<Option<&str>> = all.iter().map(|keys| keys[at].1.as_deref()).collect();
        let declared = types.iter().rev().find(|(declared, _)| declared == name).map(|(_, declared)| *declared);
        let (column_type, values) = typed(name, &values, declared, files)?;
        Ok(Constant { field: Field::new(*name, column_type.arrow(), true), values })
    };
    names.iter().enumerate().map(column).collect()
}

/// The values as an array, of the type declared or of the narrowest that holds them all.
fn typed(
    name: &str,
    values: &[Option<&str>],
    declared: Option<ColumnType>,
    files: &[Arc<str>],
) -> Result<(ColumnType, ArrayRef)> {
    if let Some(declared) = declared {
        return match array(values, declared) {
            Ok(array) => Ok((declared, array)),
            Err(at) => {
                let message = format!("the value is not {declared}, the type given for its column");
                let place = |place: &mut crate::error::Place| {
                    place.column = Some(Arc::from(name));
                    place.value = values.get(at).copied().flatten().map(str::to_owned);
                };
                let file = files.get(at).map_or("", |file| file);
                Err(Error::new(ErrorKind::Value, message).in_file(file).with_place(place))
            }
        };
    }
    let inferred = values.iter().flatten().fold(ColumnType::Null, |all, value| all.unify(value_type(value)));
    match array(values, inferred) {
        Ok(array) => Ok((inferred, array)),
        Err(_) => Ok((ColumnType::Utf8, Arc::new(StringViewArray::from(values.to_vec())))),
    }
}

/// The type of a value, as of a field of CSV; but `03` is a number, for months, days and hours are written so.
fn value_type(value: &str) -> ColumnType {
    if let [b'0', digit] = value.as_bytes()
        && digit.is_ascii_digit()
    {
        return ColumnType::Int64;
    }
    let Ok(dialect) = Dialect::new(b',', None) else { return ColumnType::Utf8 };
    let format = Format { dialect, nulls: NullTokens::new([]), ..Format::default() };
    let mut guess = TypeGuess::default();
    guess.observe(value.as_bytes(), &format);
    guess.column_type()
}

/// The array; `Err` with the first value that is not of the type.
fn array(values: &[Option<&str>], column_type: ColumnType) -> Result<ArrayRef, usize> {
    fn parsed<T>(values: &[Option<&str>], parse: impl Fn(&[u8]) -> Option<T>) -> Result<Vec<Option<T>>, usize> {
        let one =
            |(at, value): (usize, &Option<&str>)| value.map(|text| parse(text.trim().as_bytes()).ok_or(at)).transpose();
        values.iter().enumerate().map(one).collect()
    }
    Ok(match column_type {
        ColumnType::Null => match values.iter().position(Option::is_some) {
            None => Arc::new(NullArray::new(values.len())),
            Some(at) => return Err(at),
        },
        ColumnType::Boolean => Arc::new(BooleanArray::from(parsed(values, parse_boolean)?)),
        ColumnType::Int64 => Arc::new(Int64Array::from(parsed(values, parse_integer)?)),
        ColumnType::Float64 => Arc::new(Float64Array::from(parsed(values, parse_float)?)),
        ColumnType::Date => Arc::new(Date32Array::from(parsed(values, parse_date)?)),
        ColumnType::Timestamp => Arc::new(TimestampMicrosecondArray::from(parsed(values, parse_timestamp)?)),
        ColumnType::Utf8 | ColumnType::List(_) => Arc::new(StringViewArray::from(values.to_vec())),
    })
}
