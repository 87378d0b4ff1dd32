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
            Error::new(ErrorKind::Syntax, message).hint("for example 512MiB, 2G or 1048576")
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
        let number: u64 = digits.parse().map_err(|_| wrong())?;
        number.checked_mul(1 << shift).map(ByteSize).ok_or_else(wrong)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
        match units.iter().find(|(shift, _)| self.0 >> shift > 0) {
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
        for (text, bytes) in
            [("17", 17), ("2K", 2048), ("3MiB", 3 << 20), ("1gb", 1 << 30), ("2 T", 2 << 40), (" 5b ", 5)]
        {
            assert_eq!(ByteSize::parse(text).unwrap(), ByteSize(bytes), "{text}");
        }
        for text in ["", "x", "1Q", "-1", "1.5G", "99999999999999999999", "99999999999999T"] {
            assert_eq!(ByteSize::parse(text).unwrap_err().kind(), ErrorKind::Syntax, "{text}");
        }
    }

    #[test]
    fn sizes_are_told_in_their_largest_unit() {
        for (bytes, text) in [(0, "0 bytes"), (1023, "1023 bytes"), (512 << 20, "512 MiB"), (1536, "1.5 KiB")] {
            assert_eq!(ByteSize(bytes).to_string(), text);
        }
    }
}
