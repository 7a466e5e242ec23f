//! The store of a single node: records in memory, and what must survive in a SQLite file. A change
//! is on disk before it is acknowledged.

mod counts;
mod database;
mod epochs;
mod events;
mod lock;
mod numbers;
mod signed_out;
mod takeover;
mod token_keys;
mod transfer;
mod writer;

pub use transfer::{back_up, export, import};

use super::{
    Announce, Answer, Opened, Receipt, SignedOut, Store, StoreError, Swap, Swapped, Versioned,
    Watch, Written,
};
use crate::calendar::Day;
use crate::clock::now_ms;
use crate::event::Event;
use crate::figures::{Figures, Tally};
use crate::sharded::Sharded;
use crate::token::{KeyAges, TokenKey};
use crate::user::{Push, Rules, User};
use arc_swap::ArcSwap;
use counts::Counts;
use database::Database;
use epochs::Epochs;
use events::Events;
use lock::Lock;
use rusqlite::Connection;
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::fmt::Display;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use writer::{Job, Writer};

/// The file's name in a data directory.
const FILE: &str = "store.sqlite";

fn failed(error: impl Display) -> StoreError {
    StoreError::Failed(error.to_string())
}

/// A record in memory.
struct Kept {
    version: u64,
    user: Arc<User>,
    /// The last job that writes it; 0 if there is none.
    job: u64,
}

/// Records in memory above a file with the lasting parts.
pub struct Embedded {
    // Fields are dropped in this order: the writer closes the file before the lock is released.
    writer: Writer,
    database: Database,
    records: Sharded<HashMap<String, Kept>>,
    /// Counted but not passed to the writer yet.
    counted: Mutex<Counts>,
    epochs: Arc<Epochs>,
    events: Arc<Events>,
    signed_out: ArcSwap<SignedOut>,
    token_keys: Mutex<Vec<TokenKey>>,
    _lock: Lock,
}

/// Opens or creates the store of a data directory.
pub fn open(directory: &Path) -> Result<Opened, StoreError> {
    let lock = lock::lock(directory)?;
    let path = directory.join(FILE);
    takeover::take_over(directory, &path)?;
    let (database, mut connection) = Database::open(&path)?;
    let ages = KeyAges::only_first();
    let token_keys = token_keys::turn(&mut connection, &ages, now_ms()).map_err(failed)?;
    if token_keys.is_empty() {
        return Err(failed("no random numbers"));
    }
    let epochs = Arc::new(Epochs::open(&connection).map_err(failed)?);
    let events = Arc::new(Events::open(&connection)?);
    let signed_out = signed_out::read(&connection).map_err(failed)?;
    let writer = Writer::start(connection, &epochs, &events).map_err(failed)?;
    let mut node = [0; 8];
    getrandom::fill(&mut node).map_err(failed)?;
    Ok(Opened {
        store: Arc::new(Embedded {
            writer,
            database,
            records: Sharded::default(),
            counted: Mutex::default(),
            epochs,
            events,
            signed_out: ArcSwap::from_pointee(signed_out),
            token_keys: Mutex::new(token_keys.clone()),
            _lock: lock,
        }),
        token_keys,
        node: u64::from_le_bytes(node),
    })
}

impl Embedded {
    /// The shard that holds a user's record.
    fn records_with(&self, user_id: &str) -> MutexGuard<'_, HashMap<String, Kept>> {
        let mut hasher = DefaultHasher::new();
        user_id.hash(&mut hasher);
        self.records.of(hasher.finish())
    }

    fn load_now(&self, user_id: &str) -> Result<Versioned, StoreError> {
        let mut records = self.records_with(user_id);
        let versioned = |kept: &Kept| Versioned {
            user: kept.user.clone(),
            version: kept.version,
        };
        if let Some(kept) = records.get(user_id) {
            return Ok(versioned(kept));
        }
        let read = self.database.user(user_id)?;
        let kept = Kept {
            version: 1,
            user: Arc::new(self.epochs.begin(read)),
            job: 0,
        };
        let loaded = versioned(&kept);
        records.insert(user_id.to_owned(), kept);
        Ok(loaded)
    }

    /// Swaps in memory and queues the lasting part for writing.
    fn swap_now(&self, swap: Swap<'_>) -> Result<Swapped, StoreError> {
        let mut user = swap.user;
        let mut records = self.records_with(swap.user_id);
        let kept = records.get_mut(swap.user_id);
        let Some(kept) = kept.filter(|kept| kept.version == swap.version) else {
            return Ok(Swapped::Late);
        };
        if let Some(user) = Arc::get_mut(&mut user) {
            user.shrink_to_fit();
        }
        let changes = self.epochs.are_reached_by(&user) || !user.lasts_as(&kept.user);
        if changes && let Some(failure) = self.writer.progress.failure() {
            // Nothing has changed: a repeated attempt is refused until writing works again.
            return Err(failure);
        }
        // A decision over an unwritten record also waits until that record is written.
        let waits = changes || !self.writer.progress.is_written(kept.job);
        let mut written = Written::already();
        if waits || !swap.events.is_empty() {
            let (asker, later) = Written::later();
            // Under the lock, so that a record's writes and its events keep their order.
            let job = self.writer.send(Job {
                record: changes.then(|| (swap.user_id.to_owned(), user.clone())),
                counts: Counts::of_swap(&kept.user, &user),
                events: self.events.number(swap.events),
                asker: waits.then_some(asker),
                ..Job::default()
            });
            if waits {
                kept.job = job;
                written = later;
            }
        }
        kept.version += 1;
        kept.user = user;
        Ok(Swapped::Done(written))
    }

    /// Completes once the user's record, as it is now, is on disk.
    fn settled_now(&self, user_id: &str) -> Written {
        let records = self.records_with(user_id);
        match records.get(user_id) {
            Some(kept) if !self.writer.progress.is_written(kept.job) => {
                let (asker, later) = Written::later();
                self.writer.send(Job {
                    asker: Some(asker),
                    ..Job::default()
                });
                later
            }
            _ => Written::already(),
        }
    }

    /// Passes what was counted to the writer, and completes once that is on disk.
    fn write_counted(&self) -> Written {
        let (asker, later) = Written::later();
        let counts = std::mem::take(&mut *self.counted());
        self.writer.send(Job {
            counts,
            asker: Some(asker),
            ..Job::default()
        });
        later
    }

    fn counted(&self) -> MutexGuard<'_, Counts> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known_token_keys(&self) -> MutexGuard<'_, Vec<TokenKey>> {
        self.token_keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn change_token_keys(
        &self,
        change: impl FnOnce(&mut Connection) -> rusqlite::Result<Vec<TokenKey>> + Send + 'static,
    ) -> Result<Vec<TokenKey>, StoreError> {
        let keys = self.writer.run(change).await?;
        self.known_token_keys().clone_from(&keys);
        Ok(keys)
    }

    async fn figures_since(&self, since: Day) -> Result<Figures, StoreError> {
        self.write_counted().wait().await?;
        (self.database).read(|connection| counts::read(connection, since))
    }
}

impl Store for Embedded {
    fn load<'a>(&'a self, user_id: &'a str) -> Answer<'a, Versioned> {
        Box::pin(std::future::ready(self.load_now(user_id)))
    }

    fn swap<'a>(&'a self, swap: Swap<'a>) -> Answer<'a, Swapped> {
        Box::pin(std::future::ready(self.swap_now(swap)))
    }

    fn settled<'a>(&'a self, user_id: &'a str) -> Answer<'a, ()> {
        Box::pin(self.settled_now(user_id).wait())
    }

    fn confirm<'a>(&'a self, _: &'a str) -> Answer<'a, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn push<'a>(&'a self, _: &'a [Push]) -> Answer<'a, ()> {
        // There are no other nodes.
        Box::pin(std::future::ready(Ok(())))
    }

    fn watch(&self, _: Watch) {}

    fn signed_out(&self) -> SignedOut {
        **self.signed_out.load()
    }

    fn sign_everybody_out(&self, now_ms: i64) -> Answer<'_, ()> {
        Box::pin(async move {
            let highest = self.epochs.below();
            let signed_out = SignedOut::at(now_ms, highest);
            let write = move |writer: &mut _| signed_out::write(writer, signed_out);
            self.writer.run(write).await?;
            self.signed_out.store(Arc::new(signed_out));
            Ok(())
        })
    }

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
        let ages = *ages;
        Box::pin(self.change_token_keys(move |writer| token_keys::turn(writer, &ages, now_ms)))
    }

    fn replace_token_keys(&self, now_ms: i64) -> Answer<'_, ()> {
        Box::pin(async move {
            let mut secret = [0; 32];
            getrandom::fill(&mut secret).map_err(failed)?;
            let replace = move |writer: &mut _| token_keys::replace_all(writer, secret, now_ms);
            self.change_token_keys(replace).await.map(drop)
        })
    }

    fn token_keys(&self) -> Vec<TokenKey> {
        self.known_token_keys().clone()
    }

    fn ready(&self) -> Answer<'_, ()> {
        let failure = self.writer.progress.failure();
        Box::pin(std::future::ready(failure.map_or(Ok(()), Err)))
    }

    fn sweep<'a>(&'a self, now_ms: i64, rules: &'a Rules) -> Answer<'a, Vec<String>> {
        let counts = std::mem::take(&mut *self.counted());
        if !counts.is_empty() {
            self.writer.send(Job {
                counts,
                ..Job::default()
            });
        }
        let mut due = Vec::new();
        for mut records in self.records.iter() {
            records.retain(|user_id, kept| {
                if kept.user.has_due_sessions(rules, now_ms) {
                    // The end of a session is a decision like any other.
                    due.push(user_id.clone());
                    return true;
                }
                let mut tidied = User::clone(&kept.user);
                let needed = tidied.tidy(now_ms);
                if tidied != *kept.user {
                    kept.version += 1;
                    kept.user = Arc::new(tidied);
                }
                // Until it is written, the file has an older version.
                needed || !self.writer.progress.is_written(kept.job)
            });
        }
        Box::pin(std::future::ready(Ok(due)))
    }

    fn watch_events(&self, announce: Announce) {
        self.events.watch(announce);
    }

    fn first_event<'a>(&'a self, user_id: &'a str) -> Answer<'a, Option<(Receipt, Event)>> {
        Box::pin(std::future::ready(Ok(self.events.first(user_id))))
    }

    fn event_delivered<'a>(&'a self, user_id: &'a str, receipt: &'a Receipt) -> Answer<'a, ()> {
        if let Receipt::Id(id) = receipt {
            self.events.remove(user_id, *id);
            self.writer.send(Job {
                delivered: vec![*id],
                ..Job::default()
            });
        }
        Box::pin(std::future::ready(Ok(())))
    }
}

#[cfg(test)]
mod tests;
