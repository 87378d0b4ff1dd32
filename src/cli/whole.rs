//! Files that are written at once.

use crate::atomic::Partial;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Writes beside the final name and renames, so that a half-written file never stands under it. A link is followed; a
/// pipe or device is written to as it is; a file that is replaced keeps its permissions.
///
/// # Errors
/// Those of the file.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if std::fs::metadata(path).is_ok_and(|known| !known.is_file()) {
        return File::options().write(true).open(path)?.write_all(bytes);
    }
    let partial = Partial::file(path)?;
    partial.handle()?.write_all(bytes)?;
    partial.commit(true)
}
