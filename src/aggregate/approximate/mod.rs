//! Approximate aggregates: states of bounded size, within a stated bound.
//!
//! **Idea.** All depend on the set of rows alone, so that they are the same to the bit whatever the order, the cut and the
//! merging. Hashes are fixed: the same on every machine, in every run.
//! - `approx_n_unique` keeps, of the hashes of the values, the maxima of HyperLogLog.
//! - `approx_quantile` keeps the values of the rows whose *identities* have the smallest hashes: a random sample that no order
//!   of the values can spoil. (KLL, the usual sketch, needs fewer values for the same bound, but what it keeps depends on the
//!   order of merging, which would have to be a fixed tree over the input for every group.)
//! - `approx_top_k` counts in such a sample.

mod frequent;
mod hash;
mod hyperloglog;
mod n_unique;
mod quantile;
mod sample;
mod summary;

pub use frequent::ApproxFrequent;
pub use n_unique::ApproxDistinctCount;
pub use quantile::ApproxQuantile;
pub use summary::Summary;
