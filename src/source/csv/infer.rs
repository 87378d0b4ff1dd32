//! The type of a column from samples of its fields.

use super::column::ColumnSpec;
use super::date_formats::{DateFormat, DateFormats, DateWays};
use super::fields::{Format, Value};
use super::number::{has_leading_zero, is_exact_double, parse_boolean, parse_inferred_float, parse_integer};
use crate::types::ColumnType;

/// What the fields of a column seen so far allow. Order of observation and merging does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeGuess {
    /// The types of all values unified, formats of dates that the user gives left aside.
    unified: ColumnType,
    /// The formats of dates in which all values are written.
    dates: DateWays,
    /// A null token in quotes or among spaces was seen: a value, should the column turn out to be text.
    null_unless_text: bool,
    /// An integer was seen that no double, or no 64-bit integer, holds.
    large_integer: bool,
}

impl Default for TypeGuess {
    fn default() -> Self {
        TypeGuess { unified: ColumnType::Null, dates: DateWays::ALL, null_unless_text: false, large_integer: false }
    }
}

impl TypeGuess {
    /// Takes a raw field, quotes included, into account.
    pub fn observe(&mut self, raw: &[u8], format: &Format) {
        let text = match format.value(raw) {
            Value::Null => return,
            Value::NullUnlessText => {
                self.null_unless_text = true;
                return;
            }
            Value::Text(text) => text,
        };
        let mut ways = format.dates.given_ways(&text);
        let column_type = match plain_type(&text, format) {
            Some(column_type) => column_type,
            None => format.dates.common_ways(&text).map_or(ColumnType::Utf8, |(column_type, common)| {
                ways = ways.or(common);
                column_type
            }),
        };
        self.large_integer |= column_type.is_numeric() && is_large_integer(&text, format);
        self.unified = self.unified.unify(column_type);
        self.dates = self.dates.and(ways);
    }

    /// What both allow.
    pub fn merge(&mut self, other: TypeGuess) {
        self.unified = self.unified.unify(other.unified);
        self.dates = self.dates.and(other.dates);
        self.null_unless_text |= other.null_unless_text;
        self.large_integer |= other.large_integer;
    }

    /// The narrowest type that holds all values seen: `Null` if there was none, text if there were only null tokens in
    /// quotes. Dates of which it is not clear which number is the month are text.
    pub fn column_type(&self) -> ColumnType {
        match self.unified {
            ColumnType::Null if self.null_unless_text => ColumnType::Utf8,
            ColumnType::Null => ColumnType::Null,
            unified => match self.dates.given() {
                Some((_, column_type)) => column_type,
                None if is_date(unified) && self.dates.common().count() != 1 => ColumnType::Utf8,
                None => unified,
            },
        }
    }

    /// How the dates of the column are written, if it holds any; otherwise how dates that come later may be.
    pub fn date_format(&self, dates: &DateFormats) -> DateFormat {
        let mut common = self.dates.common();
        match (self.unified, self.dates.given()) {
            (ColumnType::Null, _) => dates.fallback(),
            (_, Some((given, _))) => given,
            _ => common.next().filter(|_| common.next().is_none()).unwrap_or_else(|| dates.fallback()),
        }
    }

    /// The formats between which the values seen do not decide, for which reason the column is text; none otherwise.
    pub fn ambiguous_dates(&self) -> Vec<DateFormat> {
        let is_ambiguous = is_date(self.unified) && self.dates.given().is_none() && self.dates.common().count() > 1;
        if is_ambiguous { self.dates.common().collect() } else { Vec::new() }
    }

    /// Whether the column is of doubles and holds an integer that a double, or a 64-bit integer, does not hold exactly:
    /// a long identifier perhaps, better read as text.
    pub fn lossy_integers(&self) -> bool {
        self.large_integer && self.column_type() == ColumnType::Float64
    }
}

/// The type to which a column must be widened to hold a raw field, quotes included; its own if the field fits. Integers
/// beyond 64 bits are doubles; integers with leading zeros are text, and so are dates in another format than the
/// column's.
pub fn widened_type(column: &ColumnSpec, raw: &[u8], format: &Format) -> ColumnType {
    match format.value(raw) {
        Value::Null => column.column_type,
        Value::NullUnlessText => match column.column_type {
            ColumnType::Null => ColumnType::Utf8,
            other => other,
        },
        Value::Text(text) => {
            let date = || format.dates.type_in(column.date_format, &text);
            let plain = || plain_type(&text, format);
            // A given format may look like a number; the column's own reading comes first.
            let found = if is_date(column.column_type) { date().or_else(plain) } else { plain().or_else(date) };
            column.column_type.unify(found.unwrap_or(ColumnType::Utf8))
        }
    }
}

fn is_date(column_type: ColumnType) -> bool {
    matches!(column_type, ColumnType::Date | ColumnType::Timestamp)
}

/// The type of a text that is a number, a code that looks like one, or a Boolean.
fn plain_type(text: &[u8], format: &Format) -> Option<ColumnType> {
    let number = format.numbers.read(text, |text| {
        if has_leading_zero(text) {
            Some(ColumnType::Utf8)
        } else if parse_integer(text).is_some() {
            Some(ColumnType::Int64)
        } else {
            parse_inferred_float(text).map(|_| ColumnType::Float64)
        }
    });
    number.or_else(|| parse_boolean(text).map(|_| ColumnType::Boolean))
}

fn is_large_integer(text: &[u8], format: &Format) -> bool {
    format.numbers.read(text, |text| Some(!is_exact_double(text))).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guessed(fields: &[&str]) -> ColumnType {
        guess(fields, &Format::default()).column_type()
    }

    fn guess(fields: &[&str], format: &Format) -> TypeGuess {
        let mut whole = TypeGuess::default();
        let mut backwards = TypeGuess::default();
        for field in fields {
            whole.observe(field.as_bytes(), format);
        }
        for field in fields.iter().rev() {
            let mut one = TypeGuess::default();
            one.observe(field.as_bytes(), format);
            backwards.merge(one);
        }
        assert_eq!(whole, backwards, "order and merging do not matter");
        whole
    }

    /// The type and format of a column, with these formats given.
    fn dated(given: &[&str], fields: &[&str]) -> (ColumnType, String) {
        let format = Format { dates: DateFormats::new(given.iter().copied()).unwrap(), ..Format::default() };
        let guess = guess(fields, &format);
        (guess.column_type(), format.dates.describe(guess.date_format(&format.dates)).to_owned())
    }

    #[test]
    fn one_value_settles_the_order_of_day_and_month() {
        use ColumnType::*;
        for (fields, column_type, format) in [
            (&["01/02/2001", "3/4/2001"][..], Utf8, "%Y-%m-%d"),
            (&["01/02/2001", "13/02/2001"], Date, "%d/%m/%Y"),
            (&["01/02/2001", "02/13/2001", ""], Date, "%m/%d/%Y"),
            (&["13/02/2001", "02/13/2001"], Utf8, "%Y-%m-%d"),
            (&["02-13-2001 1:00 PM", "01-02-2001"], Timestamp, "%m-%d-%Y"),
            (&["01.02.2001"], Date, "%d.%m.%Y"),
            (&["2001/02/03"], Date, "%Y/%m/%d"),
            (&["3-Feb-2001"], Date, "%d-%b-%Y"),
            (&["2001-02-03T04:05+02:00", "2001-02-03"], Timestamp, "%Y-%m-%d"),
            (&["01.02.2001", "2001-02-01"], Utf8, "%Y-%m-%d"),
            (&["20010203"], Int64, "%Y-%m-%d"),
            (&["5", "01.02.2001"], Utf8, "%Y-%m-%d"),
        ] {
            assert_eq!(dated(&[], fields), (column_type, format.to_owned()), "{fields:?}");
        }
        let ambiguous = guess(&["01/02/2001"], &Format::default()).ambiguous_dates();
        assert_eq!(ambiguous, [DateFormat::MonthSlash, DateFormat::DaySlash]);
        for settled in [&["01/02/2001", "13/02/2001"][..], &["5"], &["01/02/2001", "x"], &[]] {
            assert!(guess(settled, &Format::default()).ambiguous_dates().is_empty(), "{settled:?}");
        }
    }

    #[test]
    fn the_first_given_format_that_fits_all_values_wins() {
        use ColumnType::*;
        for (given, fields, column_type, format) in [
            (&["%d/%m/%Y"][..], &["01/02/2001"][..], Date, "%d/%m/%Y"),
            (&["%d/%m/%Y", "%m/%d/%Y"], &["01/02/2001", "01/13/2001"], Date, "%m/%d/%Y"),
            (&["%m/%d/%y %H:%M", "%d.%m.%y"], &["01.02.01"], Date, "%d.%m.%y"),
            (&["%m/%d/%y %H:%M", "%d.%m.%y"], &["1/2/01 3:04", "NA"], Timestamp, "%m/%d/%y %H:%M"),
            (&["%Y%m%d"], &["20010203", "20011231"], Date, "%Y%m%d"),
            (&["%Y%m%d"], &["20010203", "20011331"], Int64, "%Y%m%d"),
            (&["%Y%m%d"], &["20010203", "5.5"], Float64, "%Y%m%d"),
            (&["%d%m%Y"], &["03022001"], Date, "%d%m%Y"),
            (&["%d/%m/%Y"], &["2001-02-03"], Date, "%Y-%m-%d"),
            (&["%d.%m.%y"], &["NA"], Null, "%d.%m.%y"),
            (&["%d.%m.%y"], &["01.02.01", "x"], Utf8, "%d.%m.%y"),
        ] {
            assert_eq!(dated(given, fields), (column_type, format.to_owned()), "{given:?} {fields:?}");
        }
        assert!(DateFormats::new(["%d.%m.%Y"; 25]).is_err());
    }

    #[test]
    fn numbers_are_read_in_their_style() {
        let with = |decimal, thousands, fields: &[&str]| {
            let numbers = super::super::NumberStyle::new(decimal, thousands).unwrap();
            guess(fields, &Format { numbers, ..Format::default() }).column_type()
        };
        assert_eq!(with(b',', None, &["\"1,5\"", "2"]), ColumnType::Float64);
        assert_eq!(with(b',', None, &["1.5"]), ColumnType::Utf8);
        assert_eq!(with(b'.', Some(b','), &["\"1,234\"", "\"12,345,678\"", "7"]), ColumnType::Int64);
        assert_eq!(with(b'.', Some(b','), &["\"1,23\""]), ColumnType::Utf8);
        assert_eq!(with(b',', Some(b'.'), &["01.234"]), ColumnType::Utf8);
        assert_eq!(with(b',', Some(b'.'), &["0.234"]), ColumnType::Utf8);
        assert_eq!(with(b',', Some(b'.'), &["007"]), ColumnType::Utf8);
        assert_eq!(with(b',', Some(b'.'), &["01.02.2001"]), ColumnType::Date);
        assert_eq!(guessed(&["\"1,234\""]), ColumnType::Utf8, "only when asked for");
    }

    #[test]
    fn integers_beyond_doubles_are_told() {
        let lossy = |fields: &[&str]| guess(fields, &Format::default()).lossy_integers();
        assert!(lossy(&["5", "99999999999999999999"]));
        assert!(lossy(&["2.5", "9007199254740993"]));
        assert!(!lossy(&["5", "9007199254740993"]), "an exact 64-bit integer");
        assert!(!lossy(&["2.5", "9007199254740992", "1e300"]));
        assert!(!lossy(&["x", "99999999999999999999"]));
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
            (&["T", "F"], Utf8),
            (&["yes", "no"], Utf8),
            (&["2001-02-03", "NA"], Date),
            (&["2001-02-03", "2001-02-03 04:05"], Timestamp),
            (&["2001-02-30"], Utf8),
            (&["\"5\"", " 6 "], Int64),
            (&["NA", "\"NA\""], Utf8),
            (&["5", "\"NA\""], Int64),
            (&["nan", "-inf", "1"], Float64),
            (&["5", "1e308", "+Infinity"], Float64),
            (&["5", "1e400"], Utf8),
            (&["5", "-1.5e309"], Utf8),
        ] {
            assert_eq!(guessed(fields), expected, "{fields:?}");
        }
    }

    #[test]
    fn widening_keeps_what_fits() {
        let format = Format::default();
        let widened = |column_type, raw: &str| {
            let column = ColumnSpec { index: 0, column_type, declared: false, date_format: DateFormat::Iso };
            widened_type(&column, raw.as_bytes(), &format)
        };
        assert_eq!(widened(ColumnType::Int64, "1.5"), ColumnType::Float64);
        assert_eq!(widened(ColumnType::Int64, "N123"), ColumnType::Utf8);
        assert_eq!(widened(ColumnType::Float64, "1e400"), ColumnType::Utf8);
        assert_eq!(widened(ColumnType::Float64, "12"), ColumnType::Float64);
        assert_eq!(widened(ColumnType::Int64, "\"NA\""), ColumnType::Int64);
        assert_eq!(widened(ColumnType::Null, "\"NA\""), ColumnType::Utf8);
        assert_eq!(widened(ColumnType::Null, "NA"), ColumnType::Null);
    }
}
