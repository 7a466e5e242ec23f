//! Epochs are ms of the clock, which may have been set back between two runs. The file keeps a
//! bound that no epoch so far has reached, and a run assigns only epochs above the bound it found.
//! The bound is moved before an epoch that reaches it is acknowledged, and not at every login.

use super::numbers;
use crate::user::User;
use rusqlite::Connection;
use std::sync::atomic::{AtomicU64, Ordering};

const BELOW: &str = "epochs_below";
/// How far ahead of the epochs the bound is moved: one write per this many ms of logins.
const AHEAD_MS: u64 = 10_000;

/// What is known about assigned epochs.
pub struct Epochs {
    /// All epochs of earlier runs are below.
    earlier: u64,
    /// All acknowledged epochs are below.
    below: AtomicU64,
}

impl Epochs {
    /// Starts a new run.
    pub fn open(connection: &Connection) -> rusqlite::Result<Epochs> {
        let earlier = read(connection)?;
        Ok(Epochs {
            earlier,
            below: AtomicU64::new(earlier),
        })
    }

    /// No acknowledged epoch has reached this.
    pub fn below(&self) -> u64 {
        self.below.load(Ordering::SeqCst)
    }

    /// Prepares a record that was just read, before this run decides over it.
    pub fn begin(&self, mut user: User) -> User {
        user.epochs_above(self.earlier);
        user
    }

    /// Whether the bound must be moved before this record's epochs are acknowledged.
    pub fn are_reached_by(&self, user: &User) -> bool {
        user.highest_epoch() >= self.below.load(Ordering::SeqCst)
    }

    /// Where the bound must be before this epoch is acknowledged; `None` if it is above it already.
    pub fn bound_above(&self, epoch: u64) -> Option<u64> {
        let is_reached = epoch >= self.below.load(Ordering::SeqCst);
        is_reached.then(|| epoch.saturating_add(AHEAD_MS))
    }

    /// Records that this bound is on disk.
    pub fn written(&self, below: u64) {
        self.below.store(below, Ordering::SeqCst);
    }
}

/// The bound in the file.
pub fn read(connection: &Connection) -> rusqlite::Result<u64> {
    numbers::read(connection, BELOW)
}

/// Moves the bound in the file.
pub fn write(transaction: &Connection, below: u64) -> rusqlite::Result<()> {
    numbers::write(transaction, BELOW, below)
}

#[cfg(test)]
mod tests {
    use super::super::open;
    use super::super::tests::{put, wait};
    use crate::store::Store;

    /// Assigns a user of this name an epoch above this one.
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
            // Even for new users, and in a run that assigns none.
            let store = open(directory.path()).unwrap().store;
            assert!(highest(&*store, "bob") > year_2023_ms + 60_000);
        }
    }
}
