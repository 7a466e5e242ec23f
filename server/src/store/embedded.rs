//! The store of a single node: records in memory, and what must survive in redb. One thread writes,
//! and what has come together while it was busy shares the next commit.

mod counts;

use super::{Answer, Deliver, Opened, Store, StoreError, Versioned};
use crate::calendar::Day;
use crate::figures::{Figures, Tally};
use crate::token::TokenKey;
use crate::user::{Push, User};
use counts::Counts;
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
}

/// Opens or creates the store of a data directory.
pub fn open(path: &Path) -> Result<Opened, StoreError> {
    let database = Database::create(path)
        .map_err(|e| StoreError::Failed(format!("{}: {e}", path.display())))?;
    let database = Arc::new(database);
    let token_keys = prepare(&database)?;
    let (jobs, waiting) = channel();
    let for_thread = database.clone();
    std::thread::Builder::new()
        .name("store".into())
        .spawn(move || run(&for_thread, &waiting))
        .map_err(failed)?;
    let mut node = [0; 8];
    getrandom::fill(&mut node).map_err(failed)?;
    Ok(Opened {
        store: Arc::new(Embedded {
            database,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            jobs,
            counted: Mutex::default(),
        }),
        token_keys,
        node: u64::from_le_bytes(node),
    })
}

/// Makes the tables, and the token key at the first start.
fn prepare(database: &Database) -> Result<Vec<TokenKey>, StoreError> {
    let transaction = database.begin_write().map_err(failed)?;
    let mut token_keys = Vec::new();
    {
        let users = transaction.open_table(USERS).map_err(failed)?;
        counts::prepare(&transaction, &users)?;
        let mut keys = transaction.open_table(TOKEN_KEYS).map_err(failed)?;
        if keys.first().map_err(failed)?.is_none() {
            let mut secret = [0; 32];
            getrandom::fill(&mut secret).map_err(failed)?;
            keys.insert(1, secret.as_slice()).map_err(failed)?;
        }
        for row in keys.iter().map_err(failed)?.rev() {
            let (id, secret) = row.map_err(failed)?;
            let secret = secret.value().try_into().map_err(failed)?;
            token_keys.push(TokenKey {
                id: id.value(),
                secret,
            });
        }
    }
    transaction.commit().map_err(failed)?;
    Ok(token_keys)
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
        match users.get(user_id).map_err(failed)? {
            None => Ok(User::default()),
            Some(bytes) => serde_json::from_slice(bytes.value()).map_err(failed),
        }
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
    fn swap_now(&self, user_id: &str, version: u64, user: User) -> Result<Swapped, StoreError> {
        let mut shard = self.shard(user_id);
        let Some(kept) = shard.get_mut(user_id).filter(|k| k.version == version) else {
            return Ok(Swapped::Late);
        };
        let mut swapped = Swapped::Done;
        // What was decided over an unwritten record waits for that to be written, too.
        if !user.lasts_as(&kept.user) || kept.is_unwritten() {
            let (done, written) = oneshot::channel();
            // Under the lock, so that the writes of a record keep their order.
            let job = Job {
                record: Some(Record {
                    user_id: user_id.to_owned(),
                    lasting: user.lasting(),
                    _unwritten: kept.unwritten.clone(),
                }),
                counts: Counts::of_swap(&kept.user, &user),
                done: Some(done),
            };
            self.jobs.send(job).map_err(|_| thread_has_ended())?;
            swapped = Swapped::Writing(written);
        }
        kept.version += 1;
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
fn run(database: &Database, waiting: &Receiver<Job>) {
    while let Ok(first) = waiting.recv() {
        let mut jobs = vec![first];
        jobs.extend(waiting.try_iter());
        let result = commit(database, &jobs);
        if let Err(error) = &result {
            tracing::error!("{error}");
        }
        for done in jobs.into_iter().filter_map(|job| job.done) {
            // Whoever asked may have gone with its connection.
            let _ = done.send(result.clone());
        }
    }
}

fn commit(database: &Database, jobs: &[Job]) -> Result<(), StoreError> {
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
    transaction.commit().map_err(failed)
}
