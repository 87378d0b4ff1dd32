//! Answers into files.

use super::compute::{Run, Runner};
use super::dataframe::DataFrame;
use super::lazy::LazyFrame;
use crate::error::{Error, ErrorKind, Result};
use crate::exec::{RowOutput, RunStatistics, run_into};
use crate::plan::LogicalPlan;
use crate::write::{FileFormat, FileOutput, Finished, Target, WriteOptions, Written, refuse_inputs, refuse_rejects};
use std::path::{Path, PathBuf};

/// Something to write: which rows, where and how.
#[derive(Clone, Debug)]
pub struct Write {
    frame: LazyFrame,
    target: Target,
    options: WriteOptions,
}

impl Write {
    /// The rows of `frame` to `target`.
    pub fn new(frame: &LazyFrame, target: Target, options: WriteOptions) -> Self {
        Write { frame: frame.clone(), target, options }
    }
}

impl LazyFrame {
    /// Writes the rows as CSV with a header; compressed if the name says so (`a.csv.gz`), with tabs for `.tsv`.
    ///
    /// Rows need not fit in memory, and the file has its name only once it is complete.
    ///
    /// # Errors
    /// A wrong name or type; else the first error in the data, or of the place written to.
    ///
    /// # Example
    /// ```
    /// use outcrop::{col, lit, scan_csv};
    ///
    /// # let folder = std::env::temp_dir().join(format!("outcrop-example-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder).unwrap();
    /// let carriers = scan_csv("testdata/airline/carriers.csv")?;
    /// carriers.filter(col("Code").lt(lit("05Q"))).write_csv(folder.join("some.csv.gz"))?;
    /// let written = carriers.write_parquet(folder.join("carriers.parquet"))?;
    /// assert_eq!((written.rows, written.files), (1491, 1));
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// # Ok::<(), outcrop::Error>(())
    /// ```
    pub fn write_csv(&self, path: impl AsRef<Path>) -> Result<Written> {
        self.write(path, FileFormat::Csv)
    }

    /// Writes the rows as Parquet.
    ///
    /// # Errors
    /// As [`LazyFrame::write_csv`].
    pub fn write_parquet(&self, path: impl AsRef<Path>) -> Result<Written> {
        self.write(path, FileFormat::Parquet)
    }

    /// Writes the rows as an Arrow IPC file.
    ///
    /// # Errors
    /// As [`LazyFrame::write_csv`].
    pub fn write_ipc(&self, path: impl AsRef<Path>) -> Result<Written> {
        self.write(path, FileFormat::Ipc)
    }

    /// Writes the rows as JSON objects, one a line; compressed if the name says so.
    ///
    /// # Errors
    /// As [`LazyFrame::write_csv`].
    pub fn write_ndjson(&self, path: impl AsRef<Path>) -> Result<Written> {
        self.write(path, FileFormat::Ndjson)
    }

    fn write(&self, path: impl AsRef<Path>, format: FileFormat) -> Result<Written> {
        let by_name = WriteOptions::of_file_name(&path).filter(|options| options.format() == format);
        let options = by_name.unwrap_or_else(|| WriteOptions::new(format));
        Ok(Runner::new().write(self, path, options)?.value)
    }
}

impl Runner {
    /// Writes the rows of a frame to a file, or to a folder if they are partitioned.
    ///
    /// # Errors
    /// A wrong name or type, an option that does not suit the columns, or a place that cannot be written to, before
    /// data are read; else the first error in the data, or of the place written to. Nothing is left behind then.
    pub fn write(&self, frame: &LazyFrame, path: impl AsRef<Path>, options: WriteOptions) -> Result<Run<Written>> {
        let target = Target::Path(path.as_ref().to_path_buf());
        let run = self.write_all(&[Write::new(frame, target, options)])?;
        let value = run.value.into_iter().next().ok_or_else(|| Error::internal("a write without an answer"))?;
        Ok(Run { value, statistics: run.statistics, warnings: run.warnings })
    }

    /// Writes several frames; inputs that they share are read once. No file gets its name before all are complete.
    ///
    /// # Errors
    /// As [`Runner::write`].
    pub fn write_all(&self, writes: &[Write]) -> Result<Run<Vec<Written>>> {
        let done = self.run_and_write(&[], writes)?;
        Ok(Run { value: done.value.1, statistics: done.statistics, warnings: done.warnings })
    }

    /// Answers some frames and writes others, in one run.
    ///
    /// # Errors
    /// As [`Runner::write`].
    pub fn run_and_write(&self, frames: &[LazyFrame], writes: &[Write]) -> Result<Run<(Vec<DataFrame>, Vec<Written>)>> {
        let all = writes.iter().map(|write| &write.frame).chain(frames);
        let plans = all.map(|frame| Ok(LogicalPlan::clone(frame.plan()?))).collect::<Result<Vec<_>>>()?;
        check_targets(writes, &plans, self.options().rejects.as_deref())?;
        let output = |write: &Write| {
            write.options.check(&*write.frame.schema()?)?;
            FileOutput::new(write.target.clone(), write.options.clone(), self.options())
        };
        let outputs = writes.iter().map(output).collect::<Result<Vec<_>>>()?;
        let taken: Vec<Option<&dyn RowOutput>> = outputs.iter().map(|output| Some(output as &dyn RowOutput)).collect();
        let mut done = run_into(&plans, &taken, self.options())?;
        let answers = done.answers.split_off(writes.len()).into_iter();
        let answers = answers.map(|answer| DataFrame::of_rows(answer.schema, answer.rows)).collect();
        let finished = outputs.into_iter().map(FileOutput::finish).collect::<Result<Vec<_>>>()?;
        let value = finished.into_iter().map(Finished::commit).collect::<Result<Vec<_>>>()?;
        let sum = |count: fn(&Written) -> u64| value.iter().map(count).sum();
        let statistics = RunStatistics {
            rows_written: sum(|written| written.rows),
            bytes_written: sum(|written| written.bytes),
            files_written: sum(|written| written.files),
            ..done.statistics
        };
        Ok(Run { value: (answers, value), statistics, warnings: done.warnings })
    }
}

/// No target is read from, and none is written twice, or lies in a folder that is written as a whole. `rejects` is a
/// target too.
fn check_targets(writes: &[Write], plans: &[LogicalPlan], rejects: Option<&Path>) -> Result<()> {
    let refused = |message: &str, name: &str| Err(Error::new(ErrorKind::Syntax, message).in_file(name));
    let mut paths: Vec<PathBuf> = rejects.map(real_path).into_iter().collect();
    let mut to_stdout = false;
    for write in writes {
        let Target::Path(path) = &write.target else {
            if std::mem::replace(&mut to_stdout, true) {
                return refused("two answers would be written into one another", "stdout");
            }
            continue;
        };
        refuse_rejects(path, rejects)?;
        for plan in plans {
            let files = plan.sources().into_iter().flat_map(|source| source.files());
            refuse_inputs(path, files.map(|file| PathBuf::from(&*file)))?;
        }
        let (name, real) = (path.display().to_string(), real_path(path));
        for other in &paths {
            if *other == real {
                return refused("two answers, or an answer and rejects, would be written to one file", &name);
            }
            if real.starts_with(other) || other.starts_with(&real) {
                return refused("something else would be written into the folder of an answer", &name);
            }
        }
        paths.push(real);
    }
    Ok(())
}

/// The path with all links followed; of a file that is not there yet, those on the way to it.
fn real_path(path: &Path) -> PathBuf {
    let real = std::fs::canonicalize(path).or_else(|_| {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok::<_, std::io::Error>(std::fs::canonicalize(parent)?.join(path.file_name().unwrap_or_default()))
    });
    real.unwrap_or_else(|_| path.to_path_buf())
}
