//! The library's locks, atomics and channels: std's and crossbeam's, or shuttle's in tests of
//! thread schedules (`--cfg tim_shuttle`).
//!
//! The locks are std's, not parking_lot's, which queues waiting threads in one table per process: a
//! thread that is changing it while another forks leaves its lock held, and the child then waits
//! forever on a lock of its own. `ctests/forks.c` showed that within a few thousand forks.

#[cfg(not(tim_shuttle))]
pub(crate) use {
    crossbeam_channel::{Receiver, Sender, unbounded as channel},
    std::sync::atomic::{AtomicU64, Ordering},
    std::sync::{Arc, Condvar, Mutex, MutexGuard},
    std::thread_local,
};

#[cfg(tim_shuttle)]
pub(crate) use shuttle::{
    sync::atomic::{AtomicU64, Ordering},
    sync::mpsc::{Receiver, Sender, channel},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread_local,
};

use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// Locks `mutex`. Poisoning is ignored: foreign code never runs under a lock, and a client whose
/// own code has panicked is closed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits while `condition` holds, for at most `limit`. Returns whether it has ceased to hold.
pub(crate) fn wait_while<'a, T>(
    condvar: &Condvar,
    mut guard: MutexGuard<'a, T>,
    limit: Duration,
    condition: impl Fn(&T) -> bool,
) -> (MutexGuard<'a, T>, bool) {
    // A limit beyond the clock's range is no limit.
    let until = Instant::now().checked_add(limit);
    while condition(&guard) {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return (guard, false);
        }
        guard = wait(condvar, guard, left);
    }
    (guard, true)
}

/// Waits until notified, for at most `left`.
pub(crate) fn wait<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    left: Option<Duration>,
) -> MutexGuard<'a, T> {
    match left {
        Some(left) => match condvar.wait_timeout(guard, left) {
            Ok((guard, _)) => guard,
            Err(poisoned) => poisoned.into_inner().0,
        },
        None => condvar.wait(guard).unwrap_or_else(PoisonError::into_inner),
    }
}
