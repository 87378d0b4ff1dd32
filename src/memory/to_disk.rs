//! Parts of a result on their way from memory to disk.

use super::part::Part;
use super::spill::Spill;
use super::spill_file::SpillFile;
use crate::error::Result;
use arrow::array::RecordBatch;
use std::collections::HashMap;
use std::sync::Arc;

/// Puts parts on disk that stay in memory meanwhile. Rows that several parts are made of are written once.
pub(crate) struct ToDisk {
    file: Arc<SpillFile>,
    /// By the columns of the batch: clones share them.
    written: HashMap<Vec<usize>, Part>,
}

impl ToDisk {
    pub(super) fn new(spill: &Spill) -> Self {
        ToDisk { file: Arc::new(spill.file()), written: HashMap::new() }
    }

    /// The same rows on disk, or made of rows on disk.
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) fn part(&mut self, part: &Part) -> Result<Part> {
        match part {
            // Rows without columns take no memory.
            Part::Memory(batch) if batch.num_columns() > 0 => self.batch(batch),
            Part::Made(made) => made.on_disk(self),
            other => Ok(other.clone()),
        }
    }

    /// Rows that are made for this.
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) fn made(&self, batch: &RecordBatch) -> Result<Part> {
        Ok(Part::Spilled(Arc::clone(&self.file), self.file.append(batch)?))
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<Part> {
        let columns: Vec<usize> = batch.columns().iter().map(|column| Arc::as_ptr(column).addr()).collect();
        if let Some(part) = self.written.get(&columns) {
            return Ok(part.clone());
        }
        let part = self.made(batch)?;
        self.written.insert(columns, part.clone());
        Ok(part)
    }
}
