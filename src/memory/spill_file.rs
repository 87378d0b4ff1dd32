//! Batches on disk.
//!
//! A [`SpillFile`] is appended to in blocks: one batch each, [packed](super::packed), with a checksum.
//! The file has no name, so nothing is left of it however the run ends.

use super::disk::{read_all, write_all};
use super::held::used_bytes;
use super::packed::{decode, encode};
use super::size::ByteSize;
use super::spill::Spill;
use super::temporary::{DIRECTORY_VARIABLE, Unlinked};
use crate::error::{Error, ErrorKind, Result};
use crate::panics::lock;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use std::fs::File;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use twox_hash::XxHash3_64;

/// Where a batch stands in its file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    offset: u64,
    pub(super) bytes: usize,
    checksum: u64,
    rows: usize,
    /// Which of the schemas of its file it has.
    schema: usize,
    /// What its rows take in memory.
    pub(super) loaded_bytes: usize,
}

impl Block {
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }
}

/// Batches on disk, by block. Gives its bytes back when it is dropped.
#[derive(Debug)]
pub(crate) struct SpillFile {
    spill: Spill,
    block_bytes: usize,
    /// The file, once there is one.
    opened: Mutex<Option<Opened>>,
    /// Those of all blocks, each once.
    schemas: Mutex<Vec<SchemaRef>>,
}

#[derive(Debug)]
struct Opened {
    file: Arc<Unlinked>,
    length: u64,
    /// The limit on spilling as it was when the file was made.
    limit_bytes: u64,
}

impl SpillFile {
    pub(super) fn new(spill: Spill, block_bytes: usize) -> Self {
        SpillFile { spill, block_bytes, opened: Mutex::default(), schemas: Mutex::default() }
    }

    /// Of how many rows like these a block is.
    pub(crate) fn block_rows(&self, batch: &RecordBatch) -> usize {
        let row_bytes = used_bytes([batch].into_iter(), true) / batch.num_rows().max(1);
        (self.block_bytes / row_bytes.max(1)).max(1)
    }

    /// Appends a batch.
    ///
    /// # Errors
    /// `Limit` beyond the cap, `Io` when the disk refuses.
    pub(crate) fn append(&self, batch: &RecordBatch) -> Result<Block> {
        self.spill.check()?;
        // Of a slice, only its part of the whole goes to disk.
        let in_rows = used_bytes([batch].into_iter(), false);
        let mut bytes = Vec::with_capacity(in_rows / 2 + 1024);
        let loaded_bytes = in_rows + encode(batch, &mut bytes)?;
        let schema = self.number_of(batch.schema_ref());
        let offset = self.append_bytes(&bytes)?;
        let checksum = XxHash3_64::oneshot(&bytes);
        Ok(Block { offset, bytes: bytes.len(), checksum, rows: batch.num_rows(), schema, loaded_bytes })
    }

    /// The number of a schema.
    fn number_of(&self, schema: &SchemaRef) -> usize {
        let mut known = lock(&self.schemas);
        let found = known.iter().position(|known| Arc::ptr_eq(known, schema) || known == schema);
        found.unwrap_or_else(|| {
            known.push(Arc::clone(schema));
            known.len() - 1
        })
    }

    /// Appends bytes, and tells where they begin.
    ///
    /// # Errors
    /// `Limit` beyond the cap, `Io` when the disk refuses.
    pub(crate) fn append_bytes(&self, bytes: &[u8]) -> Result<u64> {
        self.spill.check()?;
        let mut opened = lock(&self.opened);
        if opened.is_none() {
            let directory = self.spill.account.directory.as_deref();
            let file = Arc::new(Unlinked::create(directory, "what does not fit in memory")?);
            *opened = Some(Opened { file, length: 0, limit_bytes: self.spill.limit()? });
        }
        let Some(Opened { file, length, limit_bytes }) = &mut *opened else {
            return Err(Error::internal("no spill file"));
        };
        self.spill.take(bytes.len() as u64, *limit_bytes, file)?;
        let offset = *length;
        *length += bytes.len() as u64;
        write_all(&*self.spill.account.disk, &file.file, bytes, offset).map_err(|error| self.refused(&error, file))?;
        Ok(offset)
    }

    /// A handle of its own for what has been appended, which does not change the account; none if nothing was.
    ///
    /// # Errors
    /// `Io` when there are no more handles.
    pub(crate) fn handle(&self) -> Result<Option<File>> {
        let opened = lock(&self.opened);
        let handle = opened.as_ref().map(|opened| opened.file.file.try_clone()).transpose();
        handle.map_err(|error| Error::new(ErrorKind::Io, format!("a temporary file cannot be opened: {error}")))
    }

    /// The batch of a block of this file.
    ///
    /// # Errors
    /// `Io` when it cannot be read, or is not what was written.
    pub(crate) fn read(&self, block: &Block) -> Result<RecordBatch> {
        let mut bytes = vec![0; block.bytes];
        self.read_bytes(&mut bytes, block.offset)?;
        if XxHash3_64::oneshot(&bytes) != block.checksum {
            return Err(self.changed(block.offset));
        }
        let schema = lock(&self.schemas).get(block.schema).cloned();
        decode(&bytes, &schema.ok_or_else(|| Error::internal("a block of another file"))?, block.rows)
    }

    /// Fills `into` with the bytes from `offset` on.
    ///
    /// # Errors
    /// `Io` when they cannot be read.
    pub(crate) fn read_bytes(&self, into: &mut [u8], offset: u64) -> Result<()> {
        let file = lock(&self.opened).as_ref().map(|opened| Arc::clone(&opened.file));
        let file = file.ok_or_else(|| Error::internal("a block of a spill file that does not exist"))?;
        read_all(&*self.spill.account.disk, &file.file, into, offset).map_err(|error| {
            Error::new(ErrorKind::Io, format!("what was spilled cannot be read back: {error}"))
                .in_file(&file.directory.display().to_string())
        })
    }

    /// The error for bytes, from `offset` on, that are not those that were written.
    pub(crate) fn changed(&self, offset: u64) -> Error {
        let text = format!("what was spilled came back changed, at byte {offset} of a temporary file");
        let error = Error::new(ErrorKind::Io, text).hint("is the disk failing?");
        match lock(&self.opened).as_ref() {
            Some(opened) => error.in_file(&opened.file.directory.display().to_string()),
            None => error,
        }
    }

    fn refused(&self, error: &io::Error, file: &Unlinked) -> Error {
        let held = self.spill.held_bytes();
        let mut text = format!("spilling stopped at {}: {error}", ByteSize(held));
        if let Some(bytes) = self.spill.expected(held) {
            text +=
                &format!("; about {} are needed if the rest of the input is like what has been read", ByteSize(bytes));
        }
        Error::new(ErrorKind::Io, text)
            .in_file(&file.directory.display().to_string())
            .hint(format!("free some space, name another directory ({DIRECTORY_VARIABLE}), or raise the memory limit"))
    }
}

impl Drop for SpillFile {
    fn drop(&mut self) {
        let opened = self.opened.get_mut().unwrap_or_else(PoisonError::into_inner);
        let length = opened.as_ref().map_or(0, |opened| opened.length);
        self.spill.account.held_bytes.fetch_sub(length, Ordering::Relaxed);
    }
}

/// The batch without what its texts do not use of the buffers behind them.
pub(crate) fn compact(batch: &RecordBatch) -> Result<RecordBatch> {
    let columns = batch.columns().iter().map(crate::batch::compact).collect();
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(batch.schema(), columns, &options)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array, StringViewArray};
    use std::os::unix::fs::FileExt;

    fn batch(rows: i64) -> RecordBatch {
        let numbers: Int64Array = (0..rows).map(|row| (row % 7 != 0).then_some(row)).collect();
        let texts: StringViewArray =
            (0..rows).map(|row| Some(format!("a text longer than a view holds {row}"))).collect();
        RecordBatch::try_from_iter([("n", Arc::new(numbers) as ArrayRef), ("t", Arc::new(texts) as ArrayRef)]).unwrap()
    }

    #[test]
    fn what_is_set_aside_is_not_for_others_until_it_is_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let spill = Spill::new(Some(folder.path().to_owned()), Some(100));
        let file = spill.file();
        let aside = spill.set_aside(60);
        file.append_bytes(&[0; 40]).unwrap();
        assert_eq!(file.append_bytes(&[0; 1]).unwrap_err().kind(), ErrorKind::Limit);
        assert_eq!((spill.held_bytes(), spill.peak_bytes()), (40, 40), "it is not written");
        drop(aside);
        file.append_bytes(&[0; 60]).unwrap();
        assert_eq!(spill.held_bytes(), 100);
    }

    #[test]
    fn blocks_come_back_as_they_went_and_the_account_is_even() {
        let folder = tempfile::tempdir().unwrap();
        let spill = Spill::new(Some(folder.path().to_owned()), None);
        let file = spill.file();
        assert_eq!(spill.held_bytes(), 0);
        let (first, second) = (batch(1000), batch(10));
        let (a, b) = (file.append(&first).unwrap(), file.append(&second.slice(3, 4)).unwrap());
        assert_eq!(file.read(&b).unwrap(), second.slice(3, 4));
        assert_eq!(file.read(&a).unwrap(), first);
        assert_eq!(spill.held_bytes(), (a.bytes + b.bytes) as u64);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the file has no name");
        drop(file);
        assert_eq!((spill.held_bytes(), spill.peak_bytes() > 0), (0, true));
    }

    #[test]
    fn a_slice_of_long_texts_does_not_take_the_whole_buffer_along() {
        let whole = batch(100_000);
        let spill = Spill::default();
        let block = spill.file().append(&whole.slice(0, 10)).unwrap();
        assert!(block.bytes < 4096, "{block:?}");
    }

    #[test]
    fn the_cap_holds_and_says_what_was_needed() {
        let spill = Spill::new(None, Some(2000));
        let file = spill.file();
        file.append(&batch(10)).unwrap();
        let error = file.append(&batch(1000)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit);
        assert!(error.to_string().contains("KiB are needed"), "{error}");
        assert!(spill.held_bytes() <= 2000);
        spill.note_progress((25, 100));
        let block_bytes = Spill::default().file().append(&batch(1000)).unwrap().bytes as u64;
        let expected = ByteSize(4 * (spill.held_bytes() + block_bytes));
        let error = file.append(&batch(1000)).unwrap_err();
        assert!(error.to_string().contains(&format!("needed, about {expected} if the rest")), "{error}");
    }

    #[test]
    fn a_block_that_changed_on_disk_is_an_error() {
        let spill = Spill::default();
        let file = spill.file();
        let block = file.append(&batch(100)).unwrap();
        let opened = file.opened.lock().unwrap().as_ref().unwrap().file.clone();
        opened.file.write_all_at(&[0xff], block.offset + block.bytes as u64 / 2).unwrap();
        let error = file.read(&block).unwrap_err();
        assert!(error.kind() == ErrorKind::Io && error.to_string().contains("changed"), "{error}");
        opened.file.set_len(block.offset + 5).unwrap();
        assert_eq!(file.read(&block).unwrap_err().kind(), ErrorKind::Io);
    }
}
