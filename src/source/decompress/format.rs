//! Which compression a file has, told by its first bytes and never by its name.

use crate::error::{Error, ErrorKind, Result};

/// How a text file is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Not compressed.
    Plain,
    /// bzip2, one or more streams.
    Bzip2,
    /// gzip, one or more members.
    Gzip,
    /// Zstandard, one or more frames.
    Zstd,
    /// xz, one or more streams.
    Xz,
    /// lz4, one or more frames.
    Lz4,
}

/// Formats that are recognised in order to refuse them by name, rather than to read them as text.
const REFUSED: [(&[u8], &str); 6] = [
    (b"\x02\x21\x4c\x18", "lz4-compressed in the legacy frame format"),
    (b"LZIP\x01", "lzip-compressed"),
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "a zip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"\x1f\x9d", "compressed by `compress`"),
];

/// Formats that are read, but not as text: what comes through a pipe is looked at too late to choose its reader.
const COLUMNAR: [(&[u8], &str, &str); 3] =
    [(b"PAR1\x15", "Parquet", "parquet"), (b"ARROW1\0", "Arrow IPC", "ipc"), (&[0xFF; 4], "Arrow IPC", "ipc")];

impl Format {
    /// The format of a file that begins with `head`. Thirteen bytes suffice, but where the file begins with frames to be
    /// skipped, which zstd and lz4 share, the one that follows them decides if it is in `head`.
    ///
    /// # Errors
    /// `Unsupported` for a compression or container that is known but not read.
    pub fn detect(head: &[u8]) -> Result<Self> {
        if let Some((_, name, option)) = COLUMNAR.iter().find(|(magic, ..)| head.starts_with(magic)) {
            return Err(Error::new(ErrorKind::Unsupported, format!("the input is {name}, and was to be read as text"))
                .hint(format!(
                    "decompress it first if it is compressed; read it from a pipe with --input-format {option}"
                )));
        }
        let refused = REFUSED.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, name)| *name);
        if let Some(name) = refused.or_else(|| looks_like_lzma(head).then_some("lzma-compressed (.lzma)")) {
            return Err(Error::new(ErrorKind::Unsupported, format!("the file is {name}, which is not supported"))
                .hint("plain text, bzip2, gzip, zstd, xz and lz4 are read"));
        }
        Ok(match head {
            [0x1f, 0x8b, ..] => Format::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Format::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Format::Xz,
            [0x04, 0x22, 0x4d, 0x18, ..] => Format::Lz4,
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => behind_skippable(head),
            _ if looks_like_bzip2(head) => Format::Bzip2,
            _ => Format::Plain,
        })
    }
}

/// The format of a file that begins with a frame to be skipped.
fn behind_skippable(mut head: &[u8]) -> Format {
    while let [0x50..=0x5f, 0x2a, 0x4d, 0x18, length @ ..] = head {
        let next =
            length.split_first_chunk().and_then(|(length, rest)| rest.get(u32::from_le_bytes(*length) as usize..));
        head = next.unwrap_or_default();
    }
    if head.starts_with(b"\x04\x22\x4d\x18") { Format::Lz4 } else { Format::Zstd }
}

/// Whether `head` is the beginning of a `.lzma` file, which has no magic: the usual properties, a dictionary of 2ⁿ or
/// 2ⁿ + 2ⁿ⁻¹ bytes, and a length that is unknown or below 256 GiB. No text begins like that.
fn looks_like_lzma(head: &[u8]) -> bool {
    let Some((&[properties, d0, d1, d2, d3, ref length @ ..], _)) = head.split_first_chunk::<13>() else {
        return false;
    };
    let dictionary_bytes = u32::from_le_bytes([d0, d1, d2, d3]);
    let length = u64::from_le_bytes(*length);
    let is_usual = matches!(dictionary_bytes.count_ones(), 1 | 2)
        && dictionary_bytes >= 1 << 12
        && dictionary_bytes.leading_zeros() + dictionary_bytes.trailing_zeros() >= 30;
    properties == 0x5d && is_usual && (length == u64::MAX || length < 1 << 38)
}

/// Whether `head` is a bzip2 stream's beginning, whole, cut, or with up to two damaged bytes: a damaged file must not
/// pass for text. Text such as `BZhang,…` does not.
fn looks_like_bzip2(head: &[u8]) -> bool {
    if head.len() < 10 {
        return head.len() >= 2
            && (0..head.len()).all(|at| at == 3 || head[at] == BLOCK_START[at])
            && head.get(3).is_none_or(|level| (b'1'..=b'9').contains(level));
    }
    [BLOCK_START, EMPTY_STREAM].iter().any(|start| {
        let alike = (0..10).filter(|&at| head[at] == start[at] || (at == 3 && head[3].is_ascii_digit())).count();
        alike >= 8
    })
}

const BLOCK_START: &[u8; 10] = b"BZh91AY&SY";
const EMPTY_STREAM: &[u8; 10] = b"BZh9\x17\x72\x45\x38\x50\x90";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        for (head, format) in [
            (&b""[..], Format::Plain),
            (b"Year,Month", Format::Plain),
            (b"BZhang,Name,x", Format::Plain),
            (b"B", Format::Plain),
            (b"PAR1,PAR2", Format::Plain),
            (b"BZ", Format::Bzip2),
            (b"BZh1", Format::Bzip2),
            (b"BZh1\x31\x41", Format::Bzip2),
            (b"BZh1\x31\x41\x59\x26\x53\x59\0\0", Format::Bzip2),
            (b"BZh1\x17\x72\x45\x38\x50\x90\0\0", Format::Bzip2),
            (b"\x1f\x8b\x08", Format::Gzip),
            (b"\x28\xb5\x2f\xfd", Format::Zstd),
            (b"\x51\x2a\x4d\x18", Format::Zstd),
            (b"\x51\x2a\x4d\x18\x02\0\0\0..\x28\xb5\x2f\xfd", Format::Zstd),
            (b"\x51\x2a\x4d\x18\x02\0\0\0..\x50\x2a\x4d\x18\0\0\0\0\x04\x22\x4d\x18", Format::Lz4),
            (b"\x04\x22\x4d\x18", Format::Lz4),
            (b"\xfd7zXZ\0", Format::Xz),
            (b"\xfd7zXZ", Format::Plain),
            (b"]\0\0\0\0\0\0\0\0\0\0\0\0", Format::Plain),
        ] {
            assert_eq!(Format::detect(head).unwrap(), format, "{head:?}");
        }
    }

    #[test]
    fn a_bzip2_header_with_a_flipped_bit_is_still_bzip2() {
        for start in [BLOCK_START, EMPTY_STREAM] {
            for bit in 0..80 {
                let mut head = *start;
                head[bit / 8] ^= 0x80 >> (bit % 8);
                assert_eq!(Format::detect(&head).unwrap(), Format::Bzip2, "bit {bit}");
            }
        }
    }

    #[test]
    fn columnar_formats_are_no_text_and_the_hint_says_how_a_pipe_is_read() {
        for (head, option) in [
            (&b"PAR1\x15\x04\x15\0"[..], "--input-format parquet"),
            (b"ARROW1\0\0", "--input-format ipc"),
            (b"\xFF\xFF\xFF\xFF\xA8\0\0\0", "--input-format ipc"),
        ] {
            let error = Format::detect(head).unwrap_err();
            assert!(error.kind() == ErrorKind::Unsupported && error.hint_text().unwrap().contains(option), "{error}");
        }
    }

    #[test]
    fn other_compressions_are_refused_by_name() {
        for (magic, name) in REFUSED {
            let error = Format::detect(magic).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.message().contains(name));
        }
        for lzma in [
            &b"]\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff\0"[..],
            b"]\0\0\x80\0\x10\0\0\0\0\0\0\0",
            b"]\0\0\xc0\0\x10\0\0\0\0\0\0\0",
        ] {
            assert!(Format::detect(lzma).unwrap_err().message().contains("lzma"));
        }
    }
}
