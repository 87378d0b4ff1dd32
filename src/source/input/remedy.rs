//! Errors of the operating system about an input, each with what to do about it.

use crate::error::Error;
use rustix::io::Errno;
use std::io;
use std::path::Path;

/// The error `error` about the input called `name`.
pub(crate) fn io_error(name: impl AsRef<Path>, error: &io::Error) -> Error {
    let located = Error::io(name, error);
    match error.raw_os_error().and_then(remedy) {
        Some(hint) => located.hint(hint),
        None => located,
    }
}

fn remedy(code: i32) -> Option<&'static str> {
    Some(match Errno::from_raw_os_error(code) {
        Errno::NOENT => "it was moved or deleted, or never was here",
        Errno::ACCESS | Errno::PERM => "you may not read it: look at its owner and mode with ls -l",
        Errno::MFILE | Errno::NFILE => {
            "too many files are open at a time: raise the limit (ulimit -n) or use fewer --threads"
        }
        Errno::NXIO => "a socket is no file: let the program behind it write to a pipe, and name that",
        Errno::STALE => "the file was replaced on its server; start again",
        Errno::IO => "the disk or its server failed; copy the file elsewhere and try again",
        Errno::LOOP => "links point at each other: look with ls -l",
        Errno::NAMETOOLONG => "the name is too long for the file system",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_system_come_with_a_remedy() {
        for (errno, word) in [(Errno::MFILE, "ulimit"), (Errno::ACCESS, "ls -l"), (Errno::NXIO, "socket")] {
            let error = io_error("a.csv", &io::Error::from_raw_os_error(errno.raw_os_error()));
            assert!(error.hint_text().unwrap().contains(word), "{error}");
            assert_eq!(error.place().file.as_deref(), Some("a.csv"));
        }
        assert_eq!(io_error("a.csv", &io::Error::other("odd")).hint_text(), None);
    }
}
