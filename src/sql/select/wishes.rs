//! What is wished of files beside options: names and types of all columns, texts only, the file of a row as a column.

use super::functions::Setting;
use super::query::Lowering;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{Expr, col};
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
        let mut scan = CsvScan::new(files.words.to_vec());
        let mut typed: Vec<String> = Vec::new();
        for Setting { key, value, span } in settings {
            if let ("types", Some((column, _))) = (key.as_str(), value.rsplit_once('=')) {
                typed.push(column.trim().to_owned());
            }
            scan = self.placed(scan.set(&key, &value), span)?;
        }
        if !wishes.are_of_text() {
            let frame = self.read(files, scan)?;
            let Some(name) = &wishes.file else { return Ok(frame) };
            self.refuse_taken(name, frame.schema()?.fields().iter().map(|field| field.name().as_str()), files)?;
            return Ok(frame.with_columns(col(FILE_NAME).alias(name.as_str())));
        }
        let span = wishes.span.unwrap_or(files.span);
        let schema = self.read(files, scan.clone())?.schema()?;
        let own: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let by_name = wishes.columns.iter().all(|(name, of_type)| of_type.is_some() && own.contains(&name.as_str()));
        if !by_name && wishes.columns.len() != own.len() {
            let message = format!("{} columns are named, and the files have {}", wishes.columns.len(), own.len());
            let error = Error::new(ErrorKind::Name, message).hint(format!(
                "these are {}; types => {{'{}': 'varchar'}} gives a type to some of them",
                own.join(", "),
                own.first().unwrap_or(&"a")
            ));
            return self.placed(Err(error), span);
        }
        for (at, (name, of_type)) in wishes.columns.iter().enumerate() {
            let column = if by_name { name.as_str() } else { own[at] };
            if let Some(of_type) = of_type {
                scan = self.placed(scan.set("types", &format!("{column}={of_type}")), span)?;
                typed.push(column.to_owned());
            }
        }
        if wishes.all_text {
            let others = own.iter().filter(|column| !typed.iter().any(|known| known == *column));
            scan = others.fold(scan, |scan, column| scan.with_type(*column, ColumnType::Utf8));
        }
        let frame = self.read(files, scan)?;
        let renamed = own.iter().zip(&wishes.columns).map(|(own, (name, _))| col(*own).alias(name.as_str()));
        let mut columns: Vec<Expr> =
            if by_name { own.iter().map(|own| col(*own)).collect() } else { renamed.collect() };
        if let Some(name) = &wishes.file {
            let given = wishes.columns.iter().map(|(name, _)| name.as_str());
            self.refuse_taken(name, if by_name { own } else { given.collect() }.into_iter(), files)?;
        }
        columns.extend(wishes.file.as_ref().map(|name| col(FILE_NAME).alias(name.as_str())));
        Ok(frame.select(columns))
    }

    /// A column for the file of each row takes the place of no other.
    fn refuse_taken<'a>(
        &self,
        name: &str,
        mut columns: impl Iterator<Item = &'a str>,
        files: &Files<'_>,
    ) -> Result<()> {
        if !columns.any(|column| column == name) {
            return Ok(());
        }
        let error = Error::new(ErrorKind::Name, format!("the files have a column `{name}`"));
        let error = error.hint("filename => 'source' gives that of the files another name");
        self.placed(Err(error), files.span)
    }

    fn read(&self, files: &Files<'_>, scan: CsvScan) -> Result<LazyFrame> {
        let frame = self.session.read(scan, files.words, files.format).map_err(|error| {
            let file = error.place().file.clone();
            match files.words.iter().find(|word| file.as_deref() == Some(word.as_str())) {
                Some(word) => self.at_text(error, word),
                None => error,
            }
        });
        self.placed(frame, files.span)
    }
}
