//! Some rows of a table, the same in every run.

use super::LazyFrame;
use crate::error::{Error, ErrorKind};
use crate::plan::{LogicalPlan, SampleSize};

impl LazyFrame {
    /// `rows` rows drawn uniformly without replacement, or all if there are fewer; they keep their order.
    ///
    /// The rows are those with the smallest hashes of their identities (where they stand in the input) under `seed`: the same
    /// for any threads, partitions and memory.
    ///
    /// ```
    /// use outcrop::scan_csv;
    ///
    /// let air = scan_csv("testdata/airline/*.csv.bz2")?;
    /// let drawn = air.sample(100, 7).collect()?;
    /// assert_eq!(drawn.rows(), 100);
    /// # Ok::<(), outcrop::Error>(())
    /// ```
    #[must_use]
    pub fn sample(&self, rows: usize, seed: u64) -> Self {
        self.then(|input| Ok(LogicalPlan::Sample { input, size: SampleSize::Rows(rows), seed }))
    }

    /// Each row with probability `share`, independently; they keep their order. As [`LazyFrame::sample`], the same rows in
    /// every run, and those of a smaller share are among those of a larger one.
    ///
    /// A `share` that is not from 0 to 1 is a `Type` error.
    #[must_use]
    pub fn sample_fraction(&self, share: f64, seed: u64) -> Self {
        self.then(|input| {
            if !(0.0..=1.0).contains(&share) {
                let message = format!("a sample is a share from 0 to 1 of the rows, and {share} is not");
                return Err(Error::new(ErrorKind::Type, message).hint("sample(rows, seed) draws a number of rows"));
            }
            Ok(LogicalPlan::Sample { input, size: SampleSize::Share(share), seed })
        })
    }
}
