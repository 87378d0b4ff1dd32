//! What is known of the pieces of text files before they are read.

use crate::source::PartitionInfo;
use crate::source::decompress::{Format as Compression, TextFile};
use std::sync::Arc;

/// The files as the one line that `explain` shows.
pub(in crate::source) fn described<'a>(mut files: impl ExactSizeIterator<Item = &'a TextFile>) -> String {
    let count = files.len();
    match (files.next(), files.last()) {
        (Some(first), Some(last)) => format!("{count} files, {} … {}", first.input().name(), last.input().name()),
        (Some(only), None) => only.input().name().to_string(),
        (None, _) => "no files".to_owned(),
    }
}

/// The pieces of `piece_bytes` of text that the files will be read in, as far as that can be told.
pub(in crate::source) fn partitions<'a>(
    files: impl Iterator<Item = &'a TextFile>,
    piece_bytes: usize,
) -> Vec<PartitionInfo> {
    let mut partitions = Vec::new();
    for text in files {
        let input = text.input();
        // Text compressed by bzip2 is some five times as long as it is stored; the others inflate from the front, and
        // which of them have units that stand alone is seen when they are read.
        let length = input.known_length().unwrap_or(1);
        let step = match text.format() {
            _ if !text.is_seekable() => length.max(1),
            Compression::Plain => piece_bytes as u64,
            Compression::Bzip2 => (900_000 / 5) as u64,
            Compression::Gzip | Compression::Zstd | Compression::Xz | Compression::Lz4 => length.max(1),
        };
        let starts = (0..length).step_by(usize::try_from(step.max(1)).unwrap_or(usize::MAX));
        partitions.extend(starts.map(|start| PartitionInfo {
            file: Arc::clone(input.name()),
            stored_bytes: start..(start + step).min(length),
        }));
    }
    partitions
}
