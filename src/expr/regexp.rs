//! Regular expressions: `regexp_matches(s, '^[A-Z]+$')` and relatives.
//!
//! A pattern is a constant, compiled once when an expression is bound. The `regex` crate takes time in proportion to the text,
//! whatever the pattern, and both the pattern and what it becomes have a limit.

use super::bound::{BoundExpr, Node};
use super::call::texts;
use super::coerce::widen;
use super::function::Function;
use super::tree::Expr;
use super::value::{Texts, Value, result_rows, valid_everywhere};
use crate::error::{Error, ErrorKind, Result};
use crate::types::ColumnType;
use arrow::array::{AsArray, BooleanArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::Int64Type;
use regex::{Regex, RegexBuilder};
use std::borrow::Cow;
use std::sync::Arc;

/// Bytes of a compiled pattern, and of what a thread keeps while it looks for it.
const MOST_COMPILED_BYTES: usize = 4 << 20;
const MOST_CACHED_BYTES: usize = 1 << 20;

/// What is done with a pattern.
#[derive(Debug)]
pub(super) struct Regexp {
    regex: Regex,
    task: Task,
}

#[derive(Debug)]
enum Task {
    Matches,
    /// The first match, or all, by these parts.
    Replace {
        parts: Vec<Part>,
        all: bool,
    },
    /// The text of this group.
    Extract(usize),
}

/// A part of what a match is replaced by.
#[derive(Debug, PartialEq)]
enum Part {
    Text(String),
    Group(usize),
}

/// How letters of options change what a pattern means.
#[derive(Clone, Copy, Debug, Default)]
struct Options {
    ignore_case: bool,
    /// `.` is a line end, too.
    dot_all: bool,
    /// The pattern is a text that is looked for as it is.
    literal: bool,
    /// All matches are replaced.
    all: bool,
}

impl Options {
    fn parse(letters: &str) -> Result<Self> {
        let mut options = Options::default();
        for letter in letters.chars() {
            match letter {
                'i' => options.ignore_case = true,
                'c' => options.ignore_case = false,
                's' => options.dot_all = true,
                'l' => options.literal = true,
                'g' => options.all = true,
                _ => {
                    let message = format!("`{letter}` is no option of a regular expression");
                    return Err(Error::new(ErrorKind::Type, message).hint(
                        "options are i (ignore case), c (do not), s (a dot is a line end, too), l (a plain text) and, of \
                         regexp_replace, g (all matches)",
                    ));
                }
            }
        }
        Ok(options)
    }
}

/// Whether `pattern` is a regular expression.
///
/// # Errors
/// `Syntax` when it is none, `Limit` when it is too large.
pub(crate) fn check_pattern(pattern: &str) -> Result<()> {
    compile(pattern, Options::default(), false).map(|_| ())
}

fn compile(pattern: &str, options: Options, whole: bool) -> Result<Regex> {
    let pattern = if options.literal { Cow::Owned(regex::escape(pattern)) } else { Cow::Borrowed(pattern) };
    let written = if whole { format!(r"\A(?:{pattern})\z") } else { pattern.to_string() };
    let build = |text: &str| {
        let mut builder = RegexBuilder::new(text);
        builder.case_insensitive(options.ignore_case).dot_matches_new_line(options.dot_all);
        builder.size_limit(MOST_COMPILED_BYTES).dfa_size_limit(MOST_CACHED_BYTES).nest_limit(100).build()
    };
    // By itself first: parentheses of its own must not close those around it.
    build(&pattern).and_then(|alone| if whole { build(&written) } else { Ok(alone) }).map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => {
            let message = "the regular expression is too large".to_owned();
            Error::new(ErrorKind::Limit, message).hint("a repetition such as {1000} multiplies what stands before it")
        }
        error => {
            let text = error.to_string();
            let why = text.lines().rev().find_map(|line| line.strip_prefix("error: ")).unwrap_or("it cannot be read");
            Error::new(ErrorKind::Syntax, format!("'{pattern}' is no regular expression: {why}"))
                .hint("`\\` takes the next sign as it is: '\\(' is a parenthesis")
        }
    })
}

/// A call of one of these functions: its first argument is a text, the others are constants.
pub(super) fn bind(whole: &Expr, function: Function, mut args: Vec<BoundExpr>) -> Result<BoundExpr> {
    let mut constants = args.split_off(1).into_iter();
    let input = args.pop().ok_or_else(|| Error::internal("a regular expression of nothing"))?;
    let input = widen(whole, input, ColumnType::Utf8)?;
    let result = match function {
        Function::RegexpMatches | Function::RegexpFullMatch => ColumnType::Boolean,
        _ => ColumnType::Utf8,
    };
    if constants.as_slice().iter().any(|constant| constant.column_type == ColumnType::Null) {
        return Ok(BoundExpr::null(result));
    }
    let varies = |what: &str| {
        let error = Error::new(ErrorKind::Type, format!("{what} of `{function}` is a constant, in `{whole}`"));
        error.hint(format!("such as {function}(x, '[0-9]+')"))
    };
    let text = |constant: Option<BoundExpr>, what: &str| match constant {
        None => Ok(None),
        Some(constant) => constant.constant_text().map(|text| Some(text.to_owned())).ok_or_else(|| varies(what)),
    };
    let pattern = text(constants.next(), "the pattern")?.ok_or_else(|| Error::internal("no pattern"))?;
    let replacement = match function {
        Function::RegexpReplace => text(constants.next(), "the replacement")?,
        _ => None,
    };
    let group = match (function, constants.next()) {
        (Function::RegexpExtract, Some(number)) => {
            let number = number.constant().and_then(|array| array.as_primitive_opt::<Int64Type>().cloned());
            let number = number.and_then(|array| usize::try_from(array.value(0)).ok());
            (Some(number.ok_or_else(|| varies("the number of the group"))?), constants.next())
        }
        (_, next) => (None, next),
    };
    let (group, options) = (group.0.unwrap_or(0), text(group.1, "the last argument")?);
    let options = Options::parse(&options.unwrap_or_default())?;
    if options.all && function != Function::RegexpReplace {
        return Err(Error::new(ErrorKind::Type, format!("`{function}` has no option g, in `{whole}`")));
    }
    let regex = compile(&pattern, options, function == Function::RegexpFullMatch)?;
    let groups = regex.captures_len() - 1;
    let no_group = |number: usize| {
        let message = format!("the pattern of `{function}` has {groups} groups, and no group {number}, in `{whole}`");
        Error::new(ErrorKind::Type, message).hint("parentheses are groups, and 0 is the whole match")
    };
    let task = match (function, replacement) {
        (Function::RegexpReplace, Some(written)) => {
            let parts = parts(&written)?;
            let of_group = |part: &Part| if let Part::Group(number) = part { Some(*number) } else { None };
            if let Some(missing) = parts.iter().filter_map(of_group).find(|number| *number > groups) {
                return Err(no_group(missing));
            }
            Task::Replace { parts, all: options.all }
        }
        (Function::RegexpExtract, _) if group > groups => return Err(no_group(group)),
        (Function::RegexpExtract, _) => Task::Extract(group),
        _ => Task::Matches,
    };
    let node = Node::Regexp(Arc::new(Regexp { regex, task }), Box::new(input));
    Ok(BoundExpr::new(node, result, whole))
}

/// What a match is replaced by: `\1` is its first group, `\0` all of it, `\\` a backslash.
fn parts(written: &str) -> Result<Vec<Part>> {
    let (mut parts, mut text) = (Vec::new(), String::new());
    let mut chars = written.chars();
    while let Some(next) = chars.next() {
        if next != '\\' {
            text.push(next);
            continue;
        }
        match chars.next() {
            Some('\\') => text.push('\\'),
            Some(digit) if digit.is_ascii_digit() => {
                if !text.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut text)));
                }
                parts.push(Part::Group(digit as usize - '0' as usize));
            }
            _ => {
                let error = Error::new(ErrorKind::Type, format!("`\\` in '{written}' stands before no group"));
                return Err(error.hint("\\1 is the first group, \\0 the whole match, \\\\ a backslash"));
            }
        }
    }
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    Ok(parts)
}

impl Regexp {
    /// The result for each text.
    pub(super) fn evaluate(&self, input: &Value) -> Result<Value> {
        let written = Texts::of(input)?;
        if let Task::Matches = self.task {
            let rows = result_rows(&[input]);
            let nulls = valid_everywhere(&[input], rows);
            let is_null = |row: usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
            let found = BooleanBuffer::collect_bool(rows, |row| !is_null(row) && self.regex.is_match(written.at(row)));
            return Ok(Value::like(&[input], BooleanArray::new(found, nulls)));
        }
        texts(&[input], |row| Ok(self.text(written.at(row))))
    }

    fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match &self.task {
            Task::Extract(0) => self.regex.find(text).map_or("", |found| found.as_str()).into(),
            Task::Extract(group) => {
                let found = self.regex.captures(text).and_then(|groups| groups.get(*group));
                found.map_or("", |found| found.as_str()).into()
            }
            Task::Replace { parts, all } => {
                let by = |groups: &regex::Captures<'_>| {
                    let of_part = |part: &Part| match part {
                        Part::Text(text) => text.clone(),
                        Part::Group(number) => groups.get(*number).map_or("", |found| found.as_str()).to_owned(),
                    };
                    parts.iter().map(of_part).collect::<String>()
                };
                self.regex.replacen(text, if *all { 0 } else { 1 }, by)
            }
            Task::Matches => text.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, RecordBatch, StringViewArray};

    fn of(texts: Vec<Option<&str>>, expr: &str) -> Result<Vec<Option<String>>> {
        let column: ArrayRef = Arc::new(StringViewArray::from(texts));
        let batch = RecordBatch::try_from_iter([("s", column)])?;
        let expr = crate::sql::parse_expr(expr)?.cast(ColumnType::Utf8);
        let values = expr.bind(&batch.schema())?.evaluate(&batch)?;
        Ok(values.as_string_view().iter().map(|text| text.map(str::to_owned)).collect())
    }

    #[test]
    fn texts_are_found_replaced_and_taken_out() {
        let texts = || vec![Some("ab12cd3"), Some(""), None, Some("x\nB9")];
        for (expr, expected) in [
            ("regexp_matches(s, '[0-9]')", [Some("true"), Some("false"), None, Some("true")]),
            ("regexp_matches(s, '^b', 'i')", [Some("false"), Some("false"), None, Some("false")]),
            ("regexp_matches(s, 'x.B', 's')", [Some("false"), Some("false"), None, Some("true")]),
            ("regexp_full_match(s, 'ab|ab12cd3')", [Some("true"), Some("false"), None, Some("false")]),
            ("regexp_matches(s, '.', 'l')", [Some("false"), Some("false"), None, Some("false")]),
            ("regexp_replace(s, '[0-9]+', '<\\0>')", [Some("ab<12>cd3"), Some(""), None, Some("x\nB<9>")]),
            (
                "regexp_replace(s, '([a-z])([0-9])', '$1\\2\\1\\\\', 'g')",
                [Some("a$11b\\2c$13d\\"), Some(""), None, Some("x\nB9")],
            ),
            ("regexp_extract(s, '([a-z]+)([0-9]+)', 2)", [Some("12"), Some(""), None, Some("")]),
            ("regexp_extract(s, '[a-z]')", [Some("a"), Some(""), None, Some("x")]),
            ("regexp_extract(s, 'B(7)?', 1)", [Some(""), Some(""), None, Some("")]),
            ("regexp_matches(s, null)", [None; 4]),
            ("s ~ '^A' or s ~* '^A'", [Some("true"), Some("false"), None, Some("false")]),
            ("s !~ 'a' and s !~* 'b'", [Some("false"), Some("true"), None, Some("false")]),
        ] {
            let expected: Vec<Option<String>> = expected.iter().map(|text| text.map(str::to_owned)).collect();
            assert_eq!(of(texts(), expr).unwrap(), expected, "{expr}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_and_underlined() {
        for (expr, message, place) in [
            ("regexp_matches(s, 'a(b')", "'a(b' is no regular expression: unclosed group", Some(18..23)),
            ("s ~ 'a)|(b'", "'a)|(b' is no regular expression: unopened group", Some(4..11)),
            ("regexp_full_match(s, 'a)|(b')", "'a)|(b' is no regular expression: unopened group", Some(21..28)),
            ("regexp_matches(s, '\\w{9999}')", "the regular expression is too large", Some(18..28)),
            ("s ~ upper(s)", "the pattern of `~` is a constant text", Some(4..11)),
            ("regexp_extract(s, 'a(b)', 2)", "the pattern of `regexp_extract` has 1 groups, and no group 2", None),
            ("regexp_replace(s, 'a', '\\1')", "the pattern of `regexp_replace` has 0 groups, and no group 1", None),
            ("regexp_replace(s, 'a', '\\x')", "`\\` in '\\x' stands before no group", None),
            ("regexp_matches(s, 'a', 'q')", "`q` is no option of a regular expression", None),
            ("regexp_matches(s, 'a', 'g')", "`regexp_matches` has no option g", None),
            ("regexp_matches(s, s)", "the pattern of `regexp_matches` is a constant", None),
        ] {
            let error = of(vec![Some("a")], expr).unwrap_err();
            assert!(error.message().starts_with(message), "{expr}: {error}");
            assert_eq!(error.underlined().map(|underline| underline.range.clone()), place, "{expr}");
        }
    }

    #[test]
    fn a_pattern_takes_time_in_proportion_to_the_text() {
        let text = "a".repeat(20_000);
        let found = of(vec![Some(&text)], "regexp_matches(s, '(a*)*b')").unwrap();
        assert_eq!(found, [Some("false".to_owned())]);
    }

    #[test]
    fn an_expression_is_shown_as_it_reads() {
        let expr = crate::sql::parse_expr("s !~* 'x'").unwrap();
        assert_eq!(expr.to_string(), "not regexp_matches(s, 'x', 'i')");
        assert_eq!(crate::sql::parse_expr(&expr.to_string()).unwrap(), expr);
    }
}
