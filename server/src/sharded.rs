//! State that many threads change at once, spread over several locks.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many locks there are.
const SHARDS: usize = 64;

/// That many parts, each behind its own lock.
pub struct Sharded<T>(Box<[Mutex<T>]>);

impl<T: Default> Default for Sharded<T> {
    fn default() -> Sharded<T> {
        Sharded((0..SHARDS).map(|_| Mutex::default()).collect())
    }
}

impl<T> Sharded<T> {
    /// The part for a number or hash, locked.
    pub fn of(&self, key: u64) -> MutexGuard<'_, T> {
        let part = &self.0[key as usize % SHARDS];
        part.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Each part in turn, locked.
    pub fn iter(&self) -> impl Iterator<Item = MutexGuard<'_, T>> {
        let parts = self.0.iter();
        parts.map(|part| part.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
