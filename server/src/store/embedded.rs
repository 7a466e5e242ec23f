//! The store of a single node: records in memory, and what must survive on disk. A write is in the
//! journal before anybody is answered, and in the database (redb) some time later, with many others.

mod counts;
mod database;
mod epochs;
mod journal;
mod token_keys;
mod writer;

use super::{Answer, Deliver, Opened, Store, StoreError, Swapped, Versioned, Written};
use crate::calendar::Day;
use crate::clock::now_ms;
use crate::figures::{Figures, Tally};
use crate::token::{KeyAges, TokenKey};
use crate::user::{Push, User};
use counts::Counts;
use epochs::Epochs;
use journal::Journal;
use redb::{Database, ReadableDatabase};
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::fmt::Display;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use writer::{Job, Writer};

/// Records are spread over so many locks.
const SHARDS: usize = 64;

fn failed(error: impl Display) -> StoreError {
    StoreError::Failed(error.to_string())
}

/// A record in memory.
struct Kept {
    version: u64,
    user: Arc<User>,
    /// The last job that writes it; 0 without one.
    job: u64,
}

/// Records in memory over a file of what lasts.
pub struct Embedded {
    database: Arc<Database>,
    shards: Vec<Mutex<HashMap<String, Kept>>>,
    writer: Writer,
    /// Counted, and not given to the writer yet.
    counted: Mutex<Counts>,
    epochs: Arc<Epochs>,
}

/// Opens or creates the store of a data directory, whose database is at this path.
pub fn open(path: &Path) -> Result<Opened, StoreError> {
    let database = Arc::new(database::open(path)?);
    let journal = |name| {
        let path = path.with_extension(name);
        Journal::open(&path).map_err(|e| failed(format_args!("{}: {e}", path.display())))
    };
    let journals = [journal("1.journal")?, journal("2.journal")?];
    let last_group = take_in(&database, &journals)?;
    let token_keys = token_keys::turn(&database, &KeyAges::only_first(), now_ms())?;
    let epochs = Arc::new(Epochs::open(&database)?);
    let writer = Writer::start(&database, &epochs, journals, last_group).map_err(failed)?;
    let mut node = [0; 8];
    getrandom::fill(&mut node).map_err(failed)?;
    Ok(Opened {
        store: Arc::new(Embedded {
            database,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            writer,
            counted: Mutex::default(),
            epochs,
        }),
        token_keys,
        node: u64::from_le_bytes(node),
    })
}

/// Takes in what the run before had in its journal, and not in its database. Gives the number of its
/// last group.
fn take_in(database: &Database, journals: &[Journal; 2]) -> Result<u64, StoreError> {
    let [one, other] = [journals[0].bytes(), journals[1].bytes()];
    let (one, other) = (one.map_err(failed)?, other.map_err(failed)?);
    let mut groups = journal::groups(&one);
    groups.extend(journal::groups(&other));
    groups.sort_by_key(|group| group.number);
    database::settle(database, &groups)
}

impl Embedded {
    fn shard(&self, user_id: &str) -> MutexGuard<'_, HashMap<String, Kept>> {
        let mut hasher = DefaultHasher::new();
        user_id.hash(&mut hasher);
        self.shards[hasher.finish() as usize % SHARDS]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn load_now(&self, user_id: &str) -> Result<Versioned, StoreError> {
        let mut shard = self.shard(user_id);
        let versioned = |kept: &Kept| Versioned {
            user: kept.user.clone(),
            version: kept.version,
        };
        if let Some(kept) = shard.get(user_id) {
            return Ok(versioned(kept));
        }
        let read = database::read(&self.database, user_id)?;
        let kept = Kept {
            version: 1,
            user: Arc::new(self.epochs.begin(read)),
            job: 0,
        };
        let loaded = versioned(&kept);
        shard.insert(user_id.to_owned(), kept);
        Ok(loaded)
    }

    /// Swaps in memory, and has written what lasts.
    fn swap_now(&self, user_id: &str, version: u64, mut user: Arc<User>) -> Swapped {
        let mut shard = self.shard(user_id);
        let Some(kept) = shard.get_mut(user_id).filter(|k| k.version == version) else {
            return Swapped::Late;
        };
        if let Some(user) = Arc::get_mut(&mut user) {
            user.shrink_to_fit();
        }
        // What was decided over an unwritten record waits for that to be written, too.
        let waits = !self.writer.progress.is_written(kept.job) || self.epochs.are_reached_by(&user);
        let mut written = Written::already();
        if waits || !user.lasts_as(&kept.user) {
            let (asker, later) = Written::later();
            // Under the lock, so that the writes of a record keep their order.
            kept.job = self.writer.send(Job {
                record: Some((user_id.to_owned(), user.clone())),
                counts: Counts::of_swap(&kept.user, &user),
                asker: Some(asker),
            });
            written = later;
        }
        kept.version += 1;
        kept.user = user;
        Swapped::Done(written)
    }

    /// Gives the writer what was counted.
    fn send_counted(&self) {
        let counts = std::mem::take(&mut *self.counted());
        if !counts.is_empty() {
            self.writer.send(Job {
                record: None,
                counts,
                asker: None,
            });
        }
    }

    fn counted(&self) -> MutexGuard<'_, Counts> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn figures_since(&self, since: Day) -> Result<Figures, StoreError> {
        let (asker, settled) = Written::later();
        self.send_counted();
        self.writer.settle(Some(asker));
        settled.wait().await?;
        let transaction = self.database.begin_read().map_err(failed)?;
        counts::read(&transaction, since)
    }
}

impl Store for Embedded {
    fn load<'a>(&'a self, user_id: &'a str) -> Answer<'a, Versioned> {
        Box::pin(std::future::ready(self.load_now(user_id)))
    }

    fn swap<'a>(&'a self, user_id: &'a str, version: u64, user: Arc<User>) -> Answer<'a, Swapped> {
        Box::pin(std::future::ready(
            Ok(self.swap_now(user_id, version, user)),
        ))
    }

    fn push<'a>(&'a self, _: &'a [Push]) -> Answer<'a, ()> {
        // There is no other node.
        Box::pin(std::future::ready(Ok(())))
    }

    fn watch(&self, _: Deliver) {}

    fn is_shared(&self) -> bool {
        false
    }

    fn is_dead(&self, _: u64) -> bool {
        // Sessions of earlier runs come back by their tokens, without a stream.
        false
    }

    fn tally(&self, day: Day, tally: Tally) {
        self.counted().tally(day, tally);
    }

    fn figures(&self, since: Day) -> Answer<'_, Figures> {
        Box::pin(self.figures_since(since))
    }

    fn turn_token_keys<'a>(&'a self, ages: &'a KeyAges, now_ms: i64) -> Answer<'a, Vec<TokenKey>> {
        let turned = token_keys::turn(&self.database, ages, now_ms);
        Box::pin(std::future::ready(turned))
    }

    fn ready(&self) -> Answer<'_, ()> {
        Box::pin(std::future::ready(self.writer.progress.last()))
    }

    fn sweep(&self, now_ms: i64) {
        self.send_counted();
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.retain(|_, kept| {
                let mut tidied = User::clone(&kept.user);
                let needed = tidied.tidy(now_ms);
                if tidied != *kept.user {
                    kept.version += 1;
                    kept.user = Arc::new(tidied);
                }
                // Until then, the database has an older one.
                needed || !self.writer.progress.is_settled(kept.job)
            });
        }
        self.writer.settle(None);
    }
}

#[cfg(test)]
mod tests;
