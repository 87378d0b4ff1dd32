//! Reproducible random numbers: SplitMix64, kept here so that no release of a crate can change the files.

/// A stream of random numbers. (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.)
pub(crate) struct Random(u64);

impl Random {
    /// The stream named by `seed` and `words`; streams of different names are unrelated.
    pub(crate) fn new(seed: u64, words: &[u64]) -> Self {
        let mut random = Random(seed);
        for word in words {
            random.0 = random.next() ^ word;
        }
        random.0 = random.next();
        random
    }

    /// 64 random bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        (((self.next() >> 32) * u64::from(bound)) >> 32) as u32
    }

    /// True `times` times in `of`.
    pub(crate) fn chance(&mut self, times: u32, of: u32) -> bool {
        self.below(of) < times
    }
}

/// A distribution given by its quantiles, drawn by looking up and interpolating: integers only, so that every machine
/// draws the same.
pub(crate) struct Quantiles(Vec<i32>);

impl Quantiles {
    const STEPS: i64 = 1 << 14;

    /// From pairs (share of values below in 1/10,000, value), ascending from 0 to 10,000.
    pub(crate) fn new(points: &[(i64, i32)]) -> Self {
        let mut table = Vec::with_capacity(Self::STEPS as usize);
        let mut segment = 0;
        for step in 0..Self::STEPS {
            while points[segment + 1].0 * Self::STEPS <= step * 10_000 {
                segment += 1;
            }
            let ((below, low), (above, high)) = (points[segment], points[segment + 1]);
            let along = step * 10_000 - below * Self::STEPS;
            let width = (above - below) * Self::STEPS;
            let rise = i64::from(high - low) * along;
            table.push(low + (rise + width / 2).div_euclid(width) as i32);
        }
        Quantiles(table)
    }

    /// One value.
    pub(crate) fn draw(&self, random: &mut Random) -> i32 {
        self.0[random.below(Self::STEPS as u32) as usize]
    }
}
