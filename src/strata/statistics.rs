//! What a run over strata did, beside its pass.

use crate::memory::Segment;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counters of the work on strata, returned with its results.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StrataStatistics {
    /// Groups that there were.
    pub strata: u64,
    /// Calls of the function or starts of the program, those that failed included.
    pub attempts: u64,
    /// Groups that are not in the table: that failed at every attempt, or whose results do not go with the others.
    pub failed: u64,
    /// Bytes in segments of shared memory, of all groups together; there is one segment a worker at a time.
    pub bytes_in_memory: u64,
    /// Bytes in segments on disk, where the memory did not suffice.
    pub bytes_on_disk: u64,
    /// Workers, and so the most groups that were worked on at a time.
    pub workers: usize,
    /// Seconds that workers were busy, together, those of writing segments and of waiting for programs included.
    pub seconds_busy: f64,
    /// Seconds from the first group to the last.
    pub seconds_wall: f64,
}

/// The counters while workers count.
#[derive(Debug, Default)]
pub(super) struct Counters {
    attempts: AtomicU64,
    bytes_in_memory: AtomicU64,
    bytes_on_disk: AtomicU64,
    nanos_busy: AtomicU64,
}

impl Counters {
    pub(super) fn segment(&self, segment: &Segment) {
        let bytes = if segment.is_on_disk() { &self.bytes_on_disk } else { &self.bytes_in_memory };
        bytes.fetch_add(segment.bytes(), Ordering::Relaxed);
    }

    pub(super) fn attempt(&self) {
        self.attempts.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn busy(&self, time: Duration) {
        self.nanos_busy.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
    }

    /// What was counted; the rest is zero.
    pub(super) fn counted(&self) -> StrataStatistics {
        let figure = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        StrataStatistics {
            attempts: figure(&self.attempts),
            bytes_in_memory: figure(&self.bytes_in_memory),
            bytes_on_disk: figure(&self.bytes_on_disk),
            seconds_busy: figure(&self.nanos_busy) as f64 / 1e9,
            ..StrataStatistics::default()
        }
    }
}
