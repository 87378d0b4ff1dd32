//! The names of the columns, and where the data begin.

use super::encoding::byte_order_mark;
use super::fields::{Format, trim, unquote};
use super::record::{MalformedKind, scan_record};
use crate::error::{Error, ErrorKind, Place, Result};
use std::collections::{HashMap, HashSet};

/// A column whose name is not the one in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// Number of the column, from 0.
    pub index: usize,
    /// The name in the file: empty, or that of an earlier column.
    pub given: String,
    /// The name it has now.
    pub name: String,
}

/// The first record of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// One distinct, not empty name a column.
    pub names: Vec<String>,
    /// Names that had to be changed, for a warning.
    pub renamed: Vec<Renamed>,
    /// Number of names that were read as windows-1252.
    pub recoded: u64,
    /// The record as it stands in the file, without its line end; empty if there is no header.
    pub raw: Vec<u8>,
    /// Offset of the first data record.
    pub data_start: usize,
}

/// Reads the names of the columns at the beginning of a file; `None` if the text holds no complete record.
///
/// A byte order mark, and blank and comment lines before the header are skipped. Names are decoded as fields are; spaces around an
/// unquoted name do not count. An empty name becomes `column_3`, counted from 1, as do all without a header
/// (`has_header` false; the data then start after the byte order mark). The second `a` becomes `a_2`.
///
/// # Errors
/// `Malformed` when the header breaks the grammar, `Value` when a name is not in the declared encoding.
pub fn parse_header(text: &[u8], format: &Format, has_header: bool, at_end: bool) -> Result<Option<Header>> {
    parse_header_at(text, byte_order_mark(text), format, has_header, false, at_end)
}

/// The name of a column of row names for which the header has none.
const ROW_NAMES: &str = "row_names";

/// [`parse_header`] from offset `first` on, which is behind the byte order mark and the lines that are skipped. With
/// `row_names`, the records have one field more than the header, before all others: the name of the row.
pub(super) fn parse_header_at(
    text: &[u8],
    first: usize,
    format: &Format,
    has_header: bool,
    row_names: bool,
    at_end: bool,
) -> Result<Option<Header>> {
    let mut start = first;
    let mut ends = Vec::new();
    let record = loop {
        if start == text.len() {
            return Ok(None);
        }
        ends.clear();
        match scan_record(text, start, &format.dialect, at_end, usize::MAX, &mut ends) {
            None => return Ok(None),
            Some(record) if record.blank || record.comment => start = record.next,
            Some(record) => break record,
        }
    };
    if !has_header {
        // Of a broken record no field is counted; the pass reports it.
        let names = (1..=record.fields.max(1)).map(|number| format!("column_{number}")).collect();
        return Ok(Some(Header { names, renamed: Vec::new(), recoded: 0, raw: Vec::new(), data_start: first }));
    }
    let place = |at: usize| Place {
        line: Some(1 + super::count_lines(&text[..at], &format.dialect)),
        byte: Some(at as u64),
        ..Place::default()
    };
    if let Some((at, kind)) = record.trouble {
        let message = match kind {
            MalformedKind::UnterminatedQuote => "a quote in the header is never closed",
            _ => "text follows a closing quote in the header",
        };
        return Err(Error::new(ErrorKind::Malformed, message).at(place(at)).hint("choose another quote, or none"));
    }
    let mut given = Vec::with_capacity(record.fields);
    let mut recoded = 0;
    let mut at = start;
    for &end in &ends {
        let raw = &text[at..end as usize];
        let unquoted = unquote(raw, &format.dialect);
        let Some(decoded) = format.decode(unquoted.as_deref().unwrap_or(trim(raw))) else {
            let value = String::from_utf8_lossy(raw).into_owned();
            let error = Error::new(ErrorKind::Value, "a column name is not in the declared encoding").at(place(at));
            return Err(error.with_place(|place| place.value = Some(value)).hint("declare another encoding"));
        };
        recoded += u64::from(decoded.recoded);
        given.push(decoded.text.into_owned());
        at = end as usize + 1;
    }
    if row_names {
        let free = |name: &String| !given.contains(name);
        let numbered = (2..).map(|number| format!("{ROW_NAMES}_{number}"));
        let name = std::iter::once(ROW_NAMES.to_owned()).chain(numbered).find(free);
        given.insert(0, name.unwrap_or_default());
    }
    let (names, renamed) = distinct(given);
    let raw = text[start..at - 1].to_vec();
    Ok(Some(Header { names, renamed, recoded, raw, data_start: record.next }))
}

/// Makes names distinct and not empty without giving any column a name that the file gives another.
fn distinct(given: Vec<String>) -> (Vec<String>, Vec<Renamed>) {
    let in_file: HashSet<String> = given.iter().cloned().collect();
    let mut taken = HashSet::new();
    let mut renamed = Vec::new();
    let mut next_number: HashMap<String, usize> = HashMap::new();
    let mut names = Vec::with_capacity(given.len());
    for (index, given) in given.into_iter().enumerate() {
        let mut name = given.clone();
        if name.is_empty() || taken.contains(&name) {
            let stem = if name.is_empty() { format!("column_{}", index + 1) } else { name };
            let first = given.is_empty().then(|| stem.clone());
            let free = |name: &String| !taken.contains(name) && !in_file.contains(name);
            // Numbers below were tried for the same stem, and names are only ever taken.
            let next = next_number.entry(stem.clone()).or_insert(2_usize);
            let numbered = std::iter::repeat_with(|| {
                let numbered = format!("{stem}_{next}");
                *next += 1;
                numbered
            });
            name = first.into_iter().chain(numbered).find(free).unwrap_or_default();
            renamed.push(Renamed { index, given, name: name.clone() });
        }
        taken.insert(name.clone());
        names.push(name);
    }
    (names, renamed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &[u8]) -> Header {
        parse_header(text, &Format::default(), true, true).unwrap().unwrap()
    }

    #[test]
    fn names_lose_mark_quotes_and_spaces() {
        let read = header(b"\xEF\xBB\xBF\r\n\"a\"\"b\", c ,\" d\",\xE9\r\n1,2,3,4\r\n");
        assert_eq!(read.names, ["a\"b", "c", " d", "é"]);
        assert_eq!((read.recoded, read.data_start, read.renamed.len()), (1, 24, 0));
    }

    #[test]
    fn a_quoted_first_name_after_the_mark_is_quoted() {
        assert_eq!(header(b"\xEF\xBB\xBF\"a,b\",c\n").names, ["a,b", "c"]);
    }

    #[test]
    fn empty_and_repeated_names_become_distinct_without_stealing() {
        let read = header(b"a,,a,a_2,,a,column_2\n");
        assert_eq!(read.names, ["a", "column_2_2", "a_3", "a_2", "column_5", "a_4", "column_2"]);
        assert_eq!(read.renamed[1], Renamed { index: 2, given: "a".into(), name: "a_3".into() });
    }

    #[test]
    fn names_of_rows_take_a_name_that_no_column_has() {
        let names =
            |text: &[u8]| parse_header_at(text, 0, &Format::default(), true, true, true).unwrap().unwrap().names;
        assert_eq!(names(b"a,b\n"), ["row_names", "a", "b"]);
        assert_eq!(names(b"row_names,b\n"), ["row_names_2", "row_names", "b"]);
    }

    #[test]
    fn without_header_columns_are_numbered() {
        let read = parse_header(b"\xEF\xBB\xBF1,2\n", &Format::default(), false, true).unwrap().unwrap();
        assert_eq!((read.names, read.data_start), (vec!["column_1".to_string(), "column_2".into()], 3));
        let broken = parse_header(b"\"1\" 2\n", &Format::default(), false, true).unwrap().unwrap();
        assert_eq!(broken.names, ["column_1"]);
    }

    #[test]
    fn an_incomplete_or_missing_header_is_none() {
        let format = Format::default();
        for (text, at_end) in [(&b""[..], true), (b"\n\r\n", true), (b"a,b", false), (b"a,\"b\n", false)] {
            assert_eq!(parse_header(text, &format, true, at_end).unwrap(), None);
        }
        assert_eq!(header(b"a,b").names, ["a", "b"]);
    }

    #[test]
    fn a_broken_header_is_located() {
        let error = parse_header(b"\na,\"b\nc", &Format::default(), true, true).unwrap_err();
        assert_eq!((error.kind(), error.place().line, error.place().byte), (ErrorKind::Malformed, Some(2), Some(3)));
        let utf8 = Format { encoding: super::super::Encoding::Utf8, ..Format::default() };
        assert_eq!(parse_header(b"a,\xE9\n", &utf8, true, true).unwrap_err().kind(), ErrorKind::Value);
    }
}
