//! What decoders take in memory: for a file by its first bytes, and beyond that from the account of the run.

use super::format::Format;
use super::stored_reader::READ_BYTES;
use super::zstd::window_bytes;
use crate::memory::{Budget, ByteSize, Reservation};
use std::io;

/// A decoder of bzip2 blocks, of which some lanes are hardly touched, and the stored bytes of a block.
const BZIP2_BYTES: usize = (12 << 20) + 2_400_000;
/// The stored bytes that a bzip2 file is looked through for blocks: the windows that candidates lie in.
const BZIP2_WINDOWS_BYTES: usize = 3 << 20;
/// Looked through for the next member of a gzip file.
const MEMBER_BYTES: usize = 4 << 20;
/// The state of an inflater and its window.
const INFLATE_BYTES: usize = 96 << 10;
/// Of a zstd decoder, beside the window: its tables, and two blocks.
const ZSTD_BYTES: usize = 640 << 10;
/// Of an xz decoder, beside the dictionary.
const XZ_BYTES: usize = 256 << 10;
/// What an xz decoder that works beside others may take: enough for `xz -8`.
pub(super) const XZ_APART_BYTES: usize = 40 << 20;

/// What reading a compressed file takes beside its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DecoderNeeds {
    /// While the file is open.
    pub(crate) file_bytes: usize,
    /// Of each worker.
    pub(crate) worker_bytes: usize,
}

impl DecoderNeeds {
    /// What a file of this format that begins with `head` needs. Later parts of it may need more, which they ask for.
    pub(super) fn of(format: Format, head: &[u8]) -> Self {
        let sequential = |file_bytes: usize, worker_bytes: usize| DecoderNeeds {
            file_bytes: file_bytes.saturating_add(2 * READ_BYTES),
            worker_bytes,
        };
        match format {
            Format::Plain => DecoderNeeds::default(),
            Format::Bzip2 => DecoderNeeds { file_bytes: BZIP2_WINDOWS_BYTES, worker_bytes: BZIP2_BYTES },
            Format::Gzip => sequential(INFLATE_BYTES + MEMBER_BYTES, INFLATE_BYTES),
            Format::Zstd => {
                let window = usize::try_from(window_bytes(head).unwrap_or(0)).unwrap_or(usize::MAX);
                sequential(window.saturating_add(ZSTD_BYTES), ZSTD_BYTES)
            }
            Format::Xz => {
                let bytes = xz_dictionary_bytes(head).unwrap_or(0).saturating_add(XZ_BYTES);
                sequential(bytes, if bytes <= XZ_APART_BYTES { bytes } else { XZ_BYTES })
            }
            Format::Lz4 => sequential(2 * lz4_block_bytes(head).unwrap_or(4 << 20), 0),
        }
    }

    /// What a file needs that is wrapped in another.
    pub(super) fn and(self, outer: DecoderNeeds) -> Self {
        DecoderNeeds {
            // One thread at a time works on what is outside.
            file_bytes: self.file_bytes.saturating_add(outer.file_bytes).saturating_add(outer.worker_bytes),
            worker_bytes: self.worker_bytes,
        }
    }
}

/// The dictionary of the first block of an xz stream (.xz File Format 1.2, §3.1 and §5.3.1).
fn xz_dictionary_bytes(head: &[u8]) -> Option<usize> {
    const LZMA2: u8 = 0x21;
    let block = head.get(12..)?;
    let (&flags, mut rest) = block.get(1..)?.split_first()?;
    // Two lengths may precede the filters, in groups of seven bits.
    for _ in 0..(flags >> 6 & 1) + (flags >> 7) {
        let length = rest.iter().position(|byte| byte & 0x80 == 0)? + 1;
        rest = rest.get(length..)?;
    }
    // The last filter has the dictionary; filters before it are rare, and have short properties.
    let mut left = (flags & 3) + 1;
    loop {
        let (&[id, properties], after) = rest.split_first_chunk()?;
        left -= 1;
        if id == LZMA2 && left == 0 {
            let bits = u32::from(*after.first()? & 0x3f);
            return match bits {
                0..40 => usize::try_from(u64::from(2 | bits & 1) << (bits / 2 + 11)).ok(),
                _ => Some(u32::MAX as usize),
            };
        }
        rest = after.get(usize::from(properties)..).filter(|_| left > 0)?;
    }
}

/// The longest block of an lz4 frame.
fn lz4_block_bytes(head: &[u8]) -> Option<usize> {
    match head.get(5)? >> 4 {
        size @ 4..=7 => Some(1 << (8 + 2 * size)),
        _ => None,
    }
}

/// The memory of one decoder: what its file is known to need, and more on request.
#[derive(Debug)]
pub(super) struct DecoderMemory {
    known_bytes: usize,
    more: Reservation,
}

impl DecoderMemory {
    pub(super) fn new(known_bytes: usize, budget: &Budget) -> Self {
        DecoderMemory { known_bytes, more: budget.reservation("decompressing") }
    }

    /// What may be taken without asking.
    pub(super) fn known_bytes(&self) -> usize {
        self.known_bytes
    }

    /// Agrees to `bytes` in all for `what`, as in "the zstd frame needs a window of".
    pub(super) fn hold(&mut self, bytes: u64, what: &str) -> io::Result<()> {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.more.resize(bytes.saturating_sub(self.known_bytes)).map_err(|_| {
            let message = format!(
                "{what} {}, and the memory limit of {} leaves no room for it",
                ByteSize(bytes as u64),
                ByteSize(self.more.limit_bytes() as u64)
            );
            io::Error::new(io::ErrorKind::OutOfMemory, message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn needs_are_told_from_the_first_bytes() {
        for (level, dictionary) in [(0, 256 << 10), (6, 8 << 20), (9, 64 << 20)] {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), level);
            encoder.write_all(b"text").unwrap();
            let stored = encoder.finish().unwrap();
            assert_eq!(xz_dictionary_bytes(&stored), Some(dictionary), "level {level}");
        }
        for cut in 0..24 {
            // Whatever is cut, nothing panics.
            xz_dictionary_bytes(&b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46\x02\xc0\xff\xff\xff\xff\x21\x01\x16\0\0\0"[..cut]);
        }
        assert_eq!(lz4_block_bytes(&[0x04, 0x22, 0x4d, 0x18, 0x60, 0x70]), Some(4 << 20));
        let huge = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x88];
        assert!(DecoderNeeds::of(Format::Zstd, &huge).file_bytes > 128 << 20);
    }

    #[test]
    fn more_than_is_known_is_asked_for() {
        let budget = Budget::new(1000);
        let mut memory = DecoderMemory::new(500, &budget);
        memory.hold(500, "needs").unwrap();
        assert_eq!(budget.held_bytes(), 0);
        memory.hold(1500, "needs").unwrap();
        assert_eq!(budget.held_bytes(), 1000);
        let error = memory.hold(1501, "the frame needs").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
        assert!(error.to_string().starts_with("the frame needs 1"), "{error}");
        memory.hold(0, "needs").unwrap();
        assert_eq!(budget.held_bytes(), 0);
    }
}
