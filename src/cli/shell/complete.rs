//! What Tab puts in: commands, tables, columns, functions, words of the language, files.

use super::commands::{COMMANDS, Takes, find};
use super::entry::{Entry, Front, entries, front};
use crate::cli::render::Format;
use crate::expr::display::is_plain_name;
use crate::sql::{STATEMENTS, function_names};
use clap::ValueEnum;

/// What there is to be completed.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Tables and views, and their columns.
    pub(super) tables: Vec<(String, Vec<String>)>,
    /// Files that statements have named, and their columns.
    pub(super) files: Vec<(String, Vec<String>)>,
    /// The table that questions are about.
    pub(super) current: Option<String>,
}

/// What may stand at the end of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A file, inside of these quotes if some are open.
    File(Option<char>),
    /// One of these, which take the place of the text from this byte on.
    Words(usize, Vec<String>),
}

const SQL_WORDS: [&str; 47] = [
    "select",
    "from",
    "where",
    "group by",
    "order by",
    "having",
    "limit",
    "offset",
    "join",
    "left join",
    "right join",
    "full join",
    "cross join",
    "on",
    "using",
    "as",
    "and",
    "or",
    "not",
    "in",
    "is null",
    "is not null",
    "between",
    "like",
    "ilike",
    "case",
    "when",
    "then",
    "else",
    "end",
    "distinct",
    "with",
    "union all",
    "intersect",
    "except",
    "values",
    "cast",
    "create temp view",
    "copy",
    "explain",
    "describe",
    "summarize",
    "desc",
    "asc",
    "qualify",
    "over",
    "partition by",
];
const QUESTION_WORDS: [&str; 27] = [
    "by",
    "where",
    "having",
    "sort",
    "limit",
    "sample",
    "join",
    "left join",
    "on",
    "as",
    "and",
    "or",
    "not",
    "in",
    "is null",
    "is not null",
    "between",
    "like",
    "desc",
    "asc",
    "distinct",
    "case",
    "qualify",
    "over",
    "partition by",
    "select",
    "from",
];

/// What may follow `before`, the text up to the cursor, of which `after` stands behind it.
pub(super) fn wanted(names: &Names, before: &str, after: &str) -> Wanted {
    let line = before.rfind('\n').map_or(0, |at| at + 1);
    let start = match entries(before, false) {
        (_, Some(open)) => open.start,
        (_, None) => line,
    };
    let entry = before[start..].trim_start();
    if let Some(typed) = entry.strip_prefix('.').filter(|_| !entry.contains('\n'))
        && let Some(wanted) = of_command(names, before, typed)
    {
        return wanted;
    }
    // Told by how it begins.
    let sql = matches!(front(entry, true), Front::Entry(Entry::Sql(_), _));
    let columns = || columns(names, &format!("{entry}{after}"), sql);
    match open_quote(entry) {
        Some('"') if sql => {
            let word = before.rfind('"').map_or(before.len(), |at| at + 1);
            return Wanted::Words(word, beginning(&before[word..], columns()));
        }
        Some('`') => {
            let word = before.rfind('`').map_or(before.len(), |at| at + 1);
            return Wanted::Words(word, beginning(&before[word..], columns()));
        }
        Some(quote) => return Wanted::File(Some(quote)),
        None => {}
    }
    let word = before.len() - last_word(before).len();
    let (front, typed) = before.split_at(word);
    if let Some(front) = front.strip_suffix('.') {
        let known = names.tables.iter().find(|(name, _)| name.eq_ignore_ascii_case(last_word(front)));
        let columns = known.map_or_else(columns, |(_, columns)| columns.clone());
        return Wanted::Words(word, beginning(typed, quoted(columns, sql)));
    }
    let previous = last_word(front.trim_end()).to_ascii_lowercase();
    let tables = quoted(names.tables.iter().map(|(name, _)| name.clone()).collect(), sql);
    if matches!(previous.as_str(), "from" | "join" | "summarize" | "describe") {
        return Wanted::Words(word, beginning(typed, tables));
    }
    let columns = quoted(columns(), sql);
    if typed.is_empty() {
        return Wanted::Words(word, columns);
    }
    let upper = typed.chars().all(char::is_uppercase);
    let openers = if typed.len() == entry.len() { &STATEMENTS[..] } else { &[] };
    let words = openers.iter().chain(if sql { &SQL_WORDS[..] } else { &QUESTION_WORDS[..] });
    let words = words.map(|word| if upper { format!("{} ", word.to_uppercase()) } else { format!("{word} ") });
    let functions = function_names().into_iter().map(|name| format!("{name}("));
    let tables = if sql { tables } else { Vec::new() };
    Wanted::Words(word, beginning(typed, columns.into_iter().chain(tables).chain(words).chain(functions)))
}

/// What a command that is `typed` so far, without its dot, goes on with; none if that is a question.
fn of_command(names: &Names, before: &str, typed: &str) -> Option<Wanted> {
    let Some((name, rest)) = typed.split_once(char::is_whitespace) else {
        let list = COMMANDS.iter().map(|command| command.name.to_owned());
        return Some(Wanted::Words(before.len() - typed.len(), beginning(typed, list)));
    };
    let list: Vec<String> = match find(name).map_or(Takes::Nothing, |command| command.takes) {
        Takes::Question => return None,
        Takes::Files => return Some(Wanted::File(open_quote(rest))),
        Takes::Kinds if rest.trim_start().contains(char::is_whitespace) => return Some(Wanted::File(open_quote(rest))),
        Takes::Kinds => ["bar", "line", "scatter", "heatmap"].map(str::to_owned).to_vec(),
        Takes::Nothing => Vec::new(),
        Takes::Tables => names.tables.iter().map(|(name, _)| name.clone()).collect(),
        Takes::Formats => {
            let values = Format::value_variants().iter().filter_map(Format::to_possible_value);
            values.map(|value| value.get_name().to_owned()).collect()
        }
        Takes::Switch => ["on", "off"].map(str::to_owned).to_vec(),
        Takes::Commands => COMMANDS.iter().map(|command| command.name.to_owned()).collect(),
    };
    let word = before.rfind(char::is_whitespace).map_or(0, |at| at + 1);
    Some(Wanted::Words(word, beginning(&before[word..], list)))
}

/// The letters, digits and underscores that a text ends with.
fn last_word(text: &str) -> &str {
    let end = text.trim_end_matches(|letter: char| letter.is_alphanumeric() || letter == '_').len();
    &text[end..]
}

/// The columns of the tables and files that an entry mentions, and, of a question, of the current table; of all tables, if that says
/// nothing.
fn columns(names: &Names, entry: &str, sql: bool) -> Vec<String> {
    let is_word = |name: &str| {
        entry
            .split(|letter: char| !(letter.is_alphanumeric() || letter == '_'))
            .any(|word| word.eq_ignore_ascii_case(name))
    };
    let is_current = |name: &str| !sql && names.current.as_deref() == Some(name);
    let tables = names.tables.iter().filter(|(name, _)| is_word(name) || is_current(name));
    let files = names.files.iter().filter(|(name, _)| entry.contains(&format!("'{name}'")));
    let mut mentioned: Vec<&(String, Vec<String>)> = tables.chain(files).collect();
    if mentioned.is_empty() {
        mentioned = names.tables.iter().collect();
    }
    let mut found: Vec<String> = Vec::new();
    for column in mentioned.into_iter().flat_map(|(_, columns)| columns) {
        if !found.contains(column) {
            found.push(column.clone());
        }
    }
    found
}

/// The names, odd ones in quotes.
fn quoted(names: Vec<String>, sql: bool) -> Vec<String> {
    let quote = if sql { '"' } else { '`' };
    names.into_iter().map(|name| if is_plain_name(&name) { name } else { format!("{quote}{name}{quote}") }).collect()
}

/// Those that begin as is typed, in any case.
fn beginning(typed: &str, all: impl IntoIterator<Item = String>) -> Vec<String> {
    let typed = typed.to_lowercase();
    let mut found: Vec<String> = Vec::new();
    for name in all {
        if name.trim_start_matches(['"', '`']).to_lowercase().starts_with(&typed) && !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

/// The quote that is open at the end of a text.
fn open_quote(text: &str) -> Option<char> {
    text.chars().fold(None, |open, letter| match (open, letter) {
        (None, '\'' | '"' | '`') => Some(letter),
        (Some(quote), letter) if quote == letter => None,
        (open, _) => open,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(before: &str, after: &str) -> Vec<String> {
        let columns = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let names = Names {
            tables: vec![
                ("air".to_owned(), columns(&["Origin", "ArrDelay", "odd name"])),
                ("planes".to_owned(), columns(&["tailnum", "year"])),
            ],
            files: vec![("a.csv".to_owned(), columns(&["a", "b"]))],
            current: Some("air".to_owned()),
        };
        match wanted(&names, before, after) {
            Wanted::File(_) => vec!["FILE".to_owned()],
            Wanted::Words(_, words) => words,
        }
    }

    #[test]
    fn tables_follow_from_and_columns_are_those_of_the_tables_mentioned() {
        assert_eq!(offered("select * from ", ""), ["air", "planes"]);
        assert_eq!(offered("select 1;\nselect * from AIR join p", ""), ["planes"]);
        assert_eq!(offered("select ", " from planes"), ["tailnum", "year"]);
        assert_eq!(offered("select ", " from 'a.csv'"), ["a", "b"]);
        assert_eq!(offered("select ", ""), ["Origin", "ArrDelay", "\"odd name\"", "tailnum", "year"]);
        assert_eq!(offered("select planes.t", ""), ["tailnum"]);
        assert_eq!(offered("select \"od", ""), ["odd name"]);
        assert_eq!(offered("select * from 'da", ""), ["FILE"]);
    }

    #[test]
    fn questions_have_the_columns_of_their_table_and_words_of_their_own() {
        assert_eq!(offered("mean(arrd", ""), ["ArrDelay"]);
        assert_eq!(offered("count(*) by ", ""), ["Origin", "ArrDelay", "`odd name`"]);
        assert_eq!(offered("count(*) by Origin so", ""), ["sort "]);
        assert_eq!(offered("medi", ""), ["median("]);
        assert_eq!(offered("SEL", ""), ["SELECT "]);
        assert_eq!(offered(".explain mean(arrd", ""), ["ArrDelay"]);
        assert_eq!(offered("x join 'carr", ""), ["FILE"]);
    }

    #[test]
    fn commands_are_completed_and_so_is_what_they_take() {
        assert_eq!(offered(".sc", ""), ["schema"]);
        assert_eq!(offered(".mode ve", ""), ["vertical"]);
        assert_eq!(offered(".use p", ""), ["planes"]);
        assert_eq!(offered(".timer ", ""), ["on", "off"]);
        assert_eq!(offered(".open da", ""), ["FILE"]);
        assert_eq!(offered(".plot b", ""), ["bar"]);
        assert_eq!(offered(".plot bar a", ""), ["FILE"]);
        assert_eq!(offered(".nonsense a", ""), Vec::<String>::new());
    }
}
