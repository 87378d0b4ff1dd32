//! Whether the first record holds the names of the columns.

use super::kinds::{Kind, kind, of_column};
use super::reading::Reading;
use crate::source::csv::fields::Format;
use std::ops::Range;

/// Whether the first record of the table is its header, and why.
///
/// A text above a column of numbers, dates or truth values is a name; a number above numbers is a value. A record of
/// nothing but such values is no header; nor is one of texts above texts and values above values, unless the values are
/// years above something else (`country,2001,2002`) and no text comes again further down. Everything else is a header, a
/// table of nothing but text included: a name taken for a value would be worse to find.
pub(super) fn has_header(reading: &Reading, text: &[u8], format: &Format) -> (bool, String) {
    let Some((first, data)) = reading.rows.split_first() else {
        return (true, "nothing speaks against it".to_owned());
    };
    // A header that comes again is no value.
    let raw = |row: &[Range<usize>]| row.iter().map(|range| &text[range.clone()]).collect::<Vec<_>>();
    let data: Vec<_> = data.iter().filter(|row| raw(row) != raw(first)).cloned().collect();
    let data = data.as_slice();
    let mut values = 0;
    let mut years = 0;
    let mut names = 0;
    let mut repeated = false;
    let mut missing = false;
    for (field, range) in first.iter().enumerate() {
        let raw = &text[range.clone()];
        let above = kind(raw, format);
        let below = of_column(data, field, text, format);
        match (above, below) {
            (Kind::Text, Kind::Number | Kind::Truth | Kind::Time) => {
                let name = String::from_utf8_lossy(raw.get(..raw.len().min(40)).unwrap_or(raw)).into_owned();
                return (true, format!("{name:?} stands above values of another type, in column {}", field + 1));
            }
            (Kind::Text, _) => {
                names += 1;
                repeated |= data.iter().filter_map(|row| row.get(field)).any(|range| text[range.clone()] == *raw);
            }
            (Kind::Null, below) => missing |= below != Kind::Null,
            // A year above texts may be a name.
            (_, Kind::Text) => {}
            _ => {
                values += 1;
                let below = data.iter().filter_map(|row| row.get(field)).map(|range| &text[range.clone()]);
                years += usize::from(is_year(raw) && !below.clone().all(is_year));
            }
        }
    }
    if missing && data.iter().all(|row| row.first().is_some_and(|range| !range.is_empty())) && first[0].is_empty() {
        // The index that some programs write has no name.
        return (true, "the first column has values and no name".to_owned());
    }
    match (values, names) {
        (0, _) => (true, "all fields of the first record are text".to_owned()),
        (_, 0) => (false, "the first record holds nothing but values".to_owned()),
        _ if repeated || years < values => {
            (false, "the first record holds texts above texts and values above values".to_owned())
        }
        _ => (true, "the first record holds texts, and years above other values".to_owned()),
    }
}

fn is_year(field: &[u8]) -> bool {
    let field = field.strip_prefix(b"\"").and_then(|field| field.strip_suffix(b"\"")).unwrap_or(field);
    matches!(field, [b'1' | b'2', rest @ ..] if rest.len() == 3 && rest.iter().all(u8::is_ascii_digit))
}
