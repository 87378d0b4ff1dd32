//! Who kills the programs that are left when this process is killed.
//!
//! The guard is a shell that reads which process groups begin and end, from a pipe. When nobody is left who could write to
//! the pipe, this process has ended, and the guard kills the groups that have not. Programs announce themselves, between
//! `fork` and `exec`, so there is no moment at which one runs that the guard does not know of.

use crate::error::{Error, ErrorKind, Result};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};

const SCRIPT: &str = r#"
live=' '
while read -r sign group; do
    case $sign in
    +) live="$live$group " ;;
    -) case $live in *" $group "*) live="${live%%" $group "*} ${live#*" $group "}" ;; esac ;;
    esac
done
for group in $live; do
    kill -s KILL -- "-$group" 2>/dev/null
done
exit 0
"#;

/// Outlives this process by a moment.
#[derive(Debug)]
pub(super) struct Guard {
    process: Child,
    /// Open until the guard is dropped.
    pipe: Option<ChildStdin>,
}

impl Guard {
    /// Starts a guard.
    ///
    /// # Errors
    /// `Io` when there is no shell.
    pub(super) fn start() -> Result<Self> {
        // A group of its own: Ctrl-C at a terminal is for this process, not for its guard.
        let process = Command::new("/bin/sh")
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        let mut process =
            process.map_err(|error| Error::new(ErrorKind::Io, format!("cannot start a shell: {error}")))?;
        let pipe = process.stdin.take();
        Ok(Guard { process, pipe })
    }

    /// The handle to which a program writes its announcement.
    ///
    /// # Errors
    /// Never, while there is a guard.
    pub(super) fn pipe(&self) -> io::Result<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd).ok_or(io::ErrorKind::BrokenPipe.into())
    }

    /// A group has ended.
    pub(super) fn forget(&self, group: u32) {
        if let Some(mut pipe) = self.pipe.as_ref() {
            // A guard that has been killed has nothing to forget.
            let _ = pipe.write_all(format!("- {group}\n").as_bytes());
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // It ends at the end of the pipe.
        let _ = self.process.wait();
    }
}

/// Writes `+ NUMBER` as a line, without allocating: this is called between `fork` and `exec`.
///
/// # Errors
/// Those of writing.
pub(super) fn announce(pipe: BorrowedFd<'_>, mut group: u32) -> io::Result<()> {
    let mut line = [0; 16];
    let mut start = line.len() - 1;
    line[start] = b'\n';
    loop {
        start -= 1;
        line[start] = b'0' + (group % 10) as u8;
        group /= 10;
        if group == 0 {
            break;
        }
    }
    start -= 2;
    line[start..start + 2].copy_from_slice(b"+ ");
    rustix::io::write(pipe, &line[start..])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    fn sleeper(guard: &Guard) -> Child {
        let child = Command::new("sleep").arg("100").process_group(0).spawn().unwrap();
        announce(guard.pipe().unwrap(), child.id()).unwrap();
        child
    }

    #[test]
    fn groups_that_have_not_ended_are_killed_and_no_others() {
        let guard = Guard::start().unwrap();
        let (mut first, mut second, mut third) = (sleeper(&guard), sleeper(&guard), sleeper(&guard));
        guard.forget(second.id());
        drop(guard);
        assert_eq!(first.wait().unwrap().signal(), Some(9));
        assert_eq!(third.wait().unwrap().signal(), Some(9));
        assert!(second.try_wait().unwrap().is_none());
        second.kill().unwrap();
        second.wait().unwrap();
    }
}
