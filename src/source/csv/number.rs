//! Text to numbers and Booleans, without surrounding spaces.

/// Whether the text is an integer with a leading zero, such as `007`: a code rather than a number, unless the user
/// declared the column to be numeric.
pub fn has_leading_zero(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    matches!(digits, [b'0', _, ..]) && digits.iter().all(u8::is_ascii_digit)
}

/// An integer: optional sign and digits. `None` for anything else or beyond 64 bits.
pub fn parse_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_i64, |value, byte| {
        let digit = i64::from(byte.wrapping_sub(b'0'));
        if digit > 9 {
            return None;
        }
        let tens = value.checked_mul(10)?;
        if negative { tens.checked_sub(digit) } else { tens.checked_add(digit) }
    })
}

/// A double: decimal or exponent form, or `inf`, `infinity` and `nan` in any case, with optional sign; correctly
/// rounded, so that what exceeds the largest double is infinite, as in IEEE 754. `None` for anything else.
pub fn parse_float(text: &[u8]) -> Option<f64> {
    fast_float2::parse(text).ok()
}

/// A double in a column whose type was inferred: [`parse_float`] of what is within the doubles, or is called infinite.
/// The decimal number `1e400` is not; as an infinity it would make a mean useless without a word.
pub(crate) fn parse_inferred_float(text: &[u8]) -> Option<f64> {
    let is_said = || text.iter().any(u8::is_ascii_alphabetic) && !text.iter().any(u8::is_ascii_digit);
    parse_float(text).filter(|value| !value.is_infinite() || is_said())
}

/// Whether the text is not an integer, or one that both a 64-bit integer and a double hold exactly.
pub(super) fn is_exact_double(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return true;
    }
    // Converted to 128 bits, lest the largest integer pass for the power of two that its double is.
    parse_integer(text).is_some_and(|value| i128::from(value) == value as f64 as i128)
}

/// A Boolean in a column that the user declared to be one: besides `true` and `false`, also `t`, `f`, `yes`, `no`, `y`,
/// `n`, `1` and `0`, in any case.
pub fn parse_declared_boolean(text: &[u8]) -> Option<bool> {
    let is_one_of = |words: [&str; 4]| words.iter().any(|word| text.eq_ignore_ascii_case(word.as_bytes()));
    if is_one_of(["t", "yes", "y", "1"]) {
        Some(true)
    } else if is_one_of(["f", "no", "n", "0"]) {
        Some(false)
    } else {
        parse_boolean(text)
    }
}

/// `true` or `false` in any case, the only words that make a column Boolean unasked: `T`, `F`, `Y` and `N` are as often
/// codes, and a column of sexes with nothing but `F` in its samples is no column of falsehoods.
pub fn parse_boolean(text: &[u8]) -> Option<bool> {
    if text.eq_ignore_ascii_case(b"true") {
        Some(true)
    } else if text.eq_ignore_ascii_case(b"false") {
        Some(false)
    } else {
        None
    }
}

/// Sign and magnitude of the integer in `text[start..end]` if it has at most eight digits, no plus, no leading zero
/// unless `zeros` allows them, and lies at least eight bytes before the end of the text. Eight digits are converted at
/// once in a 64-bit word.
#[inline(always)]
pub(super) fn small_integer(text: &[u8], start: usize, end: usize, zeros: bool) -> Option<(bool, u32)> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let negative = *text.get(start)? == b'-';
    let start = start + usize::from(negative);
    let length = end.wrapping_sub(start);
    if length.wrapping_sub(1) > 7 {
        return None;
    }
    let word = u64::from_le_bytes(*text.get(start..)?.first_chunk::<8>()?);
    // The digits to the upper bytes, zeros before them.
    let shift = 64 - 8 * length as u32;
    let digits = (word ^ (0x30 * ONES)) << shift;
    let not_digits = (digits.wrapping_add(0x76 * ONES) | digits) & (0x80 * ONES);
    let leading_zero = length > 1 && word & 0xFF == u64::from(b'0') && !zeros;
    if not_digits != 0 || leading_zero {
        return None;
    }
    let pairs = digits.wrapping_mul(10 * 256 + 1) >> 8 & 0x00FF_00FF_00FF_00FF;
    let fours = pairs.wrapping_mul(100 * 65536 + 1) >> 16 & 0x0000_FFFF_0000_FFFF;
    let value = fours.wrapping_mul((10_000 << 32) + 1) >> 32;
    Some((negative, value as u32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn integers_end_at_64_bits() {
        assert_eq!(parse_integer(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(parse_integer(b"9223372036854775807"), Some(i64::MAX));
        for text in ["9223372036854775808", "-9223372036854775809", "", "-", "+", "1.0", "1e3", " 1", "1_0"] {
            assert_eq!(parse_integer(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn leading_zeros_make_a_code() {
        for (text, code) in [("007", true), ("-01", true), ("0", false), ("0.5", false), ("00.5", false), ("10", false)]
        {
            assert_eq!(has_leading_zero(text.as_bytes()), code, "{text:?}");
        }
    }

    #[test]
    fn booleans_are_words() {
        assert_eq!(parse_boolean(b"TRUE"), Some(true));
        assert_eq!(parse_boolean(b"False"), Some(false));
        assert_eq!(parse_boolean(b"1"), None);
        assert_eq!(parse_boolean(b"t"), None);
        for (words, value) in [(["T", "yes", "Y", "1", "True"], true), (["f", "NO", "n", "0", "FALSE"], false)] {
            assert!(words.iter().all(|word| parse_declared_boolean(word.as_bytes()) == Some(value)));
        }
        assert_eq!(parse_declared_boolean(b"2"), None);
    }

    #[test]
    fn integers_that_doubles_do_not_hold_are_told() {
        for (text, exact) in [
            ("9007199254740992", true),
            ("9007199254740993", false),
            ("-9223372036854775808", true),
            ("9223372036854775807", false),
            ("100000000000000000000", false),
            ("1e30", true),
            ("x", true),
            ("", true),
        ] {
            assert_eq!(is_exact_double(text.as_bytes()), exact, "{text}");
        }
    }

    fn same(a: Option<f64>, b: Option<f64>) -> bool {
        a.map(f64::to_bits) == b.map(f64::to_bits) || matches!((a, b), (Some(a), Some(b)) if a.is_nan() && b.is_nan())
    }

    proptest! {
        #[test]
        fn integers_are_those_of_std(text in "[-+]?[0-9]{0,22}|[-+0-9a. ]{0,5}") {
            prop_assert_eq!(parse_integer(text.as_bytes()), text.parse().ok());
        }

        #[test]
        fn doubles_are_those_of_std(text in "[-+]?[0-9]{0,20}[.]?[0-9]{0,20}([eE][-+]?[0-9]{0,3})?|[-+0-9.eEinfNaty ]{0,9}") {
            prop_assert!(same(parse_float(text.as_bytes()), text.parse().ok()), "{}", text);
        }

        #[test]
        fn written_doubles_come_back(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            for text in [format!("{value}"), format!("{value:e}")] {
                prop_assert!(same(parse_float(text.as_bytes()), Some(value)), "{}", text);
            }
        }

        #[test]
        fn small_integers_are_those_of_the_slow_parser(
            text in "-?[0-9]{0,9}|[ -~]{0,9}|[\u{0}-\u{ff}]{0,4}", after in "[0-9,\n]{8}", zeros: bool
        ) {
            let whole = format!(",{text}{after}");
            let fast = small_integer(whole.as_bytes(), 1, 1 + text.len(), zeros);
            let slow = parse_integer(text.as_bytes());
            let digits = text.strip_prefix('-').unwrap_or(&text);
            let eligible = digits.len() <= 8 && !text.starts_with('+') && (zeros || !has_leading_zero(text.as_bytes()));
            let value = fast.map(|(negative, value)| if negative { -i64::from(value) } else { i64::from(value) });
            prop_assert_eq!(value, slow.filter(|_| eligible));
        }
    }
}
