//! The locks, threads and atomics of the core: std's, or shuttle's where every schedule is tried
//! (`--cfg tim_shuttle`).

#[cfg(not(tim_shuttle))]
pub(crate) use std::{
    sync::atomic::{AtomicU64, Ordering},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread_local,
};

#[cfg(tim_shuttle)]
pub(crate) use shuttle::{
    sync::atomic::{AtomicU64, Ordering},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread_local,
};

use std::time::Duration;

/// Locks `mutex`. A panic of another holder is no reason to fail: every update of the core's
/// state is complete before a lock is released or before foreign code could panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Waits until notified.
pub(crate) fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condvar
        .wait(guard)
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Waits until notified or until `limit` has passed.
pub(crate) fn wait_for<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    limit: Duration,
) -> MutexGuard<'a, T> {
    match condvar.wait_timeout(guard, limit) {
        Ok((guard, _)) => guard,
        Err(poisoned) => poisoned.into_inner().0,
    }
}
