//! The database of a data directory: where what the journal holds ends up, many writes at a time.

use super::counts::{self, Counts};
use super::epochs;
use super::failed;
use super::journal::Group;
use super::token_keys;
use crate::store::StoreError;
use crate::user::{Lasting, User};
use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase, TableDefinition};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// user id -> what lasts of the record, as JSON.
pub const USERS: TableDefinition<&str, &[u8]> = TableDefinition::new("users");
/// Under the name below, the number of the last group of the journal that is in here.
const JOURNAL: TableDefinition<&str, u64> = TableDefinition::new("journal");
const SETTLED: &str = "settled";
/// What the file's pages may take in memory, beside the system's own cache of them: the upper levels of
/// a tree of a million users.
const CACHE_BYTES: usize = 4 * 1024 * 1024;

/// What a group of the journal says, when it is written.
#[derive(Serialize)]
pub struct Writes<'a> {
    pub users: Vec<(&'a str, Lasting<'a>)>,
    pub counts: &'a Counts,
    /// Where the bound of all epochs is from now on, if it was moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs_below: Option<u64>,
}

/// The same, when it is read: records stay as they are.
#[derive(Deserialize)]
struct Written<'a> {
    #[serde(borrow)]
    users: Vec<(String, &'a RawValue)>,
    counts: Counts,
    epochs_below: Option<u64>,
}

/// Opens or creates the file. It holds keys: nobody else may read it.
pub fn open(path: &Path) -> Result<Database, StoreError> {
    let here = |error: &dyn Display| failed(format_args!("{}: {error}", path.display()));
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = options.mode(0o600).open(path).map_err(|e| here(&e))?;
    let file = FileBackend::new(file).map_err(|e| here(&e))?;
    let database = Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create_with_backend(file)
        .map_err(|e| here(&e))?;
    let transaction = database.begin_write().map_err(failed)?;
    {
        let users = transaction.open_table(USERS).map_err(failed)?;
        counts::prepare(&transaction, &users)?;
        transaction.open_table(JOURNAL).map_err(failed)?;
        token_keys::prepare(&transaction)?;
    }
    transaction.commit().map_err(failed)?;
    Ok(database)
}

/// What lasts of a user's record; an empty one where there is none.
pub fn read(database: &Database, user_id: &str) -> Result<User, StoreError> {
    let transaction = database.begin_read().map_err(failed)?;
    let users = transaction.open_table(USERS).map_err(failed)?;
    match users.get(user_id).map_err(failed)? {
        None => Ok(User::default()),
        Some(bytes) => serde_json::from_slice(bytes.value()).map_err(failed),
    }
}

/// The number of the last group that is in the database.
fn settled(database: &Database) -> Result<u64, StoreError> {
    let transaction = database.begin_read().map_err(failed)?;
    let table = transaction.open_table(JOURNAL).map_err(failed)?;
    let number = table.get(SETTLED).map_err(failed)?;
    Ok(number.map_or(0, |number| number.value()))
}

/// Takes groups in, in the order of their numbers, without those that are there already. All of them
/// are, once this returns, or none. Gives the number of the last that is there then.
pub fn settle(database: &Database, groups: &[Group<'_>]) -> Result<u64, StoreError> {
    let before = settled(database)?;
    let mut last = before;
    // In the order of their keys, so that each page is written once.
    let mut users = BTreeMap::new();
    let (mut counts, mut epochs_below) = (Counts::default(), None);
    for group in groups {
        if group.number <= last {
            continue;
        }
        if group.number != last + 1 {
            return Err(failed(format_args!(
                "the journal lacks what comes before its group {}, or is another database's: \
                 expected group {}",
                group.number,
                last + 1
            )));
        }
        let written: Written<'_> = serde_json::from_slice(group.text)
            .map_err(|error| failed(format_args!("group {}: {error}", group.number)))?;
        users.extend(written.users);
        counts.add(&written.counts);
        epochs_below = epochs_below.max(written.epochs_below);
        last = group.number;
    }
    if last == before {
        return Ok(last);
    }
    let transaction = database.begin_write().map_err(failed)?;
    {
        let mut table = transaction.open_table(USERS).map_err(failed)?;
        for (user_id, record) in &users {
            let bytes = record.get().as_bytes();
            table.insert(user_id.as_str(), bytes).map_err(failed)?;
        }
        let mut table = transaction.open_table(JOURNAL).map_err(failed)?;
        table.insert(SETTLED, last).map_err(failed)?;
    }
    counts.write(&transaction)?;
    if let Some(below) = epochs_below {
        epochs::write(&transaction, below)?;
    }
    transaction.commit().map_err(failed)?;
    Ok(last)
}
