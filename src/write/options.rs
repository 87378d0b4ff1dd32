//! What to write and how.

use super::text::Csv;
use crate::error::{Error, ErrorKind, Result, did_you_mean};
use arrow::datatypes::{DataType, Schema};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileFormat {
    /// Fields separated by a byte, with a header; perhaps compressed.
    Csv,
    /// One JSON object a line; perhaps compressed.
    Ndjson,
    /// Apache Parquet.
    Parquet,
    /// An Arrow IPC file, which can be mapped into memory when it is not compressed.
    Ipc,
    /// An Arrow IPC stream, which can be read from a pipe.
    IpcStream,
}

/// A compression method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Not compressed.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
    /// lz4 (frames in text, raw blocks in Parquet).
    Lz4,
    /// Snappy.
    Snappy,
    /// Brotli.
    Brotli,
}

const CODECS: [(Codec, &str); 8] = [
    (Codec::None, "none"),
    (Codec::Gzip, "gzip"),
    (Codec::Zstd, "zstd"),
    (Codec::Bzip2, "bzip2"),
    (Codec::Xz, "xz"),
    (Codec::Lz4, "lz4"),
    (Codec::Snappy, "snappy"),
    (Codec::Brotli, "brotli"),
];

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = CODECS.iter().find(|(codec, _)| codec == self).map_or("none", |(_, name)| name);
        f.write_str(name)
    }
}

/// A compression method, and how hard it is to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Compression {
    /// The method.
    pub codec: Codec,
    /// The method's own level. Default: gzip 6, zstd 3 (in Parquet 1), bzip2 9, xz 6, brotli 1.
    pub level: Option<u32>,
}

impl From<Codec> for Compression {
    fn from(codec: Codec) -> Self {
        Compression { codec, level: None }
    }
}

impl FromStr for Compression {
    type Err = Error;

    /// The name of a method, such as `zstd` or `zstd:9` with a level.
    fn from_str(text: &str) -> Result<Self> {
        let (name, level) = text.split_once(':').map_or((text, None), |(name, level)| (name, Some(level)));
        let short = match name.to_ascii_lowercase().as_str() {
            "gz" => "gzip".to_string(),
            "zst" => "zstd".to_string(),
            "bz2" => "bzip2".to_string(),
            "uncompressed" => "none".to_string(),
            name => name.to_string(),
        };
        let codec = CODECS.iter().find(|(_, known)| *known == short).map(|(codec, _)| *codec).ok_or_else(|| {
            let error = Error::new(ErrorKind::Name, format!("no compression `{name}`"));
            match did_you_mean(&short, CODECS.iter().map(|(_, name)| *name)) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint("compressions are none, gzip, zstd, bzip2, xz, lz4, snappy and brotli"),
            }
        })?;
        let levels = match codec {
            Codec::Gzip | Codec::Xz => Some(0..=9),
            Codec::Zstd => Some(1..=22),
            Codec::Bzip2 => Some(1..=9),
            Codec::Brotli => Some(0..=11),
            Codec::None | Codec::Lz4 | Codec::Snappy => None,
        };
        let level = level.map(|level| {
            let number =
                level.parse().ok().filter(|level| levels.as_ref().is_some_and(|levels| levels.contains(level)));
            number.ok_or_else(|| {
                let error = Error::new(ErrorKind::Name, format!("{codec} has no level {level}"));
                match &levels {
                    None => error.hint(format!("{codec} has no levels")),
                    Some(levels) => error.hint(format!("levels are {} to {}", levels.start(), levels.end())),
                }
            })
        });
        Ok(Compression { codec, level: level.transpose()? })
    }
}

/// Endings of compressed text.
const COMPRESSED: [(&str, Codec); 7] = [
    (".gz", Codec::Gzip),
    (".bz2", Codec::Bzip2),
    (".zst", Codec::Zstd),
    (".zstd", Codec::Zstd),
    (".xz", Codec::Xz),
    (".lz4", Codec::Lz4),
    (".bgz", Codec::Gzip),
];

const FORMATS: [(&str, FileFormat); 11] = [
    (".csv", FileFormat::Csv),
    (".tsv", FileFormat::Csv),
    (".tab", FileFormat::Csv),
    (".ndjson", FileFormat::Ndjson),
    (".jsonl", FileFormat::Ndjson),
    (".parquet", FileFormat::Parquet),
    (".pq", FileFormat::Parquet),
    (".arrow", FileFormat::Ipc),
    (".feather", FileFormat::Ipc),
    (".ipc", FileFormat::Ipc),
    (".arrows", FileFormat::IpcStream),
];

/// A name without the ending of a compression, and that compression.
pub(crate) fn without_compression(name: &str) -> (&str, Option<Codec>) {
    let lower = name.to_ascii_lowercase();
    let found = COMPRESSED.iter().find(|(ending, _)| lower.ends_with(ending));
    found.map_or((name, None), |(ending, codec)| (&name[..name.len() - ending.len()], Some(*codec)))
}

/// How rows are written.
#[derive(Clone, Debug)]
pub struct WriteOptions {
    pub(super) format: FileFormat,
    pub(super) compression: Option<Compression>,
    pub(super) delimiter: u8,
    pub(super) null: String,
    pub(super) partition_by: Vec<String>,
    pub(super) overwrite: bool,
    pub(super) bloom_filters: Vec<String>,
    pub(super) row_group_rows: usize,
    pub(super) sync: Option<bool>,
    pub(super) partition_buffer_bytes: u64,
}

impl WriteOptions {
    /// Default options for a format.
    pub fn new(format: FileFormat) -> Self {
        WriteOptions {
            format,
            compression: None,
            delimiter: b',',
            null: String::new(),
            partition_by: Vec::new(),
            overwrite: false,
            bloom_filters: Vec::new(),
            row_group_rows: 128 << 10,
            sync: None,
            partition_buffer_bytes: 256 << 20,
        }
    }

    /// The options that the name of a file suggests: `.csv`, `.tsv`, `.ndjson`, `.parquet`, `.arrow` and the like, and
    /// for text a second ending such as `.gz` or `.zst`. `None` for other names.
    pub fn of_file_name(path: impl AsRef<Path>) -> Option<Self> {
        let name = path.as_ref().file_name()?.to_str()?.to_ascii_lowercase();
        let (bare, codec) = without_compression(&name);
        let (ending, format) = FORMATS.iter().find(|(ending, _)| bare.ends_with(ending))?;
        let text = matches!(format, FileFormat::Csv | FileFormat::Ndjson);
        if codec.is_some() && !text {
            return None;
        }
        let delimiter = if [".tsv", ".tab"].contains(ending) { b'\t' } else { b',' };
        Some(WriteOptions { compression: codec.map(Compression::from), delimiter, ..WriteOptions::new(*format) })
    }

    /// How the file, or what is in it, is compressed. Default: text as its name says or not, Parquet zstd, Arrow not.
    #[must_use]
    pub fn compression(mut self, compression: impl Into<Compression>) -> Self {
        self.compression = Some(compression.into());
        self
    }

    /// CSV: the byte between fields. Default a comma, or a tab for `.tsv`.
    #[must_use]
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.delimiter = delimiter;
        self
    }

    /// CSV: what stands for a missing value; a text that is equal is quoted. Default nothing.
    #[must_use]
    pub fn null(mut self, text: impl Into<String>) -> Self {
        self.null = text.into();
        self
    }

    /// Writes a folder of files: `Year=2001/part-0.parquet` for `partition_by(["Year"])`. The columns named are in the
    /// names of the folders and not in the files. Default: one file.
    #[must_use]
    pub fn partition_by<T: Into<String>>(mut self, columns: impl IntoIterator<Item = T>) -> Self {
        self.partition_by = columns.into_iter().map(Into::into).collect();
        self
    }

    /// Whether a folder that is not empty may be replaced, with all that is in it. Default false. (A file always is.)
    #[must_use]
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }

    /// Parquet: columns that get a Bloom filter, so that a search for one value need not read every row group. Default
    /// none.
    #[must_use]
    pub fn bloom_filters<T: Into<String>>(mut self, columns: impl IntoIterator<Item = T>) -> Self {
        self.bloom_filters = columns.into_iter().map(Into::into).collect();
        self
    }

    /// Parquet: rows in a row group, or fewer if they hold more than 64 MiB. Default 131,072.
    #[must_use]
    pub fn row_group_rows(mut self, rows: usize) -> Self {
        self.row_group_rows = rows.max(1);
        self
    }

    /// Partitioned: when the rows taken since the last time hold so many bytes, counted with 48 bytes a row for keeping
    /// them apart, all that are not yet written are. So this is about the memory that rows wait in, however many folders
    /// there are. More bytes make larger row groups where there are many. At most 100 files are open at a time; text is
    /// appended to a file that had to be closed, other formats begin `part-1`. Default 256 MiB.
    #[must_use]
    pub fn partition_buffer_bytes(mut self, bytes: u64) -> Self {
        self.partition_buffer_bytes = bytes.max(1);
        self
    }

    /// Whether to wait until what is written is on the disk before it gets its name, so that not even a power cut
    /// leaves half of it there. Default: a file yes, a folder no, since it may hold thousands of files.
    #[must_use]
    pub fn sync(mut self, sync: bool) -> Self {
        self.sync = Some(sync);
        self
    }

    pub(super) fn syncs(&self) -> bool {
        self.sync.unwrap_or(self.partition_by.is_empty())
    }

    /// The format.
    pub fn format(&self) -> FileFormat {
        self.format
    }

    /// The compression in effect.
    pub(super) fn codec(&self) -> Compression {
        self.compression.unwrap_or_else(|| match self.format {
            FileFormat::Parquet => Codec::Zstd.into(),
            _ => Codec::None.into(),
        })
    }

    /// The ending of files in folders.
    pub(super) fn ending(&self) -> String {
        let format = match self.format {
            FileFormat::Csv if self.delimiter == b'\t' => ".tsv",
            FileFormat::Csv => ".csv",
            FileFormat::Ndjson => ".ndjson",
            FileFormat::Parquet => ".parquet",
            FileFormat::Ipc => ".arrow",
            FileFormat::IpcStream => ".arrows",
        };
        let codec = COMPRESSED.iter().find(|(_, codec)| *codec == self.codec().codec).map_or("", |(ending, _)| ending);
        match self.format {
            FileFormat::Csv | FileFormat::Ndjson => format!("{format}{codec}"),
            _ => format.to_string(),
        }
    }

    /// Whether rows of these columns can be written so.
    ///
    /// # Errors
    /// `Name` for columns that do not exist; `Unsupported` for a compression that the format has not, or a type that
    /// text cannot hold.
    pub fn check(&self, schema: &Schema) -> Result<()> {
        let codec = self.codec().codec;
        let known: &[Codec] = match self.format {
            FileFormat::Csv | FileFormat::Ndjson => {
                &[Codec::None, Codec::Gzip, Codec::Zstd, Codec::Bzip2, Codec::Xz, Codec::Lz4]
            }
            FileFormat::Parquet => &[Codec::None, Codec::Gzip, Codec::Zstd, Codec::Lz4, Codec::Snappy, Codec::Brotli],
            FileFormat::Ipc | FileFormat::IpcStream => &[Codec::None, Codec::Zstd, Codec::Lz4],
        };
        if !known.contains(&codec) {
            let names: Vec<String> = known.iter().map(Codec::to_string).collect();
            let message = format!("{} files cannot be compressed with {codec}", self.ending().trim_start_matches('.'));
            return Err(Error::new(ErrorKind::Unsupported, message).hint(format!("they can with {}", names.join(", "))));
        }
        if self.format == FileFormat::Csv {
            Csv::new(self.delimiter, &self.null)?;
        }
        self.check_columns(schema)
    }

    fn check_columns(&self, schema: &Schema) -> Result<()> {
        for (at, name) in self.partition_by.iter().chain(&self.bloom_filters).enumerate() {
            if schema.index_of(name).is_err() {
                let error = Error::new(ErrorKind::Name, format!("no column `{name}` among those to be written"));
                let names = schema.fields().iter().map(|field| field.name().as_str());
                return Err(match did_you_mean(name, names) {
                    Some(near) => error.hint(format!("did you mean `{near}`?")),
                    None => error,
                });
            }
            if at < self.partition_by.len() && self.partition_by[..at].contains(name) {
                return Err(Error::new(ErrorKind::Name, format!("the column `{name}` is named twice to partition by")));
            }
        }
        if !self.partition_by.is_empty() && self.partition_by.len() == schema.fields().len() {
            let message = "no column is left to write: all are in the names of folders";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let text = matches!(self.format, FileFormat::Csv | FileFormat::Ndjson);
        for field in schema.fields() {
            let in_folder = self.partition_by.contains(field.name());
            let is_textual = is_textual(field.data_type()) && !(in_folder && field.data_type().is_nested());
            if (text || in_folder) && !is_textual {
                let message = format!("the column `{}` of type {} cannot be text", field.name(), field.data_type());
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
        }
        Ok(())
    }
}

/// Whether values of the type can be written as text.
fn is_textual(data_type: &DataType) -> bool {
    crate::types::ColumnType::from_arrow(data_type).is_ok()
}

/// Refuses to write over an input, or over a folder that holds one.
///
/// # Errors
/// `Syntax`, naming both.
pub(crate) fn refuse_inputs(target: &Path, inputs: impl IntoIterator<Item = PathBuf>) -> Result<()> {
    let Ok(real) = std::fs::canonicalize(target) else { return Ok(()) };
    for input in inputs {
        if std::fs::canonicalize(&input).is_ok_and(|input| input.starts_with(&real)) {
            let message = format!("{} would overwrite what is read from {}", target.display(), input.display());
            return Err(Error::new(ErrorKind::Syntax, message).hint("name another place to write to"));
        }
    }
    Ok(())
}

/// Refuses to write an answer where the rejects go: one would replace the other.
///
/// # Errors
/// `Syntax`, naming the file.
pub(crate) fn refuse_rejects(target: &Path, rejects: Option<&Path>) -> Result<()> {
    let real = |path: &Path| {
        std::fs::canonicalize(path).ok().or_else(|| {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            Some(std::fs::canonicalize(folder).ok()?.join(path.file_name()?))
        })
    };
    match rejects.and_then(real) {
        Some(rejects)
            if real(target) == Some(rejects.clone()) && std::fs::metadata(&rejects).map_or(true, |it| it.is_file()) =>
        {
            let message = format!("{} would hold an answer and the rejects", target.display());
            Err(Error::new(ErrorKind::Syntax, message).hint("name another file for --rejects"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_format_compression_and_delimiter_or_nothing() {
        let of = |name: &str| WriteOptions::of_file_name(name).map(|options| (options.format, options.codec().codec));
        assert_eq!(of("a/b.parquet"), Some((FileFormat::Parquet, Codec::Zstd)));
        assert_eq!(of("B.CSV.GZ"), Some((FileFormat::Csv, Codec::Gzip)));
        assert_eq!(of("x.jsonl.zst"), Some((FileFormat::Ndjson, Codec::Zstd)));
        assert_eq!(of("x.arrow"), Some((FileFormat::Ipc, Codec::None)));
        for name in ["x", "x.parquet.gz", "x.txt", "x.gz", "csv", "x.csv.part", ""] {
            assert_eq!(of(name), None, "{name}");
        }
        assert_eq!(WriteOptions::of_file_name("a.tsv.bz2").unwrap().delimiter, b'\t');
    }

    #[test]
    fn compressions_have_levels_of_their_own() {
        let parsed = |text: &str| text.parse::<Compression>().map_err(|error| error.to_string());
        assert_eq!(parsed("zstd:9").unwrap(), Compression { codec: Codec::Zstd, level: Some(9) });
        assert_eq!(parsed("GZ").unwrap(), Codec::Gzip.into());
        assert!(parsed("zsdt").unwrap_err().contains("did you mean `zstd`"));
        assert!(parsed("gzip:10").unwrap_err().contains("0 to 9"));
        assert!(parsed("snappy:1").unwrap_err().contains("no levels"));
    }
}
