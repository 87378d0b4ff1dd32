//! Writing a year to a file, compressed or not; a file bears its name only when it is complete.

use crate::flights::{Facts, write_year};
use crate::network::Network;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// How a file is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// As it is.
    Plain,
    /// bzip2, level 9: blocks of 900 kB.
    Bzip2,
    /// gzip, level 6.
    Gzip,
    /// Zstandard, level 3.
    Zstd,
}

impl Format {
    /// The format of this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "csv" => Format::Plain,
            "bz2" => Format::Bzip2,
            "gz" => Format::Gzip,
            "zst" => Format::Zstd,
            _ => return None,
        })
    }

    /// What follows the year in the name of a file.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Format::Plain => ".csv",
            Format::Bzip2 => ".csv.bz2",
            Format::Gzip => ".csv.gz",
            Format::Zstd => ".csv.zst",
        }
    }
}

/// What to write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    /// Decides every random choice.
    pub(crate) seed: u64,
    /// The year.
    pub(crate) year: u32,
    /// Rows.
    pub(crate) rows: u64,
    /// How to store them.
    pub(crate) format: Format,
}

/// Writes one file into `folder`; gives its facts and its stored bytes.
///
/// # Errors
/// Those of the file system.
pub(crate) fn write_file(network: &Network, folder: &Path, order: Order) -> io::Result<(Facts, u64)> {
    let name = format!("{}{}", order.year, order.format.suffix());
    let unfinished = folder.join(format!(".{name}.unfinished"));
    let mut file = BufWriter::with_capacity(1 << 20, File::create(&unfinished)?);
    let facts = write_text(network, order, &mut file)?;
    file.flush()?;
    fs::rename(&unfinished, folder.join(&name))?;
    Ok((facts, fs::metadata(folder.join(&name))?.len()))
}

/// Writes one year, compressed as ordered.
///
/// # Errors
/// Those of `out`.
pub(crate) fn write_text(network: &Network, order: Order, out: &mut dyn Write) -> io::Result<Facts> {
    let Order { seed, year, rows, format } = order;
    match format {
        Format::Plain => write_year(network, seed, year, rows, out),
        Format::Bzip2 => {
            let mut encoder = bzip2::write::BzEncoder::new(out, bzip2::Compression::best());
            let facts = write_year(network, seed, year, rows, &mut encoder)?;
            encoder.finish()?;
            Ok(facts)
        }
        Format::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::default());
            let facts = write_year(network, seed, year, rows, &mut encoder)?;
            encoder.finish()?;
            Ok(facts)
        }
        Format::Zstd => {
            let mut encoder = zstd::Encoder::new(out, 3)?;
            let facts = write_year(network, seed, year, rows, &mut encoder)?;
            encoder.finish()?;
            Ok(facts)
        }
    }
}
