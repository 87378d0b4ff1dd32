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

    /// A new folder in place of `target`, which may end in a slash.
    pub(crate) fn folder(target: &Path) -> io::Result<Self> {
        Partial::begin(target.components().as_path(), |path| {
            fs::create_dir(path)?;
            File::open(path)
        })
    }

    fn begin(target: &Path, create: impl FnOnce(&Path) -> io::Result<File>) -> io::Result<Self> {
        let target = followed(target);
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

    /// A file that [`Partial::create`] made, to append to.
    pub(crate) fn reopen(&self, relative: &Path) -> io::Result<File> {
        OpenOptions::new().append(true).open(self.path.join(relative))
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

    /// Gives the complete folder its name. With `overwrite`, what stands there is removed after; else it has to be
    /// empty.
    pub(crate) fn commit_folder(mut self, sync: bool, overwrite: bool) -> io::Result<()> {
        let replaces = overwrite && self.target.is_dir() && fs::read_dir(&self.target)?.next().is_some();
        let old = if replaces {
            Some(self.replace()?)
        } else {
            self.rename(&self.path, &self.target)?;
            None
        };
        self.done = true;
        if sync {
            self.sync_parent();
        }
        old.map_or(Ok(()), |old| {
            let removed = fs::remove_dir_all(&old);
            unfinished().paths.retain(|path| *path != self.path);
            removed
        })
    }

    /// Puts the folder in the place of the old one; where that is now. Under the lock, so that a process that ends
    /// meanwhile neither removes the new one nor leaves nothing under the name.
    fn replace(&self) -> io::Result<PathBuf> {
        let unfinished = unfinished();
        if unfinished.closed {
            return Err(ending());
        }
        if exchange(&self.path, &self.target).is_ok() {
            return Ok(self.path.clone());
        }
        // Not a name that is swept: a process killed between the two steps leaves the only complete folder there.
        let mut aside = self.target.clone().into_os_string();
        aside.push(format!(".old-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed)));
        let aside = PathBuf::from(aside);
        fs::rename(&self.target, &aside)?;
        if let Err(error) = fs::rename(&self.path, &self.target) {
            fs::rename(&aside, &self.target)?;
            return Err(error);
        }
        Ok(aside)
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

/// The path with links followed, also those that lead to what is not there yet.
fn followed(path: &Path) -> PathBuf {
    /// As many as Linux follows.
    const MAX_LINKS: usize = 40;
    let mut path = path.to_path_buf();
    for _ in 0..MAX_LINKS {
        if let Ok(real) = fs::canonicalize(&path) {
            return real;
        }
        let Ok(link) = fs::read_link(&path) else { break };
        path = path.parent().unwrap_or(Path::new("")).join(link);
    }
    path
}

/// Lets two paths change places in one step.
#[cfg(target_os = "linux")]
fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

#[cfg(not(target_os = "linux"))]
fn exchange(_one: &Path, _other: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Removes what killed processes left beside `target`.
fn sweep(target: &Path) {
    let (Some(name), Some(parent)) = (target.file_name(), target.parent()) else { return };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let prefix = format!("{}.partial-", name.to_string_lossy());
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let of_target = entry.file_name().to_string_lossy().strip_prefix(&prefix).is_some_and(is_numbers);
        let age = entry.metadata().and_then(|metadata| metadata.modified()).map(|time| time.elapsed());
        let old = matches!(age, Ok(Ok(age)) if age > ABANDONED_AFTER);
        if of_target && old && File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
            remove(&entry.path());
        }
    }
}

/// Whether this is `PID-N`, as only we name files: what else is called partial is the user's.
fn is_numbers(ending: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    ending.split_once('-').is_some_and(|(process, number)| is_number(process) && is_number(number))
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

    #[cfg(unix)]
    #[test]
    fn a_link_is_written_through_wherever_it_leads() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("there")).unwrap();
        for (link, to) in [("a", "there/new"), ("b", "a"), ("gone", "nowhere/new")] {
            std::os::unix::fs::symlink(to, at(link)).unwrap();
        }
        Partial::file(&at("b")).unwrap().commit(false).unwrap();
        assert_eq!(names(&at("there")), ["new"]);
        assert_eq!(Partial::file(&at("gone")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(names(folder.path()), ["a", "b", "gone", "there"]);
        assert!(["a", "b", "gone"].iter().all(|name| at(name).is_symlink()));
    }

    #[test]
    fn a_folder_replaces_the_old_one_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out");
        fs::create_dir_all(target.join("Year=1")).unwrap();
        fs::write(target.join("Year=1/x"), "old").unwrap();
        let partial = Partial::folder(&target).unwrap();
        partial.create(Path::new("Year=2/part-0.csv")).unwrap();
        partial.commit_folder(true, true).unwrap();
        assert_eq!(names(folder.path()), ["out"]);
        assert_eq!(names(&target), ["Year=2"]);
    }

    #[test]
    fn a_folder_that_was_filled_meanwhile_is_replaced_only_when_asked() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out");
        let partial = Partial::folder(&target).unwrap();
        fs::create_dir_all(target.join("of another")).unwrap();
        partial.commit_folder(false, false).unwrap_err();
        assert_eq!(names(folder.path()), ["out"]);
        assert_eq!(names(&target), ["of another"]);
    }

    #[test]
    fn a_new_folder_may_be_named_with_a_slash_behind_it() {
        let folder = tempfile::tempdir().unwrap();
        let partial = Partial::folder(&folder.path().join("out/")).unwrap();
        partial.create(Path::new("Year=2/part-0.csv")).unwrap();
        partial.commit_folder(false, false).unwrap();
        assert_eq!(names(&folder.path().join("out")), ["Year=2"]);
    }

    #[test]
    fn two_folders_change_places_in_one_step() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out");
        fs::create_dir_all(target.join("old")).unwrap();
        let other = folder.path().join("new");
        fs::create_dir_all(other.join("new")).unwrap();
        if exchange(&target, &other).is_err() {
            // This file system needs two steps.
            return;
        }
        assert_eq!((names(&target), names(&other)), (vec!["new".to_string()], vec!["old".to_string()]));
    }

    #[test]
    fn what_a_killed_process_left_is_swept_and_what_another_is_writing_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.csv");
        let at = |name: &str| folder.path().join(name);
        let old = SystemTime::now() - Duration::from_secs(60);
        let of_user = ["a.csv.partial-1-b", "a.csv.partial-results"];
        for name in ["a.csv.partial-1-0", "a.csv.partial-2-0", "b.csv.partial-1-0"].into_iter().chain(of_user) {
            File::create(at(name)).unwrap().set_modified(old).unwrap();
        }
        fs::write(at("a.csv.partial-3-0"), "just begun").unwrap();
        let alive = File::open(at("a.csv.partial-2-0")).unwrap();
        alive.try_lock().unwrap();
        Partial::file(&target).unwrap().commit(false).unwrap();
        let left = ["a.csv", "a.csv.partial-1-b", "a.csv.partial-2-0", "a.csv.partial-3-0", "a.csv.partial-results"];
        assert_eq!(names(folder.path()), [&left[..], &["b.csv.partial-1-0"]].concat());
    }
}
