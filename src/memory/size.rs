//! Numbers of bytes as people write and read them.

use crate::error::{Error, ErrorKind, Result};
use std::fmt;

/// A number of bytes. Parses `512MiB`, `512M`, `2g`, `1048576`; every unit is a power of 1024.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// The size that `text` says.
    ///
    /// # Errors
    /// `Syntax` when it says none.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            let message = format!("`{text}` is no number of bytes");
            Error::new(ErrorKind::Syntax, message).hint("for example 512MiB, 1.5G or 1048576")
        };
        let text = text.trim();
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let unit = text[digits.len()..].trim_start().to_ascii_lowercase();
        let shift = match unit.trim_end_matches("ib").trim_end_matches('b') {
            "" => 0,
            "k" => 10,
            "m" => 20,
            "g" => 30,
            "t" => 40,
            _ => return Err(wrong()),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let number: u64 = whole.parse().map_err(|_| wrong())?;
        let whole = number.checked_mul(1 << shift).ok_or_else(wrong)?;
        if !part.bytes().all(|digit| digit.is_ascii_digit()) || part.len() > 9 || digits.ends_with('.') {
            return Err(wrong());
        }
        let part: u64 = if part.is_empty() { 0 } else { format!("{part:0<9}").parse().map_err(|_| wrong())? };
        let part = u128::from(part) * (1 << shift) / 1_000_000_000;
        whole.checked_add(part as u64).map(ByteSize).ok_or_else(wrong)
    }
}

impl ByteSize {
    const UNITS: [(u32, &str); 4] = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];

    /// The smallest size, no smaller than this one, that is shown as it is: parsing what is shown gives it back.
    pub(crate) fn rounded_up(self) -> Self {
        let Some((shift, _)) = Self::UNITS.iter().find(|(shift, _)| self.0 >> shift > 0) else { return self };
        let unit = 1_u128 << shift;
        let bytes = |tenths: u128| u64::try_from(tenths * unit / 10).unwrap_or(u64::MAX);
        let tenths = (u128::from(self.0) * 10).div_ceil(unit);
        // Of a tenth, the part of a byte is left out.
        ByteSize(if bytes(tenths) >= self.0 { bytes(tenths) } else { bytes(tenths + 1) })
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::UNITS.iter().find(|(shift, _)| self.0 >> shift > 0) {
            None => write!(f, "{} bytes", self.0),
            Some((shift, unit)) if self.0.trailing_zeros() >= *shift => write!(f, "{} {unit}", self.0 >> shift),
            Some((shift, unit)) => write!(f, "{:.1} {unit}", self.0 as f64 / (1u64 << shift) as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_numbers_of_bytes_with_units() {
        for (text, bytes) in [
            ("17", 17),
            ("2K", 2048),
            ("3MiB", 3 << 20),
            ("1gb", 1 << 30),
            ("2 T", 2 << 40),
            (" 5b ", 5),
            ("1.5G", 3 << 29),
            ("0.5k", 512),
        ] {
            assert_eq!(ByteSize::parse(text).unwrap(), ByteSize(bytes), "{text}");
        }
        for text in ["", "x", "1Q", "-1", "1.G", ".5G", "1.5.5G", "1.-5G", "99999999999999999999", "99999999999999T"] {
            assert_eq!(ByteSize::parse(text).unwrap_err().kind(), ErrorKind::Syntax, "{text}");
        }
    }

    #[test]
    fn what_is_shown_of_a_size_that_was_rounded_up_is_enough() {
        let near = |bytes: u64| (bytes.saturating_sub(3)..bytes + 3).chain([bytes / 10 * 11, bytes / 10 * 13 + 1]);
        for bytes in [(1 << 10) + 3, 1 << 20, 18_454_937, 18_454_938, (1 << 30) - 1, 1 << 30, 7 << 40]
            .map(near)
            .into_iter()
            .flatten()
        {
            let rounded = ByteSize(bytes).rounded_up();
            assert_eq!(ByteSize::parse(&rounded.to_string()).unwrap(), rounded, "{bytes}: {rounded}");
            assert!(rounded.0 >= bytes && rounded.0 <= bytes + bytes / 5 + 2, "{bytes}: {rounded}");
        }
    }

    #[test]
    fn sizes_are_told_in_their_largest_unit() {
        for (bytes, text) in [(0, "0 bytes"), (1023, "1023 bytes"), (512 << 20, "512 MiB"), (1536, "1.5 KiB")] {
            assert_eq!(ByteSize(bytes).to_string(), text);
        }
    }
}
