//! What must survive: accounts, floors of ended sessions, token keys. One thread writes to redb,
//! and what has come together while it was busy shares the next commit.

use crate::token::TokenKey;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use std::collections::HashSet;
use std::fmt;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;

/// user id -> when it was registered, in ms of Unix time.
const ACCOUNTS: TableDefinition<&str, i64> = TableDefinition::new("accounts");
/// (user id, device id) -> (the highest epoch that has ended, until when that matters in ms).
const FLOORS: TableDefinition<(&str, &str), (u64, i64)> = TableDefinition::new("floors");
/// key id -> key.
const TOKEN_KEYS: TableDefinition<u32, &[u8]> = TableDefinition::new("token_keys");

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// A user logged in for the first time.
    Account { user_id: String, registered_ms: i64 },
    /// No session of this device with this epoch or an older one lives any more.
    Floor(Floor),
}

/// An ended session, as far as it can come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Floor {
    pub user_id: String,
    pub device_id: String,
    pub epoch: u64,
    /// The end of the session's token, in ms of Unix time: nothing comes back after it.
    pub until_ms: i64,
}

/// What the store holds at the start.
pub struct Contents {
    pub accounts: HashSet<String>,
    pub floors: Vec<Floor>,
    pub token_keys: Vec<TokenKey>,
}

/// Why the store failed. Never holds a key.
#[derive(Debug)]
pub struct StoreError(String);

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store failed: {}", self.0)
    }
}

impl std::error::Error for StoreError {}

fn failed(error: impl fmt::Display) -> StoreError {
    StoreError(error.to_string())
}

struct Job {
    writes: Vec<Write>,
    done: oneshot::Sender<Result<(), String>>,
}

/// The way to the writing thread.
#[derive(Clone)]
pub struct Store {
    jobs: Sender<Job>,
}

impl Store {
    /// Opens or creates the store of a data directory.
    pub fn open(path: &Path, now_ms: i64) -> Result<(Store, Contents), StoreError> {
        let database = Database::create(path)
            .map_err(|error| StoreError(format!("{}: {error}", path.display())))?;
        prepare(&database, now_ms)?;
        let contents = read(&database)?;
        let (jobs, waiting) = channel();
        std::thread::Builder::new()
            .name("store".into())
            .spawn(move || run(&database, &waiting))
            .map_err(failed)?;
        Ok((Store { jobs }, contents))
    }

    /// Makes `writes` durable. Once this is `Ok`, they survive a power cut.
    pub async fn commit(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        if writes.is_empty() {
            return Ok(());
        }
        let (done, waits) = oneshot::channel();
        let gone = |_| StoreError("its thread has ended".to_owned());
        self.jobs.send(Job { writes, done }).map_err(|_| gone(()))?;
        let result = waits.await.map_err(|_| gone(()))?;
        result.map_err(StoreError)
    }
}

fn prepare(database: &Database, now_ms: i64) -> Result<(), StoreError> {
    let transaction = database.begin_write().map_err(failed)?;
    {
        transaction.open_table(ACCOUNTS).map_err(failed)?;
        let mut floors = transaction.open_table(FLOORS).map_err(failed)?;
        floors
            .retain(|_, (_, until_ms)| until_ms > now_ms)
            .map_err(failed)?;
        let mut keys = transaction.open_table(TOKEN_KEYS).map_err(failed)?;
        if keys.first().map_err(failed)?.is_none() {
            let mut secret = [0; 32];
            getrandom::fill(&mut secret).map_err(failed)?;
            keys.insert(1, secret.as_slice()).map_err(failed)?;
        }
    }
    transaction.commit().map_err(failed)
}

fn read(database: &Database) -> Result<Contents, StoreError> {
    let transaction = database.begin_read().map_err(failed)?;
    let mut contents = Contents {
        accounts: HashSet::new(),
        floors: Vec::new(),
        token_keys: Vec::new(),
    };
    let accounts = transaction.open_table(ACCOUNTS).map_err(failed)?;
    for row in accounts.iter().map_err(failed)? {
        let (user_id, _) = row.map_err(failed)?;
        contents.accounts.insert(user_id.value().to_owned());
    }
    let floors = transaction.open_table(FLOORS).map_err(failed)?;
    for row in floors.iter().map_err(failed)? {
        let (key, value) = row.map_err(failed)?;
        let ((user_id, device_id), (epoch, until_ms)) = (key.value(), value.value());
        contents.floors.push(Floor {
            user_id: user_id.to_owned(),
            device_id: device_id.to_owned(),
            epoch,
            until_ms,
        });
    }
    let keys = transaction.open_table(TOKEN_KEYS).map_err(failed)?;
    for row in keys.iter().map_err(failed)? {
        let (id, secret) = row.map_err(failed)?;
        let secret = secret.value().try_into().map_err(failed)?;
        contents.token_keys.push(TokenKey {
            id: id.value(),
            secret,
        });
    }
    Ok(contents)
}

/// Takes all jobs that wait, commits them together, and says so to each.
fn run(database: &Database, waiting: &Receiver<Job>) {
    while let Ok(first) = waiting.recv() {
        let mut jobs = vec![first];
        jobs.extend(waiting.try_iter());
        let writes = jobs.iter().flat_map(|job| &job.writes);
        let result = commit(database, writes).map_err(|error| error.0);
        if let Err(error) = &result {
            tracing::error!("{error}");
        }
        for job in jobs {
            // Whoever asked may have gone with its connection.
            let _ = job.done.send(result.clone());
        }
    }
}

fn commit<'a>(
    database: &Database,
    writes: impl Iterator<Item = &'a Write>,
) -> Result<(), StoreError> {
    let transaction = database.begin_write().map_err(failed)?;
    {
        let mut accounts = transaction.open_table(ACCOUNTS).map_err(failed)?;
        let mut floors = transaction.open_table(FLOORS).map_err(failed)?;
        for write in writes {
            match write {
                Write::Account {
                    user_id,
                    registered_ms,
                } => {
                    let known = accounts.get(user_id.as_str()).map_err(failed)?.is_some();
                    if !known {
                        accounts
                            .insert(user_id.as_str(), *registered_ms)
                            .map_err(failed)?;
                    }
                }
                Write::Floor(floor) => {
                    let key = (floor.user_id.as_str(), floor.device_id.as_str());
                    let old = floors.get(key).map_err(failed)?.map(|old| old.value());
                    let (epoch, until_ms) = old.unwrap_or((0, 0));
                    let highest = (epoch.max(floor.epoch), until_ms.max(floor.until_ms));
                    floors.insert(key, highest).map_err(failed)?;
                }
            }
        }
    }
    transaction.commit().map_err(failed)
}
