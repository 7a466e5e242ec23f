//! The store of a single node: records in memory, and what must survive in redb. One thread writes,
//! and what has come together while it was busy shares the next commit.

mod counts;
mod epochs;

use super::{Answer, Deliver, Opened, Store, StoreError, Versioned};
use crate::calendar::Day;
use crate::clock::now_ms;
use crate::figures::{Figures, Tally};
use crate::token::{self, KeyAges, TokenKey};
use crate::user::{Push, User};
use counts::Counts;
use epochs::Epochs;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use std::collections::HashMap;
use std::collections::hash_map::{DefaultHasher, Entry};
use std::fmt::Display;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// user id -> what lasts of the record, as JSON.
const USERS: TableDefinition<&str, &[u8]> = TableDefinition::new("users");
/// key id -> key.
const TOKEN_KEYS: TableDefinition<u32, &[u8]> = TableDefinition::new("token_keys");
/// What the file's pages may take in memory, beside the system's own cache of them: the upper levels of
/// a tree of a million users.
const CACHE_BYTES: usize = 4 * 1024 * 1024;
/// Records are spread over so many locks.
const SHARDS: usize = 64;

fn failed(error: impl Display) -> StoreError {
    StoreError::Failed(error.to_string())
}

/// A record in memory.
struct Kept {
    version: u64,
    user: Arc<User>,
    /// Held by every write of this record that is not on disk yet.
    unwritten: Arc<()>,
}

impl Kept {
    fn is_unwritten(&self) -> bool {
        Arc::strong_count(&self.unwritten) > 1
    }
}

struct Job {
    record: Option<Record>,
    /// The highest that its record has; 0 without a record.
    epoch: u64,
    counts: Counts,
    done: Option<oneshot::Sender<Result<(), StoreError>>>,
}

struct Record {
    user_id: String,
    /// The part of the record that lasts.
    lasting: User,
    _unwritten: Arc<()>,
}

/// Records in memory over a file of what lasts.
pub struct Embedded {
    database: Arc<Database>,
    shards: Vec<Mutex<HashMap<String, Kept>>>,
    jobs: Sender<Job>,
    /// Counted, and not given to the thread yet.
    counted: Mutex<Counts>,
    epochs: Arc<Epochs>,
    /// What became of it.
    last_commit: Arc<Mutex<Result<(), StoreError>>>,
}

/// Opens or creates the store of a data directory.
pub fn open(path: &Path) -> Result<Opened, StoreError> {
    let database = Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create(path)
        .map_err(|e| StoreError::Failed(format!("{}: {e}", path.display())))?;
    let database = Arc::new(database);
    prepare(&database)?;
    let token_keys = turn_token_keys(&database, &KeyAges::only_first(), now_ms())?;
    let (jobs, waiting) = channel();
    let epochs = Arc::new(Epochs::open(&database)?);
    let last_commit = Arc::new(Mutex::new(Ok(())));
    let for_thread = (database.clone(), epochs.clone(), last_commit.clone());
    std::thread::Builder::new()
        .name("store".into())
        .spawn(move || run(&for_thread.0, &for_thread.1, &for_thread.2, &waiting))
        .map_err(failed)?;
    let mut node = [0; 8];
    getrandom::fill(&mut node).map_err(failed)?;
    Ok(Opened {
        store: Arc::new(Embedded {
            database,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            jobs,
            counted: Mutex::default(),
            epochs,
            last_commit,
        }),
        token_keys,
        node: u64::from_le_bytes(node),
    })
}

fn prepare(database: &Database) -> Result<(), StoreError> {
    let transaction = database.begin_write().map_err(failed)?;
    {
        let users = transaction.open_table(USERS).map_err(failed)?;
        counts::prepare(&transaction, &users)?;
    }
    transaction.open_table(TOKEN_KEYS).map_err(failed)?;
    transaction.commit().map_err(failed)
}

/// Does what is due with the token keys, and gives them. The first start makes the first one.
fn turn_token_keys(
    database: &Database,
    ages: &KeyAges,
    now_ms: i64,
) -> Result<Vec<TokenKey>, StoreError> {
    let mut keys = Vec::new();
    {
        let transaction = database.begin_read().map_err(failed)?;
        let table = transaction.open_table(TOKEN_KEYS).map_err(failed)?;
        for row in table.iter().map_err(failed)?.rev() {
            let (id, value) = row.map_err(failed)?;
            keys.push(TokenKey::from_bytes(id.value(), value.value()).ok_or_else(bad_key)?);
        }
    }
    let before: Vec<u32> = keys.iter().map(|key| key.id).collect();
    let mut secret = [0; 32];
    let random = getrandom::fill(&mut secret);
    if !token::turn(&mut keys, ages, now_ms, || random.ok().map(|()| secret)) {
        return if keys.is_empty() {
            Err(failed("no random numbers"))
        } else {
            Ok(keys)
        };
    }
    let transaction = database.begin_write().map_err(failed)?;
    {
        let mut table = transaction.open_table(TOKEN_KEYS).map_err(failed)?;
        for key in keys.iter().filter(|key| !before.contains(&key.id)) {
            let value = key.to_bytes();
            table.insert(key.id, value.as_slice()).map_err(failed)?;
        }
        for id in before {
            if !keys.iter().any(|key| key.id == id) {
                table.remove(id).map_err(failed)?;
            }
        }
    }
    transaction.commit().map_err(failed)?;
    Ok(keys)
}

impl Embedded {
    fn shard(&self, user_id: &str) -> MutexGuard<'_, HashMap<String, Kept>> {
        let mut hasher = DefaultHasher::new();
        user_id.hash(&mut hasher);
        self.shards[hasher.finish() as usize % SHARDS]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, user_id: &str) -> Result<User, StoreError> {
        let transaction = self.database.begin_read().map_err(failed)?;
        let users = transaction.open_table(USERS).map_err(failed)?;
        let read = match users.get(user_id).map_err(failed)? {
            None => User::default(),
            Some(bytes) => serde_json::from_slice(bytes.value()).map_err(failed)?,
        };
        Ok(self.epochs.begin(read))
    }

    fn load_now(&self, user_id: &str) -> Result<Versioned, StoreError> {
        let mut shard = self.shard(user_id);
        let kept = match shard.entry(user_id.to_owned()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Kept {
                version: 1,
                user: Arc::new(self.read(user_id)?),
                unwritten: Arc::new(()),
            }),
        };
        Ok(Versioned {
            user: kept.user.clone(),
            version: kept.version,
        })
    }

    /// Swaps in memory.
    fn swap_now(&self, user_id: &str, version: u64, mut user: User) -> Result<Swapped, StoreError> {
        let mut shard = self.shard(user_id);
        let Some(kept) = shard.get_mut(user_id).filter(|k| k.version == version) else {
            return Ok(Swapped::Late);
        };
        let mut swapped = Swapped::Done;
        // What was decided over an unwritten record waits for that to be written, too.
        let waits = kept.is_unwritten() || self.epochs.are_reached_by(&user);
        if waits || !user.lasts_as(&kept.user) {
            let (done, written) = oneshot::channel();
            // Under the lock, so that the writes of a record keep their order.
            let job = Job {
                record: Some(Record {
                    user_id: user_id.to_owned(),
                    lasting: user.lasting(),
                    _unwritten: kept.unwritten.clone(),
                }),
                epoch: user.highest_epoch(),
                counts: Counts::of_swap(&kept.user, &user),
                done: Some(done),
            };
            self.jobs.send(job).map_err(|_| thread_has_ended())?;
            swapped = Swapped::Writing(written);
        }
        kept.version += 1;
        user.shrink_to_fit();
        kept.user = Arc::new(user);
        Ok(swapped)
    }

    /// Gives the thread what was counted.
    fn send_counted(
        &self,
        done: Option<oneshot::Sender<Result<(), StoreError>>>,
    ) -> Result<(), StoreError> {
        let counts = std::mem::take(&mut *self.counted());
        let job = Job {
            record: None,
            epoch: 0,
            counts,
            done,
        };
        self.jobs.send(job).map_err(|_| thread_has_ended())
    }

    fn counted(&self) -> MutexGuard<'_, Counts> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn figures_since(&self, since: Day) -> Result<Figures, StoreError> {
        let (done, written) = oneshot::channel();
        self.send_counted(Some(done))?;
        written.await.map_err(|_| thread_has_ended())??;
        let transaction = self.database.begin_read().map_err(failed)?;
        counts::read(&transaction, since)
    }
}

/// What came of a swap in memory.
enum Swapped {
    /// Somebody was faster.
    Late,
    /// Nothing of it has to last.
    Done,
    /// It is on its way to the disk.
    Writing(oneshot::Receiver<Result<(), StoreError>>),
}

fn bad_key() -> StoreError {
    failed("a token key that is none")
}

fn thread_has_ended() -> StoreError {
    StoreError::Failed("its thread has ended".to_owned())
}

impl Store for Embedded {
    fn load<'a>(&'a self, user_id: &'a str) -> Answer<'a, Versioned> {
        Box::pin(std::future::ready(self.load_now(user_id)))
    }

    fn swap<'a>(&'a self, user_id: &'a str, version: u64, user: User) -> Answer<'a, bool> {
        Box::pin(async move {
            match self.swap_now(user_id, version, user)? {
                Swapped::Late => Ok(false),
                Swapped::Done => Ok(true),
                Swapped::Writing(written) => {
                    written.await.map_err(|_| thread_has_ended())??;
                    Ok(true)
                }
            }
        })
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
        let turned = turn_token_keys(&self.database, ages, now_ms);
        Box::pin(std::future::ready(turned))
    }

    fn ready(&self) -> Answer<'_, ()> {
        let last = self.last_commit.lock();
        let last = last.unwrap_or_else(PoisonError::into_inner).clone();
        Box::pin(std::future::ready(last))
    }

    fn sweep(&self, now_ms: i64) {
        let nothing_counted = self.counted().is_empty();
        if !nothing_counted && let Err(error) = self.send_counted(None) {
            tracing::error!("{error}");
        }
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.retain(|_, kept| {
                let mut tidied = User::clone(&kept.user);
                let needed = tidied.tidy(now_ms);
                if tidied != *kept.user {
                    kept.version += 1;
                    kept.user = Arc::new(tidied);
                }
                // Until it is written, the disk has an older one.
                needed || kept.is_unwritten()
            });
        }
    }
}

/// Takes all jobs that wait, commits them together, and says so to each.
fn run(
    database: &Database,
    epochs: &Epochs,
    last_commit: &Mutex<Result<(), StoreError>>,
    waiting: &Receiver<Job>,
) {
    while let Ok(first) = waiting.recv() {
        let mut jobs = vec![first];
        jobs.extend(waiting.try_iter());
        let result = commit(database, epochs, &jobs);
        if let Err(error) = &result {
            tracing::error!("{error}");
        }
        *last_commit.lock().unwrap_or_else(PoisonError::into_inner) = result.clone();
        for done in jobs.into_iter().filter_map(|job| job.done) {
            // Whoever asked may have gone with its connection.
            let _ = done.send(result.clone());
        }
    }
}

fn commit(database: &Database, epochs: &Epochs, jobs: &[Job]) -> Result<(), StoreError> {
    let transaction = database.begin_write().map_err(failed)?;
    let mut counts = Counts::default();
    {
        let mut users = transaction.open_table(USERS).map_err(failed)?;
        for job in jobs {
            counts.add(&job.counts);
            if let Some(record) = &job.record {
                let bytes = serde_json::to_vec(&record.lasting).map_err(failed)?;
                users
                    .insert(record.user_id.as_str(), bytes.as_slice())
                    .map_err(failed)?;
            }
        }
    }
    counts.write(&transaction)?;
    let below = epochs.write(&transaction, jobs.iter().map(|job| job.epoch))?;
    transaction.commit().map_err(failed)?;
    epochs.written(below);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_keys_turn_with_an_overlap_that_survives_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.redb");
        let ages = KeyAges {
            renew_ms: Some(1_000_000),
            keep_ms: 500_000,
        };
        let ids = |opened: &Opened, now_ms| {
            let turning = opened.store.turn_token_keys(&ages, now_ms);
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            let keys = runtime.unwrap().block_on(turning).unwrap();
            keys.iter().map(|key| key.id).collect::<Vec<_>>()
        };
        let opened = open(&path).unwrap();
        let start_ms = opened.token_keys[0].made_ms;
        let first = opened.token_keys[0].secret;
        assert_eq!(ids(&opened, start_ms + 999_999), [1]);
        assert_eq!(ids(&opened, start_ms + 1_000_000), [2, 1]);
        drop(opened);
        // Its thread may still have the file.
        let opened = loop {
            match open(&path) {
                Ok(opened) => break opened,
                Err(_) => std::thread::yield_now(),
            }
        };
        assert!(opened.token_keys[1].secret == first);
        assert!(opened.token_keys[0].secret != first);
        assert_eq!(ids(&opened, start_ms + 1_500_000 + token::SETTLE_MS), [2]);
    }
}
