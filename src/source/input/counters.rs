//! What the files of one run share: counts of bytes read, a cap on what they keep, and where pipes are stored.

use super::place::SpoolPlace;
use std::sync::atomic::{AtomicU64, Ordering};

/// What all input files of a run may keep in memory between sampling and the pass, unless said otherwise.
pub(crate) const DEFAULT_CACHE_BYTES: u64 = 48 << 20;

/// Counts what the files of one run read and keep.
#[derive(Debug)]
pub struct InputCounters {
    bytes_read: AtomicU64,
    /// Bytes read that the statistics of some run have told of.
    bytes_told: AtomicU64,
    cache_used: AtomicU64,
    cache_limit: u64,
    spool: SpoolPlace,
    /// Text that has been decoded ahead of its turn and not been handed out.
    ahead: AtomicU64,
}

impl Default for InputCounters {
    fn default() -> Self {
        InputCounters::with_cache_limit(DEFAULT_CACHE_BYTES)
    }
}

impl InputCounters {
    /// Counters whose files keep at most `cache_limit` bytes between sampling and the pass (default 48 MiB).
    pub fn with_cache_limit(cache_limit: u64) -> Self {
        InputCounters {
            bytes_read: AtomicU64::new(0),
            bytes_told: AtomicU64::new(0),
            cache_used: AtomicU64::new(0),
            cache_limit,
            spool: SpoolPlace::default(),
            ahead: AtomicU64::new(0),
        }
    }

    /// Where, and up to how many bytes, a stream that cannot be read twice is stored.
    #[must_use]
    pub fn with_spool(mut self, spool: SpoolPlace) -> Self {
        self.spool = spool;
        self
    }

    /// Stored bytes fetched from the operating system so far.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// Stored bytes fetched since the last call, by whatever run.
    pub(crate) fn untold_bytes(&self) -> u64 {
        let now = self.bytes_read();
        now.saturating_sub(self.bytes_told.fetch_max(now, Ordering::Relaxed))
    }

    pub(super) fn count_read(&self, bytes: usize) {
        self.bytes_read.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn spool(&self) -> &SpoolPlace {
        &self.spool
    }

    /// Whether `bytes` more may be kept; if so they are booked until [`InputCounters::give_back`].
    pub(crate) fn book(&self, bytes: usize) -> bool {
        let within = |used: u64| used.checked_add(bytes as u64).filter(|&sum| sum <= self.cache_limit);
        self.cache_used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).is_ok()
    }

    pub(crate) fn give_back(&self, bytes: usize) {
        self.cache_used.fetch_sub(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes that files keep from their samples.
    pub(crate) fn cached_bytes(&self) -> usize {
        usize::try_from(self.cache_used.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    /// Bytes of text that all files hold decoded ahead of their turn.
    pub(crate) fn ahead(&self) -> u64 {
        self.ahead.load(Ordering::Relaxed)
    }

    pub(crate) fn book_ahead(&self, bytes: u64) {
        self.ahead.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn give_back_ahead(&self, bytes: u64) {
        self.ahead.fetch_sub(bytes, Ordering::Relaxed);
    }
}
