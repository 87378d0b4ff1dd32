//! The file of rejects of `validate`, which may take several runs.
//!
//! Each run hands its rejects over as text with a header line, of which the file has the first.

use crate::atomic::Partial;
use crate::error::{Error, ErrorKind};
use crate::write::refuse_inputs;
use std::fs::File;
use std::io::{self, BufRead, BufReader, PipeReader, Write};
use std::path::{Path, PathBuf};

/// A file in the making; nothing stands under its name before it is complete.
pub(super) struct Kept {
    path: PathBuf,
    /// `None` where the path is no regular file.
    partial: Option<Partial>,
    file: File,
    has_header: bool,
}

impl Kept {
    /// A file of rejects, which takes the place of no input.
    pub(super) fn create(path: &Path, inputs: impl IntoIterator<Item = PathBuf>) -> Result<Self, Error> {
        refuse_inputs(path, inputs)?;
        let failed = |error: io::Error| cannot_write(path, &error);
        let (partial, file) = if std::fs::metadata(path).is_ok_and(|known| !known.is_file()) {
            (None, File::options().write(true).open(path).map_err(failed)?)
        } else {
            let partial = Partial::file(path).map_err(failed)?;
            let file = partial.handle().map_err(failed)?;
            (Some(partial), file)
        };
        Ok(Kept { path: path.to_owned(), partial, file, has_header: false })
    }

    /// Keeps what comes from one run, and hands it on as long as somebody reads that.
    pub(super) fn copy(&mut self, from: PipeReader, to: &mut dyn Write) -> Result<(), Error> {
        let mut from = BufReader::with_capacity(1 << 16, from);
        let mut header = Vec::new();
        from.read_until(b'\n', &mut header).map_err(|error| cannot_write(&self.path, &error))?;
        let mut handed_on = to.write_all(&header);
        if !self.has_header && !header.is_empty() {
            self.has_header = true;
            self.file.write_all(&header).map_err(|error| cannot_write(&self.path, &error))?;
        }
        loop {
            let bytes = from.fill_buf().map_err(|error| cannot_write(&self.path, &error))?;
            let length = bytes.len();
            if length == 0 || handed_on.is_err() {
                return Ok(());
            }
            handed_on = to.write_all(bytes);
            self.file.write_all(bytes).map_err(|error| cannot_write(&self.path, &error))?;
            from.consume(length);
        }
    }

    /// Puts the file in its place.
    pub(super) fn finish(self) -> Result<(), Error> {
        let Kept { path, partial, .. } = self;
        partial.map_or(Ok(()), |partial| partial.commit(true)).map_err(|error| cannot_write(&path, &error))
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("cannot write the rejects: {error}")).in_file(&path.display().to_string())
}
