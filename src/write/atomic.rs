//! Files and folders that get their name when they are complete.
//!
//! **Idea.** `a.csv` is written as `a.csv.partial-PID-N` beside it and renamed; until then it is on a list, from which
//! a program that is interrupted removes all. The file is locked while its writer lives, so that what a killed process
//! left can be told from what another is writing.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What is being written and must not be left behind.
#[derive(Default)]
struct Unfinished {
    paths: Vec<PathBuf>,
    /// The process is ending: nothing new may be begun.
    closed: bool,
}

static UNFINISHED: Mutex<Unfinished> = Mutex::new(Unfinished { paths: Vec::new(), closed: false });

/// Tells the partial files of one process apart.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// What nobody has locked for so long was left by a process that is gone.
const ABANDONED_AFTER: Duration = Duration::from_secs(10);

fn unfinished() -> MutexGuard<'static, Unfinished> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes what is being written; nothing can be begun or completed after. For a process that is about to
/// end, from its signal handler say.
pub fn remove_unfinished() {
    let mut unfinished = unfinished();
    unfinished.closed = true;
    for path in unfinished.paths.drain(..) {
        remove(&path);
    }
}

fn remove(path: &Path) {
    // It may never have been created, or a folder may be gone already: what remains is all there is to do.
    let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
}

fn ending() -> io::Error {
    io::Error::new(io::ErrorKind::Interrupted, "the process is ending")
}

/// A file or folder under a name of its own until it is complete; removed when dropped before.
#[derive(Debug)]
pub(crate) struct Partial {
    /// The final name, links followed.
    target: PathBuf,
    path: PathBuf,
    /// Locks the file, or the folder, while this process lives.
    lock: File,
    done: bool,
}

impl Partial {
    /// A new file in place of `target`, whose permissions it takes over; a link is followed.
    pub(crate) fn file(target: &Path) -> io::Result<Self> {
        let known = fs::metadata(target).ok();
        let partial = Partial::begin(target, |path| OpenOptions::new().write(true).create_new(true).open(path))?;
        if let Some(known) = known {
            partial.lock.set_permissions(known.permissions())?;
        }
        Ok(partial)
    }

    /// A new folder in place of `target`.
    pub(crate) fn folder(target: &Path) -> io::Result<Self> {
        Partial::begin(target, |path| {
            fs::create_dir(path)?;
            File::open(path)
        })
    }

    fn begin(target: &Path, create: impl FnOnce(&Path) -> io::Result<File>) -> io::Result<Self> {
        let target = fs::canonicalize(target).unwrap_or_else(|_| target.to_path_buf());
        sweep(&target);
        let mut path = target.clone().into_os_string();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        path.push(format!(".partial-{}-{number}", std::process::id()));
        let path = PathBuf::from(path);
        // Under the lock, so that nothing is created behind the back of a process that is ending.
        let mut unfinished = unfinished();
        if unfinished.closed {
            return Err(ending());
        }
        let lock = create(&path)?;
        unfinished.paths.push(path.clone());
        // A file system without locks leaves nothing swept.
        let _ = lock.try_lock();
        Ok(Partial { target, path, lock, done: false })
    }

    /// The file, to write to.
    pub(crate) fn handle(&self) -> io::Result<File> {
        self.lock.try_clone()
    }

    /// A new file in the folder, and the folders on the way.
    pub(crate) fn create(&self, relative: &Path) -> io::Result<File> {
        let unfinished = unfinished();
        if unfinished.closed {
            return Err(ending());
        }
        let path = self.path.join(relative);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        OpenOptions::new().write(true).create_new(true).open(path)
    }

    /// Gives the complete file its name. With `sync`, its bytes are on the disk before, and its name after.
    pub(crate) fn commit(mut self, sync: bool) -> io::Result<()> {
        if sync {
            self.lock.sync_all()?;
        }
        self.rename(&self.path, &self.target)?;
        self.done = true;
        if sync {
            self.sync_parent();
        }
        Ok(())
    }

    /// Gives the complete folder its name; what stands there, if anything, is removed after.
    pub(crate) fn commit_folder(mut self, sync: bool) -> io::Result<()> {
        let mut old = None;
        if self.target.is_dir() && fs::read_dir(&self.target)?.next().is_some() {
            let mut aside = self.path.clone().into_os_string();
            aside.push("-old");
            let aside = PathBuf::from(aside);
            fs::rename(&self.target, &aside)?;
            old = Some(aside);
        }
        if let Err(error) = self.rename(&self.path, &self.target) {
            if let Some(old) = &old {
                fs::rename(old, &self.target)?;
            }
            return Err(error);
        }
        self.done = true;
        if sync {
            self.sync_parent();
        }
        old.map_or(Ok(()), fs::remove_dir_all)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut unfinished = unfinished();
        if unfinished.closed {
            return Err(ending());
        }
        fs::rename(from, to)?;
        unfinished.paths.retain(|path| *path != self.path);
        Ok(())
    }

    /// A file system that cannot sync folders keeps the name a little later.
    fn sync_parent(&self) {
        let parent = self.target.parent().filter(|parent| !parent.as_os_str().is_empty());
        let _ = File::open(parent.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.done {
            unfinished().paths.retain(|path| *path != self.path);
            remove(&self.path);
        }
    }
}

/// Removes what killed processes left beside `target`.
fn sweep(target: &Path) {
    let (Some(name), Some(parent)) = (target.file_name(), target.parent()) else { return };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let prefix = format!("{}.partial-", name.to_string_lossy());
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let of_target = entry.file_name().to_string_lossy().starts_with(&prefix);
        let age = entry.metadata().and_then(|metadata| metadata.modified()).map(|time| time.elapsed());
        let old = matches!(age, Ok(Ok(age)) if age > ABANDONED_AFTER);
        if of_target && old && File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
            remove(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::time::SystemTime;

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_has_its_name_when_complete_and_nothing_is_left_when_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.csv");
        fs::write(&target, "old").unwrap();
        let partial = Partial::file(&target).unwrap();
        partial.handle().unwrap().write_all(b"new").unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "old");
        drop(partial);
        assert_eq!(names(folder.path()), ["a.csv"]);
        let partial = Partial::file(&target).unwrap();
        partial.handle().unwrap().write_all(b"new").unwrap();
        partial.commit(true).unwrap();
        assert_eq!((names(folder.path()), fs::read_to_string(&target).unwrap()), (vec!["a.csv".into()], "new".into()));
    }

    #[test]
    fn a_folder_replaces_the_old_one_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out");
        fs::create_dir_all(target.join("Year=1")).unwrap();
        fs::write(target.join("Year=1/x"), "old").unwrap();
        let partial = Partial::folder(&target).unwrap();
        partial.create(Path::new("Year=2/part-0.csv")).unwrap();
        partial.commit_folder(true).unwrap();
        assert_eq!(names(folder.path()), ["out"]);
        assert_eq!(names(&target), ["Year=2"]);
    }

    #[test]
    fn what_a_killed_process_left_is_swept_and_what_another_is_writing_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.csv");
        let at = |name: &str| folder.path().join(name);
        let old = SystemTime::now() - Duration::from_secs(60);
        for name in ["a.csv.partial-1-0", "a.csv.partial-2-0", "b.csv.partial-1-0"] {
            File::create(at(name)).unwrap().set_modified(old).unwrap();
        }
        fs::write(at("a.csv.partial-3-0"), "just begun").unwrap();
        let alive = File::open(at("a.csv.partial-2-0")).unwrap();
        alive.try_lock().unwrap();
        Partial::file(&target).unwrap().commit(false).unwrap();
        assert_eq!(names(folder.path()), ["a.csv", "a.csv.partial-2-0", "a.csv.partial-3-0", "b.csv.partial-1-0"]);
    }
}
