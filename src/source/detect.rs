//! Which format files have, told by their content and never by their name.

use super::decompress::TextFile;
use super::input::InputCounters;
use super::ndjson::is_json_object;
use crate::error::{Error, ErrorKind, Result};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Text looked at to tell NDJSON from CSV.
const LOOK_BYTES: usize = 64 << 10;

/// A format of input files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InputFormat {
    /// CSV or TSV text.
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// Parquet.
    Parquet,
    /// Arrow IPC, file or stream.
    Ipc,
}

impl InputFormat {
    /// The format that a user means by `csv`, `ndjson`, `parquet` or `ipc`.
    ///
    /// # Errors
    /// `Name` for anything else.
    pub fn parse(name: &str) -> Result<Self> {
        Ok(match name.to_lowercase().as_str() {
            "csv" | "tsv" => InputFormat::Csv,
            "ndjson" | "jsonl" => InputFormat::Ndjson,
            "parquet" => InputFormat::Parquet,
            "ipc" | "arrow" | "feather" => InputFormat::Ipc,
            _ => {
                let error = Error::new(ErrorKind::Name, format!("no format `{name}`"));
                return Err(error.hint("formats are csv, ndjson, parquet and ipc"));
            }
        })
    }
}

impl fmt::Display for InputFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InputFormat::Csv => "CSV",
            InputFormat::Ndjson => "NDJSON",
            InputFormat::Parquet => "Parquet",
            InputFormat::Ipc => "Arrow IPC",
        })
    }
}

/// The format that all these files have.
///
/// Files without bytes, and inputs that can be read only once, pass for any text. Of bzip2 files only the first is
/// decompressed, for that takes a whole block; another that holds something else is found by the reader.
///
/// # Errors
/// `Io` for a file that cannot be opened, `Unsupported` for files of different formats, or of one that is not read.
pub fn detect_all(files: &[PathBuf]) -> Result<InputFormat> {
    let mut known: Option<(InputFormat, &Path)> = None;
    for file in files {
        let Some(format) = detect(file, known.map(|(format, _)| format))? else { continue };
        match known {
            None => known = Some((format, file)),
            Some((first, _)) if first == format => {}
            Some((first, first_file)) => {
                let message = format!("the file is {format}, and {} is {first}", first_file.display());
                return Err(Error::new(ErrorKind::Unsupported, message)
                    .in_file(&file.display().to_string())
                    .hint("the files of one question must be of one format; ask about them separately"));
            }
        }
    }
    Ok(known.map_or(InputFormat::Csv, |(format, _)| format))
}

/// The format of one file; `None` when its content does not tell. `before` is that of the files before it.
fn detect(path: &Path, before: Option<InputFormat>) -> Result<Option<InputFormat>> {
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(_) if path.as_os_str() == "-" => return Ok(None),
        Err(error) => return Err(Error::io(path, &error)),
    };
    // What is not a file may be there to be read once.
    if !metadata.is_file() || metadata.len() == 0 {
        return Ok(None);
    }
    let mut head = Vec::new();
    let file = File::open(path).map_err(|error| Error::io(path, &error))?;
    file.take(8).read_to_end(&mut head).map_err(|error| Error::io(path, &error))?;
    if let Some(format) = by_magic(&head, metadata.len()) {
        return Ok(Some(format));
    }
    if head.starts_with(b"BZh") && matches!(before, Some(InputFormat::Csv | InputFormat::Ndjson)) {
        return Ok(None);
    }
    let text = TextFile::open(path, &Arc::new(InputCounters::default()))?;
    // Damage is the reader's to report.
    let Ok(sample) = text.sample_head(LOOK_BYTES) else { return Ok(None) };
    if sample.text.is_empty() {
        return Ok(None);
    }
    by_text(&sample.text, sample.is_end).map(Some).map_err(|error| error.in_file(text.input().name()))
}

/// Formats that are not text. `length` is that of the whole file.
fn by_magic(head: &[u8], length: u64) -> Option<InputFormat> {
    // Parquet begins and ends with `PAR1`, which might also begin the name of a column: a page header follows.
    if head.starts_with(b"PAR1") && length >= 12 && head.get(4).is_some_and(|byte| !byte.is_ascii_graphic()) {
        return Some(InputFormat::Parquet);
    }
    let continued = head.starts_with(&[0xFF; 4]) && head.len() >= 8;
    (head.starts_with(b"ARROW1\0\0") || continued).then_some(InputFormat::Ipc)
}

/// CSV or NDJSON.
fn by_text(text: &[u8], is_end: bool) -> Result<InputFormat> {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text).trim_ascii_start();
    let end = memchr::memchr(b'\n', text);
    let line = text[..end.unwrap_or(text.len())].trim_ascii();
    match line.first() {
        // A record longer than what was looked at is taken on trust; its reader checks it.
        Some(b'{') if is_json_object(line) || (end.is_none() && !is_end && line.starts_with(b"{\"")) => {
            Ok(InputFormat::Ndjson)
        }
        Some(b'[' | b'{') if line.len() == 1 || line.starts_with(b"[{") => {
            Err(Error::new(ErrorKind::Unsupported, "the file is JSON, but not one object a line")
                .hint("convert it first: jq -c '.[]?' old.json > new.ndjson"))
        }
        _ => Ok(InputFormat::Csv),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_ndjson_only_if_its_first_line_is_an_object() {
        for (text, format) in [
            (&b"{\"a\":1}\n"[..], InputFormat::Ndjson),
            (b"\xEF\xBB\xBF\n \r\n{\"a\":1}\r\nx", InputFormat::Ndjson),
            (b"{}", InputFormat::Ndjson),
            (b"{\"a\":1} 2\n", InputFormat::Csv),
            (b"{a},b\n1,2\n", InputFormat::Csv),
            (b"a,b\n", InputFormat::Csv),
            (b"\"a\"\n", InputFormat::Csv),
        ] {
            assert_eq!(by_text(text, true).unwrap(), format, "{}", String::from_utf8_lossy(text));
        }
        for text in [&b"[{\"a\":1},{\"a\":2}]"[..], b"[\n{\"a\":1}]", b"{\n \"a\": 1\n}\n"] {
            assert!(by_text(text, true).unwrap_err().hint_text().unwrap().contains("jq"));
        }
    }

    #[test]
    fn magic_bytes_that_begin_a_header_are_text() {
        assert_eq!(by_magic(b"PAR1,PAR2", 100), None);
        assert_eq!(by_magic(b"PAR1\x15\x04\x15\0", 100), Some(InputFormat::Parquet));
        assert_eq!(by_magic(b"ARROW1,x", 100), None);
        assert_eq!(by_magic(b"ARROW1\0\0", 100), Some(InputFormat::Ipc));
        assert_eq!(by_magic(b"\xFF\xFF\xFF\xFF\x10\0\0\0", 100), Some(InputFormat::Ipc));
    }
}
