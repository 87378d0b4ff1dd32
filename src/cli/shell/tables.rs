//! Tables of a session: opening them, and telling what there is.

use super::commands;
use super::opened::{Opened, table_name};
use super::say;
use super::state::{State, wrong_words};
use crate::cli::config::home;
use crate::cli::flags::NamedTable;
use crate::cli::look::columns_of;
use crate::cli::messages::{Stop, warn};
use crate::cli::open::open_named;
use crate::cli::run::open_with;
use crate::cli::sql::Asked;
use crate::error::{Error, ErrorKind, Result, did_you_mean};
use crate::frame::LazyFrame;
use crate::source::memory::MemorySource;
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema};
use std::io;
use std::sync::Arc;

impl State {
    /// The table or view of this name, as it is written.
    pub(super) fn table(&self, name: &str) -> Result<String> {
        let known = || self.session.tables().map(|(known, _)| known);
        if let Some(found) = known().find(|known| known.eq_ignore_ascii_case(name)) {
            return Ok(found.to_owned());
        }
        let error = Error::new(ErrorKind::Name, format!("no table `{name}`"));
        Err(self.meanings.explained(match did_you_mean(name, known()) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint("`.tables` lists them, `.open FILES` opens one"),
        }))
    }

    pub(super) fn open_words(&mut self, words: &[&str]) -> Result<()> {
        if let [word] = words
            && !std::path::Path::new(word).exists()
            && word
                .split_once('=')
                .is_some_and(|(name, _)| name.chars().all(|letter| letter.is_alphanumeric() || letter == '_'))
        {
            let mut table: NamedTable = word.parse().map_err(|wrong: String| Error::new(ErrorKind::Syntax, wrong))?;
            table.files = home(&table.files);
            return self.open(table.name.clone(), vec![table.files.clone()], Some(table));
        }
        let words: Vec<String> = words.iter().map(|word| home(word)).collect();
        let mut name = table_name(&words);
        let mut number = 1;
        while self.meanings.table(&name).is_some_and(|other| other.words != words) {
            number += 1;
            name = format!("{}_{number}", table_name(&words));
        }
        self.open(name, words, None)
    }

    /// Opens a table and makes it the current one.
    pub(super) fn open(&mut self, name: String, words: Vec<String>, options: Option<NamedTable>) -> Result<()> {
        let opened = Opened::new(name.clone(), words, options);
        let frame = self.frame_of(&opened)?;
        self.token.check()?;
        let columns = frame.schema()?.fields().len();
        self.session.forget(&name);
        self.session.register(name.clone(), frame.clone());
        if self.interactive && !self.run.quiet {
            let columns = if columns == 1 { "1 column".to_owned() } else { format!("{columns} columns") };
            say(&format!("table {name}: {columns} from {}", opened.words.join(", ")));
        }
        self.meanings.opened(opened, frame);
        self.current = Some(name);
        Ok(())
    }

    fn frame_of(&self, opened: &Opened) -> Result<LazyFrame> {
        match &opened.options {
            Some(table) => open_named(table, &self.flags.reading.file_options),
            None => open_with(&opened.words, &self.flags.reading, &self.run, &self.flags.reading.file_options),
        }
    }

    /// Gives names their meanings again where files have changed.
    pub(super) fn open_again(&mut self) -> Result<()> {
        let mut meanings = std::mem::take(&mut self.meanings);
        let mut session = std::mem::take(&mut self.session);
        let troubles = meanings.renew(&mut session, |opened| self.frame_of(opened));
        (self.meanings, self.session) = (meanings, session);
        for trouble in troubles?.iter().filter(|_| !self.run.quiet && !self.token.is_cancelled()) {
            warn(trouble, &mut io::stderr());
        }
        Ok(())
    }

    /// The tables and views.
    pub(super) fn listed(&self) -> Result<LazyFrame> {
        let tables: Vec<(&str, &LazyFrame)> = self.session.tables().collect();
        let columns = tables.iter().map(|(_, frame)| Ok(frame.schema()?.fields().len() as i64));
        let columns = columns.collect::<Result<Vec<i64>>>()?;
        let from = |name: &str| self.meanings.table(name).map(|opened| opened.words.join(", "));
        let from = tables.iter().map(|(name, _)| from(name).unwrap_or_else(|| "a query".to_owned()));
        let arrays: Vec<ArrayRef> = vec![
            Arc::new(StringViewArray::from_iter_values(tables.iter().map(|(name, _)| name))),
            Arc::new(Int64Array::from(columns)),
            Arc::new(StringViewArray::from_iter_values(from)),
        ];
        let types = [("table", DataType::Utf8View), ("columns", DataType::Int64), ("from", DataType::Utf8View)];
        let fields: Vec<Field> = types.into_iter().map(|(name, kind)| Field::new(name, kind, false)).collect();
        let schema = Arc::new(Schema::new(fields));
        let batch = RecordBatch::try_new(Arc::clone(&schema), arrays)?;
        Ok(LazyFrame::from_source(Arc::new(MemorySource::new(schema, vec![batch]))))
    }

    pub(super) fn schema(&mut self, name: Option<&str>) -> Result<(), Stop> {
        let name = match (name, &self.current) {
            (Some(name), _) => name.to_owned(),
            (None, Some(current)) => current.clone(),
            (None, None) => return Err(wrong_words(commands::find("schema")?).into()),
        };
        let known = self.session.tables().find(|(known, _)| known.eq_ignore_ascii_case(&name));
        if let Some((_, frame)) = known {
            return self.show(columns_of(&*frame.schema()?)?, &name);
        }
        if !name.contains(['.', '/', '*', '-']) {
            self.table(&name)?;
        }
        let mut asked = Asked::default();
        asked.statements(&mut self.session, &format!("describe '{}'", home(&name).replace('\'', "''")), &self.run)?;
        self.answer(asked)
    }
}
