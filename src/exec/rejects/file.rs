//! The file of rejects: CSV, one line a record or value, in input order.
//!
//! Columns: `file`, `line` and `byte` where the record begins, `column` if it is one value that does not fit, `reason`,
//! and `record`, the record as it stands in the file without its line end. Bytes that are not UTF-8 are written `\xE9`;
//! file and byte lead to the original.

use crate::atomic::Partial;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::memory::ByteSize;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The names of the columns.
const HEADER: &[u8] = b"file,line,byte,column,reason,record\n";

/// Between the two lies the name of the column, which the pass need not know.
const COLUMN_MARK: u8 = 0;

/// Makes lines without their column, which [`RejectsFile::write`] puts where it belongs.
pub(super) struct Lines {
    /// The name of the file, and the comma behind it.
    file: Vec<u8>,
    /// The reasons, and the commas around them.
    reasons: Vec<Vec<u8>>,
}

impl Lines {
    /// Of records in this file, set aside for one of these reasons.
    pub(super) fn new(file: &str, reasons: &[Arc<str>]) -> Self {
        let mut name = Vec::new();
        field(&mut name, file.as_bytes(), false);
        name.push(b',');
        let reason = |reason: &Arc<str>| {
            let mut out = vec![b','];
            field(&mut out, reason.as_bytes(), false);
            out.push(b',');
            out
        };
        Lines { file: name, reasons: reasons.iter().map(reason).collect() }
    }

    /// A line is longer than its record by about so many bytes at most.
    pub(super) fn longest(&self) -> usize {
        self.file.len() + self.reasons.iter().map(Vec::len).max().unwrap_or(0) + 40
    }

    /// Appends the line of a record.
    pub(super) fn write(&self, line: &mut Vec<u8>, in_line: u64, byte: u64, reason: usize, record: &[u8]) {
        let place = [Some(in_line), Some(byte)];
        write_line(line, &self.file, place, self.reasons.get(reason).map_or(b",,", |reason| reason), record);
    }
}

/// One line without its column.
pub(super) fn line(place: &Place, reason: &Arc<str>, record: &[u8]) -> Vec<u8> {
    let lines = Lines::new(place.file.as_deref().unwrap_or_default(), std::slice::from_ref(reason));
    let mut line = Vec::with_capacity(record.len() + lines.longest());
    write_line(&mut line, &lines.file, [place.line, place.byte], &lines.reasons[0], record);
    line
}

/// `file` and `reason` are fields with their commas.
fn write_line(line: &mut Vec<u8>, file: &[u8], place: [Option<u64>; 2], reason: &[u8], record: &[u8]) {
    let start = line.len();
    line.extend_from_slice(file);
    for number in place {
        if let Some(number) = number {
            line.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        }
        line.push(b',');
    }
    let at = (line.len() - start) as u32;
    line.push(COLUMN_MARK);
    line.extend_from_slice(reason);
    field(line, record, true);
    line.push(b'\n');
    line.extend_from_slice(&at.to_le_bytes());
}

fn field(line: &mut Vec<u8>, text: &[u8], always_quoted: bool) {
    if !always_quoted && !text.iter().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        escape(line, text, |line, text| line.extend_from_slice(text));
        return;
    }
    line.push(b'"');
    escape(line, text, double_quotes);
    line.push(b'"');
}

/// Appends the text by `append`, and bytes that are not UTF-8 as `\xE9`.
fn escape(line: &mut Vec<u8>, text: &[u8], append: fn(&mut Vec<u8>, &[u8])) {
    if text.is_ascii() || std::str::from_utf8(text).is_ok() {
        return append(line, text);
    }
    for chunk in text.utf8_chunks() {
        append(line, chunk.valid().as_bytes());
        for byte in chunk.invalid() {
            line.extend_from_slice(format!("\\x{byte:02X}").as_bytes());
        }
    }
}

fn double_quotes(line: &mut Vec<u8>, text: &[u8]) {
    let mut done = 0;
    for at in memchr::memchr_iter(b'"', text) {
        line.extend_from_slice(&text[done..=at]);
        line.push(b'"');
        done = at + 1;
    }
    line.extend_from_slice(&text[done..]);
}

/// A file in the making; nothing stands under its name before it is complete.
pub(super) struct RejectsFile {
    path: PathBuf,
    /// `None` where the path is no regular file.
    partial: Option<Partial>,
    out: BufWriter<File>,
    bytes: u64,
}

impl RejectsFile {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let known = std::fs::metadata(path).ok();
        let failed = |error: std::io::Error| cannot_write(path, 0, &error);
        let (partial, file) = if known.is_some_and(|known| !known.is_file()) {
            (None, File::options().write(true).open(path).map_err(failed)?)
        } else {
            let partial = Partial::file(path).map_err(failed)?;
            let file = partial.handle().map_err(failed)?;
            (Some(partial), file)
        };
        let mut file =
            RejectsFile { path: path.to_path_buf(), partial, out: BufWriter::with_capacity(1 << 16, file), bytes: 0 };
        file.put(HEADER)?;
        Ok(file)
    }

    /// Whether the file can be made, found out before anything is read; leaves nothing behind. A pipe would wait for
    /// its reader, and is not tried.
    ///
    /// # Errors
    /// As [`RejectsFile::create`].
    pub(super) fn check(path: &Path) -> Result<()> {
        let is_odd = |known: std::fs::Metadata| !known.is_file() && !known.is_dir();
        if std::fs::metadata(path).is_ok_and(is_odd) {
            return Ok(());
        }
        RejectsFile::create(path).map(drop)
    }

    /// Writes a line made by [`line`], of a value in `column`.
    pub(super) fn write(&mut self, line: &[u8], column: Option<&str>) -> Result<()> {
        let Some((line, at)) = line.split_last_chunk::<4>() else { return Ok(()) };
        let at = (u32::from_le_bytes(*at) as usize).min(line.len().saturating_sub(1));
        self.put(&line[..at])?;
        if let Some(column) = column {
            let mut name = Vec::new();
            field(&mut name, column.as_bytes(), false);
            self.put(&name)?;
        }
        self.put(&line[at + 1..])
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes).map_err(|error| cannot_write(&self.path, self.bytes, &error))
    }

    /// Puts the file in its place.
    pub(super) fn finish(mut self) -> Result<()> {
        let flushed = self.out.flush();
        let done = flushed.and_then(|()| self.partial.take().map_or(Ok(()), |partial| partial.commit(true)));
        done.map_err(|error| cannot_write(&self.path, self.bytes, &error))
    }
}

/// The error of a file that was to come to so many bytes at least.
fn cannot_write(path: &Path, bytes: u64, error: &std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::Interrupted {
        return Error::new(ErrorKind::Cancelled, "the run was cancelled");
    }
    let more = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded | std::io::ErrorKind::FileTooLarge => {
            format!(", and at least {} are needed", ByteSize(bytes))
        }
        _ => String::new(),
    };
    Error::new(ErrorKind::Io, format!("cannot write the rejects: {error}{more}")).in_file(&path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_csv_whatever_the_record_holds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rejects.csv");
        let place = |file: &str| Place { file: Some(file.into()), line: Some(7), byte: Some(90), ..Place::default() };
        let mut file = RejectsFile::create(&path).unwrap();
        file.write(&line(&place("a,b.csv"), &"too few".into(), b"1,\"x\ny\"\"\",\xE9\0"), None).unwrap();
        file.write(&line(&place("c.csv"), &"no, \"x\" is none".into(), b""), Some("the \"x\", y")).unwrap();
        assert!(!path.exists());
        file.finish().unwrap();
        let rows: Vec<Vec<String>> = csv::Reader::from_path(&path)
            .unwrap()
            .records()
            .map(|row| row.unwrap().iter().map(str::to_owned).collect())
            .collect();
        assert_eq!(rows[0], ["a,b.csv", "7", "90", "", "too few", "1,\"x\ny\"\"\",\\xE9\0"]);
        assert_eq!(rows[1], ["c.csv", "7", "90", "the \"x\", y", "no, \"x\" is none", ""]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_written_is_found_out_without_a_trace() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rejects.csv");
        std::fs::write(&path, "old").unwrap();
        assert!(RejectsFile::check(&path).is_ok());
        assert!(RejectsFile::check(&folder.path().join("other.csv")).is_ok());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        for bad in [folder.path().join("missing/rejects.csv"), folder.path().to_path_buf()] {
            assert_eq!(RejectsFile::check(&bad).unwrap_err().kind(), ErrorKind::Io, "{}", bad.display());
        }
    }

    #[test]
    fn a_file_that_is_given_up_leaves_what_stood_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rejects.csv");
        std::fs::write(&path, "old").unwrap();
        drop(RejectsFile::create(&path).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
