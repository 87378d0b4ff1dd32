//! What the system's allocator keeps of memory that was given back.
//!
//! **Problem.** What is freed stays with the allocator, in the arena of some threads, where others cannot use it; seen from
//! outside the process still has it. Between two phases of a run that may be half of the limit.
//! **Idea.** Whenever a share of the limit has been booked, it is looked how much the process has. If that is beyond the limit,
//! the allocator is asked for pages that hold nothing. Where memory is ample that never happens. (Having large blocks
//! mapped one by one, the other way, costs several times the system's time, because each is faulted in anew.)

use std::sync::atomic::{AtomicUsize, Ordering};

/// So much beyond the limit is of no account.
const TOLERATED_BYTES: usize = 32 << 20;
/// The process is looked at whenever this share of the limit has been booked.
const SHARE: usize = 64;

/// When to look at the process.
#[derive(Debug, Default)]
pub(super) struct Retention {
    booked_bytes: AtomicUsize,
    /// What the process had when pages had last been given back: what is there still is no use asking for.
    least_bytes: AtomicUsize,
    /// The most that has been held since, as far as it was looked.
    most_held_bytes: AtomicUsize,
}

impl Retention {
    /// So much has been booked on an account with this limit, of which so much is held.
    pub(super) fn booked(&self, bytes: usize, held_bytes: usize, limit_bytes: usize) {
        let step = limit_bytes / SHARE;
        if limit_bytes == usize::MAX || step == 0 {
            return;
        }
        let before = self.booked_bytes.fetch_add(bytes, Ordering::Relaxed);
        if before / step == before.wrapping_add(bytes) / step {
            return;
        }
        self.most_held_bytes.fetch_max(held_bytes, Ordering::Relaxed);
        let due = limit_bytes.saturating_add(TOLERATED_BYTES);
        if let Some(private) = private_bytes()
            && private > due
            && self.is_worth_it(private, held_bytes, step)
        {
            give_back();
            self.gave_back(private_bytes().unwrap_or(private), held_bytes);
        }
    }

    /// Whether some step of memory may be there that nobody holds, and that has not been asked for in vain: either the process
    /// has grown since, or something has been freed.
    fn is_worth_it(&self, private: usize, held_bytes: usize, step: usize) -> bool {
        let above = |bytes: usize, than: usize| bytes >= than.saturating_add(step);
        let [least, most_held] = [&self.least_bytes, &self.most_held_bytes].map(|bytes| bytes.load(Ordering::Relaxed));
        above(private, held_bytes) && (above(private, least) || above(most_held, held_bytes))
    }

    fn gave_back(&self, private: usize, held_bytes: usize) {
        self.least_bytes.store(private, Ordering::Relaxed);
        self.most_held_bytes.store(held_bytes, Ordering::Relaxed);
    }
}

/// Bytes of memory that the process has and shares with nobody, where the system tells.
fn private_bytes() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()?.checked_mul(1024)
}

/// Makes the allocator return pages that hold nothing, where it is one that can be asked.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn give_back() {
    // SAFETY: this is the declaration of malloc.h. It may be called at any time from any thread.
    unsafe extern "C" {
        safe fn malloc_trim(pad: usize) -> std::ffi::c_int;
    }
    malloc_trim(0);
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn give_back() {}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_in_vain_is_asked_for_again_once_something_was_freed() {
        let retention = Retention::default();
        retention.gave_back(200, 100);
        let worth = |private: usize, held: usize| {
            retention.most_held_bytes.fetch_max(held, Ordering::Relaxed);
            retention.is_worth_it(private, held, 10)
        };
        assert!(!worth(205, 100) && worth(210, 100), "the process has grown");
        assert!(!worth(200, 190), "what has been freed is in use again");
        assert!(!worth(200, 181) && worth(200, 180) && worth(150, 100), "something was freed");
        assert!(!worth(109, 100), "all of it is held");
    }

    #[test]
    fn what_is_freed_between_blocks_in_use_goes_back_to_the_system() {
        const BLOCKS: usize = 2000;
        let mut blocks: Vec<Vec<u8>> = (0..2 * BLOCKS).map(|_| vec![1; 60_000]).collect();
        let full = private_bytes().unwrap();
        // The last block keeps the allocator from giving back the end of its heap by itself.
        blocks.drain(..2 * BLOCKS - 1);
        let limit = 16 << 20;
        let retention = Retention::default();
        retention.booked(limit, 0, limit);
        let left = private_bytes().unwrap();
        assert!(left + (100 << 20) < full, "{left} of {full} are left");
    }
}
