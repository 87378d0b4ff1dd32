//! A simulation of 1,000 replicates, each a task with a random stream of its own: how often a 95 % confidence interval for the
//! mean of 25 exponential draws covers it. The answer is the same on any number of workers.
//!
//! `cargo run --release --example simulation`

use outcrop::Result;
use outcrop::parallel::Tasks;
use outcrop::parallel::random::{Pcg64, Random, SeedSequence};

const REPLICATES: u32 = 1000;
const DRAWS: usize = 25;
/// The 97.5 % quantile of Student's t with 24 degrees of freedom.
const T: f64 = 2.0639;

/// Whether the interval covers the mean, and how wide it is.
fn replicate(seed: &SeedSequence) -> Result<(bool, f64)> {
    let mut random = Random::new(Pcg64::from_seed(seed));
    let draws: Vec<f64> = (0..DRAWS).map(|_| random.standard_exponential()).collect();
    let mean = draws.iter().sum::<f64>() / DRAWS as f64;
    let variance = draws.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>() / (DRAWS - 1) as f64;
    let half = T * (variance / DRAWS as f64).sqrt();
    Ok(((mean - 1.0).abs() <= half, 2.0 * half))
}

fn main() -> Result<()> {
    let seeds = SeedSequence::new(2024).spawn(REPLICATES);
    let mut answers = Vec::new();
    for workers in [1, 2, 7] {
        let results = Tasks::new().workers(workers).map(&seeds, replicate).into_iter().collect::<Result<Vec<_>>>()?;
        let covered = results.iter().filter(|(covers, _)| *covers).count() as f64 / f64::from(REPLICATES);
        let width = results.iter().map(|(_, width)| width).sum::<f64>() / f64::from(REPLICATES);
        println!(
            "{workers} workers: {:.1} % of the intervals cover the mean; their mean width is {width:.4}",
            100.0 * covered
        );
        answers.push((covered, width));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "numbers do not depend on workers");
    Ok(())
}
