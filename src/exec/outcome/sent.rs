//! What a worker process tells of the files that it has read.
//!
//! Whoever takes it notes what it would have noted had it read them itself: the first in input order counts, whatever order
//! outcomes come in.

use super::{FirstMisfit, PassOutcome, RecodedField, Recodings};
use crate::batch::RowId;
use crate::error::{Error, Place, Result};
use crate::parallel::Message;
use crate::types::ColumnType;
use std::collections::BTreeMap;
use std::sync::Arc;

impl PassOutcome {
    /// Puts it behind the bytes.
    ///
    /// # Errors
    /// None but broken invariants.
    pub(in crate::exec) fn send(&self, bytes: &mut Vec<u8>) -> Result<()> {
        self.stages.len().send(bytes)?;
        for stage in &self.stages {
            stage.failure.send(bytes)?;
            let misfit = |((column, wider), misfit): (&(usize, ColumnType), &FirstMisfit)| {
                ((*column, *wider), misfit.row, misfit.text.clone(), misfit.place.clone())
            };
            stage.misfits.iter().map(misfit).collect::<Vec<_>>().send(bytes)?;
            pairs(&stage.kept_by_file).send(bytes)?;
        }
        (self.input_error.clone(), self.done.clone()).send(bytes)?;
        let Recodings { count, limited, first, .. } = &self.recodings;
        let field = |field: &RecodedField| (field.row, Arc::clone(&field.column), field.stages.clone());
        (*count, limited.iter().map(field).collect::<Vec<_>>(), pairs(first)).send(bytes)
    }

    /// Takes what a worker process has sent.
    ///
    /// # Errors
    /// `Internal` for other bytes.
    pub(in crate::exec) fn take(&mut self, bytes: &mut &[u8]) -> Result<()> {
        if usize::receive(bytes)? != self.stages.len() {
            return Err(Error::internal("an outcome of another pass"));
        }
        for stage in 0..self.stages.len() {
            if let Some((row, error)) = Option::<(RowId, Error)>::receive(bytes)? {
                self.stages[stage].fail(row, || error, None);
            }
            for (key, row, text, place) in Vec::<((usize, ColumnType), RowId, String, Place)>::receive(bytes)? {
                self.stages[stage].note_first_misfit(key, FirstMisfit { row, text, place });
            }
            for (file, kept) in Vec::<(u32, u64)>::receive(bytes)? {
                self.note_kept(stage, file, kept);
            }
        }
        let (error, done) = <(Option<(u32, Error)>, Vec<u32>)>::receive(bytes)?;
        if let Some((file, error)) = error {
            self.note_input_error(file, error);
        }
        done.into_iter().for_each(|file| self.note_file_done(file));
        let (count, limited, first) = Message::receive(bytes)?;
        self.recodings.take(count, limited, first);
        Ok(())
    }
}

impl Recodings {
    fn take(&mut self, count: u64, limited: Vec<(RowId, Arc<str>, Vec<usize>)>, first: Vec<(usize, (RowId, Place))>) {
        self.count += count;
        let field = |(row, column, stages)| RecodedField { row, column, stages };
        self.limited.extend(limited.into_iter().map(field));
        for (stage, (row, place)) in first {
            if self.first.get(&stage).is_none_or(|(known, _)| row < *known) {
                self.first.insert(stage, (row, place));
            }
        }
    }
}

fn pairs<K: Copy, V: Clone>(map: &BTreeMap<K, V>) -> Vec<(K, V)> {
    map.iter().map(|(key, value)| (*key, value.clone())).collect()
}
