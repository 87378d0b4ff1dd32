//! Functions by their place in the program.

use crate::error::{Error, ErrorKind, Result};
use arrow::buffer::Buffer;
use std::fs::File;
use std::ops::Range;
use std::sync::OnceLock;

/// What a function of a task is given in a worker.
#[derive(Debug)]
pub(crate) struct Payload {
    pub(crate) bytes: Vec<u8>,
    /// The segment of the task.
    pub(crate) segment: Option<Buffer>,
    /// What all tasks are given.
    pub(crate) data: Option<Buffer>,
}

/// What comes back of a task.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    pub(crate) bytes: Vec<u8>,
    /// What is too much for the socket.
    pub(crate) file: Option<File>,
}

impl From<Vec<u8>> for Reply {
    fn from(bytes: Vec<u8>) -> Self {
        Reply { bytes, file: None }
    }
}

/// A task in a worker.
pub(crate) type Function = fn(Payload) -> Result<Reply>;

/// From here, places are counted.
fn origin() -> usize {
    let origin: fn() -> usize = origin;
    origin as usize
}

/// The addresses at which the code of the program itself stands.
fn code() -> Option<Range<usize>> {
    static CODE: OnceLock<Option<Range<usize>>> = OnceLock::new();
    CODE.get_or_init(|| {
        let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
        let range = |line: &str| {
            let (start, end) = line.split_once(' ')?.0.split_once('-')?;
            Some(usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?)
        };
        maps.lines().filter_map(range).find(|range| range.contains(&origin()))
    })
    .clone()
}

/// The place of a function, which another process of this program finds by [`address`].
///
/// # Errors
/// `Unsupported` for a function of a library that is loaded at run time, and where the system does not tell.
pub(crate) fn place(address: usize) -> Result<u64> {
    let code = code().ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, "worker processes need /proc, which only Linux has").hint("use threads")
    })?;
    if !code.contains(&address) {
        let message = "a function for worker processes is not part of the program itself";
        return Err(Error::new(ErrorKind::Unsupported, message).hint("use threads, or link it statically"));
    }
    Ok((address as u64).wrapping_sub(origin() as u64))
}

/// The address of the function at a place.
///
/// # Errors
/// `Internal` when there is no code at that place.
pub(crate) fn address(place: u64) -> Result<usize> {
    let address = (origin() as u64).wrapping_add(place) as usize;
    match code().is_some_and(|code| code.contains(&address)) {
        true => Ok(address),
        false => Err(Error::internal("a task names a function that the program does not have")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_found_again_and_others_are_refused() {
        let here: fn() = functions_are_found_again_and_others_are_refused;
        assert_eq!(address(place(here as usize).unwrap()).unwrap(), here as usize);
        let text = String::from("not code");
        assert_eq!(place(text.as_ptr() as usize).unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(address(1 << 50).unwrap_err().kind(), ErrorKind::Internal);
    }
}
