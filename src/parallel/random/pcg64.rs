//! Permuted congruential generators of 128 bits (O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good
//! Algorithms for Random Number Generation", 2014), seeded and permuted as NumPy's `PCG64` and `PCG64DXSM`.

use super::generator::BitGenerator;
use super::seed::SeedSequence;

/// The multiplier of [`Pcg64`].
const MULTIPLIER: u128 = 0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645;
/// The multiplier of [`Pcg64Dxsm`], also a factor of its permutation.
const CHEAP_MULTIPLIER: u64 = 0xda94_2042_e4dd_58b5;
/// Steps of a jump: 2¹²⁸ divided by the golden ratio, so that no two of some jumps end near each other.
const JUMP: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

/// A sequence of states, each an affine function of the one before, modulo 2¹²⁸.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    state: u128,
    increment: u128,
    multiplier: u128,
}

impl Line {
    fn from_seed(seed: &SeedSequence, multiplier: u128) -> Self {
        let words = seed.generate_u64(4);
        let wide = |at: usize| u128::from(words[at]) << 64 | u128::from(words[at + 1]);
        let increment = wide(2) << 1 | 1;
        // NumPy seeds both kinds by a step with the wide multiplier.
        let mut line = Line { state: increment.wrapping_add(wide(0)), increment, multiplier: MULTIPLIER };
        line.step();
        Line { multiplier, ..line }
    }

    fn step(&mut self) {
        self.state = self.state.wrapping_mul(self.multiplier).wrapping_add(self.increment);
    }

    /// Goes on by `steps`, by squaring the step.
    fn advance(&mut self, mut steps: u128) {
        let (mut factor, mut added) = (self.multiplier, self.increment);
        while steps > 0 {
            if steps & 1 == 1 {
                self.state = self.state.wrapping_mul(factor).wrapping_add(added);
            }
            added = factor.wrapping_add(1).wrapping_mul(added);
            factor = factor.wrapping_mul(factor);
            steps >>= 1;
        }
    }
}

/// The upper half of the last 64 bits, where only the lower was asked for.
type Half = Option<u32>;

fn next_half(half: &mut Half, next: impl FnOnce() -> u64) -> u32 {
    half.take().unwrap_or_else(|| {
        let bits = next();
        *half = Some((bits >> 32) as u32);
        bits as u32
    })
}

macro_rules! jumps {
    ($generator:ident, $multiplier:expr) => {
        impl $generator {
            /// The generator of a number as seed.
            pub fn new(seed: u128) -> Self {
                $generator::from_seed(&SeedSequence::new(seed))
            }

            /// The generator of a seed.
            pub fn from_seed(seed: &SeedSequence) -> Self {
                $generator { line: Line::from_seed(seed, $multiplier), half: None }
            }

            /// A copy that is `jumps` times about 0.618 · 2¹²⁸ draws further: a stream of its own for each of some tasks.
            #[must_use]
            pub fn jumped(&self, jumps: u128) -> Self {
                let mut jumped = $generator { line: self.line.clone(), half: None };
                jumped.line.advance(JUMP.wrapping_mul(jumps));
                jumped
            }
        }
    };
}

/// NumPy's `PCG64`: period 2¹²⁸, output XSL-RR.
///
/// ```
/// use outcrop::parallel::random::{Pcg64, Random};
///
/// let mut random = Random::new(Pcg64::new(1));
/// assert_eq!(random.random(), 0.5118216247002567);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pcg64 {
    line: Line,
    half: Half,
}

jumps!(Pcg64, MULTIPLIER);

impl BitGenerator for Pcg64 {
    fn next_u64(&mut self) -> u64 {
        self.line.step();
        let state = self.line.state;
        ((state >> 64) as u64 ^ state as u64).rotate_right((state >> 122) as u32)
    }

    fn next_u32(&mut self) -> u32 {
        let mut half = self.half.take();
        let bits = next_half(&mut half, || self.next_u64());
        self.half = half;
        bits
    }
}

/// NumPy's `PCG64DXSM`: period 2¹²⁸, a cheaper step and a stronger permutation than [`Pcg64`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pcg64Dxsm {
    line: Line,
    half: Half,
}

jumps!(Pcg64Dxsm, CHEAP_MULTIPLIER as u128);

impl BitGenerator for Pcg64Dxsm {
    fn next_u64(&mut self) -> u64 {
        let state = self.line.state;
        self.line.step();
        let mut bits = (state >> 64) as u64;
        bits = (bits ^ bits >> 32).wrapping_mul(CHEAP_MULTIPLIER);
        (bits ^ bits >> 48).wrapping_mul(state as u64 | 1)
    }

    fn next_u32(&mut self) -> u32 {
        let mut half = self.half.take();
        let bits = next_half(&mut half, || self.next_u64());
        self.half = half;
        bits
    }
}
