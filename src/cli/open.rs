//! The files of the command line, whatever their format.

use super::flags::{Input, JoinedTables, NamedTable, Reading};
use crate::error::{Error, ErrorKind, Result};
use crate::frame::{CsvScan, FileScan, LazyFrame};
use crate::source::csv::FileRule;
use crate::source::paths::{IntoPaths, expand};
use crate::sql::{Question, Tables, open_table};
use std::path::PathBuf;

/// Opens the files as what they are; `csv` holds the options for CSV, and `rules` those for some of the files.
pub(super) fn open_any(csv: CsvScan, input: &Reading, rules: &[FileRule]) -> Result<LazyFrame> {
    let csv = rules.iter().fold(csv, |csv, rule| csv.rule(rule.clone()));
    let mut scan = FileScan::of(csv, csv_only(input, rules)).hive(!input.no_hive);
    if let Some(format) = input.input_format {
        scan = scan.format(format);
    }
    scan.open()
}

/// The tables that the questions join, and the rules on files that are about files of the call.
pub(super) fn tables(input: &Input, joined: &JoinedTables, questions: &[Question]) -> Result<(Tables, Vec<FileRule>)> {
    let rules = &input.reading.file_options;
    let tables = named_tables(rules, joined)?;
    let mut words: Vec<String> = questions.iter().flat_map(Question::files).collect();
    words.extend(joined.table.iter().map(|table| table.files.clone()));
    // Files that are not there are told of when they are opened.
    let files = |word: &str| expand(&word.into_paths()).unwrap_or_default();
    let joined: Vec<PathBuf> = words.iter().flat_map(|word| files(word)).collect();
    let own: Vec<PathBuf> = input.files.iter().flat_map(|word| files(word)).collect();
    let applies = |rule: &FileRule, files: &[PathBuf]| files.iter().any(|file| rule.applies_to(file));
    let about_own = |rule: &&FileRule| applies(rule, &own) || !applies(rule, &joined);
    Ok((tables, rules.iter().filter(about_own).cloned().collect()))
}

/// The tables with names, and how others are read.
pub(super) fn named_tables(rules: &[FileRule], joined: &JoinedTables) -> Result<Tables> {
    let mut tables = Tables::new();
    for rule in rules {
        tables = tables.rule(rule.clone());
    }
    for (at, table) in joined.table.iter().enumerate() {
        if joined.table[..at].iter().any(|other| other.name == table.name) {
            return Err(Error::new(ErrorKind::Syntax, format!("two tables are named `{}`", table.name)));
        }
        tables = tables.with(&table.name, open_named(table, rules)?);
    }
    Ok(tables)
}

/// A table that has a name.
pub(super) fn open_named(table: &NamedTable, rules: &[FileRule]) -> Result<LazyFrame> {
    open_table(CsvScan::new(&table.files).set_all(&table.options)?, &table.files, rules)
}

/// The first flag given that only CSV has.
fn csv_only(input: &Reading, rules: &[FileRule]) -> Option<&'static str> {
    let given = [
        ("--delimiter", input.delimiter.is_some()),
        ("--quote", input.quote.is_some()),
        ("--null", input.null.is_some()),
        ("--encoding", input.encoding.is_some()),
        ("--header", input.header),
        ("--no-header", input.no_header),
        ("--escape", input.escape.is_some()),
        ("--comment", input.comment.is_some()),
        ("--skip-rows", input.skip_rows.is_some()),
        ("--decimal", input.decimal.is_some()),
        ("--thousands", input.thousands.is_some()),
        ("--line-end", input.line_end.is_some()),
        ("--date-format", !input.date_format.is_empty()),
        ("--invalid-bytes", input.invalid_bytes.is_some()),
        ("--file-options", !rules.is_empty()),
        ("--no-sniff", input.no_sniff),
    ];
    given.into_iter().find(|(_, given)| *given).map(|(name, _)| name)
}
