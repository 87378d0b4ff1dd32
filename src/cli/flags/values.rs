//! Values of flags that need reading.

use crate::exec::Scheduler;
use crate::source::detect::InputFormat;
use crate::types::ColumnType;
use std::str::FromStr;

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
        let column_type = ColumnType::parse(name).map_err(|error| match error.hint_text() {
            Some(hint) => format!("{}; {hint}", error.message()),
            None => error.message().to_string(),
        })?;
        Ok(TypeOverride { column: column.trim().to_string(), column_type })
    }
}

/// The quote; `None` when fields are never quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quote(pub(crate) Option<u8>);

impl FromStr for Quote {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Quote(None)),
            _ => one_byte(text).map(|byte| Quote(Some(byte))),
        }
    }
}

/// A delimiter: one ASCII byte, `\t` or `tab`.
pub(super) fn delimiter(text: &str) -> Result<u8, String> {
    match text {
        "tab" | "\\t" => Ok(b'\t'),
        _ => one_byte(text),
    }
}

fn one_byte(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        [b'\n' | b'\r'] => Err("a line end cannot be it".to_string()),
        [byte] if byte.is_ascii() => Ok(*byte),
        _ => Err("expected one ASCII character".to_string()),
    }
}

/// The label of an encoding that text files may have.
pub(super) fn encoding(label: &str) -> Result<String, String> {
    match encoding_rs::Encoding::for_label(label.as_bytes()) {
        Some(_) => Ok(label.to_string()),
        None => Err("no such encoding; utf-8, latin1, windows-1252 and shift_jis are some".to_string()),
    }
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
