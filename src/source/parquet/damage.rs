//! Columns read one by one, once reading them side by side has met damage: which rows are lost, and the others.
//!
//! A row of a column is *lost* when it cannot be read by itself. That depends on the file alone, so that a question
//! fails for a row that it needs and for no other, whatever is read beside it, by whom and in what batches. Lost rows
//! are searched for by halving, in all rows still to be read at once, so that the work does not grow with the number
//! of batches. Two shortcuts bound it: a long stretch of which several rows, evenly spread, are lost is lost, and so is
//! what cannot be read any more after a large number of attempts. Of lists, all rows behind damage are lost: the decoder
//! may pass over damaged ones for ever.

use super::columns::FileReader;
use super::fragments::Fragment;
use super::rows::{count, subtract, take_rows, unite};
use crate::error::{Error, Result};
use crate::source::Misfit;
use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::concat;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use std::ops::Range;
use std::sync::Arc;

/// Rows of a stretch that are tried before all of it counts as lost.
const PROBES: u64 = 8;

/// Readings of some rows that the search of one fragment may take.
const ATTEMPTS: usize = 4000;

/// A column by itself.
pub(super) struct Lone {
    column: usize,
    batch_rows: u64,
    /// Rows still to be decoded: those to be read without the lost ones.
    rows: Vec<Range<u64>>,
    decoder: Option<ParquetRecordBatchReader>,
    /// Decoded and not delivered yet.
    ahead: Option<RecordBatch>,
    /// Stretches of lost rows and why, ascending; `None` until damage was met.
    lost: Option<Vec<(Range<u64>, Error)>>,
    /// Why nothing more is read.
    broken: Option<Error>,
}

impl Lone {
    /// Reads `column` in these rows of a fragment.
    pub(super) fn new(column: usize, rows: Vec<Range<u64>>, batch_rows: u64) -> Self {
        Lone { column, batch_rows, rows, decoder: None, ahead: None, lost: None, broken: None }
    }

    /// The values in the next rows, `rows`, `behind` which others are still to be read. Those that are lost are null,
    /// and each is a misfit.
    pub(super) fn next(
        &mut self,
        reader: &FileReader,
        fragment: &Fragment,
        rows: &[Range<u64>],
        behind: &[Range<u64>],
        misfits: &mut Vec<Misfit>,
    ) -> Result<ArrayRef> {
        if self.lost.is_none() {
            match self.decoded(reader, fragment, count(rows)) {
                Ok(batches) => return self.extract(reader, &batches, 0, misfits),
                Err(why) if reader.is_list(self.column) => {
                    self.lost = Some(
                        unite(rows.to_vec(), behind.to_vec()).into_iter().map(|rows| (rows, why.clone())).collect(),
                    );
                    self.rows.clear();
                }
                Err(_) => self.survey(reader, fragment, unite(rows.to_vec(), behind.to_vec())),
            }
        }
        let mut pieces: Vec<ArrayRef> = Vec::new();
        let mut done = 0;
        for range in rows {
            let lost = self.lost.iter().flatten().filter(|(lost, _)| lost.start < range.end && range.start < lost.end);
            let lost: Vec<(Range<u64>, Error)> =
                lost.map(|(lost, why)| (lost.start.max(range.start)..lost.end.min(range.end), why.clone())).collect();
            let mut at = range.start;
            for (gap, why) in lost {
                self.read(reader, fragment, gap.start - at, done, misfits, &mut pieces)?;
                done += (gap.start - at) as usize;
                let length = (gap.end - gap.start) as usize;
                pieces.push(reader.lost(self.column, done..done + length, &why, misfits));
                done += length;
                at = gap.end;
            }
            self.read(reader, fragment, range.end - at, done, misfits, &mut pieces)?;
            done += (range.end - at) as usize;
        }
        let pieces: Vec<&dyn Array> = pieces.iter().map(AsRef::as_ref).collect();
        Ok(concat(&pieces)?)
    }

    /// Reads rows none of which is lost.
    fn read(
        &mut self,
        reader: &FileReader,
        fragment: &Fragment,
        rows: u64,
        first: usize,
        misfits: &mut Vec<Misfit>,
        pieces: &mut Vec<ArrayRef>,
    ) -> Result<()> {
        if rows == 0 {
            return Ok(());
        }
        let batches = match &self.broken {
            Some(why) => Err(why.clone()),
            None => self.decoded(reader, fragment, rows),
        };
        pieces.push(match batches {
            Ok(batches) => self.extract(reader, &batches, first, misfits)?,
            // Each stretch could be read, and not all of them together: a decoder that failed is not asked again.
            Err(why) => {
                let lost = reader.lost(self.column, first..first + rows as usize, &why, misfits);
                self.broken = Some(why);
                lost
            }
        });
        Ok(())
    }

    fn extract(
        &self,
        reader: &FileReader,
        batches: &[RecordBatch],
        first: usize,
        misfits: &mut Vec<Misfit>,
    ) -> Result<ArrayRef> {
        let mut pieces = Vec::with_capacity(batches.len());
        let mut at = first;
        for batch in batches {
            let converted = reader.extract(self.column, batch)?;
            let own = converted.misfits.into_iter();
            misfits.extend(own.map(|(row, text)| reader.misfit(at + row, self.column, text)));
            at += batch.num_rows();
            pieces.push(converted.array);
        }
        if let [only] = pieces.as_slice() {
            return Ok(Arc::clone(only));
        }
        let pieces: Vec<&dyn Array> = pieces.iter().map(AsRef::as_ref).collect();
        Ok(concat(&pieces)?)
    }

    /// So many rows, in one or more batches.
    fn decoded(&mut self, reader: &FileReader, fragment: &Fragment, rows: u64) -> Result<Vec<RecordBatch>> {
        let mut batches = Vec::new();
        let mut missing = rows as usize;
        while missing > 0 {
            let batch = match self.ahead.take() {
                Some(ahead) => ahead,
                None => {
                    if self.decoder.is_none() {
                        self.decoder =
                            Some(reader.checked_decoder(fragment, self.column, &self.rows, self.batch_rows)?);
                    }
                    let expected = count(&take_rows(&mut self.rows, self.batch_rows));
                    let Some(decoder) = self.decoder.as_mut().filter(|_| expected > 0) else {
                        return Err(Error::internal("more rows are asked for than are to be read"));
                    };
                    reader.decode(fragment, decoder, expected)?
                }
            };
            let own = batch.num_rows().min(missing);
            if own < batch.num_rows() {
                self.ahead = Some(batch.slice(own, batch.num_rows() - own));
            }
            batches.push(batch.slice(0, own));
            missing -= own;
        }
        Ok(batches)
    }

    /// Finds the lost rows among those that have not been delivered.
    fn survey(&mut self, reader: &FileReader, fragment: &Fragment, rows: Vec<Range<u64>>) {
        let column = self.column;
        let mut search =
            Search { reader, fragment, column, batch_rows: self.batch_rows, left: ATTEMPTS, lost: Vec::new() };
        search.narrow(rows.clone());
        let lost: Vec<Range<u64>> = search.lost.iter().map(|(range, _)| range.clone()).collect();
        self.rows = subtract(&rows, &lost);
        self.lost = Some(search.lost);
        (self.decoder, self.ahead) = (None, None);
    }
}

/// The search for lost rows.
struct Search<'a> {
    reader: &'a FileReader,
    fragment: &'a Fragment,
    column: usize,
    batch_rows: u64,
    /// Attempts left.
    left: usize,
    lost: Vec<(Range<u64>, Error)>,
}

impl Search<'_> {
    /// Why these rows cannot all be read, if they cannot.
    fn failure(&mut self, rows: &[Range<u64>]) -> Option<Error> {
        self.left = self.left.saturating_sub(1);
        let mut alone = Lone::new(self.column, rows.to_vec(), self.batch_rows);
        let mut rest = rows.to_vec();
        loop {
            let next = count(&take_rows(&mut rest, self.batch_rows));
            if next == 0 {
                return None;
            }
            if let Err(error) = alone.decoded(self.reader, self.fragment, next) {
                return Some(error);
            }
        }
    }

    fn narrow(&mut self, mut rows: Vec<Range<u64>>) {
        let all = count(&rows);
        if all == 0 {
            return;
        }
        let Some(why) = self.failure(&rows) else { return };
        if all == 1 || self.left == 0 || (all > 2 * PROBES && self.is_lost_throughout(&rows, all)) {
            self.lost.extend(rows.into_iter().map(|range| (range, why.clone())));
            return;
        }
        let first = take_rows(&mut rows, all / 2);
        self.narrow(first);
        self.narrow(rows);
    }

    fn is_lost_throughout(&mut self, rows: &[Range<u64>], all: u64) -> bool {
        (0..PROBES).all(|probe| {
            let mut behind = rows.to_vec();
            take_rows(&mut behind, probe * (all - 1) / (PROBES - 1));
            let one = take_rows(&mut behind, 1);
            self.failure(&one).is_some()
        })
    }
}
