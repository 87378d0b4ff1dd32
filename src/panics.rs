//! Panics in code that is not ours, which become errors.
//!
//! **Problem.** Decoders of others may panic on hostile bytes. The panic is caught and told as an error with its place,
//! but before that the panic hook of the process has printed a trace that helps nobody.
//! **Idea.** A hook belongs to the program: the library installs none, and only tells a hook, by [`is_caught`], that a
//! panic on this thread is about to become an error. The `outcrop` program asks in its hook, as any other may:
//!
//! ```
//! let before = std::panic::take_hook();
//! std::panic::set_hook(Box::new(move |panic| {
//!     if !outcrop::panics::is_caught() {
//!         before(panic)
//!     }
//! }));
//! ```
//!
//! Panics of our own code and of the user's functions are caught further out, and stay loud: they are defects.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

thread_local! {
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic on this thread, now, is expected and becomes an error.
pub fn is_caught() -> bool {
    CAUGHT.get()
}

/// Takes a lock; a panic elsewhere does not make what it guards unusable for reporting.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Calls code of others; what it leaves behind after a panic must not be used again.
pub(crate) fn caught<T>(call: impl FnOnce() -> T) -> std::thread::Result<T> {
    let outer = CAUGHT.replace(true);
    let result = catch_unwind(AssertUnwindSafe(call));
    CAUGHT.set(outer);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_panics_inside_are_caught_also_after_one_inside_another() {
        assert!(!is_caught());
        let outcome = caught(|| {
            assert!(caught(|| std::panic::resume_unwind(Box::new("inner"))).is_err());
            is_caught()
        });
        assert!(matches!(outcome, Ok(true)));
        assert!(caught(|| std::panic::resume_unwind(Box::new("outer"))).is_err());
        assert!(!is_caught());
    }
}
