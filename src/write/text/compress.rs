//! A chunk of text as a compressed unit of its own: a gzip member, a zstd frame, a bzip2, xz or lz4 stream. Units one
//! after the other are a file that every tool reads, and that can be read in parallel.

use super::super::options::{Codec, Compression};
use crate::error::{Error, ErrorKind, Result};
use std::io::{self, Write};

/// The text compressed.
///
/// # Errors
/// `Unsupported` for a method that is not for text.
pub(crate) fn compress(text: Vec<u8>, compression: Compression) -> Result<Vec<u8>> {
    let level = |default: u32| compression.level.unwrap_or(default);
    let room = text.len() / 4;
    let written = match compression.codec {
        Codec::None => Ok(text),
        Codec::Gzip => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::with_capacity(room), flate2::Compression::new(level(6)));
            encoder.write_all(&text).and_then(|()| encoder.finish())
        }
        Codec::Bzip2 => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::with_capacity(room), bzip2::Compression::new(level(9)));
            encoder.write_all(&text).and_then(|()| encoder.finish())
        }
        Codec::Zstd => zstd_frame(&text, level(3)),
        Codec::Xz => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::with_capacity(room), level(6));
            encoder.write_all(&text).and_then(|()| encoder.finish())
        }
        Codec::Lz4 => {
            let mut info = lz4_flex::frame::FrameInfo::new();
            info.content_checksum = true;
            info.content_size = Some(text.len() as u64);
            let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::with_capacity(room));
            encoder.write_all(&text).and_then(|()| encoder.finish().map_err(io::Error::other))
        }
        codec @ (Codec::Snappy | Codec::Brotli) => {
            return Err(Error::new(ErrorKind::Unsupported, format!("text cannot be compressed with {codec}")));
        }
    };
    written.map_err(|error| Error::internal(format!("compressing in memory failed: {error}")))
}

fn zstd_frame(text: &[u8], level: u32) -> io::Result<Vec<u8>> {
    let mut compressor = zstd::bulk::Compressor::new(i32::try_from(level).unwrap_or(3))?;
    compressor.include_checksum(true)?;
    compressor.compress(text)
}
