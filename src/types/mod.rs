//! The types a column can have, how they widen, and the names users give them.

pub(crate) mod convert;

use crate::error::{Error, ErrorKind, Result, did_you_mean};
use arrow::datatypes::{DataType, TimeUnit};
use std::fmt;

/// The type of a column of text input, or of an expression over one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ColumnType {
    /// No value seen: every row is null.
    Null,
    /// `true` and `false`.
    Boolean,
    /// 64-bit signed integers.
    Int64,
    /// IEEE 754 doubles.
    Float64,
    /// Days since 1970-01-01, proleptic Gregorian calendar (Arrow `Date32`).
    Date,
    /// Microseconds since 1970-01-01T00:00:00 without time zone (Arrow `Timestamp(Microsecond)`).
    Timestamp,
    /// Text (Arrow `Utf8View`, so that short codes lie inline).
    Utf8,
    /// Lists of values, which the aggregate `list` makes: they are shown and kept, and not computed with.
    List(ItemType),
}

/// The type of the values of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ItemType {
    /// As [`ColumnType::Boolean`].
    Boolean,
    /// As [`ColumnType::Int64`].
    Int64,
    /// As [`ColumnType::Float64`].
    Float64,
    /// As [`ColumnType::Date`].
    Date,
    /// As [`ColumnType::Timestamp`].
    Timestamp,
    /// As [`ColumnType::Utf8`].
    Utf8,
}

impl ItemType {
    /// The type for values of a column, if there are lists of such.
    pub fn of(column_type: ColumnType) -> Option<Self> {
        Some(match column_type {
            ColumnType::Boolean => ItemType::Boolean,
            ColumnType::Int64 => ItemType::Int64,
            ColumnType::Float64 => ItemType::Float64,
            ColumnType::Date => ItemType::Date,
            ColumnType::Timestamp => ItemType::Timestamp,
            ColumnType::Utf8 => ItemType::Utf8,
            ColumnType::Null | ColumnType::List(_) => return None,
        })
    }

    /// The type of a column of such values.
    pub fn column(self) -> ColumnType {
        match self {
            ItemType::Boolean => ColumnType::Boolean,
            ItemType::Int64 => ColumnType::Int64,
            ItemType::Float64 => ColumnType::Float64,
            ItemType::Date => ColumnType::Date,
            ItemType::Timestamp => ColumnType::Timestamp,
            ItemType::Utf8 => ColumnType::Utf8,
        }
    }
}

/// Every type, narrowest first, with the names users may write; the first name is the one shown.
const NAMES: [(ColumnType, &[&str]); 7] = [
    (ColumnType::Null, &["null"]),
    (ColumnType::Boolean, &["boolean", "bool"]),
    (ColumnType::Int64, &["int64", "int", "integer", "bigint", "i64", "long", "signed"]),
    (ColumnType::Float64, &["float64", "float", "double", "real", "f64", "numeric", "decimal"]),
    (ColumnType::Date, &["date", "date32"]),
    (ColumnType::Timestamp, &["timestamp", "datetime"]),
    (
        ColumnType::Utf8,
        &["utf8", "text", "string", "str", "varchar", "char", "character varying", "character", "nvarchar"],
    ),
];

/// Types of texts that may be given a length.
const TEXTS: [&str; 6] = ["varchar", "char", "character varying", "character", "nvarchar", "text"];

/// Whether a length and a closing parenthesis is all that follows.
fn is_length(rest: &str) -> bool {
    rest.trim_end().strip_suffix(')').is_some_and(|length| length.trim().parse::<u32>().is_ok())
}

impl ColumnType {
    /// The Arrow type of arrays of this type.
    pub fn arrow(self) -> DataType {
        match self {
            ColumnType::Null => DataType::Null,
            ColumnType::Boolean => DataType::Boolean,
            ColumnType::Int64 => DataType::Int64,
            ColumnType::Float64 => DataType::Float64,
            ColumnType::Date => DataType::Date32,
            ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            ColumnType::Utf8 => DataType::Utf8View,
            ColumnType::List(item) => DataType::new_list(item.column().arrow(), true),
        }
    }

    /// The type whose arrays have this Arrow type.
    ///
    /// # Errors
    /// `Unsupported` for any other Arrow type.
    pub fn from_arrow(data_type: &DataType) -> Result<Self> {
        if let DataType::List(field) = data_type
            && let Some(item) = ColumnType::from_arrow(field.data_type()).ok().and_then(ItemType::of)
        {
            return Ok(ColumnType::List(item));
        }
        NAMES
            .iter()
            .map(|(column_type, _)| *column_type)
            .find(|column_type| column_type.arrow() == *data_type)
            .ok_or_else(|| {
                Error::new(ErrorKind::Unsupported, format!("columns of Arrow type {data_type} are not supported"))
            })
    }

    /// The narrowest type that holds the values of both, as text when nothing else does.
    #[must_use]
    pub fn unify(self, other: Self) -> Self {
        use ColumnType::{Date, Float64, Int64, Null, Timestamp, Utf8};
        match (self, other) {
            (a, b) if a == b => a,
            (Null, b) => b,
            (a, Null) => a,
            (Int64, Float64) | (Float64, Int64) => Float64,
            (Date, Timestamp) | (Timestamp, Date) => Timestamp,
            _ => Utf8,
        }
    }

    /// Whether its values are lists.
    pub fn is_list(self) -> bool {
        matches!(self, ColumnType::List(_))
    }

    /// Whether sums and means exist: integers, doubles, and Booleans counted as 0 and 1.
    pub fn is_numeric(self) -> bool {
        matches!(self, ColumnType::Int64 | ColumnType::Float64 | ColumnType::Boolean)
    }

    /// The type a user means by `name` (case ignored), such as `int64`, `int` or `bigint`.
    ///
    /// # Errors
    /// `Name` with a suggestion when there is no such type.
    pub fn parse(name: &str) -> Result<Self> {
        let lower = name.trim().to_lowercase();
        // How long texts may be makes no difference.
        let lower = match lower.split_once('(') {
            Some((text, rest)) if TEXTS.contains(&text.trim_end()) && is_length(rest) => text.trim_end().to_owned(),
            _ => lower,
        };
        NAMES.iter().find(|(_, names)| names.contains(&lower.as_str())).map(|(column_type, _)| *column_type).ok_or_else(
            || {
                let error = Error::new(ErrorKind::Name, format!("no type `{}`", name.trim()));
                match did_you_mean(&lower, NAMES.iter().flat_map(|(_, names)| names.iter().copied())) {
                    Some(near) => error.hint(format!("did you mean `{near}`?")),
                    None if ["decimal(", "numeric("].iter().any(|decimal| lower.starts_with(decimal)) => {
                        error.hint("such numbers are read as float64, or as utf8, which keeps their digits")
                    }
                    None => error.hint("types are int64, float64, utf8, boolean, date and timestamp"),
                }
            },
        )
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ColumnType::Null => "Null",
            ColumnType::Boolean => "Boolean",
            ColumnType::Int64 => "Int64",
            ColumnType::Float64 => "Float64",
            ColumnType::Date => "Date",
            ColumnType::Timestamp => "Timestamp",
            ColumnType::Utf8 => "Utf8",
            ColumnType::List(item) => return write!(f, "List({})", item.column()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unify_is_commutative_associative_and_idempotent() {
        let all = NAMES.map(|(column_type, _)| column_type);
        for a in all {
            assert_eq!(a.unify(a), a);
            for b in all {
                assert_eq!(a.unify(b), b.unify(a));
                for c in all {
                    assert_eq!(a.unify(b).unify(c), a.unify(b.unify(c)), "{a} {b} {c}");
                }
            }
        }
    }

    #[test]
    fn names_parse_and_slips_are_suggested() {
        assert_eq!(ColumnType::parse(" BigInt ").unwrap(), ColumnType::Int64);
        assert_eq!(ColumnType::parse("flota64").unwrap_err().hint_text(), Some("did you mean `float64`?"));
    }
}
