//! Looking at the files of a set, several at a time.

use crate::error::Result;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What `look` finds in every file, in the order of the paths; it is given their numbers and called on up to `threads`
/// threads. Files behind one that cannot be read may be left out.
pub(in crate::source) fn look_at_all<T: Send + Sync>(
    paths: &[PathBuf],
    threads: usize,
    look: impl Fn(usize, &Path) -> Result<T> + Sync,
) -> Vec<Result<T>> {
    let slots: Vec<OnceLock<Result<T>>> = paths.iter().map(|_| OnceLock::new()).collect();
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let work = || {
        while !failed.load(Ordering::Relaxed) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let (Some(path), Some(slot)) = (paths.get(at), slots.get(at)) else { break };
            let looked = look(at, path);
            failed.fetch_or(looked.is_err(), Ordering::Relaxed);
            // Nobody else has this number.
            let _ = slot.set(looked);
        }
    };
    let others = threads.min(paths.len()).saturating_sub(1);
    std::thread::scope(|scope| {
        for _ in 0..others {
            scope.spawn(work);
        }
        work();
    });
    // Numbers are handed out in order, so every file before one that failed has been looked at.
    slots.into_iter().map_while(OnceLock::into_inner).collect()
}
