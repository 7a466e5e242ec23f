//! The locks, atomics and channels of the library: std's and crossbeam's, or shuttle's where every
//! schedule is tried (`--cfg tim_shuttle`).
//!
//! The locks are std's and not parking_lot's, whose waiting threads stand in one table of the process: a
//! thread that changes it while another one forks leaves its lock behind, and the child waits for ever at
//! a lock of its own. `ctests/forks.c` showed that within some thousand forks.

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

/// Locks `mutex`. A holder that panicked is no reason to fail: foreign code runs under no lock, and a
/// client whose own code has panicked is closed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits while `condition` holds, but no longer than `limit`. Whether it has ceased to hold.
pub(crate) fn wait_while<'a, T>(
    condvar: &Condvar,
    mut guard: MutexGuard<'a, T>,
    limit: Duration,
    condition: impl Fn(&T) -> bool,
) -> (MutexGuard<'a, T>, bool) {
    // A limit beyond what the clock can add is no limit.
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

/// Waits until notified, but no longer than `left`.
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
