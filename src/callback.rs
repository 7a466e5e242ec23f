//! Runs the app's code: event callbacks, completions and log callbacks.

use crate::host;
use crate::sync::thread_local;
use std::cell::Cell;
use std::time::Duration;

/// How long replacing a callback, or taking the last event, waits for one that is running.
pub(crate) const RUNNING_LIMIT: Duration = Duration::from_secs(5);

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Whether this thread is inside a callback of any client, or inside the log callback.
pub(crate) fn in_callback() -> bool {
    DEPTH.with(|depth| depth.get() > 0)
}

/// Clears the mark of being inside a callback: a forked child starts afresh.
#[cfg(not(tim_shuttle))]
pub(crate) fn forget() {
    DEPTH.with(|depth| depth.set(0));
}

/// Runs the app's code, marked as being inside a callback. A panic in a Rust app's closure stops
/// here.
pub(crate) fn run(callback: impl FnOnce()) {
    DEPTH.with(|depth| depth.set(depth.get() + 1));
    host::run_app_code(callback);
    DEPTH.with(|depth| depth.set(depth.get().saturating_sub(1)));
}
