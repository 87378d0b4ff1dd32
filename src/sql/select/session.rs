//! Tables by name, and statements about them.

use super::query::{Lowering, table_called};
use crate::error::{Error, ErrorKind, Result, did_you_mean};
use crate::frame::LazyFrame;
use crate::plan::LogicalPlan;
use crate::sql::convert::prepared;
use crate::sql::dialect::Grammar;
use crate::sql::foreign::{refuse, retold};
use crate::sql::own_names::in_words;
use crate::sql::stopped::with_meaning;
use crate::sql::syntax::{
    MAX_NESTING, STATEMENTS, parser_error, refuse_long_chains, refuse_many_parts, refused_sample,
};
use crate::sql::tables::Tables;
use crate::sql::why_text::with_reasons;
use crate::sql::words::Words;
use sqlparser::ast::{self, Spanned};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

/// Tables that SQL can name, and queries that have been given names.
///
/// ```
/// use outcrop::sql::Session;
///
/// let late = Session::new().sql(
///     "select UniqueCarrier, count(*) as n, avg(ArrDelay) as delay
///      from 'testdata/airline/1987.csv.bz2' where ArrDelay > 0 group by 1 order by delay desc limit 3",
/// )?;
/// assert_eq!(late.collect()?.rows(), 3);
/// # Ok::<(), outcrop::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Session {
    /// Those that were given, and the queries that have names.
    tables: Tables,
    /// Names of those that are such queries, in lower case.
    views: BTreeSet<String>,
}

/// A statement that has been read.
#[derive(Clone, Debug)]
pub struct Statement {
    /// As it was written.
    pub text: String,
    /// What it asks for.
    pub asks: Asks,
}

/// What a statement asks for.
#[derive(Clone, Debug)]
pub enum Asks {
    /// The rows of a frame.
    Query(LazyFrame),
    /// The rows of a frame, written to a file.
    Copy(LazyFrame, String),
    /// How the rows of a frame would be found.
    Explain(LazyFrame),
    /// How the rows of a frame are found, and what it took to find them.
    Analyze(LazyFrame),
    /// Names and types of the columns of a frame.
    Describe(LazyFrame),
    /// A row of facts about each column of a frame: [`LazyFrame::describe`].
    Summarize(LazyFrame),
    /// Nothing: a query has been given this name.
    View(String),
    /// Nothing: these names have been taken from their queries.
    Dropped(Vec<String>),
}

impl Session {
    /// A session without named tables.
    pub fn new() -> Self {
        Session::default()
    }

    /// A session with these tables.
    pub fn with_tables(tables: Tables) -> Self {
        Session { tables, views: BTreeSet::new() }
    }

    /// Has `now()` and its like mean the present time in all texts from here on. Default: the time at which each text is read.
    pub fn fix_time(&mut self) {
        self.tables.fix_time();
    }

    /// The words of a text.
    fn words(&self, text: &str) -> Result<Words> {
        let mut words = Words::of_sql(text)?;
        words.read_at = self.tables.now().unwrap_or(words.read_at);
        Ok(words)
    }

    /// Gives a frame a name; a frame that had it before loses it.
    pub fn register(&mut self, name: impl Into<String>, frame: LazyFrame) {
        let name = name.into();
        self.views.remove(&name.to_ascii_lowercase());
        self.tables.name(name, frame);
    }

    /// Takes the name, written in any case, from its frame.
    pub fn forget(&mut self, name: &str) {
        self.views.remove(&name.to_ascii_lowercase());
        self.tables.forget(name);
    }

    /// Has files opened again when a statement names them next. Default: a session opens each file once, and takes it to have the
    /// columns that it had then.
    pub fn forget_files(&mut self) {
        self.tables.forget_files();
    }

    /// Tables and views by name, in alphabetical order.
    pub fn tables(&self) -> impl Iterator<Item = (&str, &LazyFrame)> {
        self.tables.all_named()
    }

    /// The files that statements have named so far, as they named them, and what is in them.
    pub fn files(&self) -> Vec<(String, LazyFrame)> {
        self.tables.all_files()
    }

    /// The frame that answers a question about a table or view, which may join the others by name.
    ///
    /// ```
    /// use outcrop::scan_csv;
    /// use outcrop::sql::Session;
    ///
    /// let mut session = Session::new();
    /// session.register("air", scan_csv("testdata/airline/1987.csv.bz2")?);
    /// session.run("create temp view late as select * from air where ArrDelay > 60")?;
    /// assert_eq!(session.ask("late", "count(*) by UniqueCarrier")?.collect()?.rows(), 13);
    /// # Ok::<(), outcrop::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`LazyFrame::ask`]; `Name` if there is no such table.
    pub fn ask(&self, table: &str, question: &str) -> Result<LazyFrame> {
        table_called(&self.tables, table, &[])?.ask_with(question, &self.tables)
    }

    /// The frame of one query. Frames of several queries share a pass if they are given to one
    /// [`compute`](crate::compute).
    ///
    /// # Errors
    /// `Syntax`, `Name` and `Type` errors, the place in the text underlined, and those of opening files; no data are read.
    pub fn sql(&self, query: &str) -> Result<LazyFrame> {
        let words = self.words(query)?;
        let mut ranges = statements(&words).into_iter();
        let (Some(range), None) = (ranges.next(), ranges.next()) else {
            return Err(Error::new(ErrorKind::Syntax, "one query is needed").hint("`run` takes several statements"));
        };
        match self.parse(&words, range.clone())? {
            ast::Statement::Query(query) => self.frame(&words, range, &query),
            other => Err(words
                .error(ErrorKind::Unsupported, format!("`{other}` is no query"), range)
                .hint("`run` takes statements of other kinds")),
        }
    }

    /// Several statements, separated by semicolons; a view is known to those behind it.
    ///
    /// # Errors
    /// As [`Session::sql`].
    pub fn run(&mut self, text: &str) -> Result<Vec<Statement>> {
        let words = self.words(text)?;
        let statement = |range: Range<usize>| {
            let text = words.typed(range.clone()).to_owned();
            Ok(Statement { text, asks: self.asks(&words, range)? })
        };
        statements(&words).into_iter().map(statement).collect()
    }

    fn asks(&mut self, words: &Words, range: Range<usize>) -> Result<Asks> {
        match self.asks_as_parsed(words, range.clone())? {
            Asks::Describe(frame) if words.is_word(range.start, SUMMARIZE) => Ok(Asks::Summarize(frame.describe())),
            asks => Ok(asks),
        }
    }

    fn asks_as_parsed(&mut self, words: &Words, range: Range<usize>) -> Result<Asks> {
        let frame = |query: &ast::Query| self.frame(words, range.clone(), query);
        let unsupported =
            |what: &str| words.error(ErrorKind::Unsupported, format!("{what} is not supported"), range.clone());
        match self.parse(words, range.clone())? {
            ast::Statement::Query(query) => Ok(Asks::Query(frame(&query)?)),
            ast::Statement::Explain { statement, analyze, describe_alias, .. } => {
                let ast::Statement::Query(query) = *statement else {
                    return Err(
                        unsupported("`explain` of this statement").hint("it stands before a query: explain select …")
                    );
                };
                Ok(match describe_alias {
                    ast::DescribeAlias::Explain if analyze => Asks::Analyze(frame(&query)?),
                    ast::DescribeAlias::Explain => Asks::Explain(frame(&query)?),
                    _ => Asks::Describe(frame(&query)?),
                })
            }
            ast::Statement::ExplainTable { table_name, .. } => {
                Ok(Asks::Describe(self.named_frame(words, range, &table_name)?))
            }
            ast::Statement::Copy { source, to: true, target: ast::CopyTarget::File { filename }, options, .. } => {
                if !options.is_empty() {
                    let error = unsupported("an option of `copy`");
                    return Err(error.hint(
                        "the ending of the file is its format; `outcrop convert` has more to say how it is written",
                    ));
                }
                match source {
                    ast::CopySource::Query(query) => Ok(Asks::Copy(frame(&query)?, filename)),
                    ast::CopySource::Table { table_name, columns } if columns.is_empty() => {
                        Ok(Asks::Copy(self.named_frame(words, range, &table_name)?, filename))
                    }
                    ast::CopySource::Table { .. } => Err(unsupported("`copy` of some columns of a table")
                        .hint("`copy (select a, b from t) to 'file.parquet'` writes them")),
                }
            }
            ast::Statement::CreateView(view) if !view.materialized && view.columns.is_empty() => {
                let [ast::ObjectNamePart::Identifier(name)] = view.name.0.as_slice() else {
                    return Err(unsupported("a view whose name has a dot").hint(NO_DOT));
                };
                let frame = frame(&view.query)?;
                let is_known = self.tables.named(&name.value).is_ok();
                if is_known && view.if_not_exists {
                    return Ok(Asks::View(name.value.clone()));
                }
                if is_known && !view.or_replace {
                    let error = Error::new(ErrorKind::Name, format!("there is a table `{}` already", name.value));
                    let error = error.hint("`create or replace` gives it another meaning");
                    return Err(error.underline(&words.text, words.bytes(range)));
                }
                self.forget(&name.value);
                self.register(name.value.clone(), frame);
                self.views.insert(name.value.to_ascii_lowercase());
                Ok(Asks::View(name.value.clone()))
            }
            ast::Statement::Drop { object_type: ast::ObjectType::View, if_exists, names, .. } => {
                self.drop_views(words, range, &names, if_exists)
            }
            ast::Statement::Drop { object_type: ast::ObjectType::Table, .. } => {
                Err(unsupported("`drop table`").hint(known_statements()))
            }
            _ => {
                let known = FOREIGN.iter().find(|(opener, _)| words.is_word(range.start, opener));
                let hint = known.map_or_else(known_statements, |(_, hint)| (*hint).to_owned());
                Err(unsupported("this statement").hint(hint))
            }
        }
    }

    /// Takes names from their queries; those of tables are wrong, and those that are none are, or do not matter.
    fn drop_views(
        &mut self,
        words: &Words,
        range: Range<usize>,
        names: &[ast::ObjectName],
        lenient: bool,
    ) -> Result<Asks> {
        let mut dropped = Vec::with_capacity(names.len());
        for name in names {
            let [ast::ObjectNamePart::Identifier(ident)] = name.0.as_slice() else {
                let what = "a view whose name has a dot";
                let refused = Lowering::new(words, &self.tables, range).unsupported(what, name.span());
                return Err(refused.hint(NO_DOT));
            };
            if self.views.contains(&ident.value.to_ascii_lowercase()) {
                dropped.push(ident.value.clone());
            } else if self.tables.named(&ident.value).is_ok() {
                let message = format!("`{}` is a table, not a view", ident.value);
                let error =
                    Error::new(ErrorKind::Name, message).hint("`drop view` takes away what `create view` has made");
                return Lowering::new(words, &self.tables, range).placed(Err(error), ident.span);
            } else if !lenient {
                let error = Error::new(ErrorKind::Name, format!("no view `{}`", ident.value));
                let named = self.tables().map(|(name, _)| name);
                let views = named.filter(|name| self.views.contains(&name.to_ascii_lowercase()));
                let error = match did_you_mean(&ident.value, views) {
                    Some(near) => error.hint(format!("did you mean `{near}`?")),
                    None => error.hint("`drop view if exists` takes one away only if it is there"),
                };
                return Lowering::new(words, &self.tables, range).placed(Err(error), ident.span);
            }
        }
        dropped.iter().for_each(|name| self.forget(name));
        Ok(Asks::Dropped(dropped))
    }

    fn parse(&self, words: &Words, range: Range<usize>) -> Result<ast::Statement> {
        refuse(words, range.clone())?;
        refuse_long_chains(words, range.clone())?;
        refuse_many_parts(words, range.clone())?;
        let mut tokens = prepared(words, range.clone())?;
        if let Some(first) = tokens.first_mut().filter(|_| words.is_word(range.start, SUMMARIZE)) {
            // The parser knows no `summarize`; what may stand behind it is what may stand behind `describe`.
            first.token = Token::make_keyword("DESCRIBE");
        }
        let tokens = retold(tokens);
        let mut parser =
            Parser::new(&Grammar::SQL).with_recursion_limit(MAX_NESTING).with_tokens_with_locations(tokens);
        let parsed = parser.parse_statement().map_err(|error| {
            refused_sample(words, range.clone()).unwrap_or_else(|| parser_error(words, &range, &error))
        })?;
        let next = parser.peek_token();
        if next.token == Token::EOF {
            return Ok(parsed);
        }
        let at = words.starting_at(next.span.start).unwrap_or(range.end - 1);
        if let Some(error) = refused_sample(words, range.clone()) {
            return Err(error);
        }
        let error = words.error(ErrorKind::Syntax, format!("unexpected `{}`", words.typed(at..at + 1)), at..at + 1);
        Err(with_meaning(error, words, &range, at))
    }

    fn frame(&self, words: &Words, range: Range<usize>, query: &ast::Query) -> Result<LazyFrame> {
        let plan =
            Lowering::new(words, &self.tables, range.clone()).query(query).and_then(|plan| plan.schema().map(|_| plan));
        let plan = plan.map_err(|error| {
            let source = |frame: LazyFrame| frame.plan().ok().map(|plan| Arc::clone(plan.source()));
            let sources: Vec<_> = self.tables.known().into_iter().filter_map(source).collect();
            let error = with_reasons(error, &sources, &|name| range.clone().any(|at| words.reads(at, name)));
            in_words(underlined(error, words, range.clone()))
        })?;
        Ok(LazyFrame::from_plan(LogicalPlan::clone(&plan)))
    }

    /// All rows of a table that a statement names.
    fn named_frame(&self, words: &Words, range: Range<usize>, name: &ast::ObjectName) -> Result<LazyFrame> {
        let lowering = Lowering::new(words, &self.tables, range);
        let (plan, _) = lowering.placed(lowering.named(name), name.span())?;
        Ok(LazyFrame::from_plan(LogicalPlan::clone(&plan)))
    }
}

const NO_DOT: &str = "a name with a dot stands in double quotes";

/// Statements that others have, by their first words, and what is written here.
const FOREIGN: [(&str, &str); 11] = [
    (
        "create",
        "`create temp view NAME as select …` names a query, and `copy (select …) to 'FILE.parquet'` writes its rows",
    ),
    ("insert", COPIES),
    ("update", COPIES),
    ("delete", COPIES),
    ("truncate", COPIES),
    ("show", "`describe 'FILE'` has the columns of a table, and `summarize` facts about them"),
    ("set", FLAGS),
    ("pragma", FLAGS),
    ("install", "all formats that can be read are there: a file stands in quotes behind `from`"),
    ("load", "all formats that can be read are there: a file stands in quotes behind `from`"),
    ("attach", "files stand in quotes behind `from`; there are no databases"),
];
const COPIES: &str = "files are read and not changed; `copy (select …) to 'FILE.parquet'` writes rows into another one";
const FLAGS: &str = "flags and variables say how statements are run: outcrop help sql";

/// Which statements there are, as a hint.
fn known_statements() -> String {
    format!("there are {}", STATEMENTS.join(", "))
}

/// The statement for [`Asks::Summarize`].
const SUMMARIZE: &str = "summarize";

/// The words of each statement.
fn statements(words: &Words) -> Vec<Range<usize>> {
    let ends = (0..words.len()).filter(|&at| words.token(at) == Some(&Token::SemiColon));
    let (mut start, mut found) = (0, Vec::new());
    for end in ends.chain([words.len()]) {
        if start < end {
            found.push(start..end);
        }
        start = end + 1;
    }
    found
}

/// The error with a place in the statement, if it has none yet: the first name that it mentions, else all of it.
fn underlined(error: Error, words: &Words, range: Range<usize>) -> Error {
    if error.underlined().is_some() {
        return error;
    }
    let mentioned = error.message().split('`').nth(1).map(str::to_owned);
    let at = mentioned.and_then(|name| range.clone().find(|&at| words.reads(at, &name)));
    let place = at.map_or(range, |at| at..at + 1);
    error.underline(&words.text, words.bytes(place))
}
