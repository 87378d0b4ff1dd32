//! The type of a column from samples of its fields.

use super::datetime::{parse_date, parse_timestamp};
use super::fields::{Format, Value};
use super::number::{has_leading_zero, parse_boolean, parse_float, parse_integer};
use crate::types::ColumnType;

/// What the fields of a column seen so far allow. Order of observation and merging does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeGuess {
    unified: ColumnType,
    /// A null token in quotes or among spaces was seen: a value, should the column turn out to be text.
    null_unless_text: bool,
}

impl Default for TypeGuess {
    fn default() -> Self {
        TypeGuess { unified: ColumnType::Null, null_unless_text: false }
    }
}

impl TypeGuess {
    /// Takes a raw field, quotes included, into account.
    pub fn observe(&mut self, raw: &[u8], format: &Format) {
        match format.value(raw) {
            Value::Null => {}
            Value::NullUnlessText => self.null_unless_text = true,
            Value::Text(text) => self.unified = self.unified.unify(value_type(&text)),
        }
    }

    /// What both allow.
    pub fn merge(&mut self, other: TypeGuess) {
        self.unified = self.unified.unify(other.unified);
        self.null_unless_text |= other.null_unless_text;
    }

    /// The narrowest type that holds all values seen: `Null` if there was none, text if there were only null tokens in
    /// quotes.
    pub fn column_type(&self) -> ColumnType {
        if self.unified == ColumnType::Null && self.null_unless_text { ColumnType::Utf8 } else { self.unified }
    }
}

/// The type to which a column of type `current` must be widened to hold a raw field, quotes included; `current` if the
/// field fits. Integers beyond 64 bits are doubles; integers with leading zeros are text.
pub fn widened_type(current: ColumnType, raw: &[u8], format: &Format) -> ColumnType {
    let mut guess = TypeGuess { unified: current, null_unless_text: false };
    guess.observe(raw, format);
    guess.column_type()
}

fn value_type(text: &[u8]) -> ColumnType {
    if has_leading_zero(text) {
        ColumnType::Utf8
    } else if parse_integer(text).is_some() {
        ColumnType::Int64
    } else if parse_float(text).is_some() {
        ColumnType::Float64
    } else if parse_boolean(text).is_some() {
        ColumnType::Boolean
    } else if parse_date(text).is_some() {
        ColumnType::Date
    } else if parse_timestamp(text).is_some() {
        ColumnType::Timestamp
    } else {
        ColumnType::Utf8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guessed(fields: &[&str]) -> ColumnType {
        let format = Format::default();
        let mut whole = TypeGuess::default();
        let mut backwards = TypeGuess::default();
        for field in fields {
            whole.observe(field.as_bytes(), &format);
        }
        for field in fields.iter().rev() {
            let mut one = TypeGuess::default();
            one.observe(field.as_bytes(), &format);
            backwards.merge(one);
        }
        assert_eq!(whole, backwards, "order and merging do not matter");
        whole.column_type()
    }

    #[test]
    fn the_narrowest_type_that_holds_all_values() {
        use ColumnType::*;
        for (fields, expected) in [
            (&[][..], Null),
            (&["", "NA"], Null),
            (&["NA", "5", "-3"], Int64),
            (&["5", "2.5"], Float64),
            (&["5", "99999999999999999999"], Float64),
            (&["5", "007"], Utf8),
            (&["0.5", "007"], Utf8),
            (&["1", "true"], Utf8),
            (&["true", "FALSE", "NA"], Boolean),
            (&["2001-02-03", "NA"], Date),
            (&["2001-02-03", "2001-02-03 04:05"], Timestamp),
            (&["2001-02-30"], Utf8),
            (&["\"5\"", " 6 "], Int64),
            (&["NA", "\"NA\""], Utf8),
            (&["5", "\"NA\""], Int64),
            (&["nan", "-inf", "1"], Float64),
        ] {
            assert_eq!(guessed(fields), expected, "{fields:?}");
        }
    }

    #[test]
    fn widening_keeps_what_fits() {
        let format = Format::default();
        let widened = |current, raw: &str| widened_type(current, raw.as_bytes(), &format);
        assert_eq!(widened(ColumnType::Int64, "1.5"), ColumnType::Float64);
        assert_eq!(widened(ColumnType::Int64, "N123"), ColumnType::Utf8);
        assert_eq!(widened(ColumnType::Float64, "12"), ColumnType::Float64);
        assert_eq!(widened(ColumnType::Int64, "\"NA\""), ColumnType::Int64);
        assert_eq!(widened(ColumnType::Null, "\"NA\""), ColumnType::Utf8);
        assert_eq!(widened(ColumnType::Null, "NA"), ColumnType::Null);
    }
}
