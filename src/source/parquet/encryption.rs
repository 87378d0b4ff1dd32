//! Which columns are encrypted, in a file whose footer is not.
//!
//! The `parquet` crate, built without decryption, passes over what a footer says of keys, and reads the encrypted
//! pages as damage. So the footer, in Thrift's compact protocol, is walked here for that alone: of the first row
//! group, which column chunks have `crypto_metadata`. Writers encrypt a column in all row groups or in none.

use super::thrift::Walk;

/// The leaves that are encrypted, ascending. `None` when the footer cannot be walked.
pub(super) fn encrypted_leaves(footer: &[u8]) -> Option<Vec<usize>> {
    /// Field of `FileMetaData`: a list of `RowGroup`.
    const ROW_GROUPS: i16 = 4;
    /// Field of `RowGroup`: a list of `ColumnChunk`.
    const COLUMNS: i16 = 1;
    /// Field of `ColumnChunk`.
    const CRYPTO_METADATA: i16 = 8;
    let mut walk = Walk::new(footer);
    let mut encrypted = Vec::new();
    if !walk.find(ROW_GROUPS)? || walk.list()?.1 == 0 || !walk.find(COLUMNS)? {
        return Some(encrypted);
    }
    let (_, columns) = walk.list()?;
    for leaf in 0..columns {
        let mut last = 0;
        let mut has_key = false;
        while let Some((id, kind)) = walk.field(&mut last)? {
            has_key |= id == CRYPTO_METADATA;
            walk.skip(kind, 0)?;
        }
        if has_key {
            encrypted.push(usize::try_from(leaf).ok()?);
        }
    }
    Some(encrypted)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A footer with a row group of these column chunks.
    fn footer(chunks: &[&[u8]]) -> Vec<u8> {
        let mut bytes = vec![0x15, 0x02, 0x19, 0x0C, 0x16, 0x06, 0x19, 0x1C, 0x19, (chunks.len() as u8) << 4 | 0x0C];
        chunks.iter().for_each(|chunk| bytes.extend_from_slice(chunk));
        bytes.extend([0, 0]);
        bytes
    }

    #[test]
    fn chunks_with_a_key_are_found_and_others_are_not() {
        // Field 2, then field 8: a structure that holds another.
        let encrypted = [0x26, 0x08, 0x6C, 0x1C, 0x00, 0x00, 0x00];
        let plain = [0x26, 0x08, 0x1C, 0x00, 0x00];
        assert_eq!(encrypted_leaves(&footer(&[&plain, &encrypted, &plain])), Some(vec![1]));
        assert_eq!(encrypted_leaves(&footer(&[&plain])), Some(vec![]));
        assert_eq!(encrypted_leaves(&[0x15, 0x02, 0x00]), Some(vec![]), "no row groups");
    }

    #[test]
    fn any_bytes_end_in_an_answer() {
        let whole = footer(&[&[0x26, 0x08, 0x6C, 0x1C, 0x00, 0x00, 0x00]]);
        for end in 0..whole.len() {
            let _ = encrypted_leaves(&whole[..end]);
        }
        for byte in 0..=255 {
            let _ = encrypted_leaves(&[byte; 200]);
            for at in 0..whole.len() {
                let mut damaged = whole.clone();
                damaged[at] = byte;
                let _ = encrypted_leaves(&damaged);
            }
        }
    }
}
