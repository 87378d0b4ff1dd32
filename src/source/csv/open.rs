//! Opening a set of CSV files: names and types from samples of every file.

use super::batches::shorten;
use super::date_formats::{DateFormat, DateFormats};
use super::dialect::LineEnd;
use super::fields::Format;
use super::guess::guess_record_start;
use super::header::{Header, parse_header};
use super::index::RecordIndex;
use super::infer::TypeGuess;
use super::options::CsvOptions;
use super::split::{Limits, count_lines, split};
use crate::error::{Error, ErrorKind, Place, Result, did_you_mean};
use crate::source::decompress::{TextFile, TextSample};
use crate::source::input::InputCounters;
use crate::types::ColumnType;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// Text looked at first in each file.
const SAMPLE_BYTES: usize = 64 << 10;
/// Records looked at in each sample, spread evenly.
const SAMPLE_RECORDS: usize = 1000;

/// One file of the set.
pub(super) struct CsvFile {
    pub(super) text: TextFile,
    /// How its text is read.
    pub(super) format: Format,
    /// Fields of every record.
    pub(super) fields: usize,
    /// For each column of the schema, the number of its field.
    pub(super) map: Vec<usize>,
    /// The header as it stands in the file, without its line end.
    pub(super) header: Option<Arc<[u8]>>,
    /// Where the data begin in the text.
    pub(super) data_start: usize,
    /// Line ends before that.
    pub(super) header_lines: u64,
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

/// What was seen of one file.
struct Looked {
    text: TextFile,
    header: Header,
    header_lines: u64,
    /// One a field.
    guesses: Vec<FieldGuess>,
}

/// The type of a field as its samples suggest it, and the value that made it text after others were not.
#[derive(Clone, Default)]
struct FieldGuess {
    guess: TypeGuess,
    why_text: Option<String>,
}

impl FieldGuess {
    /// Takes in what `change` sees; `why` tells of it if it makes text of what was not.
    fn take(&mut self, change: impl FnOnce(&mut TypeGuess), why: impl FnOnce() -> String) {
        let before = self.guess.column_type();
        change(&mut self.guess);
        let is_new = before != ColumnType::Null && before != ColumnType::Utf8;
        if is_new && self.guess.column_type() == ColumnType::Utf8 && self.why_text.is_none() {
            self.why_text = Some(why());
        }
    }
}

/// Opens the files and settles names and types.
pub(super) fn open(paths: &[PathBuf], options: &CsvOptions, counters: &Arc<InputCounters>) -> Result<Opened> {
    options.format.encoding.check(&options.format.dialect)?;
    let mut names: Vec<String> = Vec::new();
    let mut guesses: Vec<FieldGuess> = Vec::new();
    let mut opened = Opened { files: Vec::new(), columns: Vec::new(), warnings: Vec::new() };
    let mut first_name: Arc<str> = Arc::from("");
    for (path, looked) in paths.iter().zip(look_at_all(paths, options, counters)) {
        let Some(looked) = looked? else {
            opened.warnings.push(format!("{}: the file is empty and was left out", path.display()));
            continue;
        };
        let Looked { text, header, header_lines, guesses: seen } = looked;
        let name = Arc::clone(text.input().name());
        if names.is_empty() {
            names.clone_from(&header.names);
            guesses = vec![FieldGuess::default(); names.len()];
            first_name = Arc::clone(&name);
            note_renamed(&header, &name, &mut opened.warnings);
            note_one_column(&header, &name, &options.format, &mut opened.warnings);
        }
        if header.recoded > 0 {
            let names = format!("{} column names are not UTF-8 and were read as windows-1252", header.recoded);
            opened.warnings.push(format!("{name}: {names}"));
        }
        let map = map_columns(&names, &header.names, &first_name, &name)?;
        for (guess, &field) in guesses.iter_mut().zip(&map) {
            let seen = &seen[field];
            guess.why_text = guess.why_text.take().or_else(|| seen.why_text.clone());
            guess.take(|guess| guess.merge(seen.guess), || format!("{name} holds text there"));
        }
        let (fields, data_start) = (header.names.len(), header.data_start);
        let format = options.format.clone();
        let header = Some(header.raw).filter(|raw| !raw.is_empty()).map(Arc::from);
        opened.files.push(CsvFile { text, format, fields, map, header, data_start, header_lines });
    }
    if opened.files.is_empty() {
        let name = paths.first().map(|path| path.display().to_string()).unwrap_or_default();
        return Err(Error::new(ErrorKind::NoInput, "the file is empty: it has no header and no records").in_file(&name));
    }
    opened.columns = settle(names, &guesses, &options.types, &options.format.dates)?;
    Ok(opened)
}

/// Looks at every file, several at a time; the results are in the order of the paths. Files behind one that cannot be
/// read may be left out.
fn look_at_all(paths: &[PathBuf], options: &CsvOptions, counters: &Arc<InputCounters>) -> Vec<Result<Option<Looked>>> {
    let slots: Vec<OnceLock<Result<Option<Looked>>>> = paths.iter().map(|_| OnceLock::new()).collect();
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let work = || {
        while !failed.load(Ordering::Relaxed) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let (Some(path), Some(slot)) = (paths.get(at), slots.get(at)) else { break };
            let looked = look_at(path, options, counters);
            failed.fetch_or(looked.is_err(), Ordering::Relaxed);
            // Nobody else has this number.
            let _ = slot.set(looked);
        }
    };
    let others = options.sample_threads.min(paths.len()).saturating_sub(1);
    std::thread::scope(|scope| {
        for _ in 0..others {
            scope.spawn(work);
        }
        work();
    });
    // Numbers are handed out in order, so every file before one that failed has been looked at.
    slots.into_iter().map_while(OnceLock::into_inner).collect()
}

/// Opens one file and looks at samples of it; `None` when it holds no record at all.
fn look_at(path: &Path, options: &CsvOptions, counters: &Arc<InputCounters>) -> Result<Option<Looked>> {
    let text = TextFile::open(path, counters)?;
    let Some((header, samples)) = read_header(&text, options)? else { return Ok(None) };
    let mut guesses = vec![FieldGuess::default(); header.names.len()];
    for sample in &samples {
        observe(sample, &header, &options.format, text.input().name(), &mut guesses);
    }
    let header_lines =
        samples.first().map_or(0, |sample| count_lines(&sample.text[..header.data_start], &options.format.dialect));
    Ok(Some(Looked { text, header, header_lines, guesses }))
}

/// The header and the samples of a file; `None` when it holds no record at all.
fn read_header(text: &TextFile, options: &CsvOptions) -> Result<Option<(Header, Vec<TextSample>)>> {
    let mut sample_bytes = SAMPLE_BYTES;
    loop {
        let samples = text.samples(sample_bytes)?;
        let Some(head) = samples.first() else { return Ok(None) };
        let located = |error: Error| error.with_place(|place| place.file = Some(Arc::clone(text.input().name())));
        let header = parse_header(&head.text, &options.format, options.has_header, head.is_end).map_err(located)?;
        match header {
            Some(header) => {
                refuse_lone_returns(&head.text, &header, options.format.dialect.line_end()).map_err(located)?;
                return Ok(Some((header, samples)));
            }
            None if head.is_end => return Ok(None),
            None if head.text.len() > options.max_record_bytes || head.text.len() < sample_bytes => {
                let message = format!("the first {} bytes hold no complete record", head.text.len());
                return Err(located(
                    Error::new(ErrorKind::Limit, message)
                        .hint("is this CSV? --quote and --delimiter state the dialect"),
                ));
            }
            None => sample_bytes *= 4,
        }
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

/// Lines that end with a carriage return alone would make the whole file a header.
fn refuse_lone_returns(text: &[u8], header: &Header, line_end: LineEnd) -> Result<()> {
    if line_end == LineEnd::CarriageReturn {
        return Ok(());
    }
    let inside = &text[..header.data_start].strip_suffix(b"\n").unwrap_or(&text[..header.data_start]);
    let inside = inside.strip_suffix(b"\r").unwrap_or(inside);
    if header.names.iter().any(|name| name.contains('\r')) && !inside.contains(&b'\n') {
        let message = "lines end with a carriage return alone, which is not supported";
        return Err(
            Error::new(ErrorKind::Unsupported, message).hint("convert them first: tr '\\r' '\\n' < old.csv > new.csv")
        );
    }
    Ok(())
}

fn note_renamed(header: &Header, file: &str, warnings: &mut Vec<String>) {
    for renamed in &header.renamed {
        let why = if renamed.given.is_empty() {
            "has no name".to_owned()
        } else {
            format!("is named `{}` again", renamed.given)
        };
        warnings.push(format!("{file}: column {} {why}; it is called `{}`", renamed.index + 1, renamed.name));
    }
}

/// For each column of the set, the number of the field in this file.
fn map_columns(names: &[String], here: &[String], first_file: &str, file: &str) -> Result<Vec<usize>> {
    let positions: HashMap<&str, usize> = here.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
    let differs = |message: String| {
        Error::new(ErrorKind::Malformed, message)
            .in_file(file)
            .with_place(|place| place.line = Some(1))
            .hint("the files of one question must have the same columns, in any order; ask about them separately")
    };
    if let Some(extra) = here.iter().find(|name| !names.contains(name)) {
        return Err(differs(format!("the column `{extra}` is not in {first_file}")));
    }
    let find = |name: &String| {
        let missing = || differs(format!("the column `{name}` of {first_file} is missing here"));
        positions.get(name.as_str()).copied().ok_or_else(missing)
    };
    names.iter().map(find).collect()
}

fn observe(sample: &TextSample, header: &Header, format: &Format, file: &str, guesses: &mut [FieldGuess]) {
    let fields = header.names.len();
    let start = if sample.is_start {
        Some(header.data_start)
    } else {
        guess_record_start(&sample.text, &format.dialect, fields)
    };
    let Some(mut at) = start else { return };
    let mut index = RecordIndex::new();
    // Malformed records are the pass's to report; the sample goes on behind them.
    while at < sample.text.len() {
        let part = split(&sample.text, at, &format.dialect, fields, sample.is_end, Limits::NONE, &mut index);
        match part.malformed {
            Some(malformed) if malformed.next > at => at = malformed.next,
            _ => break,
        }
    }
    let step = index.records().div_ceil(SAMPLE_RECORDS).max(1);
    for (field, guess) in guesses.iter_mut().enumerate() {
        let repeats_header = |&record: &usize| sample.text[index.start(record)..index.end(record)] == header.raw;
        for record in (0..index.records()).step_by(step).filter(|record| fields == 1 || !repeats_header(record)) {
            let range = index.field(record, field);
            let raw = &sample.text[range.clone()];
            let why = || {
                let line = sample
                    .is_start
                    .then(|| format!(", line {}", 1 + count_lines(&sample.text[..range.start], &format.dialect)));
                format!("{file}{} holds {:?}", line.unwrap_or_default(), shorten(raw))
            };
            guess.take(|guess| guess.observe(raw, format), why);
        }
    }
}

fn settle(
    names: Vec<String>,
    guesses: &[FieldGuess],
    declared: &[(String, ColumnType)],
    dates: &DateFormats,
) -> Result<Vec<CsvColumn>> {
    for (name, _) in declared {
        if !names.contains(name) {
            let error =
                Error::new(ErrorKind::Name, format!("a type is given for `{name}`, but there is no such column"));
            return Err(match did_you_mean(name, names.iter().map(String::as_str)) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error,
            });
        }
    }
    let column = |(name, guess): (String, &FieldGuess)| {
        let given = declared.iter().rev().find(|(declared, _)| *declared == name).map(|(_, column_type)| *column_type);
        let why_text = guess.why_text.clone().filter(|_| given.is_none());
        let column_type = given.unwrap_or(guess.guess.column_type());
        let date_format = guess.guess.date_format(dates);
        CsvColumn { name, column_type, declared: given.is_some(), date_format, why_text }
    };
    Ok(names.into_iter().zip(guesses).map(column).collect())
}

/// For messages about a place of a file.
pub(super) fn place_in(file: &Arc<str>) -> Place {
    Place { file: Some(Arc::clone(file)), ..Place::default() }
}
