//! The clock for a client's deadlines. It stands still while the app's callbacks run on the network
//! thread, so that a slow callback never eats into a login's time.

use crate::os;
use crate::session::Now;
use crate::sync::{Mutex, lock};

/// Monotonic time minus the time spent in the app's callbacks.
#[derive(Default)]
pub(crate) struct Clock {
    callbacks: Mutex<Callbacks>,
}

#[derive(Default)]
struct Callbacks {
    /// Total time spent in callbacks, in ms.
    total_ms: u64,
    /// When the callback now running began.
    since_ms: Option<u64>,
}

impl Clock {
    /// The time now, for the state machine.
    pub(crate) fn now(&self) -> Now {
        let callbacks = lock(&self.callbacks);
        let (monotonic_ms, boot_ms) = (os::monotonic_ms(), os::boot_ms());
        let stopped_ms = callbacks.since_ms.unwrap_or(monotonic_ms);
        Now {
            ms: stopped_ms.saturating_sub(callbacks.total_ms),
            boot_ms,
            // Both clocks start at boot, so only sleep makes their difference grow.
            slept_ms: boot_ms.saturating_sub(monotonic_ms),
        }
    }

    /// The moment `ms` of this clock on the system's monotonic clock, provided that it does not
    /// stop again.
    pub(crate) fn to_monotonic(&self, ms: u64) -> u64 {
        ms.saturating_add(lock(&self.callbacks).total_ms)
    }

    /// Runs the app's code while the clock stands still.
    pub(crate) fn stopped(&self, run: impl FnOnce()) {
        lock(&self.callbacks).since_ms = Some(os::monotonic_ms());
        run();
        let mut callbacks = lock(&self.callbacks);
        if let Some(since) = callbacks.since_ms.take() {
            callbacks.total_ms += os::monotonic_ms().saturating_sub(since);
        }
    }
}
