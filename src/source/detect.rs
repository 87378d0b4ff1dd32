//! Which format files have, told by their content and never by their name.

use super::TextInputs;
use super::decompress::{TextFile, TextOptions};
use super::input::{HEAD_BYTES, InputCounters, STDIN_WORD};
use super::ndjson::is_json_object;
use crate::error::{Error, ErrorKind, Result};
use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Text looked at to tell NDJSON from CSV.
const LOOK_BYTES: usize = 64 << 10;
/// Lines of it that are looked at.
const LOOK_LINES: i32 = 100;

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
/// Files without bytes pass for any text. Of bzip2 files only the first is decompressed, for that takes a whole block;
/// another that holds something else is found by the reader. What comes only once is looked at if no file tells and it
/// is the only such input, and then kept in `inputs`: of two pipes, one may wait for the other to be opened.
///
/// # Errors
/// `Io` for a file that cannot be opened, `Unsupported` for files of different formats, or of one that is not read.
pub(crate) fn detect_all(files: &[PathBuf], inputs: &mut TextInputs) -> Result<InputFormat> {
    let mut known: Option<(InputFormat, &Path)> = None;
    let mut streams = Vec::new();
    for file in files {
        let format = match detect(file, known.map(|(format, _)| format))? {
            Looked::Format(format) => format,
            Looked::Unknown => continue,
            Looked::Stream => {
                streams.push(file);
                continue;
            }
        };
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
    Ok(match (known, &*streams) {
        (Some((format, _)), _) => format,
        (None, [stream]) => detect_stream(stream, inputs)?.unwrap_or(InputFormat::Csv),
        (None, _) => InputFormat::Csv,
    })
}

/// What a look at a file tells.
enum Looked {
    Format(InputFormat),
    Unknown,
    /// It may be there to be read only once.
    Stream,
}

/// The format of one file. `before` is that of the files before it.
fn detect(path: &Path, before: Option<InputFormat>) -> Result<Looked> {
    if path.as_os_str() == STDIN_WORD {
        return Ok(Looked::Stream);
    }
    let metadata = std::fs::metadata(path).map_err(|error| Error::io(path, &error))?;
    if !metadata.is_file() {
        return Ok(Looked::Stream);
    }
    if metadata.len() == 0 {
        return Ok(Looked::Unknown);
    }
    let (head, tail) = ends(path).map_err(|error| Error::io(path, &error))?;
    if let Some(format) = by_magic(&head, tail) {
        return Ok(Looked::Format(format));
    }
    if head.starts_with(b"BZh") && matches!(before, Some(InputFormat::Csv | InputFormat::Ndjson)) {
        return Ok(Looked::Unknown);
    }
    let text = TextFile::open(path, &Arc::new(InputCounters::default()))?;
    Ok(in_text(&text)?.map_or(Looked::Unknown, Looked::Format))
}

/// The format of what can be read only once, by what has come of it.
fn detect_stream(path: &Path, inputs: &mut TextInputs) -> Result<Option<InputFormat>> {
    let stored = inputs.open_stream(path)?;
    let head = stored.head(HEAD_BYTES)?;
    if let Some(format) = by_magic(head.get(..8).unwrap_or(&head), [0; 4]) {
        let error = Error::new(ErrorKind::Unsupported, format!("{format} cannot be read from a stream"));
        return Err(error.in_file(stored.name()).hint("store it in a file and name that"));
    }
    in_text(&TextFile::over(stored, TextOptions::default())?)
}

/// The format of text; `None` when there is none.
fn in_text(text: &TextFile) -> Result<Option<InputFormat>> {
    // Damage is the reader's to report.
    let Ok(sample) = text.sample_head(LOOK_BYTES) else { return Ok(None) };
    if sample.text.is_empty() {
        return Ok(None);
    }
    by_text(&sample.text, sample.is_end).map(Some).map_err(|error| error.in_file(text.input().name()))
}

/// The first bytes of a file, and the last four; those of a short file count for both.
fn ends(path: &Path) -> std::io::Result<(Vec<u8>, [u8; 4])> {
    let mut file = File::open(path)?;
    let (mut head, mut tail) = (Vec::new(), [0; 4]);
    Read::by_ref(&mut file).take(8).read_to_end(&mut head)?;
    if head.len() >= tail.len() {
        file.seek(SeekFrom::End(-(tail.len() as i64)))?;
        file.read_exact(&mut tail)?;
    }
    Ok((head, tail))
}

/// Formats that are not text, by the first bytes of a file and its last.
fn by_magic(head: &[u8], tail: [u8; 4]) -> Option<InputFormat> {
    // `PAR1`, or `PARE` where the footer is encrypted, stand at both ends; but they might also begin the name of a
    // column, and a file that was cut short has lost its end. Then a page header follows, which is no text.
    let magic = head.first_chunk::<4>().filter(|magic| [b"PAR1", b"PARE"].contains(magic));
    let is_text = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    if magic.is_some_and(|magic| (*magic == tail && head.len() >= 8) || head.get(4).is_some_and(|byte| !is_text(byte)))
    {
        return Some(InputFormat::Parquet);
    }
    let continued = head.starts_with(&[0xFF; 4]) && head.len() >= 8;
    (head.starts_with(b"ARROW1\0\0") || continued).then_some(InputFormat::Ipc)
}

/// CSV or NDJSON: what most of the first lines are, the first of them where it is a draw.
fn by_text(text: &[u8], is_end: bool) -> Result<InputFormat> {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text).trim_ascii_start();
    let (mut objects, mut lines) = (0, 0);
    let mut rest = text;
    while lines < LOOK_LINES && !rest.is_empty() {
        let end = memchr::memchr(b'\n', rest);
        let line = rest[..end.unwrap_or(rest.len())].trim_ascii();
        rest = end.map_or(&[][..], |end| &rest[end + 1..]);
        // A record longer than what was looked at is taken on trust; its reader checks it.
        let is_cut = end.is_none() && !is_end;
        if line.is_empty() || is_cut && lines > 0 {
            continue;
        }
        let is_object = match line.strip_prefix(b"{") {
            Some(rest) if is_cut => rest.trim_ascii_start().starts_with(b"\""),
            Some(_) => is_json_object(line),
            None => false,
        };
        // The first line has more weight by half a line.
        objects += if is_object { 2 + i32::from(lines == 0) } else { 0 };
        lines += 1;
    }
    if objects > lines {
        return Ok(InputFormat::Ndjson);
    }
    let first = text.split(|&byte| byte == b'\n').next().unwrap_or_default().trim_ascii();
    if matches!(first, [b'[' | b'{']) || first.starts_with(b"[{") {
        return Err(Error::new(ErrorKind::Unsupported, "the file is JSON, but not one object a line")
            .hint("convert it first: jq -c '.[]?' old.json > new.ndjson; --input-format csv reads it as CSV"));
    }
    Ok(InputFormat::Csv)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_ndjson_if_most_of_its_first_lines_are_objects() {
        for (text, format) in [
            (&b"{\"a\":1}\n"[..], InputFormat::Ndjson),
            (b"\xEF\xBB\xBF\n \r\n{\"a\":1}\r\nx", InputFormat::Ndjson),
            (b"{}", InputFormat::Ndjson),
            (b"{\"a\":1} 2\n", InputFormat::Csv),
            (b"\"a\":1}\n{\"a\":2}\n{\"a\":3}\n", InputFormat::Ndjson),
            (b"{\"a\":\n{\"a\":2}\nnoise\n{\"a\":3}\n{\"a\":4}", InputFormat::Ndjson),
            (b"payload\n{\"a\":2}\n", InputFormat::Csv),
            (b"a,b\n{\"a\":2}\n1,2\n", InputFormat::Csv),
            (b"{a},b\n1,2\n", InputFormat::Csv),
            (b"a,b\n", InputFormat::Csv),
            (b"\"a\"\n", InputFormat::Csv),
        ] {
            assert_eq!(by_text(text, true).unwrap(), format, "{}", String::from_utf8_lossy(text));
        }
        for text in [&b"[{\"a\":1},{\"a\":2}]"[..], b"[\n{\"a\":1}]", b"{\n \"a\": 1\n}\n"] {
            let error = by_text(text, true).unwrap_err();
            let hint = error.hint_text().unwrap();
            assert!(hint.contains("jq") && hint.contains("--input-format csv"), "{hint}");
        }
    }

    #[test]
    fn an_object_longer_than_what_is_looked_at_is_told_by_its_beginning() {
        for (text, format) in [
            (&b"{\"a\": \"x"[..], InputFormat::Ndjson),
            (b"{ \"a\": \"x", InputFormat::Ndjson),
            (b"{\t\"a\" : \"x", InputFormat::Ndjson),
            (b"{ a, b", InputFormat::Csv),
        ] {
            assert_eq!(by_text(text, false).unwrap(), format, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn magic_bytes_that_begin_a_header_are_text() {
        let parquet = Some(InputFormat::Parquet);
        for (head, tail, format) in [
            (&b"PAR1,PAR"[..], b"1,2\n", None),
            (b"PAR1\n1\n2", b"\n3\n4", None),
            (b"PAR1 x,b", b"1,2\n", None),
            (b"PAR1", b"PAR1", None),
            (b"PAR1\x15\x04\x15\0", b"PAR1", parquet),
            (b"PAR1\x15\x04\x15\0", b"cut!", parquet),
            // An encrypted column begins with its length, which may be any byte.
            (b"PAR1,\0\0\0", b"PAR1", parquet),
            (b"PARE,\0\0\0", b"PARE", parquet),
            (b"ARROW1,x", b"1,2\n", None),
            (b"ARROW1\0\0", b"ROW1", Some(InputFormat::Ipc)),
            (b"\xFF\xFF\xFF\xFF\x10\0\0\0", b"\0\0\0\0", Some(InputFormat::Ipc)),
        ] {
            assert_eq!(by_magic(head, *tail), format, "{}", head.escape_ascii());
        }
    }
}
