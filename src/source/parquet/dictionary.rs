//! What a dictionary page claims to hold, checked before the decoder makes room for it.
//!
//! The `parquet` crate reserves room for as many entries as the header of a dictionary page says, which may be billions
//! in a page of a few bytes; a process that cannot have so much memory ends. No entry takes less than a byte.

use super::chunks::ChunkSource;
use super::thrift::Walk;
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::ChunkReader;

/// Headers of dictionary pages are shorter.
const HEADER_BYTES: u64 = 64;

/// Refuses a chunk whose dictionary claims more entries than bytes.
///
/// # Errors
/// That, and those of reading.
pub(super) fn check_dictionary(chunk: &ColumnChunkMetaData, source: &ChunkSource) -> Result<(), ParquetError> {
    // The dictionary comes first in its chunk.
    let (start, length) = chunk.byte_range();
    let header = source.get_bytes(start, usize::try_from(length.min(HEADER_BYTES))?)?;
    match claims(&header) {
        Some((entries, bytes)) if !(0..=bytes).contains(&entries) => {
            Err(ParquetError::General(format!("a dictionary page claims to hold {entries} entries in {bytes} bytes")))
        }
        _ => Ok(()),
    }
}

/// Entries and bytes that the header of a dictionary page claims; `None` for another page.
fn claims(header: &[u8]) -> Option<(i64, i64)> {
    /// Fields of `PageHeader`, and the type of dictionary pages.
    const TYPE: i16 = 1;
    const UNCOMPRESSED_SIZE: i16 = 2;
    const DICTIONARY: i16 = 7;
    const DICTIONARY_PAGE: i64 = 2;
    /// Field of `DictionaryPageHeader`.
    const VALUES: i16 = 1;
    let mut walk = Walk::new(header);
    let (mut last, mut bytes) = (0, 0);
    while let Some((id, kind)) = walk.field(&mut last)? {
        match id {
            TYPE if walk.signed()? != DICTIONARY_PAGE => return None,
            TYPE => {}
            UNCOMPRESSED_SIZE => bytes = walk.signed()?,
            DICTIONARY => return if walk.find(VALUES)? { Some((walk.signed()?, bytes)) } else { None },
            _ => walk.skip(kind, 0)?,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_claims_of_a_dictionary_page_are_found_and_those_of_others_are_not() {
        // Type 2, 24 and 20 bytes, then 6 values of encoding 0.
        let header = [0x15, 0x04, 0x15, 0x30, 0x15, 0x28, 0x4C, 0x15, 0x0C, 0x15, 0x00, 0x00, 0x00];
        assert_eq!(claims(&header), Some((6, 24)));
        let data_page = [0x15, 0x00, 0x15, 0x30, 0x15, 0x28, 0x2C, 0x15, 0x0C, 0x15, 0x00, 0x00, 0x00];
        assert_eq!(claims(&data_page), None);
        (0..header.len()).for_each(|end| assert!(claims(&header[..end]).is_none_or(|claims| claims == (6, 24))));
    }
}
