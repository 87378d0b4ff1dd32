//! Functions in `from` that read files: `read_csv('data/*.csv', delim => ';', types => {'id': 'bigint'})`.
//!
//! Options have the names of flags and of `--file-options`, with `_` or `-`, and, where DuckDB calls them otherwise, these names, too.
//! What is said there is all that is said of the files: flags about reading are for files in quotes.

use super::query::Lowering;
use super::wishes::{Files, WISHES, Wishes};
use crate::error::{Error, ErrorKind, Result, did_you_mean};
use crate::expr::elsewhere::written_here;
use crate::frame::LazyFrame;
use crate::source::csv::KEYS;
use crate::source::detect::InputFormat;
use sqlparser::ast::{self, FunctionArg, FunctionArgExpr, Spanned};
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// The functions, and the format of their files.
const READERS: [(&str, InputFormat); 12] = [
    ("read_csv", InputFormat::Csv),
    ("read_csv_auto", InputFormat::Csv),
    ("read_parquet", InputFormat::Parquet),
    ("parquet_scan", InputFormat::Parquet),
    ("read_json", InputFormat::Ndjson),
    ("read_json_auto", InputFormat::Ndjson),
    ("read_ndjson", InputFormat::Ndjson),
    ("read_ndjson_auto", InputFormat::Ndjson),
    ("scan_csv", InputFormat::Csv),
    ("scan_parquet", InputFormat::Parquet),
    ("read_arrow", InputFormat::Ipc),
    ("read_ipc", InputFormat::Ipc),
];

/// Other names of options: DuckDB's, and what a flag has for them.
const SYNONYMS: [(&str, &str); 25] = [
    ("delim", "delimiter"),
    ("sep", "delimiter"),
    ("nullstr", "null"),
    ("null_values", "null"),
    ("skip", "skip-rows"),
    ("decimal_separator", "decimal"),
    ("dateformat", "date-format"),
    ("timestampformat", "date-format"),
    ("auto_detect", "sniff"),
    ("dtypes", "types"),
    ("column_types", "types"),
    ("dtype", "types"),
    ("col_types", "types"),
    ("schema_overrides", "types"),
    ("separator", "delimiter"),
    ("quotechar", "quote"),
    ("quote_char", "quote"),
    ("escapechar", "escape"),
    ("comment_prefix", "comment"),
    ("has_header", "header"),
    ("skiprows", "skip-rows"),
    ("na_values", "null"),
    ("ignore_errors", "malformed"),
    ("null_padding", "malformed"),
    ("union_by_name", "columns"),
];

/// What a truth means as the value of such an option: the option of these names, and its value.
const TRUTHS: [(&str, &str); 3] = [("ignore_errors", "skip"), ("null_padding", "pad"), ("union_by_name", "union")];

/// Options of DuckDB that say what is so here anyway, or cannot be.
const NEEDLESS: [(&str, &str); 9] = [
    ("sample_size", "types are told from samples of all files, and a later value that does not fit widens its column"),
    ("parallel", "files are read on all cores"),
    ("compression", "it is told by the content of the files"),
    ("hive_partitioning", "folders named KEY=VALUE are columns"),
    ("buffer_size", "the memory limit alone counts: --memory"),
    ("max_line_size", "a record may have 64 MiB"),
    ("maximum_line_size", "a record may have 64 MiB"),
    ("store_rejects", "malformed => 'skip' sets records aside, and --rejects FILE keeps them"),
    ("preserve_insertion_order", "rows keep the order of the files"),
];

/// Options of pandas, R and Polars, and what is written for them.
const ELSEWHERE: [(&[&str], &str); 8] = [
    (&["nrows", "n_rows", "n_max", "limit"], "`limit 3` behind the query has the first rows"),
    (&["usecols", "col_select", "select"], "columns are named behind `select`, and no others are parsed"),
    (&["index_col", "row_names"], "rows have no names; every column is one like others"),
    (
        &["parse_dates", "try_parse_dates"],
        "dates are found by themselves; date_format => '%d.%m.%Y' says how others are written",
    ),
    (
        &["chunksize", "low_memory", "engine", "num_threads", "n_threads", "memory_map"],
        "files are read in pieces, on all cores",
    ),
    (&["dayfirst"], "date_format => '%d.%m.%Y' says how dates are written"),
    (&["on_bad_lines"], "malformed => 'skip' sets bad records aside"),
    (&["stringsasfactors", "infer_schema_length", "guess_max"], "types are told from samples of all files"),
];

/// An option as it is set, and where it was written.
pub(super) struct Setting {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) span: sqlparser::tokenizer::Span,
}

fn reader(name: &str) -> Option<InputFormat> {
    READERS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, format)| *format)
}

/// Puts `=>` for `=` and `:=` behind the names of arguments of these functions: elsewhere `=` compares.
pub(in crate::sql) fn name_arguments(tokens: &mut [TokenWithSpan]) {
    let mut depth: Option<usize> = None;
    for at in 1..tokens.len() {
        let begins = matches!(&tokens[at - 1].token, Token::Word(word) if reader(&word.value).is_some());
        match (&tokens[at].token, depth) {
            (Token::LParen, None) if begins => depth = Some(1),
            (Token::LParen, Some(open)) => depth = Some(open + 1),
            (Token::RParen, Some(open)) => depth = Some(open - 1).filter(|open| *open > 0),
            (Token::Eq | Token::Assignment, Some(1)) => {
                let is_name = matches!(tokens[at - 1].token, Token::Word(_))
                    && at > 1
                    && matches!(tokens[at - 2].token, Token::Comma | Token::LParen);
                if is_name {
                    tokens[at].token = Token::RArrow;
                }
            }
            _ => {}
        }
    }
}

impl Lowering<'_> {
    /// The table that a function reads, and what it is called.
    pub(super) fn read_by(&self, name: &ast::ObjectName, args: &ast::TableFunctionArgs) -> Result<(LazyFrame, String)> {
        let written = name.to_string();
        let Some(format) = reader(&written) else {
            let error = self.unsupported(&format!("the table function `{name}`"), name.span());
            // An aggregate is called so, too.
            let theirs = if written.eq_ignore_ascii_case("range") { "generate_series" } else { &written };
            let near = did_you_mean(&written.to_lowercase(), READERS.map(|(known, _)| known));
            return Err(error.hint(match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => written_here(theirs).map_or_else(
                    || {
                        "there are read_csv, read_parquet, read_ndjson and read_arrow; a file stands in quotes"
                            .to_owned()
                    },
                    str::to_owned,
                ),
            }));
        };
        let (mut files, mut settings, mut wishes) = (Vec::new(), Vec::new(), Wishes::default());
        for (at, arg) in args.args.iter().enumerate() {
            match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) if at == 0 => files = self.texts(expr)?,
                FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. } => {
                    self.refuse_needless(name)?;
                    self.refuse_unknown(name)?;
                    if !wishes.take(self, name, value)? {
                        settings.extend(self.settings(name, value)?);
                    }
                }
                other => {
                    let error =
                        Error::new(ErrorKind::Syntax, format!("`{written}` takes files, and options with names"));
                    let error = error.hint(format!("such as {written}('data/*.csv', header => false)"));
                    return self.placed(Err(error), other.span());
                }
            }
        }
        if files.is_empty() {
            let error = Error::new(ErrorKind::Syntax, format!("`{written}` takes a file"));
            return self.placed(Err(error), name.span());
        }
        let only_csv = |key: &str| match key {
            "types" | "columns" => false,
            "malformed" => format != InputFormat::Ndjson,
            _ => true,
        };
        if let Some(other) = settings.iter().find(|setting| format != InputFormat::Csv && only_csv(&setting.key)) {
            let error =
                Error::new(ErrorKind::Syntax, format!("`{}` is an option of CSV, and not of {format}", other.key));
            return self.placed(Err(error), other.span);
        }
        if wishes.are_of_text() && format != InputFormat::Csv {
            let error = Error::new(ErrorKind::Syntax, format!("columns of {format} have their names and types"));
            return self.placed(Err(error.hint("names, columns and all_varchar are options of CSV")), name.span());
        }
        // Rows that can be padded are, in whichever order it is asked that others be set aside.
        settings.sort_by_key(|setting| setting.key == "malformed" && setting.value == "pad");
        let frame = self.opened(&Files { words: &files, format, span: name.span() }, settings, &wishes)?;
        let stem = super::query::stem(files.first().map_or("", String::as_str)).to_owned();
        Ok((frame, stem))
    }

    /// Options that nobody needs here are told of, and not taken as if they did something.
    fn refuse_needless(&self, name: &ast::Ident) -> Result<()> {
        match NEEDLESS.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name.value)) {
            None => Ok(()),
            Some((_, why)) => {
                let error = Error::new(ErrorKind::Unsupported, format!("there is no option `{}`", name.value));
                self.placed(Err(error.hint(format!("leave it out: {why}"))), name.span)
            }
        }
    }

    /// Names of options that there are not are told of before what is said of them.
    fn refuse_unknown(&self, name: &ast::Ident) -> Result<()> {
        let written = name.value.to_lowercase();
        let (key, word) = (written.replace('_', "-"), written.replace('-', "_"));
        let known = || SYNONYMS.map(|(known, _)| known).into_iter().chain(WISHES);
        if KEYS.contains(&key.as_str()) || known().any(|known| known == word) {
            return Ok(());
        }
        let error = Error::new(ErrorKind::Name, format!("there is no option `{}`", name.value));
        let elsewhere = ELSEWHERE.iter().find(|(names, _)| names.contains(&word.as_str()));
        let keys = KEYS.map(|key| key.replace('-', "_"));
        let near = did_you_mean(&word, keys.iter().map(String::as_str).chain(known()));
        let error = match (elsewhere, near) {
            (Some((_, hint)), _) => error.hint(*hint),
            (None, Some(near)) => error.hint(format!("did you mean `{near}`?")),
            (None, None) => error.hint(format!("options are {}, {}", keys.join(", "), WISHES.join(", "))),
        };
        self.placed(Err(error), name.span)
    }

    /// One text, or several in brackets.
    pub(super) fn texts(&self, expr: &ast::Expr) -> Result<Vec<String>> {
        match expr {
            ast::Expr::Array(array) => array.elem.iter().map(|item| self.scalar(item)).collect(),
            ast::Expr::Nested(inner) => self.texts(inner),
            ast::Expr::Tuple(items) => items.iter().map(|item| self.scalar(item)).collect(),
            one => Ok(vec![self.scalar(one)?]),
        }
    }

    /// A constant as the text that an option takes.
    pub(super) fn scalar(&self, expr: &ast::Expr) -> Result<String> {
        if let ast::Expr::Value(value) = expr {
            match &value.value {
                ast::Value::SingleQuotedString(text) | ast::Value::DoubleQuotedString(text) => return Ok(text.clone()),
                ast::Value::Number(digits, _) => return Ok(digits.clone()),
                ast::Value::Boolean(truth) => return Ok(truth.to_string()),
                _ => {}
            }
        }
        let error = Error::new(ErrorKind::Syntax, format!("`{expr}` is no constant that an option takes"));
        self.placed(Err(error.hint("texts stand in single quotes")), expr.span())
    }

    /// An option as one or more that [`CsvOptions::set`](crate::source::csv::CsvOptions::set) knows.
    fn settings(&self, name: &ast::Ident, value: &ast::Expr) -> Result<Vec<Setting>> {
        let lower = name.value.to_lowercase();
        let synonym = SYNONYMS.iter().find(|(known, _)| *known == lower.replace('-', "_"));
        let key = synonym.map_or_else(|| lower.replace('_', "-"), |(_, key)| (*key).to_owned());
        let span = if value.span() == sqlparser::tokenizer::Span::empty() { name.span } else { value.span() };
        let of_column = |column: &str, of_type: &ast::Expr| {
            Ok(Setting { key: "types".to_owned(), value: format!("{column}={}", self.scalar(of_type)?), span })
        };
        match value {
            ast::Expr::Dictionary(fields) if key == "types" => {
                fields.iter().map(|field| of_column(&field.key.value, &field.value)).collect()
            }
            ast::Expr::Map(map) if key == "types" => {
                map.entries.iter().map(|entry| of_column(&self.scalar(&entry.key)?, &entry.value)).collect()
            }
            ast::Expr::Array(_) if key == "types" => {
                let error = Error::new(ErrorKind::Syntax, "`types` says of which column each type is");
                let hint = "types => {'a': 'bigint'} gives types to some columns, columns => {'a': 'bigint', …} to all in order";
                self.placed(Err(error.hint(hint)), name.span)
            }
            ast::Expr::Array(_) if key == "columns" => {
                let error =
                    Error::new(ErrorKind::Syntax, "`columns` gives names and types, or says what becomes of columns");
                self.placed(
                    Err(error.hint("names => ['a', 'b'] gives names alone; `select a, b` takes some columns")),
                    name.span,
                )
            }
            value => {
                let truth = TRUTHS.iter().find(|(known, _)| *known == lower);
                let mut settings = Vec::new();
                for text in self.texts(value)? {
                    let value = match (truth, text.as_str()) {
                        (Some((_, meant)), "true") => (*meant).to_owned(),
                        (Some(_), "false") => continue,
                        // An empty text is no quote at all, as in DuckDB.
                        (None, "") if matches!(key.as_str(), "quote" | "escape" | "comment") => "none".to_owned(),
                        _ => text,
                    };
                    settings.push(Setting { key: key.clone(), value, span });
                }
                Ok(settings)
            }
        }
    }
}
