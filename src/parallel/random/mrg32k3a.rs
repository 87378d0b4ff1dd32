//! L'Ecuyer's combined multiple recursive generator ("Good Parameters and Implementations for Combined Multiple Recursive
//! Random Number Generators", 1999), with the seeds and the streams of R's `L'Ecuyer-CMRG`.

use super::generator::BitGenerator;

const MODULI: [u64; 2] = [4_294_967_087, 4_294_944_443];
/// One over (the first modulus + 1).
const UNIT: f64 = 2.328_306_549_295_728e-10;

type Matrix = [[u64; 3]; 3];

/// What takes three successive values to the next three, for each of the two recursions.
const STEPS: [Matrix; 2] = [
    [[0, 1, 0], [0, 0, 1], [MODULI[0] - 810_728, 1_403_580, 0]],
    [[0, 1, 0], [0, 0, 1], [MODULI[1] - 1_370_589, 0, 527_612]],
];

fn times(a: &Matrix, b: &Matrix, modulus: u64) -> Matrix {
    std::array::from_fn(|row| {
        std::array::from_fn(|column| (0..3).fold(0, |sum, at| (sum + a[row][at] * b[at][column] % modulus) % modulus))
    })
}

/// MRG32k3a as R has it under `RNGkind("L'Ecuyer-CMRG")`: draws of 32 bits, and streams 2¹²⁷ draws apart.
///
/// ```
/// use outcrop::parallel::random::Mrg32k3a;
///
/// let mut stream = Mrg32k3a::set_seed(123); // set.seed(123)
/// let task = stream.next_stream(); // parallel::nextRNGStream(.Random.seed)
/// assert_ne!(stream.next_unif(), task.clone().next_unif());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mrg32k3a {
    /// The last three values of each recursion, the oldest first.
    state: [[u64; 3]; 2],
}

impl Mrg32k3a {
    /// The generator after R's `set.seed(seed)`.
    pub fn set_seed(seed: i32) -> Self {
        let mut word = seed as u32;
        let mut next = || {
            word = word.wrapping_mul(69069).wrapping_add(1);
            word
        };
        for _ in 0..50 {
            next();
        }
        let mut value = || loop {
            let word = u64::from(next());
            if word < MODULI[1] {
                return word;
            }
        };
        let state = std::array::from_fn(|_| std::array::from_fn(|_| value()));
        Mrg32k3a { state }
    }

    /// The generator in the state of six words, as R's `.Random.seed[-1]` shows them; `None` for words that are no state.
    pub fn from_state(words: [i32; 6]) -> Option<Self> {
        let word = |at: usize| u64::from(words[at] as u32);
        let state: [[u64; 3]; 2] = std::array::from_fn(|part| std::array::from_fn(|at| word(3 * part + at)));
        let valid = state
            .iter()
            .zip(MODULI)
            .all(|(part, modulus)| part.iter().all(|value| *value < modulus) && part.iter().any(|value| *value > 0));
        valid.then_some(Mrg32k3a { state })
    }

    /// The state as R shows it.
    pub fn state(&self) -> [i32; 6] {
        std::array::from_fn(|at| self.state[at / 3][at % 3] as u32 as i32)
    }

    /// The generator 2¹²⁷ draws further: R's `nextRNGStream`.
    #[must_use]
    pub fn next_stream(&self) -> Self {
        self.further(127)
    }

    /// The generator 2⁷⁶ draws further: R's `nextRNGSubStream`.
    #[must_use]
    pub fn next_substream(&self) -> Self {
        self.further(76)
    }

    fn further(&self, doublings: usize) -> Self {
        let state = std::array::from_fn(|part| {
            let modulus = MODULI[part];
            let jump = (0..doublings).fold(STEPS[part], |power, _| times(&power, &power, modulus));
            std::array::from_fn(|row| {
                (0..3).fold(0, |sum, at| (sum + jump[row][at] * self.state[part][at] % modulus) % modulus)
            })
        });
        Mrg32k3a { state }
    }

    fn next_value(&mut self) -> u64 {
        for ((part, step), modulus) in self.state.iter_mut().zip(&STEPS).zip(MODULI) {
            let last = &step[2];
            let next = (0..3).fold(0, |sum, at| (sum + last[at] * part[at]) % modulus);
            *part = [part[1], part[2], next];
        }
        let (first, second) = (self.state[0][2], self.state[1][2]);
        if first > second { first - second } else { first + MODULI[0] - second }
    }

    /// The next double in (0, 1), R's `runif(1)`.
    pub fn next_unif(&mut self) -> f64 {
        self.next_value() as f64 * UNIT
    }
}

impl BitGenerator for Mrg32k3a {
    fn next_u64(&mut self) -> u64 {
        u64::from(self.next_u32()) << 32 | u64::from(self.next_u32())
    }

    /// The next value less one: of the 2³² words, the last 209 never come.
    fn next_u32(&mut self) -> u32 {
        (self.next_value() - 1) as u32
    }
}
