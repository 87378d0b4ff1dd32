//! Random numbers as a source: rows that are drawn when they are read, and never stored.
//!
//! **Problem.** A simulation over more draws than there is memory for must give the same numbers on any number of workers.
//! **Idea.** Rows are cut into *cells* of [`CELL_ROWS`], whatever the workers, and each column has a stream of its own in each
//! cell: NumPy's `PCG64` seeded by `SeedSequence(seed, spawn_key=(column, cell))`, columns and cells counted from 0. So cell 3
//! of the second column of normals is, in NumPy,
//!
//! ```python
//! Generator(PCG64(SeedSequence(seed, spawn_key=(1, 3)))).standard_normal(65_536)
//! ```
//!
//! A cell is a partition; of very many, only some thousand are told beforehand. Columns that nobody asks for are not drawn, which changes nothing for the others.

use super::{Committed, CommittedRows, PartitionId, PartitionInfo, Read, ReadNeeds, Scan, ScanRequest, ScanScratch};
use super::{Source, SourceBatch, Ticket};
use crate::batch::{Batch, RowOrigin};
use crate::error::{Error, ErrorKind, Result};
use crate::parallel::random::{Pcg64, Random, SeedSequence};
use crate::types::ColumnType;
use arrow::array::{ArrayRef, Float64Array, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Rows that have streams of their own.
pub const CELL_ROWS: usize = 1 << 16;
/// More rows would take weeks.
const MOST_ROWS: u64 = 1 << 40;
/// Partitions that are told beforehand, at most.
const MOST_TOLD: u64 = 1 << 12;
/// Rows of a batch: so few that what is computed of them stays in the cache of a core.
const BATCH_ROWS: usize = 1 << 14;

/// A distribution to draw from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distribution {
    /// Normal.
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation, at least 0.
        deviation: f64,
    },
    /// Uniform over [low, high).
    Uniform {
        /// The smallest number.
        low: f64,
        /// What all numbers are below.
        high: f64,
    },
    /// Exponential.
    Exponential {
        /// Mean, at least 0.
        scale: f64,
    },
    /// Gamma.
    Gamma {
        /// Shape, at least 0.
        shape: f64,
        /// Scale, at least 0.
        scale: f64,
    },
}

impl Distribution {
    /// What is wrong with its parameters, if anything.
    fn fault(self) -> Option<&'static str> {
        let all_finite = |all: &[f64]| all.iter().all(|parameter| parameter.is_finite());
        match self {
            Distribution::Normal { mean, deviation } => (!all_finite(&[mean, deviation]) || deviation < 0.0)
                .then_some("a normal distribution has a finite mean and a standard deviation of at least 0"),
            Distribution::Uniform { low, high } => (!all_finite(&[low, high, high - low]) || high < low)
                .then_some("a uniform distribution goes from a finite number to one that is not below"),
            Distribution::Exponential { scale } => (!all_finite(&[scale]) || scale < 0.0)
                .then_some("an exponential distribution has a finite mean of at least 0"),
            Distribution::Gamma { shape, scale } => (!all_finite(&[shape, scale]) || shape < 0.0 || scale < 0.0)
                .then_some("a gamma distribution has a finite shape and scale of at least 0"),
        }
    }

    fn draw(self, random: &mut Random<Pcg64>, rows: usize) -> ArrayRef {
        fn drawn(rows: usize, draw: impl FnMut() -> f64) -> ArrayRef {
            let values: Vec<f64> = std::iter::repeat_with(draw).take(rows).collect();
            Arc::new(Float64Array::from(values))
        }
        match self {
            Distribution::Normal { mean, deviation } => drawn(rows, || random.normal(mean, deviation)),
            Distribution::Uniform { low, high } => drawn(rows, || random.uniform(low, high)),
            Distribution::Exponential { scale } => drawn(rows, || random.exponential(scale)),
            Distribution::Gamma { shape, scale } => drawn(rows, || random.gamma(shape, scale)),
        }
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Distribution::Normal { mean, deviation } => write!(f, "normal({mean}, {deviation})"),
            Distribution::Uniform { low, high } => write!(f, "uniform({low}, {high})"),
            Distribution::Exponential { scale } => write!(f, "exponential({scale})"),
            Distribution::Gamma { shape, scale } => write!(f, "gamma({shape}, {scale})"),
        }
    }
}

/// Rows of independent draws.
#[derive(Clone, Debug)]
pub struct RandomSource {
    schema: SchemaRef,
    columns: Arc<[Distribution]>,
    rows: u64,
    seed: u64,
}

impl RandomSource {
    /// `rows` rows with these columns.
    ///
    /// # Errors
    /// `Type` for parameters that a distribution does not have, `Name` for two columns of one name, `Limit` beyond 2⁴⁸ rows.
    pub fn new(rows: u64, seed: u64, columns: &[(String, Distribution)]) -> Result<Self> {
        for (at, (name, distribution)) in columns.iter().enumerate() {
            if let Some(fault) = distribution.fault() {
                return Err(Error::new(ErrorKind::Type, format!("`{name}` is {distribution}: {fault}")));
            }
            if columns[..at].iter().any(|(other, _)| other == name) {
                return Err(Error::new(ErrorKind::Name, format!("two columns are named `{name}`")));
            }
        }
        if rows > MOST_ROWS {
            let message = format!("{rows} random rows are more than {MOST_ROWS}");
            return Err(Error::new(ErrorKind::Limit, message).hint("ask several sources, each with a seed of its own"));
        }
        let fields: Vec<Field> = columns.iter().map(|(name, _)| Field::new(name, DataType::Float64, true)).collect();
        let columns = columns.iter().map(|(_, distribution)| *distribution).collect();
        Ok(RandomSource { schema: Arc::new(Schema::new(fields)), columns, rows, seed })
    }

    fn cells(&self) -> u64 {
        self.rows.div_ceil(CELL_ROWS as u64)
    }
}

impl Source for RandomSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn describe(&self) -> String {
        format!("random numbers ({} rows, seed {})", self.rows, self.seed)
    }

    fn key(&self) -> String {
        let columns = self.schema.fields().iter().zip(&*self.columns);
        let columns: Vec<String> = columns.map(|(field, own)| format!("{:?} {own}", field.name())).collect();
        format!("random {} {} {}", self.rows, self.seed, columns.join(", "))
    }

    fn files(&self) -> Vec<Arc<str>> {
        vec![Arc::from("random")]
    }

    fn partitions(&self, _piece_bytes: usize) -> Vec<PartitionInfo> {
        (0..self.cells().min(MOST_TOLD))
            .map(|_| PartitionInfo { file: Arc::from("random"), stored_bytes: 0..0 })
            .collect()
    }

    fn scan(&self, request: ScanRequest) -> Result<Box<dyn Scan>> {
        let schema = Arc::new(self.schema.project(&request.columns)?);
        Ok(Box::new(RandomScan { source: self.clone(), schema, columns: request.columns, next: AtomicU64::new(0) }))
    }

    fn widened(&self, _columns: &[(usize, ColumnType)]) -> Option<Arc<dyn Source>> {
        None
    }
}

struct RandomScan {
    source: RandomSource,
    schema: SchemaRef,
    columns: Vec<usize>,
    next: AtomicU64,
}

impl RandomScan {
    fn cell(&self, cell: u64, first: u64, rows: usize) -> Result<Vec<SourceBatch>> {
        let stream = |column: &usize| {
            let key = vec![*column as u32, cell as u32];
            let words = words_of(self.source.seed);
            Random::new(Pcg64::from_seed(&SeedSequence::from_words(words, key)))
        };
        let mut streams: Vec<Random<Pcg64>> = self.columns.iter().map(stream).collect();
        let batch = |start: usize| {
            let rows = BATCH_ROWS.min(rows - start);
            let draw = |(column, random): (&usize, &mut Random<Pcg64>)| self.source.columns[*column].draw(random, rows);
            let arrays = self.columns.iter().zip(&mut streams).map(draw).collect();
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            let records = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)?;
            let origin = RowOrigin::consecutive(first + start as u64);
            Ok(SourceBatch { batch: Batch { records, origin }, misfits: Vec::new(), recoded: Vec::new() })
        };
        (0..rows).step_by(BATCH_ROWS).map(batch).collect()
    }
}

/// The words that NumPy makes of a number as seed: the upper one only if there is something in it.
fn words_of(seed: u64) -> Vec<u32> {
    let upper = (seed >> 32) as u32;
    if upper == 0 { vec![seed as u32] } else { vec![seed as u32, upper] }
}

impl Scan for RandomScan {
    fn needs(&self) -> ReadNeeds {
        let row_bytes = self.columns.len() * size_of::<f64>();
        let all_rows = usize::try_from(self.source.rows).unwrap_or(usize::MAX);
        ReadNeeds {
            rows_bytes: row_bytes * CELL_ROWS.min(all_rows),
            all_rows_bytes: row_bytes.saturating_mul(all_rows),
            ..ReadNeeds::default()
        }
    }

    fn read(&self, _scratch: &mut ScanScratch, _wait: bool) -> Result<Read> {
        let cell = self.next.fetch_add(1, Ordering::Relaxed);
        if cell >= self.source.cells() {
            return Ok(Read::End);
        }
        let first = cell * CELL_ROWS as u64;
        let rows = usize::try_from(self.source.rows - first).map_or(CELL_ROWS, |rest| rest.min(CELL_ROWS));
        let ticket = Ticket { id: PartitionId { file: 0, ordinal: cell }, notes: Box::new(rows as u64), held_bytes: 0 };
        Ok(Read::Partition(ticket, self.cell(cell, first, rows)?))
    }

    fn commit(&self, ticket: Ticket) -> Vec<Committed> {
        let records = ticket.notes.downcast_ref::<u64>().copied().unwrap_or(0);
        vec![Committed { records, ..Committed::new(ticket.id, ticket.id.ordinal, CommittedRows::AsRead) }]
    }

    fn stop_from(&self, _file: u32) {
        self.next.fetch_max(self.source.cells(), Ordering::Relaxed);
    }

    fn progress(&self) -> (u64, u64) {
        (0, 0)
    }

    fn bytes_read(&self) -> u64 {
        0
    }
}
