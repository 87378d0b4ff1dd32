//! Seeds: from little entropy to well-mixed states, and from one seed to many.
//!
//! The mixing is that of NumPy's `SeedSequence` (after O'Neill, "Developing a seed_seq Alternative", 2015).

/// Words of the pool that entropy is mixed into.
const POOL_WORDS: usize = 4;

/// A seed that gives states to bit generators and further seeds to tasks. Equal to NumPy's `SeedSequence`.
///
/// ```
/// use outcrop::parallel::random::{Pcg64, Random, SeedSequence};
///
/// let seeds = SeedSequence::new(42).spawn(3);
/// let draws: Vec<f64> = seeds.iter().map(|seed| Random::new(Pcg64::from_seed(seed)).random()).collect();
/// assert!(draws[0] != draws[1] && draws[1] != draws[2]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedSequence {
    entropy: Vec<u32>,
    spawn_key: Vec<u32>,
    children: u32,
    pool: [u32; POOL_WORDS],
}

impl SeedSequence {
    /// The seed of a number.
    pub fn new(entropy: u128) -> Self {
        SeedSequence::from_words(words_of(entropy), Vec::new())
    }

    /// The seed of entropy in 32-bit words, the lowest first, at a place in a tree of spawned seeds.
    pub fn from_words(entropy: Vec<u32>, spawn_key: Vec<u32>) -> Self {
        let mut all = entropy.clone();
        if !spawn_key.is_empty() && all.len() < POOL_WORDS {
            all.resize(POOL_WORDS, 0);
        }
        all.extend(&spawn_key);
        SeedSequence { pool: mixed(&all), entropy, spawn_key, children: 0 }
    }

    /// The next `seeds` seeds below this one; no two calls give the same.
    pub fn spawn(&mut self, seeds: u32) -> Vec<SeedSequence> {
        let first = self.children;
        self.children += seeds;
        (first..self.children).map(|child| self.child(child)).collect()
    }

    /// The seed number `child` below this one: what [`SeedSequence::spawn`] gives as its `child`-th, from 0, without
    /// counting.
    pub fn child(&self, child: u32) -> SeedSequence {
        let mut spawn_key = self.spawn_key.clone();
        spawn_key.push(child);
        SeedSequence::from_words(self.entropy.clone(), spawn_key)
    }

    /// State for a bit generator, in words of 32 bits.
    pub fn generate_u32(&self, words: usize) -> Vec<u32> {
        let mut hash = Hash { constant: 0x8b51_f9dd, factor: 0x58f3_8ded };
        (0..words).map(|word| hash.of(self.pool[word % POOL_WORDS])).collect()
    }

    /// State for a bit generator, in words of 64 bits.
    pub fn generate_u64(&self, words: usize) -> Vec<u64> {
        let halves = self.generate_u32(2 * words);
        halves.chunks_exact(2).map(|pair| u64::from(pair[0]) | u64::from(pair[1]) << 32).collect()
    }
}

/// The 32-bit words of a number, the lowest first, at least one.
fn words_of(mut number: u128) -> Vec<u32> {
    let mut words = vec![number as u32];
    number >>= 32;
    while number > 0 {
        words.push(number as u32);
        number >>= 32;
    }
    words
}

/// A hash whose constant moves on with every word.
struct Hash {
    constant: u32,
    factor: u32,
}

impl Hash {
    fn of(&mut self, word: u32) -> u32 {
        let word = word ^ self.constant;
        self.constant = self.constant.wrapping_mul(self.factor);
        let word = word.wrapping_mul(self.constant);
        word ^ word >> 16
    }
}

fn mix(x: u32, y: u32) -> u32 {
    let mixed = x.wrapping_mul(0xca01_f9dd).wrapping_sub(y.wrapping_mul(0x4973_f715));
    mixed ^ mixed >> 16
}

/// A pool in which each word depends on all of the entropy.
fn mixed(entropy: &[u32]) -> [u32; POOL_WORDS] {
    let mut hash = Hash { constant: 0x43b0_d7e5, factor: 0x931e_8875 };
    let mut pool = [0; POOL_WORDS];
    for (at, word) in pool.iter_mut().enumerate() {
        *word = hash.of(entropy.get(at).copied().unwrap_or(0));
    }
    for from in 0..POOL_WORDS {
        for into in (0..POOL_WORDS).filter(|into| *into != from) {
            pool[into] = mix(pool[into], hash.of(pool[from]));
        }
    }
    for word in entropy.iter().skip(POOL_WORDS) {
        for into in &mut pool {
            *into = mix(*into, hash.of(*word));
        }
    }
    pool
}
