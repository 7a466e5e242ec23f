//! Epochs are ms of the clock, which may have been set back between two runs. The file keeps a bound
//! that no epoch of the runs so far has reached, and a run gives only epochs above what it found.
//! The bound is moved ahead before an epoch that reaches it is acknowledged: not at every login.

use super::numbers;
use crate::user::User;
use rusqlite::Connection;
use std::sync::atomic::{AtomicU64, Ordering};

const BELOW: &str = "epochs_below";
/// How far the bound is moved ahead of the epochs: one write in so many ms of logins.
const AHEAD_MS: u64 = 10_000;

/// What is known of the epochs that were given.
pub struct Epochs {
    /// Those of earlier runs are below.
    earlier: u64,
    /// Those that were acknowledged are below.
    below: AtomicU64,
}

impl Epochs {
    /// A new run begins.
    pub fn open(connection: &Connection) -> rusqlite::Result<Epochs> {
        let earlier = read(connection)?;
        Ok(Epochs {
            earlier,
            below: AtomicU64::new(earlier),
        })
    }

    /// No epoch that was acknowledged has reached this.
    pub fn below(&self) -> u64 {
        self.below.load(Ordering::SeqCst)
    }

    /// A record as it was read, before anything is decided over it in this run.
    pub fn begin(&self, mut user: User) -> User {
        user.epochs_above(self.earlier);
        user
    }

    /// Whether the bound has to be moved before this record's epochs are acknowledged.
    pub fn are_reached_by(&self, user: &User) -> bool {
        user.highest_epoch() >= self.below.load(Ordering::SeqCst)
    }

    /// Where the bound has to be before this epoch is acknowledged, unless it is above it already.
    pub fn bound_above(&self, epoch: u64) -> Option<u64> {
        let is_reached = epoch >= self.below.load(Ordering::SeqCst);
        is_reached.then(|| epoch.saturating_add(AHEAD_MS))
    }

    /// That is on disk.
    pub fn written(&self, below: u64) {
        self.below.store(below, Ordering::SeqCst);
    }
}

/// The bound of the file.
pub fn read(connection: &Connection) -> rusqlite::Result<u64> {
    numbers::read(connection, BELOW)
}

/// Moves the bound of the file.
pub fn write(transaction: &Connection, below: u64) -> rusqlite::Result<()> {
    numbers::write(transaction, BELOW, below)
}

#[cfg(test)]
mod tests {
    use super::super::open;
    use super::super::tests::{put, wait};
    use crate::store::Store;

    /// Gives a user of this name an epoch above this one.
    fn gives(store: &dyn Store, user_id: &str, above: u64) {
        put(store, user_id, |user| user.epochs_above(above + 1)).unwrap();
    }

    #[test]
    fn a_run_gives_only_epochs_above_those_of_every_run_before() {
        let directory = tempfile::tempdir().unwrap();
        let highest = |store: &dyn Store, user_id| {
            let loaded = wait(store.load(user_id)).unwrap();
            loaded.user.highest_epoch()
        };
        let store = open(directory.path()).unwrap().store;
        assert_eq!(highest(&*store, "alice"), 0);
        let year_2023_ms = 1_700_000_000_000;
        for above in [year_2023_ms, year_2023_ms + 1, year_2023_ms + 60_000] {
            gives(&*store, "alice", above);
        }
        drop(store);
        for _ in 0..2 {
            // Also for users that are new, and in a run that gives none.
            let store = open(directory.path()).unwrap().store;
            assert!(highest(&*store, "bob") > year_2023_ms + 60_000);
        }
    }
}
