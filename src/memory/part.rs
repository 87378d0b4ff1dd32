//! A part of some rows: in memory, on disk, or yet to be made.

use super::held::used_bytes;
use super::spill_file::{Block, SpillFile};
use super::to_disk::ToDisk;
use crate::error::Result;
use arrow::array::RecordBatch;
use std::fmt;
use std::sync::Arc;

/// Rows that are made of others whenever they are asked for.
pub(crate) trait MadeRows: fmt::Debug + Send + Sync {
    /// How many.
    fn rows(&self) -> usize;

    /// Bytes of memory that they take while they are made.
    fn loaded_bytes(&self) -> usize;

    /// Makes them.
    ///
    /// # Errors
    /// Those of reading what was spilled.
    fn make(&self) -> Result<RecordBatch>;

    /// The same rows, on disk or made of others that are.
    ///
    /// # Errors
    /// Those of the disk.
    fn on_disk(&self, disk: &mut ToDisk) -> Result<Part>;
}

/// Rows that stand in memory or on disk, or are yet to be made.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    /// In memory.
    Memory(RecordBatch),
    /// On disk.
    Spilled(Arc<SpillFile>, Block),
    /// To be made.
    Made(Arc<dyn MadeRows>),
}

impl Part {
    pub(crate) fn rows(&self) -> usize {
        match self {
            Part::Memory(batch) => batch.num_rows(),
            Part::Spilled(_, block) => block.rows(),
            Part::Made(made) => made.rows(),
        }
    }

    /// Bytes of its rows in memory, and, of what is read back, of what it is stored as.
    pub(crate) fn loaded_bytes(&self) -> usize {
        match self {
            Part::Memory(batch) => used_bytes([batch].into_iter(), true),
            Part::Spilled(_, block) => block.loaded_bytes + block.bytes,
            Part::Made(made) => made.loaded_bytes(),
        }
    }

    /// Bytes of its rows.
    pub(crate) fn rows_bytes(&self) -> usize {
        match self {
            Part::Spilled(_, block) => block.loaded_bytes,
            other => other.loaded_bytes(),
        }
    }

    /// The rows, in memory.
    ///
    /// # Errors
    /// `Io` when they cannot be read back.
    pub(crate) fn load(&self) -> Result<RecordBatch> {
        match self {
            Part::Memory(batch) => Ok(batch.clone()),
            Part::Spilled(file, block) => file.read(block),
            Part::Made(made) => made.make(),
        }
    }
}
