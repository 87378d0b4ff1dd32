//! Numbers with a decimal comma or marks between thousands, put into the plain style that the number parsers read.

use crate::error::{Error, ErrorKind, Result};

/// How numbers are written.
///
/// A number with marks between thousands begins with a group of one to three digits, the first not zero, and goes on
/// in groups of exactly three; `1,23` is text in a file with thousands commas, and so is `0,234` or `01,234`, even in a
/// column declared to be numeric: whoever wrote them meant something else. Numbers without marks are read too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberStyle {
    /// The decimal mark: `.` or `,`.
    pub decimal: u8,
    /// The byte between groups of three digits, if there may be one.
    pub thousands: Option<u8>,
}

impl Default for NumberStyle {
    /// A point, and no marks between thousands.
    fn default() -> Self {
        NumberStyle { decimal: b'.', thousands: None }
    }
}

/// Numbers up to this length are rewritten without allocating.
const SHORT_BYTES: usize = 64;

impl NumberStyle {
    /// The style with this decimal mark and, if given, mark between thousands.
    ///
    /// # Errors
    /// `Unsupported` for marks that could be part of a number otherwise, or that are the same.
    pub fn new(decimal: u8, thousands: Option<u8>) -> Result<Self> {
        let refused = |message: String| Err(Error::new(ErrorKind::Unsupported, message));
        if !matches!(decimal, b'.' | b',') {
            return refused(format!("the decimal mark cannot be {:?}", char::from(decimal)));
        }
        if let Some(mark) = thousands
            && (mark == decimal || !matches!(mark, b'.' | b',' | b' ' | b'\'' | b'_'))
        {
            let message = format!("the mark between thousands cannot be {:?} here", char::from(mark));
            return Err(Error::new(ErrorKind::Unsupported, message).hint("it is one of . , ' _ and the space"));
        }
        Ok(NumberStyle { decimal, thousands })
    }

    /// Reads `text`, a number in this style, with a parser of numbers in the default style.
    #[inline]
    pub(super) fn read<R>(&self, text: &[u8], read: impl FnOnce(&[u8]) -> Option<R>) -> Option<R> {
        if *self == NumberStyle::default() {
            return read(text);
        }
        let mut short = [0; SHORT_BYTES];
        let mut long = Vec::new();
        let buffer = match short.get_mut(..text.len()) {
            Some(buffer) => buffer,
            None => {
                long.resize(text.len(), 0);
                long.as_mut_slice()
            }
        };
        let length = self.rewrite(text, buffer)?;
        read(buffer.get(..length)?)
    }

    /// Writes `text` in the default style to the front of `to`, which is as long, and returns how long that is. `None`
    /// if the marks stand where they may not; whether the rest is a number is for the parser to say.
    fn rewrite(&self, text: &[u8], to: &mut [u8]) -> Option<usize> {
        let mut length = 0;
        let mut put = |byte: u8| -> Option<()> {
            *to.get_mut(length)? = byte;
            length += 1;
            Some(())
        };
        let unsigned = match text {
            [sign @ (b'-' | b'+'), unsigned @ ..] => {
                put(*sign)?;
                unsigned
            }
            unsigned => unsigned,
        };
        let in_integer = |byte: &u8| byte.is_ascii_digit() || Some(*byte) == self.thousands;
        let (integer, rest) = unsigned.split_at(unsigned.iter().take_while(|byte| in_integer(byte)).count());
        let mut groups = integer.split(|byte| Some(*byte) == self.thousands);
        let first = groups.next().unwrap_or_default();
        if first.len() < integer.len() && (first.is_empty() || first.len() > 3 || first[0] == b'0') {
            return None;
        }
        first.iter().try_for_each(|&digit| put(digit))?;
        for group in groups {
            if group.len() != 3 {
                return None;
            }
            group.iter().try_for_each(|&digit| put(digit))?;
        }
        let rest = match rest {
            [mark, rest @ ..] if *mark == self.decimal => {
                put(b'.')?;
                rest
            }
            rest => rest,
        };
        if rest.contains(&b'.') {
            return None;
        }
        rest.iter().try_for_each(|&byte| put(byte))?;
        Some(length)
    }
}

#[cfg(test)]
mod tests {
    use super::super::number::{parse_float, parse_integer};
    use super::*;
    use proptest::prelude::*;

    fn float(style: &str, text: &str) -> Option<f64> {
        let style = style.as_bytes();
        NumberStyle::new(style[0], style.get(1).copied()).unwrap().read(text.as_bytes(), parse_float)
    }

    #[test]
    fn groups_have_three_digits_after_the_first() {
        for (text, value) in [
            ("1,234", Some(1234.0)),
            ("-12,345,678.5", Some(-12_345_678.5)),
            ("+999,999e2", Some(99_999_900.0)),
            ("1234567", Some(1_234_567.0)),
            ("0.5", Some(0.5)),
            ("1,23", None),
            ("1,2345", None),
            ("1234,567", None),
            (",123", None),
            ("1,", None),
            ("1,234,", None),
            ("1,,234", None),
            ("1,234.5,6", None),
            ("1.234,567", None),
            ("0,234", None),
            ("01,234", None),
            ("", None),
            ("-", None),
        ] {
            assert_eq!(float(".,", text), value, "{text:?}");
        }
    }

    #[test]
    fn a_decimal_comma_leaves_the_point_to_thousands_or_to_nobody() {
        for (style, text, value) in [
            (",", "1,5", Some(1.5)),
            (",", "-,5", Some(-0.5)),
            (",", "1.5", None),
            (",", "1,5e-3", Some(0.0015)),
            (",", "inf", Some(f64::INFINITY)),
            (",.", "1.234.567,89", Some(1_234_567.89)),
            (",.", "1.5", None),
            (",.", "1,234.5", None),
            (", ", "12 345,6", Some(12_345.6)),
            (".'", "1'000", Some(1000.0)),
        ] {
            assert_eq!(float(style, text), value, "{style} {text:?}");
        }
        let long = format!("{},25", "1".repeat(100));
        assert_eq!(float(",", &long), Some("1".repeat(100).parse().unwrap()));
    }

    #[test]
    fn marks_that_numbers_need_otherwise_are_refused() {
        for (decimal, thousands) in [(b';', None), (b',', Some(b',')), (b'.', Some(b'-')), (b'.', Some(b'5'))] {
            assert_eq!(NumberStyle::new(decimal, thousands).unwrap_err().kind(), ErrorKind::Unsupported);
        }
    }

    proptest! {
        #[test]
        fn grouped_numbers_come_back(value in any::<i64>()) {
            let plain = value.to_string();
            let (sign, digits) = plain.split_at(plain.len() - plain.trim_start_matches('-').len());
            let mut grouped = String::new();
            for (at, digit) in digits.chars().enumerate() {
                if at > 0 && (digits.len() - at) % 3 == 0 {
                    grouped.push('.');
                }
                grouped.push(digit);
            }
            let style = NumberStyle::new(b',', Some(b'.')).unwrap();
            prop_assert_eq!(style.read(format!("{sign}{grouped}").as_bytes(), parse_integer), Some(value));
        }

        #[test]
        fn any_text_is_a_number_or_not_but_no_panic(text in "[-+0-9.,' eEinfa]{0,80}") {
            for style in [",.", ".,", ".'", ", "] {
                float(style, &text);
            }
        }
    }
}
