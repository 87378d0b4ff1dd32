//! Opening a set of NDJSON files: keys and types from samples of every file.

use super::column::{shown, value_type};
use super::keys::{GrowingTree, Node};
use super::record::{Value, Visitor, read_record};
use super::shorten;
use super::source::NdjsonOptions;
use crate::error::{Error, ErrorKind, Result, did_you_mean};
use crate::source::decompress::{TextFile, TextOptions, TextSample};
use crate::source::text::{self, TextInputs};
use crate::types::ColumnType;
use memchr::memchr;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Text looked at first in each file.
const SAMPLE_BYTES: usize = 64 << 10;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// One file of the set.
pub(super) struct NdjsonFile {
    pub(super) text: Arc<TextFile>,
    /// Where the first record begins: behind a byte order mark.
    pub(super) data_start: usize,
}

/// A column of the set.
#[derive(Clone, Debug)]
pub(super) struct NdjsonColumn {
    pub(super) name: String,
    /// The keys that lead to it: one way, or several to a column that no sample shows.
    pub(super) paths: Vec<Vec<String>>,
    pub(super) column_type: ColumnType,
    pub(super) declared: bool,
    /// Why the column is text, when other values of it are not.
    pub(super) why_text: Option<String>,
}

impl NdjsonColumn {
    /// Takes a type into account; `why` tells of the value if it makes text of what was not.
    fn take(&mut self, other: ColumnType, why: impl FnOnce() -> String) {
        let before = self.column_type;
        self.column_type = before.unify(other);
        let is_new = before != ColumnType::Null && before != ColumnType::Utf8;
        if is_new && self.column_type == ColumnType::Utf8 && self.why_text.is_none() {
            self.why_text = Some(why());
        }
    }
}

/// The files of a set, their columns, and what the user should know.
pub(super) struct Opened {
    pub(super) files: Vec<NdjsonFile>,
    pub(super) columns: Vec<NdjsonColumn>,
    pub(super) warnings: Vec<String>,
}

struct Looked {
    file: NdjsonFile,
    columns: Vec<NdjsonColumn>,
}

/// Opens the files and settles names and types.
pub(super) fn open(paths: &[PathBuf], options: &NdjsonOptions, inputs: &TextInputs) -> Result<Opened> {
    let mut opened = Opened { files: Vec::new(), columns: Vec::new(), warnings: Vec::new() };
    let mut by_path: HashMap<Vec<Vec<String>>, usize> = HashMap::new();
    let looked = text::look_at_all(paths, options.sample_threads, |_, path| look_at(path, options, inputs));
    for (path, looked) in paths.iter().zip(looked) {
        let Some(looked) = looked? else {
            opened.warnings.push(format!("{}: the file is empty and was left out", path.display()));
            continue;
        };
        let name = Arc::clone(looked.file.text.input().name());
        opened.files.push(looked.file);
        for column in looked.columns {
            match by_path.get(&column.paths).and_then(|&at| opened.columns.get_mut(at)) {
                Some(known) => {
                    known.why_text = known.why_text.take().or(column.why_text);
                    known.take(column.column_type, || format!("{name} holds text there"));
                }
                None => {
                    by_path.insert(column.paths.clone(), opened.columns.len());
                    opened.columns.push(column);
                }
            }
        }
    }
    if opened.files.is_empty() {
        let name = paths.first().map(|path| path.display().to_string()).unwrap_or_default();
        return Err(Error::new(ErrorKind::NoInput, "the file is empty: it holds no record").in_file(&name));
    }
    opened.warnings.extend(make_distinct(&mut opened.columns));
    declare(&mut opened.columns, &options.types)?;
    Ok(opened)
}

/// Makes names distinct: `a.b` may be a key, and `b` one of an object `a`. The column with the fewest keys on its way
/// keeps the name. Tells of the others.
fn make_distinct(columns: &mut [NdjsonColumn]) -> Vec<String> {
    let mut in_order: Vec<usize> = (0..columns.len()).collect();
    in_order.sort_by_key(|&at| columns[at].paths.first().map(Vec::len));
    let in_files: HashSet<String> = columns.iter().map(|column| column.name.clone()).collect();
    let mut taken: HashSet<String> = HashSet::new();
    let mut warnings = Vec::new();
    for at in in_order {
        let column = &mut columns[at];
        if taken.contains(&column.name) {
            let free = |name: &String| !taken.contains(name) && !in_files.contains(name);
            let name = (2..).map(|number| format!("{}_{number}", column.name)).find(free).unwrap_or_default();
            let keys: Vec<String> = column.paths.iter().flatten().map(|key| format!("{key:?}")).collect();
            warnings.push(format!(
                "`{}` is the name of two columns; the one of the keys {} inside one another is called `{name}`",
                column.name,
                keys.join(" and ")
            ));
            column.name = name;
        }
        taken.insert(column.name.clone());
    }
    warnings
}

/// Gives columns the types that the user states. A name that no sample shows becomes a column, for a key may come late;
/// but not one that looks like a slip of another name.
fn declare(columns: &mut Vec<NdjsonColumn>, types: &[(String, ColumnType)]) -> Result<()> {
    for (name, column_type) in types {
        let near = did_you_mean(name, columns.iter().map(|column| column.name.as_str())).map(str::to_owned);
        if let Some(column) = columns.iter_mut().find(|column| column.name == *name) {
            (column.column_type, column.declared, column.why_text) = (*column_type, true, None);
        } else if let Some(near) = near {
            let message = format!("a type is given for `{name}`, but there is no such column");
            return Err(Error::new(ErrorKind::Name, message).hint(format!("did you mean `{near}`?")));
        } else {
            // A name with dots may be that of one key too.
            let mut paths = vec![vec![name.clone()]];
            if name.contains('.') {
                paths.push(name.split('.').map(str::to_owned).collect());
            }
            let column_type = *column_type;
            columns.push(NdjsonColumn { name: name.clone(), paths, column_type, declared: true, why_text: None });
        }
    }
    Ok(())
}

/// Opens one file and looks at samples of it; `None` when it holds no record at all.
fn look_at(path: &Path, options: &NdjsonOptions, inputs: &TextInputs) -> Result<Option<Looked>> {
    let text = inputs.open(path, TextOptions::default())?;
    let name = Arc::clone(text.input().name());
    let Some(samples) = samples(&text, options)? else { return Ok(None) };
    let data_start = samples.first().map_or(0, |head| start_of(&head.text));
    let mut observer = Observer { tree: GrowingTree::default(), columns: Vec::new() };
    for sample in &samples {
        observer.observe(sample, &name);
    }
    let text = Arc::new(text);
    Ok(Some(Looked { file: NdjsonFile { text, data_start }, columns: observer.columns }))
}

fn start_of(text: &[u8]) -> usize {
    if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 }
}

/// Samples of which the first holds a whole record; `None` when the file holds none.
fn samples(text: &TextFile, options: &NdjsonOptions) -> Result<Option<Vec<TextSample>>> {
    let located = |error: Error| error.with_place(|place| place.file = Some(Arc::clone(text.input().name())));
    let mut sample_bytes = SAMPLE_BYTES;
    loop {
        let samples = text.samples(sample_bytes)?;
        let Some(head) = samples.first() else { return Ok(None) };
        let body = head.text[start_of(&head.text)..].trim_ascii_start();
        if body.first() == Some(&b'[') {
            let error = Error::new(ErrorKind::Unsupported, "the file is one JSON array, not one object a line");
            return Err(located(error.hint(
                "convert it first: jq -c '.[]' old.json > new.ndjson; --input-format csv reads the file as CSV",
            )));
        }
        if body.contains(&b'\n') || (head.is_end && !body.is_empty()) {
            return Ok(Some(samples));
        }
        if head.is_end {
            return Ok(None);
        }
        if head.text.len() > options.max_record_bytes || head.text.len() < sample_bytes {
            let message = format!("the first {} bytes hold no complete record", head.text.len());
            return Err(located(
                Error::new(ErrorKind::Limit, message)
                    .hint("is this NDJSON, one object a line? --input-format csv reads the file as CSV"),
            ));
        }
        sample_bytes *= 4;
    }
}

struct Observer {
    tree: GrowingTree,
    columns: Vec<NdjsonColumn>,
}

/// The values of one record.
#[derive(Default)]
struct Found(Vec<(Node, usize, Value)>);

impl Visitor for Found {
    fn value(&mut self, node: Node, entry: usize, _key: Range<usize>, value: Value) {
        self.0.push((node, entry, value));
    }

    fn unknown(&mut self, _node: Node, _key: Range<usize>) {}
}

impl Observer {
    /// Looks at the whole lines of a sample. Malformed ones are the pass's to report.
    fn observe(&mut self, sample: &TextSample, file: &str) {
        let text = &sample.text;
        let mut at = match sample.is_start {
            true => start_of(text),
            false => memchr(b'\n', text).map_or(text.len(), |end| end + 1),
        };
        let mut found = Found::default();
        while at < text.len() {
            let end = match memchr(b'\n', &text[at..]) {
                Some(length) => at + length,
                None if sample.is_end => text.len(),
                None => break,
            };
            found.0.clear();
            if std::str::from_utf8(&text[at..end]).is_ok()
                && read_record(text, at..end, &mut self.tree, &mut found).is_ok()
            {
                for (node, entry, value) in found.0.drain(..) {
                    self.take(node, entry, &value, sample, at, file);
                }
            }
            at = end + 1;
        }
    }

    fn take(&mut self, node: Node, entry: usize, value: &Value, sample: &TextSample, line_start: usize, file: &str) {
        let at = self.tree.column_or(node, entry, self.columns.len());
        if at == self.columns.len() {
            let path = self.tree.path(node, entry);
            let (name, column_type) = (path.join("."), ColumnType::Null);
            let paths = vec![path];
            self.columns.push(NdjsonColumn { name, paths, column_type, declared: false, why_text: None });
        }
        let Some(column) = self.columns.get_mut(at) else { return };
        column.take(value_type(value, &sample.text), || {
            let line = sample
                .is_start
                .then(|| format!(", line {}", 1 + text::count_line_ends(&sample.text[..line_start], b'\n')));
            format!("{file}{} holds {:?}", line.unwrap_or_default(), shorten(&shown(value, &sample.text)))
        });
    }
}
