//! The Mersenne Twister (Matsumoto and Nishimura, 1998), seeded as NumPy's `MT19937`, with jumps of 2¹²⁸ draws.
//!
//! A jump applies a polynomial in the step, x^(2^128) modulo the step's characteristic polynomial, to the state
//! (Haramoto, Matsumoto, Nishimura, Panneton, L'Ecuyer: "Efficient Jump Ahead for F2-Linear Random Number Generators", 2008).

use super::generator::BitGenerator;
use super::seed::SeedSequence;

const WORDS: usize = 624;
const MIDDLE: usize = 397;
const UPPER: u32 = 0x8000_0000;

/// Coefficients of x^(2^128) modulo the characteristic polynomial, eight a byte, the lowest first: by Berlekamp and Massey from
/// the lowest bits of successive words, then 128 squarings.
static JUMP: &[u8; 2493] = include_bytes!("mt19937_jump.bin");

/// NumPy's `MT19937`: period 2^19937 − 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mt19937 {
    words: Box<[u32; WORDS]>,
    /// The next word to be drawn; behind the last, all are made anew.
    at: usize,
}

impl Mt19937 {
    /// The generator of a number as seed.
    pub fn new(seed: u128) -> Self {
        Mt19937::from_seed(&SeedSequence::new(seed))
    }

    /// The generator of a seed.
    pub fn from_seed(seed: &SeedSequence) -> Self {
        let mut words = Box::new([0; WORDS]);
        words.copy_from_slice(&seed.generate_u32(WORDS));
        words[0] = UPPER;
        // The last word of the seed is drawn first.
        Mt19937 { words, at: WORDS - 1 }
    }

    /// A copy with a stream of its own, for each of some tasks: `jumps` times 2¹²⁸ steps from here.
    ///
    /// It is where NumPy goes: there the word to be drawn next counts as the oldest, so the stream is not this one 2¹²⁸ draws
    /// later but that of a state which differs from this one, for which the same holds.
    #[must_use]
    pub fn jumped(&self, jumps: u32) -> Self {
        (0..jumps).fold(self.clone(), |generator, _| generator.jumped_once())
    }

    fn jumped_once(&self) -> Self {
        let start = Mt19937 { words: self.words.clone(), at: self.at % WORDS };
        let mut sum = start.clone();
        let is_set = |coefficient: usize| JUMP[coefficient / 8] >> (coefficient % 8) & 1 == 1;
        let highest = (0..JUMP.len() * 8).rev().find(|coefficient| is_set(*coefficient)).unwrap_or(0);
        for coefficient in (0..highest).rev() {
            let at = sum.at;
            sum.renew(at);
            sum.at = (at + 1) % WORDS;
            if is_set(coefficient) {
                for word in 0..WORDS {
                    sum.words[(sum.at + word) % WORDS] ^= start.words[(start.at + word) % WORDS];
                }
            }
        }
        sum
    }

    /// Puts a new word in the place of the one at `at`, the oldest.
    fn renew(&mut self, at: usize) {
        let words = &mut *self.words;
        let both = words[at] & UPPER | words[(at + 1) % WORDS] & !UPPER;
        let twisted = both >> 1 ^ if both & 1 == 1 { 0x9908_b0df } else { 0 };
        words[at] = words[(at + MIDDLE) % WORDS] ^ twisted;
    }
}

fn tempered(mut word: u32) -> u32 {
    word ^= word >> 11;
    word ^= word << 7 & 0x9d2c_5680;
    word ^= word << 15 & 0xefc6_0000;
    word ^ word >> 18
}

impl BitGenerator for Mt19937 {
    fn next_u32(&mut self) -> u32 {
        if self.at == WORDS {
            (0..WORDS).for_each(|at| self.renew(at));
            self.at = 0;
        }
        self.at += 1;
        tempered(self.words[self.at - 1])
    }

    fn next_u64(&mut self) -> u64 {
        u64::from(self.next_u32()) << 32 | u64::from(self.next_u32())
    }

    fn next_double(&mut self) -> f64 {
        let (high, low) = (self.next_u32() >> 5, self.next_u32() >> 6);
        (f64::from(high) * 67_108_864.0 + f64::from(low)) / (1_u64 << 53) as f64
    }
}
