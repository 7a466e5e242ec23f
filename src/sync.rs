//! The locks, atomics and channels of the library: parking_lot's, std's and crossbeam's, or shuttle's
//! where every schedule is tried (`--cfg tim_shuttle`).

#[cfg(not(tim_shuttle))]
pub(crate) use {
    crossbeam_channel::{Receiver, Sender, unbounded as channel},
    parking_lot::{Condvar, Mutex, MutexGuard},
    std::sync::Arc,
    std::sync::atomic::{AtomicU64, Ordering},
    std::thread_local,
};

#[cfg(tim_shuttle)]
pub(crate) use shuttle::{
    sync::atomic::{AtomicU64, Ordering},
    sync::mpsc::{Receiver, Sender, channel},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread_local,
};

use std::time::{Duration, Instant};

/// Locks `mutex`. A holder that panicked is no reason to fail: foreign code runs under no lock, and a
/// client whose own code has panicked is closed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    #[cfg(not(tim_shuttle))]
    return mutex.lock();
    #[cfg(tim_shuttle)]
    return mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
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
#[cfg(not(tim_shuttle))]
fn wait<'a, T>(
    condvar: &Condvar,
    mut guard: MutexGuard<'a, T>,
    left: Option<Duration>,
) -> MutexGuard<'a, T> {
    match left {
        Some(left) => {
            condvar.wait_for(&mut guard, left);
        }
        None => condvar.wait(&mut guard),
    }
    guard
}

#[cfg(tim_shuttle)]
pub(crate) fn wait<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    left: Option<Duration>,
) -> MutexGuard<'a, T> {
    use std::sync::PoisonError;
    match left {
        Some(left) => match condvar.wait_timeout(guard, left) {
            Ok((guard, _)) => guard,
            Err(poisoned) => poisoned.into_inner().0,
        },
        None => condvar.wait(guard).unwrap_or_else(PoisonError::into_inner),
    }
}
