//! Opening a set of CSV files: how each is read, and names and types from samples.

use super::columns::Columns;
use super::date_formats::DateFormat;
use super::decisions::FileDecision;
use super::fields::Format;
use super::header::{Header, Renamed};
use super::look::{FieldGuess, First, Looked, look_at};
use super::options::{CsvOptions, MalformedPolicy};
use crate::error::{Error, ErrorKind, Result, did_you_mean};
use crate::source::decompress::TextFile;
use crate::source::input::shown_name;
use crate::source::text::{self, TextInputs};
use crate::types::ColumnType;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// One file of the set.
pub(super) struct CsvFile {
    pub(super) text: Arc<TextFile>,
    /// How its text is read.
    pub(super) format: Format,
    /// What becomes of its malformed records.
    pub(super) malformed: MalformedPolicy,
    /// Fields of every record.
    pub(super) fields: usize,
    /// For each column of the schema, the number of its field, if the file has it.
    pub(super) map: Vec<Option<usize>>,
    /// The header as it stands in the file, without its line end.
    pub(super) header: Option<Arc<[u8]>>,
    /// Where the data begin in the text.
    pub(super) data_start: usize,
    /// Line ends before that.
    pub(super) header_lines: u64,
    /// What was decided, and why.
    pub(super) decision: FileDecision,
}

/// A column of the set.
#[derive(Clone, Debug)]
pub(super) struct CsvColumn {
    pub(super) name: String,
    pub(super) column_type: ColumnType,
    pub(super) declared: bool,
    /// How its dates are written, if it holds any.
    pub(super) date_format: DateFormat,
    /// Why the column is text, when other values of it are not.
    pub(super) why_text: Option<String>,
}

/// The files of a set, their columns, and what the user should know.
pub(super) struct Opened {
    pub(super) files: Vec<CsvFile>,
    pub(super) columns: Vec<CsvColumn>,
    pub(super) warnings: Vec<String>,
}

/// Opens the files and settles names and types.
pub(super) fn open(paths: &[PathBuf], options: &CsvOptions, inputs: &TextInputs) -> Result<Opened> {
    let mut columns = Columns::new(options.columns);
    let mut files: Vec<CsvFile> = Vec::new();
    let mut warnings = Warnings::default();
    for (path, looked) in paths.iter().zip(look_at_all(paths, options, inputs)) {
        let Some(looked) = looked? else {
            warnings.of_file(&shown_name(path).into(), "the file is empty and was left out");
            continue;
        };
        let name = Arc::clone(looked.text.input().name());
        if files.is_empty() {
            note_renamed(&looked.header, &name, &mut warnings.others);
            note_one_column(&looked.header, &name, &looked.sniffed.format, &mut warnings.others);
        }
        for warning in &looked.sniffed.warnings {
            warnings.of_file(&name, warning);
        }
        if looked.header.recoded > 0 {
            let names = match looked.header.recoded {
                1 => "1 column name is not UTF-8 and was read as windows-1252".to_owned(),
                several => format!("{several} column names are not UTF-8 and were read as windows-1252"),
            };
            warnings.of_file(&name, &names);
        }
        let map = columns.take(&looked)?;
        files.push(csv_file(looked, map));
    }
    if files.is_empty() {
        let name = paths.first().map(|path| shown_name(path)).unwrap_or_default();
        return Err(Error::new(ErrorKind::NoInput, "the file is empty: it has no header and no records").in_file(&name));
    }
    for file in &mut files {
        // Later files may have brought more columns.
        file.map.resize(columns.names().len(), None);
    }
    for rule in options.for_files.iter().filter(|rule| !paths.iter().any(|path| rule.applies_to(path))) {
        warnings.others.push(format!("the options for `{}` apply to none of the files", rule.pattern()));
    }
    unify_decimals(&mut files, options);
    warnings.others.extend(columns.warning());
    let columns = settle(columns, options, &mut warnings.others)?;
    Ok(Opened { files, columns, warnings: warnings.list() })
}

fn csv_file(looked: Looked, map: Vec<Option<usize>>) -> CsvFile {
    let decision = FileDecision::new(&looked);
    let Looked { text, sniffed, malformed, header, header_lines, .. } = looked;
    let (fields, data_start) = (header.names.len(), header.data_start);
    let header = Some(header.raw).filter(|raw| !raw.is_empty()).map(Arc::from);
    let text = Arc::new(text);
    CsvFile { text, format: sniffed.format, malformed, fields, map, header, data_start, header_lines, decision }
}

/// A file whose head shows no decimal mark has that of the others that do, if they agree.
fn unify_decimals(files: &mut [CsvFile], options: &CsvOptions) {
    let known: Vec<u8> = files.iter().filter_map(|file| file.decision.decimal_seen).collect();
    let [first, rest @ ..] = &*known else { return };
    if *first == b'.' || rest.iter().any(|decimal| decimal != first) || !options.sniff {
        return;
    }
    let is_open =
        |file: &&mut CsvFile| file.decision.decimal_seen.is_none() && file.format.dialect.delimiter() != *first;
    for file in files.iter_mut().filter(is_open) {
        file.format.numbers.decimal = *first;
        file.decision.format.numbers.decimal = *first;
    }
}

/// Looks at every file. What the first one tells is waited for, with samples of the others read meanwhile.
fn look_at_all(paths: &[PathBuf], options: &CsvOptions, inputs: &TextInputs) -> Vec<Result<Option<Looked>>> {
    let first: OnceLock<Option<First>> = OnceLock::new();
    text::look_at_all(paths, options.sample_threads, |at, path| {
        let of_file = options.of_file(path);
        let sampled = is_sampled(at, paths.len(), options.sample_files);
        if at > 0 {
            // The first number was handed out first, so somebody is at work on it.
            return look_at(path, &of_file, inputs, sampled, || first.wait().as_ref());
        }
        let looked = look_at(path, &of_file, inputs, true, || None);
        let _ = first.set(looked.as_ref().ok().and_then(|looked| looked.as_ref().map(Looked::first)));
        looked
    })
}

/// Whether file `at` of `files` is one of those, `wanted` in number and spread evenly, that samples are read of.
fn is_sampled(at: usize, files: usize, wanted: usize) -> bool {
    let (last, gaps) = (files.saturating_sub(1), wanted.saturating_sub(1));
    if files <= wanted || at == 0 || at == last {
        return true;
    }
    // The sampled ones are those nearest below k·last/gaps for k = 0, 1, … gaps.
    gaps > 0 && (at * gaps).div_ceil(last) * last / gaps == at
}

/// Warnings, those about many files told once.
#[derive(Default)]
struct Warnings {
    /// A warning, the first file that it is about, and how many others.
    of_files: Vec<(String, Arc<str>, usize)>,
    others: Vec<String>,
}

impl Warnings {
    fn of_file(&mut self, file: &Arc<str>, warning: &str) {
        match self.of_files.iter_mut().find(|(known, ..)| known == warning) {
            Some((.., more)) => *more += 1,
            None => self.of_files.push((warning.to_owned(), Arc::clone(file), 0)),
        }
    }

    fn list(self) -> Vec<String> {
        let of_files = self.of_files.into_iter().map(|(warning, file, more)| match more {
            0 => format!("{file}: {warning}"),
            more => format!("{file} and {more} more: {warning}"),
        });
        of_files.chain(self.others).collect()
    }
}

/// One column whose name holds what often delimits fields.
fn note_one_column(header: &Header, file: &str, format: &Format, warnings: &mut Vec<String>) {
    let [name] = header.names.as_slice() else { return };
    let likely = [(',', ","), (';', ";"), ('\t', "tab"), ('|', "|")];
    let other = likely.iter().find(|(byte, _)| name.contains(*byte) && *byte != char::from(format.dialect.delimiter()));
    if let Some((_, delimiter)) = other {
        warnings.push(format!(
            "{file}: there is one column, named {name:?}\nhint: if its fields are delimited otherwise, use --delimiter '{delimiter}'"
        ));
    }
}

fn note_renamed(header: &Header, file: &str, warnings: &mut Vec<String>) {
    let told = |renamed: &Renamed| {
        let why = if renamed.given.is_empty() {
            "has no name".to_owned()
        } else {
            format!("is named `{}` again", renamed.given)
        };
        format!("{file}: column {} {why}; it is called `{}`", renamed.index + 1, renamed.name)
    };
    let more = |count| format!("{file}: {count} more columns have no name of their own and were given one");
    warnings.extend(the_first(header.renamed.iter().map(told).collect(), more));
}

fn settle(columns: Columns, options: &CsvOptions, warnings: &mut Vec<String>) -> Result<Vec<CsvColumn>> {
    let (names, guesses) = columns.into_parts();
    let CsvOptions { types, dates, wanted, .. } = options;
    let known: HashSet<&str> = names.iter().map(String::as_str).collect();
    for (name, _) in types {
        if !known.contains(&**name) {
            let error =
                Error::new(ErrorKind::Name, format!("a type is given for `{name}`, but there is no such column"));
            return Err(match did_you_mean(name, names.iter().map(String::as_str)) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error,
            });
        }
    }
    let wanted_columns = wanted.of(&names)?;
    // The last of several types for one column counts.
    let types: HashMap<&str, ColumnType> = types.iter().map(|(name, given)| (name.as_str(), *given)).collect();
    let mut lossy = Vec::new();
    let column = |((own, guess), (name, of_type)): ((String, FieldGuess), (String, Option<ColumnType>))| {
        let FieldGuess { guess, mut why_text } = guess;
        let given = of_type.or_else(|| types.get(&*own).copied()).or(wanted.all_text.then_some(ColumnType::Utf8));
        let column_type = given.unwrap_or(guess.column_type());
        if let [one, other, ..] = &*guess.ambiguous_dates() {
            let [one, other] = [one, other].map(|format| dates.describe(*format));
            why_text = Some(format!("its dates may be {one} as well as {other}, and --date-format tells which"));
        }
        if given.is_none() && guess.lossy_integers() {
            lossy.push(format!(
                "`{name}` has integers too large to be exact, read as doubles\nhint: --types {name}=utf8 keeps them as they are"
            ));
        }
        let why_text = why_text.filter(|_| given.is_none());
        CsvColumn { name, column_type, declared: given.is_some(), date_format: guess.date_format(dates), why_text }
    };
    let columns = names.into_iter().zip(guesses).zip(wanted_columns).map(column).collect();
    let more = |count| format!("{count} more columns have integers too large to be exact, read as doubles");
    warnings.extend(the_first(lossy, more));
    Ok(columns)
}

/// Warnings about single columns that are told each; there may be very many.
const COLUMNS_TOLD: usize = 10;

/// The first few of many warnings, and one about the others.
fn the_first(mut all: Vec<String>, more: impl FnOnce(usize) -> String) -> Vec<String> {
    let others = all.len().saturating_sub(COLUMNS_TOLD);
    if others > 1 {
        all.truncate(COLUMNS_TOLD);
        all.push(more(others));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::is_sampled;

    #[test]
    fn sampled_files_are_spread_evenly_and_few() {
        for files in 1..300_usize {
            for wanted in 0..60 {
                let sampled: Vec<usize> = (0..files).filter(|&at| is_sampled(at, files, wanted)).collect();
                assert!(sampled.len() <= wanted.max(2), "{files} {wanted}: {sampled:?}");
                assert!(sampled.len() >= wanted.min(files), "{files} {wanted}: {sampled:?}");
                assert_eq!((sampled[0], sampled[sampled.len() - 1]), (0, files - 1));
                let gaps: Vec<usize> = sampled.windows(2).map(|pair| pair[1] - pair[0]).collect();
                let (least, most) = (gaps.iter().min().unwrap_or(&0), gaps.iter().max().unwrap_or(&0));
                assert!(most - least <= 1, "{files} {wanted}: {gaps:?}");
            }
        }
    }
}
