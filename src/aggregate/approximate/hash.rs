//! Fixed hashes of 64 bits.

pub(super) use crate::batch::hash::{mix, of_row};
use twox_hash::XxHash3_64;

pub(super) fn of_text(text: &str) -> u64 {
    XxHash3_64::oneshot(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_the_same_everywhere() {
        assert_eq!(of_text(""), 0x2d06_8005_38d3_94c2);
    }
}
