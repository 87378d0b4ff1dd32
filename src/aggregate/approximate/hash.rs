//! Fixed hashes of 64 bits.

use crate::batch::RowId;
use twox_hash::XxHash3_64;

/// A bijection whose every output bit depends on every input bit (the finaliser of SplitMix64, Steele et al. 2014).
#[inline(always)]
pub(super) fn mix(bits: u64) -> u64 {
    let bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

pub(super) fn of_text(text: &str) -> u64 {
    XxHash3_64::oneshot(text.as_bytes())
}

#[inline(always)]
pub(super) fn of_row(row: RowId) -> u64 {
    mix(mix(u64::from(row.copy) << 32 | u64::from(row.file)) ^ row.position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_the_same_everywhere() {
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(of_text(""), 0x2d06_8005_38d3_94c2);
    }

    #[test]
    fn rows_that_a_join_made_of_one_row_are_told_apart() {
        let row = RowId { file: 0, position: 7, copy: 1 };
        assert_ne!(of_row(row), of_row(RowId { copy: 2, ..row }));
        assert_ne!(of_row(row), of_row(RowId { file: 1, copy: 0, ..row }));
    }
}
