//! Random streams: the same numbers for the same task, wherever it runs, and those of NumPy and R.
//!
//! **Problem.** A simulation in parallel needs a stream for each task that neither overlaps with the others nor depends
//! on which worker runs what; and who moves over from NumPy or R wants the numbers of old results back.
//! **Idea.** Bit generators and seeds as NumPy has them ([`SeedSequence`], [`Pcg64`], [`Pcg64Dxsm`], [`Mt19937`]) and as R's
//! `parallel` has them ([`Mrg32k3a`]), each with a way to a stream far away: `spawn`, `jumped`, `next_stream`. [`Random`] draws
//! from distributions as NumPy's `Generator` does.
//! **Invariants.** A stream is a function of its seed and of the number of its jumps alone. Draws are NumPy's, bit for bit,
//! as far as `exp`, `ln` and `powf` of the platform are those of NumPy's (the C library's).

mod distributions;
mod generator;
mod layers;
mod mrg32k3a;
mod mt19937;
mod pcg64;
mod seed;
#[cfg(test)]
mod tests;
mod ziggurat;

pub use distributions::Random;
pub use generator::BitGenerator;
pub use mrg32k3a::Mrg32k3a;
pub use mt19937::Mt19937;
pub use pcg64::{Pcg64, Pcg64Dxsm};
pub use seed::SeedSequence;
