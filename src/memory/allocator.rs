//! What the system's allocator keeps of memory that was given back.
//!
//! **Problem.** What is freed stays with the allocator, in the arena of some threads, where others cannot use it; seen from
//! outside the process still has it. Between two phases of a run that may be half of the limit.
//! **Idea.** Every few milliseconds whoever books or gives back bytes looks how much the process has. If that is beyond the
//! limit, and much of it is held by nobody, the allocator is asked for pages that hold nothing. Where memory is ample that
//! never happens. (Looking after so many booked bytes is not enough: merging books all at the beginning, and allocates for
//! seconds. Having large blocks mapped one by one, the other way, costs several times the system's time, because each is
//! faulted in anew.)

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

/// How long nobody looks again.
const PAUSE_MS: u64 = 10;
/// Less than this share of the limit is not worth asking for.
const SHARE: usize = 32;

/// When to look at the process.
#[derive(Debug, Default)]
pub(super) struct Retention {
    /// When it was last looked, in milliseconds since the first look of any account.
    looked_ms: AtomicU64,
    /// What the process had when pages had last been given back: what is there still is no use asking for.
    least_bytes: AtomicUsize,
    /// The most that has been held since, as far as it was looked.
    most_held_bytes: AtomicUsize,
}

impl Retention {
    /// Something was booked or given back on an account with this limit, of which so much is held.
    pub(super) fn moved(&self, held_bytes: usize, limit_bytes: usize) {
        if limit_bytes == usize::MAX || !self.is_time() {
            return;
        }
        self.most_held_bytes.fetch_max(held_bytes, Ordering::Relaxed);
        if let Some(private) = private_bytes()
            && private > limit_bytes
            && self.is_worth_it(private, held_bytes, limit_bytes / SHARE)
        {
            give_back();
            self.gave_back(private_bytes().unwrap_or(private), held_bytes);
        }
    }

    /// Whether it is this caller who looks now.
    fn is_time(&self) -> bool {
        static START: OnceLock<Instant> = OnceLock::new();
        let now = PAUSE_MS + START.get_or_init(Instant::now).elapsed().as_millis() as u64;
        let last = self.looked_ms.load(Ordering::Relaxed);
        now >= last + PAUSE_MS
            && self.looked_ms.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
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
    fn one_of_several_looks_and_then_nobody_for_a_while() {
        let retention = Retention::default();
        assert_eq!([(); 3].map(|()| retention.is_time()), [true, false, false]);
        std::thread::sleep(std::time::Duration::from_millis(2 * PAUSE_MS));
        assert_eq!([(); 2].map(|()| retention.is_time()), [true, false]);
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
        retention.moved(0, limit);
        let left = private_bytes().unwrap();
        assert!(left + (100 << 20) < full, "{left} of {full} are left");
    }
}
