//! Fixed hashes of 64 bits, of numbers and of row identities.

use super::RowId;

/// A bijection whose every output bit depends on every input bit (the finaliser of SplitMix64, Steele et al. 2014).
#[inline(always)]
pub(crate) fn mix(bits: u64) -> u64 {
    let bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The hash of a row.
#[inline(always)]
pub(crate) fn of_row(row: RowId) -> u64 {
    mix(mix(u64::from(row.copy) << 32 | u64::from(row.file)) ^ row.position)
}

/// What hashes of rows are drawn for: one seed gives each of these hashes of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Samples.
    Sample = 1,
    /// Folds.
    Fold = 2,
    /// Random numbers in expressions.
    Random = 3,
    /// Weights of bootstrap replicates.
    Bootstrap = 4,
}

/// Hashes of rows under a seed, unlike those under any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowHash(u64);

impl RowHash {
    /// The hashes under `seed` for `purpose`.
    pub(crate) fn new(seed: u64, purpose: Purpose) -> Self {
        RowHash(mix(mix(seed) ^ purpose as u64))
    }

    /// The hash of a row.
    #[inline(always)]
    pub(crate) fn of(self, row: RowId) -> u64 {
        mix(of_row(row) ^ self.0)
    }
}

/// The double in [0, 1) that the upper 53 bits make.
#[inline(always)]
pub(crate) fn unit_interval(bits: u64) -> f64 {
    (bits >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_the_same_everywhere() {
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn rows_that_a_join_made_of_one_row_are_told_apart() {
        let row = RowId { file: 0, position: 7, copy: 1 };
        assert_ne!(of_row(row), of_row(RowId { copy: 2, ..row }));
        assert_ne!(of_row(row), of_row(RowId { file: 1, copy: 0, ..row }));
    }

    #[test]
    fn seeds_and_purposes_have_hashes_of_their_own() {
        let all = [(7, Purpose::Sample), (7, Purpose::Fold), (8, Purpose::Sample), (7, Purpose::Bootstrap)];
        let mut hashes = all.map(|(seed, purpose)| RowHash::new(seed, purpose).of(RowId::new(0, 3)));
        hashes.sort_unstable();
        assert!(hashes.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
