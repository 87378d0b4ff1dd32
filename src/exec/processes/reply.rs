//! What sinks hand over, on its way between processes: one batch after the other, each with its stage and the part of the
//! sink that it is of. What is too much for a message stands in a file without a name.

use crate::error::{Error, ErrorKind, Result};
use crate::exec::options::RunOptions;
use crate::memory::{Reservation, SpillFile, compact};
use arrow::array::RecordBatch;
use arrow::ipc::CompressionType;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use std::fs::File;
use std::hash::Hasher;
use std::os::unix::fs::FileExt;
use twox_hash::XxHash3_64;

/// More than this goes to the file, and more than this share of the memory.
const MOST_INLINE_BYTES: usize = 1 << 20;
const LEAST_INLINE_BYTES: usize = 64 << 10;
const INLINE_SHARE: usize = 32;
/// What a worker tells of a unit, beside what sinks hold, is usually less.
const META_BYTES: usize = 64 << 10;
/// Stage, part, length and checksum.
const HEAD_BYTES: usize = 4 + 4 + 8 + 8;

/// How much of what is handed over is in the message, where a worker has so much memory.
fn inline_bytes(share_bytes: usize) -> usize {
    (share_bytes / INLINE_SHARE).clamp(LEAST_INLINE_BYTES, MOST_INLINE_BYTES)
}

/// How long the message of a unit usually is, at most.
pub(super) fn message_bytes(share_bytes: usize) -> usize {
    inline_bytes(share_bytes) + META_BYTES
}

/// What a worker sends of a unit.
pub(super) struct Sent {
    /// All but what sinks hold, with the byte before it that says that the unit is done.
    pub(super) meta: Vec<u8>,
    pub(super) inline: Vec<u8>,
    pub(super) file: Option<File>,
}

/// Takes what sinks hand over.
pub(super) struct Outbox {
    bytes: Vec<u8>,
    most_bytes: usize,
    held: Reservation,
    file: SpillFile,
    /// Some is in the file.
    spilled: bool,
}

impl Outbox {
    pub(super) fn new(options: &RunOptions) -> Self {
        let held = options.budget.reservation("what is handed over");
        let most_bytes = inline_bytes(options.budget.limit_bytes());
        Outbox { bytes: Vec::new(), most_bytes, held, file: options.spill.file(), spilled: false }
    }

    /// Takes a batch.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn put(&mut self, stage: u32, part: u32, records: &RecordBatch) -> Result<()> {
        let records = compact(records)?;
        let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME))?;
        let mut bytes = Vec::new();
        let mut writer = StreamWriter::try_new_with_options(&mut bytes, &records.schema(), options)?;
        writer.write(&records)?;
        writer.finish()?;
        drop(writer);
        let mut checksum = XxHash3_64::new();
        checksum.write(&bytes);
        self.bytes.extend(stage.to_le_bytes());
        self.bytes.extend(part.to_le_bytes());
        self.bytes.extend((bytes.len() as u64).to_le_bytes());
        self.bytes.extend(checksum.finish().to_le_bytes());
        self.bytes.extend(bytes);
        if self.bytes.len() > self.most_bytes || self.held.resize(self.bytes.len()).is_err() {
            self.file.append_bytes(&self.bytes)?;
            self.bytes.clear();
            self.spilled = true;
            self.held.resize(0)?;
        }
        Ok(())
    }

    /// What stands behind the file, and the file.
    ///
    /// # Errors
    /// `Io` when there are no more handles.
    pub(super) fn close(self) -> Result<(Vec<u8>, Option<File>)> {
        let file = if self.spilled { self.file.handle()? } else { None };
        Ok((self.bytes, file))
    }
}

/// Gives each batch that was put into an outbox to `take`, with its stage and part.
///
/// # Errors
/// Those of `take`; `Io` when the file is not what was written.
pub(super) fn unpack(
    file: Option<&File>,
    inline: &[u8],
    take: &mut dyn FnMut(usize, u32, RecordBatch) -> Result<()>,
) -> Result<()> {
    if let Some(file) = file {
        let length = file.metadata().map_err(|error| unreadable(&error))?.len();
        let mut at = 0;
        while at < length {
            let mut head = [0; HEAD_BYTES];
            file.read_exact_at(&mut head, at).map_err(|error| unreadable(&error))?;
            let head = Head::of(&head);
            at += HEAD_BYTES as u64;
            if head.bytes > length - at {
                return Err(changed());
            }
            let mut bytes = vec![0; head.bytes as usize];
            file.read_exact_at(&mut bytes, at).map_err(|error| unreadable(&error))?;
            at += head.bytes;
            take(head.stage as usize, head.part, head.batch(&bytes)?)?;
        }
    }
    let mut rest = inline;
    while !rest.is_empty() {
        let (head, behind) = rest.split_first_chunk().ok_or_else(changed)?;
        let head = Head::of(head);
        let length = usize::try_from(head.bytes).unwrap_or(usize::MAX);
        let (bytes, behind) = behind.split_at_checked(length).ok_or_else(changed)?;
        take(head.stage as usize, head.part, head.batch(bytes)?)?;
        rest = behind;
    }
    Ok(())
}

struct Head {
    stage: u32,
    part: u32,
    bytes: u64,
    checksum: u64,
}

impl Head {
    fn of(head: &[u8; HEAD_BYTES]) -> Self {
        let [stage, part] = [0, 4].map(|at| u32::from_le_bytes(std::array::from_fn(|byte| head[at + byte])));
        let [bytes, checksum] = [8, 16].map(|at| u64::from_le_bytes(std::array::from_fn(|byte| head[at + byte])));
        Head { stage, part, bytes, checksum }
    }

    fn batch(&self, bytes: &[u8]) -> Result<RecordBatch> {
        if XxHash3_64::oneshot(bytes) != self.checksum {
            return Err(changed());
        }
        let mut reader = StreamReader::try_new(bytes, None)?;
        Ok(reader.next().ok_or_else(changed)??)
    }
}

fn unreadable(error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("what a worker process has handed over cannot be read: {error}"))
}

fn changed() -> Error {
    Error::new(ErrorKind::Io, "what a worker process has handed over came changed").hint("is the disk failing?")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Budget;
    use arrow::array::{ArrayRef, AsArray, Int64Array};
    use arrow::datatypes::Int64Type;
    use std::sync::Arc;

    fn batch(first: i64) -> RecordBatch {
        // Not compressible, so that much of it is much.
        let values = (first..first + 8192).map(|value| value.wrapping_mul(-7_046_029_254_386_353_131));
        let column: ArrayRef = Arc::new(values.collect::<Int64Array>());
        RecordBatch::try_from_iter([("x", column)]).unwrap()
    }

    #[test]
    fn batches_come_out_as_they_went_in_by_message_and_by_file() {
        for (batches, budget, by_file) in
            [(3, Budget::unlimited(), false), (40, Budget::unlimited(), true), (3, Budget::new(1), true)]
        {
            let options = RunOptions { budget, ..RunOptions::default() };
            let mut outbox = Outbox::new(&options);
            (0..batches).for_each(|at| outbox.put(at % 2, at, &batch(i64::from(at))).unwrap());
            let (inline, file) = outbox.close().unwrap();
            assert_eq!(file.is_some(), by_file);
            let mut came = Vec::new();
            let mut take = |stage: usize, part: u32, records: RecordBatch| {
                assert_eq!(stage as u32, part % 2);
                assert_eq!(records.column(0).as_primitive::<Int64Type>().len(), 8192);
                assert_eq!(records, batch(i64::from(part)));
                came.push(part);
                Ok(())
            };
            unpack(file.as_ref(), &inline, &mut take).unwrap();
            assert_eq!(came, (0..batches).collect::<Vec<_>>());
            if !inline.is_empty() {
                let mut spoiled = inline.clone();
                *spoiled.last_mut().unwrap() ^= 1;
                assert!(unpack(None, &spoiled, &mut |_, _, _| Ok(())).is_err());
                assert!(unpack(None, &inline[..inline.len() - 1], &mut |_, _, _| Ok(())).is_err());
            }
        }
    }
}
