//! Which columns are encrypted, in a file whose footer is not.
//!
//! The `parquet` crate, built without decryption, passes over what a footer says of keys, and reads the encrypted
//! pages as damage. So the footer, in Thrift's compact protocol, is walked here for that alone: of the first row
//! group, which column chunks have `crypto_metadata`. Writers encrypt a column in all row groups or in none.

/// How deep structures may lie in one another.
const MAX_DEPTH: usize = 32;

/// The leaves that are encrypted, ascending. `None` when the footer cannot be walked.
pub(super) fn encrypted_leaves(footer: &[u8]) -> Option<Vec<usize>> {
    /// Field of `FileMetaData`: a list of `RowGroup`.
    const ROW_GROUPS: i16 = 4;
    /// Field of `RowGroup`: a list of `ColumnChunk`.
    const COLUMNS: i16 = 1;
    /// Field of `ColumnChunk`.
    const CRYPTO_METADATA: i16 = 8;
    let mut walk = Walk { rest: footer };
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

/// What is still to be walked.
struct Walk<'a> {
    rest: &'a [u8],
}

impl Walk<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn pass(&mut self, bytes: u64) -> Option<()> {
        self.rest = self.rest.get(usize::try_from(bytes).ok()?..)?;
        Some(())
    }

    /// Identifier and type of the next field of a structure, the inner `None` at its end.
    fn field(&mut self, last: &mut i16) -> Option<Option<(i16, u8)>> {
        let head = self.byte()?;
        if head == 0 {
            return Some(None);
        }
        *last = match i16::from(head >> 4) {
            0 => {
                let zigzag = self.number()?;
                i16::try_from((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64)).ok()?
            }
            step => last.checked_add(step)?,
        };
        Some(Some((*last, head & 0x0F)))
    }

    /// Goes to the value of a field of this structure; false when it has none.
    fn find(&mut self, wanted: i16) -> Option<bool> {
        let mut last = 0;
        while let Some((id, kind)) = self.field(&mut last)? {
            if id == wanted {
                return Some(true);
            }
            self.skip(kind, 0)?;
        }
        Some(false)
    }

    /// Type and number of the elements of a list.
    fn list(&mut self) -> Option<(u8, u64)> {
        let head = self.byte()?;
        let count = if head >> 4 == 15 { self.number()? } else { u64::from(head >> 4) };
        Some((head & 0x0F, count))
    }

    fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        match kind {
            // True and false, which are in the type.
            1 | 2 => Some(()),
            3 => self.pass(1),
            4..=6 => self.number().map(drop),
            7 => self.pass(8),
            8 => {
                let length = self.number()?;
                self.pass(length)
            }
            9 | 10 => {
                let (kind, count) = self.list()?;
                (0..count).try_for_each(|_| self.skip_element(kind, depth + 1))
            }
            11 => {
                let count = self.number()?;
                if count == 0 {
                    return Some(());
                }
                let kinds = self.byte()?;
                (0..count).try_for_each(|_| {
                    self.skip_element(kinds >> 4, depth + 1)?;
                    self.skip_element(kinds & 0x0F, depth + 1)
                })
            }
            12 => {
                let mut last = 0;
                while let Some((_, kind)) = self.field(&mut last)? {
                    self.skip(kind, depth + 1)?;
                }
                Some(())
            }
            _ => None,
        }
    }

    /// In lists, truth values take a byte each; so every element takes one, and a claimed number of them ends with
    /// the bytes.
    fn skip_element(&mut self, kind: u8, depth: usize) -> Option<()> {
        if matches!(kind, 1 | 2) { self.pass(1) } else { self.skip(kind, depth) }
    }
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
