//! What is wished of files beside options: names and types of all columns, texts only, the file of a row as a column.

use super::functions::Setting;
use super::query::Lowering;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::col;
use crate::frame::{CsvScan, LazyFrame};
use crate::source::constants::FILE_NAME;
use crate::source::detect::InputFormat;
use crate::types::ColumnType;
use sqlparser::ast;
use sqlparser::tokenizer::Span;

/// The files that a function reads.
pub(super) struct Files<'a> {
    pub(super) words: &'a [String],
    pub(super) format: InputFormat,
    /// Where the function is called.
    pub(super) span: Span,
}

/// The names of wishes, beside `columns`.
pub(super) const WISHES: [&str; 4] = ["names", "column_names", "all_varchar", "filename"];

/// What is wished.
#[derive(Default)]
pub(super) struct Wishes {
    /// Names of all columns, in order, and types of them.
    columns: Vec<(String, Option<String>)>,
    /// Where these are written.
    span: Option<Span>,
    all_text: bool,
    /// The name of the column that holds the file of each row.
    file: Option<String>,
}

impl Wishes {
    /// Whether one is for CSV alone.
    pub(super) fn are_of_text(&self) -> bool {
        self.all_text || !self.columns.is_empty()
    }

    /// Whether `key` is such a wish, which is then taken.
    ///
    /// # Errors
    /// `Syntax` for a value that it cannot have.
    pub(super) fn take(&mut self, lowering: &Lowering<'_>, name: &ast::Ident, value: &ast::Expr) -> Result<bool> {
        let key = name.value.to_lowercase().replace('-', "_");
        let truth = |text: &str| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => {
                let error = Error::new(ErrorKind::Syntax, format!("`{key}` is true or false, not `{text}`"));
                lowering.placed(Err(error), name.span)
            }
        };
        let are_columns = match value {
            ast::Expr::Dictionary(_) | ast::Expr::Map(_) => key == "columns",
            _ => matches!(key.as_str(), "names" | "column_names"),
        };
        if are_columns && self.span.is_some() {
            let error = Error::new(ErrorKind::Syntax, "the columns are named twice");
            return lowering
                .placed(Err(error.hint("`names` names them, and `columns` names them with types")), name.span);
        }
        match (key.as_str(), value) {
            ("all_varchar", value) => self.all_text = truth(&lowering.scalar(value)?)?,
            ("filename", value) => {
                self.file = match lowering.scalar(value)?.as_str() {
                    "true" => Some("filename".to_owned()),
                    "false" => None,
                    other => Some(other.to_owned()),
                }
            }
            ("names" | "column_names", value) => {
                self.columns = lowering.texts(value)?.into_iter().map(|name| (name, None)).collect();
                self.span = Some(name.span);
            }
            ("columns", ast::Expr::Dictionary(fields)) => {
                let typed =
                    |field: &ast::DictionaryField| Ok((field.key.value.clone(), Some(lowering.scalar(&field.value)?)));
                self.columns = fields.iter().map(typed).collect::<Result<_>>()?;
                self.span = Some(name.span);
            }
            ("columns", ast::Expr::Map(map)) => {
                let typed =
                    |entry: &ast::MapEntry| Ok((lowering.scalar(&entry.key)?, Some(lowering.scalar(&entry.value)?)));
                self.columns = map.entries.iter().map(typed).collect::<Result<_>>()?;
                self.span = Some(name.span);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Lowering<'_> {
    /// The table in some files, read as options and wishes say.
    pub(super) fn opened(&self, files: &Files<'_>, settings: Vec<Setting>, wishes: &Wishes) -> Result<LazyFrame> {
        let span = wishes.span.unwrap_or(files.span);
        let mut columns = Vec::with_capacity(wishes.columns.len());
        for (name, of_type) in &wishes.columns {
            let of_type = of_type.as_deref().map(ColumnType::parse).transpose();
            columns.push((name.clone(), self.placed(of_type, span)?));
        }
        let mut scan = CsvScan::new(files.words.to_vec());
        for Setting { key, value, span } in settings {
            // A type for a name that is given here.
            let named = columns.iter_mut().filter(|(_, of_type)| key == "types" && of_type.is_none());
            let named = named.filter_map(|(name, of_type)| {
                Some((of_type, value.strip_prefix(name.as_str()).and_then(|rest| rest.strip_prefix('='))?))
            });
            match named.into_iter().next() {
                Some((of_type, given)) => *of_type = Some(self.placed(ColumnType::parse(given), span)?),
                None => scan = self.placed(scan.set(&key, &value), span)?,
            }
        }
        let scan = scan.all_text(wishes.all_text).named_columns(columns);
        let frame = self.read(files, scan, span)?;
        let Some(name) = &wishes.file else { return Ok(frame) };
        self.refuse_taken(name, &frame, files)?;
        Ok(frame.with_columns(col(FILE_NAME).alias(name.as_str())))
    }

    /// A column for the file of each row takes the place of no other.
    fn refuse_taken(&self, name: &str, frame: &LazyFrame, files: &Files<'_>) -> Result<()> {
        if !frame.schema()?.fields().iter().any(|field| field.name().eq_ignore_ascii_case(name)) {
            return Ok(());
        }
        let error = Error::new(ErrorKind::Name, format!("the files have a column `{name}`"));
        let error = error.hint("filename => 'source' gives that of the files another name");
        self.placed(Err(error), files.span)
    }

    /// The table of a scan; `named` is where its columns are named.
    fn read(&self, files: &Files<'_>, scan: CsvScan, named: Span) -> Result<LazyFrame> {
        let frame = self.tables.read(scan, files.words, files.format).map_err(|error| {
            let file = error.place().file.clone();
            match files.words.iter().find(|word| file.as_deref() == Some(word.as_str())) {
                Some(word) => self.at_text(error, word),
                None => error,
            }
        });
        let span = if frame.as_ref().is_err_and(|error| error.kind() == ErrorKind::Name) { named } else { files.span };
        self.placed(frame, span)
    }
}
