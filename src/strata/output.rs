//! The result of a stratum, and how that of a program is read.

use super::run::ends_the_run;
use crate::error::{Error, ErrorKind, Result};
use crate::exec::{RunOptions, Scheduler, run};
use crate::expr::refused_names;
use crate::memory::{Reservation, SegmentFile, handle_path, used_bytes};
use crate::plan::LogicalPlan;
use crate::source::csv::{CsvOptions, CsvSource};
use crate::source::ipc::{IpcOptions, IpcSource};
use crate::source::ndjson::{NdjsonOptions, NdjsonSource};
use crate::source::{CancelToken, Source};
use crate::types::ColumnType;
use crate::types::convert::taken;
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, Schema};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;

/// What a program has printed.
#[derive(Debug)]
pub(super) struct Printed {
    pub(super) bytes: Vec<u8>,
    /// What they take, and what is read from them.
    pub(super) room: Reservation,
}

/// The result of a stratum, in the types of the engine.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) batch: RecordBatch,
    /// The text that it was read from, if it was CSV, whose types are told by all results.
    pub(super) printed: Option<Vec<u8>>,
    /// Keeps both on the account until they are stored, if they are on one.
    pub(super) room: Option<Reservation>,
}

impl Outcome {
    /// What a function has returned.
    ///
    /// # Errors
    /// `Unsupported` for a type that columns do not have.
    pub(super) fn returned(batch: &RecordBatch) -> Result<Self> {
        let (mut fields, mut columns) = (Vec::new(), Vec::new());
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            let array = taken(column).map_err(|error| {
                Error::new(error.kind(), format!("the column `{}` of the result: {}", field.name(), error.message()))
            })?;
            fields.push(Field::new(field.name(), array.data_type().clone(), true));
            columns.push(array);
        }
        if let Some(twice) =
            fields.iter().enumerate().find(|(at, field)| fields[..*at].iter().any(|f| f.name() == field.name()))
        {
            return Err(Error::new(ErrorKind::Name, format!("the result has two columns `{}`", twice.1.name())));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?;
        Ok(Outcome { batch, printed: None, room: None })
    }

    /// What a program has printed: an Arrow file or stream, a JSON object a line, or CSV with a header. Nothing is a result without rows.
    ///
    /// # Errors
    /// What is wrong with it, and where; those of the [run](super::run::ends_the_run).
    pub(super) fn read(printed: Printed, options: &RunOptions) -> Result<Self> {
        let Printed { bytes, mut room } = printed;
        let is_arrow = bytes.starts_with(b"ARROW1") || bytes.starts_with(&[0xff; 4]);
        let is_json = !is_arrow && has_objects(&bytes);
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Outcome { batch: RecordBatch::new_empty(Arc::new(Schema::empty())), printed: None, room: None });
        }
        let batch = match is_arrow {
            true => rows_of(&bytes, &mut room, options, arrow)?,
            false if is_json => rows_of(&bytes, &mut room, options, ndjson)?,
            false => read_text(&bytes, &[], &mut room, options)?,
        };
        Ok(Outcome { batch, printed: (!is_arrow && !is_json).then_some(bytes), room: Some(room) })
    }
}

/// How what a program has printed is read, on the thread that waited for it.
pub(super) fn reading(options: &RunOptions, cancel: &CancelToken) -> RunOptions {
    RunOptions {
        threads: 1,
        scheduler: Scheduler::Synchronous,
        budget: options.budget.clone(),
        spill: options.spill.until(cancel),
        cancel: cancel.clone(),
        ..RunOptions::default()
    }
}

/// Reads CSV with a header, of which these columns are text; its dialect is told from it, as that of a file is. `room` is
/// that of the bytes, and then also that of the rows.
///
/// # Errors
/// What is wrong with it, and where: for one that its first line holds values, not names.
pub(super) fn read_text(
    bytes: &[u8],
    texts: &[String],
    room: &mut Reservation,
    options: &RunOptions,
) -> Result<RecordBatch> {
    rows_of(bytes, room, options, |path| {
        let types = texts.iter().map(|name| (name.clone(), ColumnType::Utf8)).collect();
        let options = CsvOptions { types, sample_threads: 1, ..CsvOptions::default() };
        let source = CsvSource::open(&[path], options).map_err(|error| match error.kind() {
            // A first line without end is a fault of this output.
            ErrorKind::Limit => Error::new(ErrorKind::Malformed, error.message()).at(error.place().clone()),
            _ => without_hint(error),
        })?;
        match source.decisions().files.first().is_some_and(|file| !file.has_header) {
            true => Err(no_names(bytes)),
            false => Ok(Arc::new(source)),
        }
    })
}

/// What is said of output whose first line can hold no names.
fn no_names(bytes: &[u8]) -> Error {
    const SHOWN: usize = 60;
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * SHOWN)]);
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let shown: String = line.chars().take(SHOWN).collect();
    let dots = if shown.len() < line.len() { "…" } else { "" };
    Error::new(ErrorKind::Name, format!("its first line holds values, not the names of columns: {shown}{dots}"))
        .hint("have it print a line of names first, such as n,slope")
}

/// The error without its hint, which is about flags for files.
fn without_hint(error: Error) -> Error {
    match ends_the_run(&error) {
        true => error,
        false => Error::new(error.kind(), error.message()).at(error.place().clone()),
    }
}

/// Whether text begins with a JSON object, which no header of CSV does.
fn has_objects(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii_start();
    let inside = text.strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
    inside.and_then(<[u8]>::first).is_some_and(|next| b"\"}".contains(next))
}

fn ndjson(path: PathBuf) -> Result<Arc<dyn Source>> {
    let options = NdjsonOptions { sample_threads: 1, ..NdjsonOptions::default() };
    Ok(Arc::new(NdjsonSource::open(&[path], options).map_err(without_hint)?))
}

fn arrow(path: PathBuf) -> Result<Arc<dyn Source>> {
    let source = IpcSource::open(&[path], IpcOptions { threads: 1, ..IpcOptions::default() }).map_err(without_hint)?;
    match refused_names(&source.schema()).first() {
        None => Ok(Arc::new(source)),
        Some((name, what)) => {
            Err(Error::new(ErrorKind::Unsupported, format!("the column `{name}` is {what}, which a table cannot have")))
        }
    }
}

/// The rows of what was printed, by a source over a file that holds it.
fn rows_of(
    bytes: &[u8],
    room: &mut Reservation,
    options: &RunOptions,
    source: impl Fn(PathBuf) -> Result<Arc<dyn Source>>,
) -> Result<RecordBatch> {
    let file = SegmentFile::create(bytes.len() as u64, u64::MAX, &options.budget, &options.spill)?;
    file.write_at(bytes, 0)?;
    let handle = file.seal()?.handle()?;
    let path = PathBuf::from(handle_path(handle.as_raw_fd()));
    let mut read = || -> Result<RecordBatch> {
        let plan = LogicalPlan::Scan(source(path.clone())?);
        let answer =
            run(&[plan], options).map_err(without_hint)?.answers.pop().ok_or_else(|| Error::internal("no answer"))?;
        let mut batches = Vec::new();
        for batch in answer.rows.batches() {
            let batch: RecordBatch = batch?;
            room.resize(room.bytes() + used_bytes([&batch].into_iter(), true))?;
            batches.push(batch);
        }
        Ok(concat_batches(&answer.schema, &batches)?)
    };
    // The file has no name that anybody knows.
    read().map_err(|error| error.with_place(|place| place.file = place.file.take().map(|_| Arc::from("its output"))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Budget;
    use arrow::array::{Array, AsArray, Int32Array, StringArray};
    use arrow::datatypes::{DataType, Float64Type, Int64Type};
    use arrow::ipc::writer::{FileWriter, StreamWriter};

    fn read_bytes(bytes: &[u8]) -> Result<RecordBatch> {
        let room = Budget::unlimited().reservation("what a program prints");
        Ok(Outcome::read(Printed { bytes: bytes.to_vec(), room }, &RunOptions::default())?.batch)
    }

    #[test]
    fn csv_is_read_as_files_are() {
        let batch = read_bytes(b"term,estimate,n\n\"NA\",1.5,7\nx,,8\n").unwrap();
        let types: Vec<_> = batch.schema().fields().iter().map(|field| field.data_type().clone()).collect();
        assert_eq!(types, [DataType::Utf8View, DataType::Float64, DataType::Int64]);
        assert_eq!((batch.column(0).as_string_view().value(0), batch.column(1).null_count()), ("NA", 1));
        assert_eq!(read_bytes(b" \n").unwrap().num_columns(), 0);
        assert_eq!(read_bytes(b"a,b\n").unwrap().num_rows(), 0);
        let error = read_bytes(b"a,b\n1,2\n3\n").unwrap_err();
        assert!(error.to_string().contains("its output") && error.to_string().contains("line 3"), "{error}");
        assert_eq!(error.hint_text(), None, "flags for files are no remedy");
    }

    #[test]
    fn objects_of_json_are_rows() {
        let batch = read_bytes(b"{\"term\":\"x\",\"estimate\":1.5,\"n\":7}\n{\"term\":\"NA\",\"n\":8}\n").unwrap();
        let types: Vec<_> = batch.schema().fields().iter().map(|field| field.data_type().clone()).collect();
        assert_eq!(types, [DataType::Utf8View, DataType::Float64, DataType::Int64]);
        assert_eq!((batch.column(0).as_string_view().value(1), batch.column(1).null_count()), ("NA", 1));
        assert_eq!(read_bytes(b" { \"n\": 1 }").unwrap().num_rows(), 1);
        let error = read_bytes(b"{\"n\":1}\n{\"n\":\n").unwrap_err();
        assert!(error.to_string().contains("its output") && error.to_string().contains("line 2"), "{error}");
        // A header of braces is one all the same.
        assert_eq!(read_bytes(b"{a},b\n1,2\n").unwrap().num_columns(), 2);
    }

    #[test]
    fn the_dialect_is_told_and_values_are_no_names() {
        for text in ["n;mean\n3;1,5\n4;2,25\n", "n\tmean\n3\t1.5\n4\t2.25\n", "\"n\" \"mean\"\n3 1.5\n4 2.25\n"] {
            let batch = read_bytes(text.as_bytes()).unwrap();
            assert_eq!(batch.schema().field(1).name(), "mean", "{text}");
            assert_eq!(batch.column(1).as_primitive::<Float64Type>().values(), &[1.5, 2.25], "{text}");
        }
        // What R's write.table prints: a name less than there are fields.
        let batch = read_bytes(b"\"est\" \"se\"\n\"a\" 1.5 0.1\n\"b\" 2 0.25\n").unwrap();
        assert_eq!(batch.schema().field(0).name(), "row_names");
        for text in ["3.5\n", "3,1.5\n4,2.5\n", "AA,3.5\n", "AA,3.5\nUA,4.5\n", "\n7\n"] {
            let error = read_bytes(text.as_bytes()).unwrap_err();
            assert!(error.message().contains("holds values, not the names of columns"), "{text}: {error}");
            assert!(error.hint_text().unwrap().contains("a line of names first"));
        }
        for text in ["x\n", "a,b\n1,2\n", "label\nfoo bar\n", "carrier,2001,2002\nAA,1.5,2.5\nUA,1,2\n"] {
            assert!(read_bytes(text.as_bytes()).is_ok(), "{text}");
        }
    }

    #[test]
    fn arrow_files_and_streams_are_told_by_their_first_bytes() {
        let columns: [(&str, arrow::array::ArrayRef); 2] =
            [("n", Arc::new(Int32Array::from(vec![1, 2]))), ("t", Arc::new(StringArray::from(vec!["a", "b"])))];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut file = FileWriter::try_new(Vec::new(), &batch.schema()).unwrap();
        file.write(&batch).unwrap();
        let mut stream = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
        stream.write(&batch).unwrap();
        for bytes in [file.into_inner().unwrap(), stream.into_inner().unwrap()] {
            let read = read_bytes(&bytes).unwrap();
            assert_eq!(read.column(0).as_primitive::<Int64Type>().values(), &[1, 2]);
            assert_eq!(read.column(1).as_string_view().value(1), "b");
        }
        let lists: arrow::array::ArrayRef =
            Arc::new(arrow::array::ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1)])]));
        let batch = RecordBatch::try_from_iter([("l", lists)]).unwrap();
        let mut stream = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
        stream.write(&batch).unwrap();
        let error = read_bytes(&stream.into_inner().unwrap()).unwrap_err();
        assert!(error.to_string().contains("`l` is a list"), "nothing is left out in silence: {error}");
    }
}
