//! Signals that stop what is done, or end the program.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::thread::Builder;

/// Has signals handled from now on, in a thread of their own; the handler is told whether it is Ctrl-C, else the program is to end or
/// its terminal has gone.
pub(super) fn on_signals(mut handle: impl FnMut(bool) + Send + 'static) {
    // Without a handler a signal ends the process at once, which loses nothing but grace.
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGHUP]) else { return };
    let waiting = move || signals.forever().for_each(|signal| handle(signal == SIGINT));
    let _ = Builder::new().name("signals".to_owned()).spawn(waiting);
}
