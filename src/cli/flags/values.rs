//! Values of flags that need reading.

use super::TimelineFile;
use crate::error::Error;
use crate::exec::Scheduler;
use crate::parallel::Allocation;
use crate::plan::SampleSize;
use crate::source::csv::{self, ColumnPolicy, DateFormats, FileRule, InvalidBytes, LineEnd, MalformedPolicy};
use crate::source::detect::InputFormat;
use crate::strata::OnError;
use crate::types::ColumnType;
use crate::write::Compression;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// A column and the type the user gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TypeOverride {
    /// The name of the column (a name with a comma in it cannot be given here).
    pub(crate) column: String,
    /// Its type.
    pub(crate) column_type: ColumnType,
}

impl FromStr for TypeOverride {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (column, name) = text.rsplit_once('=').ok_or("expected COLUMN=TYPE, such as TailNum=utf8")?;
        if column.trim().is_empty() {
            return Err("expected a column before `=`, such as TailNum=utf8".to_string());
        }
        let column_type = ColumnType::parse(name).map_err(told)?;
        Ok(TypeOverride { column: column.trim().to_string(), column_type })
    }
}

/// A table that questions can join by name.
#[derive(Clone, Debug)]
pub(crate) struct NamedTable {
    pub(crate) name: String,
    /// A file, pattern or directory.
    pub(crate) files: String,
    /// Options for CSV, as in `--file-options`.
    pub(crate) options: String,
}

impl FromStr for NamedTable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected NAME=FILES, such as planes=plane-data.csv or 'planes=plane-data.csv: malformed=pad'";
        let (name, rest) = text.split_once('=').ok_or(expected)?;
        let (files, options) = rest.split_once(": ").unwrap_or((rest, ""));
        let [name, files] = [name, files].map(|part| part.trim().to_string());
        if name.is_empty() || files.is_empty() {
            return Err(expected.to_string());
        }
        csv::CsvOptions::default().set_all(options).map_err(told)?;
        Ok(NamedTable { name, files, options: options.to_string() })
    }
}

/// A byte that plays a part in the dialect; `None` when none does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part(pub(crate) Option<u8>);

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        csv::byte_or_none(text).map(Part).map_err(told)
    }
}

/// A delimiter: one ASCII byte, or its name.
pub(super) fn delimiter(text: &str) -> Result<u8, String> {
    csv::byte(text).map_err(told)
}

/// What ends records.
pub(super) fn line_end(text: &str) -> Result<LineEnd, String> {
    csv::line_end(text).map_err(told)
}

/// A format of dates.
pub(super) fn date_format(text: &str) -> Result<String, String> {
    DateFormats::new([text]).map(|_| text.to_string()).map_err(told)
}

/// A decimal mark.
pub(super) fn decimal(text: &str) -> Result<u8, String> {
    csv::decimal(text).map_err(told)
}

/// What becomes of columns that not every file has.
pub(super) fn columns(text: &str) -> Result<ColumnPolicy, String> {
    ColumnPolicy::parse(text).map_err(told)
}

/// What becomes of bytes that are not text.
pub(super) fn invalid_bytes(text: &str) -> Result<InvalidBytes, String> {
    InvalidBytes::parse(text).map_err(told)
}

/// Options for some of the files.
pub(super) fn file_rule(text: &str) -> Result<FileRule, String> {
    FileRule::parse(text).map_err(told)
}

fn told(error: Error) -> String {
    match error.hint_text() {
        Some(hint) => format!("{}; {hint}", error.message()),
        None => error.message().to_string(),
    }
}

/// A compression method, perhaps with its level.
pub(super) fn compression(text: &str) -> Result<Compression, String> {
    text.parse().map_err(|error: Error| match error.hint_text() {
        Some(hint) => format!("{}; {hint}", error.message()),
        None => error.message().to_string(),
    })
}

/// The label of an encoding that text files may have.
pub(super) fn encoding(label: &str) -> Result<String, String> {
    match encoding_rs::Encoding::for_label(label.as_bytes()) {
        Some(_) => Ok(label.to_string()),
        None => Err("no such encoding; utf-8, latin1, windows-1252 and shift_jis are some".to_string()),
    }
}

/// A policy for malformed records by its name.
pub(super) fn malformed(name: &str) -> Result<MalformedPolicy, String> {
    MalformedPolicy::parse(name).map_err(|error| error.to_string())
}

/// A format of input files by its name.
pub(super) fn input_format(name: &str) -> Result<InputFormat, String> {
    InputFormat::parse(name).map_err(|error| match error.hint_text() {
        Some(hint) => format!("{}; {hint}", error.message()),
        None => error.message().to_string(),
    })
}

/// A scheduler by its name.
pub(super) fn scheduler(name: &str) -> Result<Scheduler, String> {
    Scheduler::parse(name).map_err(|error| error.to_string())
}

/// What becomes of a task that fails, by its name.
pub(super) fn on_error(name: &str) -> Result<OnError, String> {
    OnError::parse(name).map_err(told)
}

/// An allocation by its name.
pub(super) fn allocation(name: &str) -> Result<Allocation, String> {
    Allocation::parse(name).map_err(told)
}

/// How many threads, processes or programs.
pub(crate) fn thread_count(text: &str) -> Result<NonZeroUsize, String> {
    match text.trim().parse::<usize>().map(NonZeroUsize::new) {
        Ok(Some(number)) => Ok(number),
        Ok(None) => Err("there must be one at least".to_string()),
        Err(_) => Err("expected a whole number, such as 4".to_string()),
    }
}

/// A length of time: a number of seconds, or of another unit that stands behind it.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, f64); 4] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let unit = UNITS.iter().find_map(|(name, seconds)| Some((text.strip_suffix(name)?, *seconds)));
    let (number, seconds) = unit.unwrap_or((text, 1.0));
    let number: Option<f64> = number.trim().parse().ok().filter(|number| *number > 0.0);
    let duration = number.and_then(|number| Duration::try_from_secs_f64(number * seconds).ok());
    duration.ok_or_else(|| "expected a length of time, such as 90s, 5m or 500ms".to_string())
}

/// How many rows of a sample, or which share of all.
pub(super) fn sample_size(text: &str) -> Result<SampleSize, String> {
    let expected = "expected a number of rows, such as 1000, or a share of them, such as 1%";
    match text.strip_suffix('%') {
        None => text.parse().map(SampleSize::Rows).map_err(|_| expected.to_string()),
        Some(percent) => {
            let percent: Option<f64> = percent.trim().parse().ok().filter(|percent| (0.0..=100.0).contains(percent));
            percent.map(|percent| SampleSize::Share(percent / 100.0)).ok_or_else(|| expected.to_string())
        }
    }
}

/// Where a timeline is drawn, by the ending of its name.
pub(super) fn timeline(name: &str) -> Result<TimelineFile, String> {
    let lower = name.to_ascii_lowercase();
    let path = PathBuf::from(name);
    match () {
        () if lower.ends_with(".svg") => Ok(TimelineFile { path, page: false }),
        () if lower.ends_with(".html") || lower.ends_with(".htm") => Ok(TimelineFile { path, page: true }),
        () => Err("expected a file whose name ends in .svg or .html".to_string()),
    }
}
