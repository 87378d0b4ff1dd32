//! A target to write to, as the output of a question.

use super::chunk::NominalRow;
use super::files::{Encoder, writing};
use super::folders::{Routed, Router};
use super::ipc::IpcEncoder;
use super::options::{FileFormat, WriteOptions};
use super::parquet::ParquetEncoder;
use super::pipeline::{Complete, Pipeline, Place, Settings, least_needs};
use super::text::TextEncoder;
use crate::atomic::Partial;
use crate::error::{Error, ErrorKind, Result};
use crate::exec::{Prepared, RowOutput, RunOptions, WriteNeeds};
use crate::memory::Reservation;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// Where to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A file, or a folder when the rows are partitioned; a pipe or device is written to as it is.
    Path(PathBuf),
    /// Standard output.
    Stdout,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Rows in all files.
    pub rows: u64,
    /// Bytes in all files.
    pub bytes: u64,
    /// Files.
    pub files: u64,
}

/// Writes the rows of a question.
pub struct FileOutput {
    target: Target,
    name: Arc<str>,
    options: WriteOptions,
    run: RunOptions,
    pipeline: RwLock<Option<Arc<Pipeline>>>,
}

/// A target that is written and has not got its name yet.
pub struct Finished {
    complete: Complete,
    name: Arc<str>,
    sync: bool,
    overwrite: bool,
}

impl FileOutput {
    /// An output to `target`, of a run with options `run`.
    ///
    /// # Errors
    /// `Io` for a folder where a file is meant, or a folder that is in use where one is meant.
    pub fn new(target: Target, options: WriteOptions, run: &RunOptions) -> Result<Self> {
        let name: Arc<str> = match &target {
            Target::Path(path) => path.display().to_string().into(),
            Target::Stdout => Arc::from("stdout"),
        };
        check_place(&target, &options, &name)?;
        Ok(FileOutput { target, name, options, run: run.clone(), pipeline: RwLock::new(None) })
    }

    fn current(&self) -> Result<Arc<Pipeline>> {
        let pipeline = self.pipeline.read().unwrap_or_else(PoisonError::into_inner);
        pipeline.clone().ok_or_else(|| Error::internal("rows came before their columns"))
    }

    fn place(&self) -> Result<Place> {
        let failed = |error: std::io::Error| writing(&self.name, &error);
        let path = match &self.target {
            Target::Stdout => return Ok(Place::Stdout),
            Target::Path(path) => path,
        };
        if !self.options.partition_by.is_empty() {
            return Ok(Place::Folder(Partial::folder(path).map_err(failed)?, self.options.ending()));
        }
        if is_device(path) {
            return Ok(Place::Direct(File::options().write(true).open(path).map_err(failed)?));
        }
        Ok(Place::File(Partial::file(path).map_err(failed)?))
    }

    fn encoder(&self, schema: &SchemaRef) -> Result<Box<dyn Encoder>> {
        Ok(match self.options.format {
            FileFormat::Csv | FileFormat::Ndjson => Box::new(TextEncoder::new(Arc::clone(schema), &self.options)?),
            FileFormat::Parquet => Box::new(ParquetEncoder::new(schema, &self.options)?),
            FileFormat::Ipc | FileFormat::IpcStream => Box::new(IpcEncoder::new(schema, &self.options)?),
        })
    }

    /// The encoder of the columns that are stored in files, and what a row of them takes.
    fn stored(&self, schema: &SchemaRef) -> Result<(Box<dyn Encoder>, NominalRow)> {
        let schema = match self.options.partition_by.as_slice() {
            [] => Arc::clone(schema),
            columns => Arc::clone(Router::new(schema, columns)?.stored_schema()),
        };
        Ok((self.encoder(&schema)?, NominalRow::of(&schema)))
    }

    /// Writes what is left when the run has ended well.
    ///
    /// # Errors
    /// Those of the place written to; `Cancelled`.
    pub fn finish(self) -> Result<Finished> {
        let pipeline = self.pipeline.into_inner().unwrap_or_else(PoisonError::into_inner);
        let pipeline = pipeline.and_then(Arc::into_inner);
        let pipeline = pipeline.ok_or_else(|| Error::internal("an output that is still in use was finished"))?;
        let cancel = self.run.cancel.clone();
        let complete = pipeline.finish(&|| cancel.is_cancelled())?;
        Ok(Finished { complete, name: self.name, sync: self.options.syncs(), overwrite: self.options.overwrite })
    }
}

impl Finished {
    /// Gives what was written its name.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn commit(self) -> Result<Written> {
        let Complete { place, rows, bytes, files } = self.complete;
        let committed = match place {
            Place::File(partial) => partial.commit(self.sync),
            Place::Folder(partial, _) => partial.commit_folder(self.sync, self.overwrite),
            Place::Direct(_) | Place::Stdout => Ok(()),
        };
        committed.map_err(|error| writing(&self.name, &error))?;
        Ok(Written { rows, bytes, files })
    }
}

impl RowOutput for FileOutput {
    fn begin(&self, schema: &SchemaRef) -> Result<()> {
        self.options.check(schema)?;
        let mut pipeline = self.pipeline.write().unwrap_or_else(PoisonError::into_inner);
        // What was written before is removed first.
        *pipeline = None;
        let router = match self.options.partition_by.as_slice() {
            [] => None,
            columns => Some(Router::new(schema, columns)?),
        };
        // A folder without rows still tells its columns, those that would name folders last, as a reader has them.
        let when_empty = match &router {
            None => None,
            Some(router) => Some(self.encoder(&router.whole_schema(schema)?)?),
        };
        let encoder = self.encoder(router.as_ref().map_or(schema, Router::stored_schema))?;
        let settings = Settings {
            name: Arc::clone(&self.name),
            workers: self.run.workers(),
            sync: self.options.syncs(),
            epoch_bytes: self.options.partition_buffer_bytes,
        };
        let spill = self.run.spill.until(&self.run.cancel);
        let new = Pipeline::new(encoder, when_empty, router, self.place()?, settings, &self.run.budget, &spill);
        *pipeline = Some(Arc::new(new));
        Ok(())
    }

    fn needs(&self, schema: &SchemaRef, all_bytes: usize) -> WriteNeeds {
        // What cannot be written is told of when the output begins.
        let Ok((encoder, row)) = self.stored(schema) else { return WriteNeeds::default() };
        WriteNeeds { bytes: least_needs(&*encoder, row, all_bytes).bytes(), remedy: encoder.remedy() }
    }

    fn set_aside(&self, schema: &SchemaRef, all_bytes: usize, reservation: Reservation) {
        if let (Ok(pipeline), Ok((encoder, row))) = (self.current(), self.stored(schema)) {
            pipeline.set_aside(least_needs(&*encoder, row, all_bytes), reservation);
        }
    }

    fn can_begin_again(&self) -> bool {
        let pipeline = self.pipeline.read().unwrap_or_else(PoisonError::into_inner);
        pipeline.as_ref().is_none_or(|pipeline| !pipeline.has_flowed())
    }

    fn prepare(&self, records: RecordBatch) -> Result<Prepared> {
        let (records, routed) = self.current()?.prepare(records)?;
        Ok(Prepared { records, notes: Some(Box::new(routed)) })
    }

    fn take(&self, prepared: Prepared, stopped: &dyn Fn() -> bool) -> Result<()> {
        let routed = prepared.notes.and_then(|notes| notes.downcast::<Option<Routed>>().ok());
        let routed = routed.ok_or_else(|| Error::internal("rows that were not prepared"))?;
        self.current()?.take(prepared.records, *routed, stopped)
    }

    fn help(&self, stopped: &dyn Fn() -> bool) -> Result<bool> {
        self.current()?.help(stopped)
    }
}

/// Whether the path is a pipe or a device, which cannot be replaced.
fn is_device(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|known| !known.is_file() && !known.is_dir())
}

fn check_place(target: &Target, options: &WriteOptions, name: &str) -> Result<()> {
    let failed = |message: &str, hint: &str| Err(Error::new(ErrorKind::Io, message).in_file(name).hint(hint));
    let partitioned = !options.partition_by.is_empty();
    let Target::Path(path) = target else {
        return match partitioned {
            true => failed("a folder of files cannot be written to stdout", "name a folder"),
            false => Ok(()),
        };
    };
    match fs::metadata(path) {
        Ok(known) if known.is_dir() && !partitioned => failed("this is a folder", "name a file, or --partition-by"),
        Ok(known) if !known.is_dir() && partitioned => {
            failed("this is not a folder", "name a folder that is not there yet")
        }
        Ok(_) if partitioned && !options.overwrite => {
            let empty = fs::read_dir(path).map_err(|error| Error::io(path, &error))?.next().is_none();
            match empty {
                true => Ok(()),
                false => failed("the folder is not empty", "--overwrite replaces it with all that is in it"),
            }
        }
        _ => Ok(()),
    }
}
