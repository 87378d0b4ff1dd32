//! What was decided about a set of files, and why: for `schema --explain`.

use super::fields::Format;
use super::look::Looked;
use super::open::{CsvColumn, CsvFile};
use super::options::MalformedPolicy;
use super::sniff::show;
use crate::types::ColumnType;
use std::fmt;
use std::sync::Arc;

/// How a set of CSV files is read, and why.
#[derive(Clone, Debug)]
pub struct Decisions {
    /// One a file, in order.
    pub files: Vec<FileDecision>,
    /// One a column of the set, in order.
    pub columns: Vec<ColumnDecision>,
}

/// How one file is read, and why.
#[derive(Clone, Debug)]
pub struct FileDecision {
    /// The file, as the user named it.
    pub file: Arc<str>,
    /// Dialect, null tokens, number style, and encoding (UTF-8 where the text was transcoded).
    pub format: Format,
    /// The name of the encoding of its text, as the WHATWG standard has it.
    pub encoding: &'static str,
    /// Whether its first record holds names; otherwise they are those of the first file, or numbered.
    pub has_header: bool,
    /// Whether names were taken from the first file, by position.
    pub by_position: bool,
    /// Lines before the header, or before the data.
    pub skip_rows: usize,
    /// Fields of every record.
    pub fields: usize,
    /// What becomes of malformed records.
    pub malformed: MalformedPolicy,
    /// See [`super::Sniffed::confidence`].
    pub confidence: f64,
    /// One sentence a decision.
    pub reasons: Vec<String>,
    /// Positions of the samples that types were taken from; none if the file was not sampled.
    pub samples: Vec<u64>,
    /// The decimal mark, if it is given or the head shows one.
    pub(super) decimal_seen: Option<u8>,
}

/// The type of a column, and why.
#[derive(Clone, Debug)]
pub struct ColumnDecision {
    /// Its name.
    pub name: String,
    /// Its type.
    pub column_type: ColumnType,
    /// Whether the user gave the type.
    pub declared: bool,
    /// Where the value stands that made it text, if others were not.
    pub why_text: Option<String>,
    /// How many files do not have it.
    pub missing_in: usize,
}

impl FileDecision {
    pub(super) fn new(looked: &Looked) -> Self {
        let sniffed = &looked.sniffed;
        FileDecision {
            file: Arc::clone(looked.text.input().name()),
            format: sniffed.format.clone(),
            encoding: looked.text.transcoded_from().unwrap_or(sniffed.format.encoding.name()),
            has_header: sniffed.has_header,
            by_position: looked.by_position,
            skip_rows: sniffed.skip_rows,
            fields: looked.header.names.len(),
            malformed: looked.malformed,
            confidence: sniffed.confidence,
            reasons: sniffed.reasons.clone(),
            samples: looked.samples.clone(),
            decimal_seen: sniffed.decimal_seen,
        }
    }

    /// Equal for files that are read alike.
    fn settings(&self) -> Vec<(&'static str, String)> {
        let or_none = |byte: Option<u8>| byte.map_or("none".to_owned(), |byte| format!("{:?}", char::from(byte)));
        let dialect = &self.format.dialect;
        let quoted = match (dialect.quote(), dialect.escape()) {
            (None, _) => "none".to_owned(),
            (Some(quote), None) => format!("{:?}, doubled inside of fields", char::from(quote)),
            (Some(quote), Some(escape)) => {
                format!("{:?}, inside of fields after {:?} or doubled", char::from(quote), char::from(escape))
            }
        };
        let header = match (self.has_header, self.by_position) {
            (true, _) => "the first record".to_owned(),
            (false, true) => "none; columns as in the first file".to_owned(),
            (false, false) => "none; columns are numbered".to_owned(),
        };
        let nulls = self.format.nulls.tokens();
        let nulls = nulls.iter().map(|token| if token.is_empty() { "empty" } else { token }).collect::<Vec<_>>();
        let mut settings = vec![
            ("delimiter", show(dialect.delimiter())),
            ("quote", quoted),
            ("header", header),
            ("lines skipped", self.skip_rows.to_string()),
            (
                "comments",
                dialect.comment().map_or("none".to_owned(), |_| format!("after {}", or_none(dialect.comment()))),
            ),
            ("encoding", self.encoding.to_owned()),
            ("decimal mark", format!("{:?}", char::from(self.format.numbers.decimal))),
            ("missing", if nulls.is_empty() { "nothing".to_owned() } else { nulls.join(", ") }),
        ];
        if self.format.numbers.thousands.is_some() {
            settings.push(("thousands", or_none(self.format.numbers.thousands)));
        }
        if self.malformed != MalformedPolicy::Error {
            settings.push(("malformed", format!("{:?}", self.malformed).to_lowercase()));
        }
        settings.push(("fields", self.fields.to_string()));
        settings
    }
}

impl Decisions {
    pub(super) fn new(files: &[CsvFile], columns: &[CsvColumn]) -> Self {
        let column = |(at, column): (usize, &CsvColumn)| ColumnDecision {
            name: column.name.clone(),
            column_type: column.column_type,
            declared: column.declared,
            why_text: column.why_text.clone(),
            missing_in: files.iter().filter(|file| file.map.get(at).is_none_or(Option::is_none)).count(),
        };
        Decisions {
            files: files.iter().map(|file| file.decision.clone()).collect(),
            columns: columns.iter().enumerate().map(column).collect(),
        }
    }
}

impl fmt::Display for Decisions {
    /// The first file in full, of the others what differs, then the columns.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.files.first() else { return Ok(()) };
        let settings = first.settings();
        writeln!(f, "{}", first.file)?;
        write_file(f, first, &settings)?;
        let mut alike = 0;
        for file in &self.files[1..] {
            let mut differing = file.settings();
            differing.retain(|setting| !settings.contains(setting));
            if differing.is_empty() {
                alike += 1;
                continue;
            }
            writeln!(f, "\n{}, as the first but for", file.file)?;
            write_file(f, file, &differing)?;
        }
        match alike {
            0 => {}
            1 => writeln!(f, "\n1 more file is read as the first")?,
            _ => writeln!(f, "\n{alike} more files are read as the first")?,
        }
        self.write_samples(f)?;
        self.write_columns(f)
    }
}

fn write_file(f: &mut fmt::Formatter<'_>, file: &FileDecision, settings: &[(&str, String)]) -> fmt::Result {
    for (name, value) in settings {
        writeln!(f, "  {name:<14} {value}")?;
    }
    writeln!(f, "  {:<14} {:.2}", "confidence", file.confidence)?;
    for (at, reason) in file.reasons.iter().enumerate() {
        writeln!(f, "  {:<14} {reason}", if at == 0 { "because" } else { "" })?;
    }
    Ok(())
}

impl Decisions {
    fn write_samples(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sampled = self.files.iter().filter(|file| !file.samples.is_empty());
        let samples: usize = sampled.clone().map(|file| file.samples.len()).sum();
        let plural = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        write!(f, "\nTypes from {} of ", plural(samples, "sample"))?;
        match (sampled.count(), self.files.len()) {
            (all, files) if all == files => write!(f, "{}", plural(files, "file"))?,
            (some, files) => write!(f, "{some} of {files} files")?,
        }
        writeln!(f, ": the head, and the middle and tail of what is long")
    }

    fn write_columns(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.columns.iter().map(|column| column.name.chars().count()).max().unwrap_or(0).min(40);
        for column in &self.columns {
            let mut notes = Vec::new();
            if column.declared {
                notes.push("as given".to_owned());
            }
            if let Some(why) = &column.why_text {
                notes.push(why.clone());
            }
            if column.column_type == ColumnType::Null {
                notes.push("no value in the samples".to_owned());
            }
            if column.missing_in > 0 {
                notes.push(format!("missing in {} of {} files", column.missing_in, self.files.len()));
            }
            let kind = column.column_type.to_string();
            let line = format!("  {:<width$}  {kind:<9}  {}", column.name, notes.join("; "));
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}
