//! Takes over the store of tim-server 0.1, once: a redb file preceded by a journal in two files.
//! They stay in place under names that end with `.taken-over`.

mod journal;

use super::counts::Counts;
use super::database::{self, Database, Group};
use super::{epochs, failed, token_keys};
use crate::calendar::Day;
use crate::figures::Figures;
use crate::store::StoreError;
use crate::token::TokenKey;
use crate::user::User;
use redb::{ReadableDatabase, ReadableTable, TableDefinition, TableError};
use rusqlite::Connection;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const OLD: [&str; 3] = ["store.redb", "store.1.journal", "store.2.journal"];
/// How many records are written at a time.
const AT_ONCE: usize = 10_000;

const USERS: TableDefinition<&str, &[u8]> = TableDefinition::new("users");
const JOURNAL: TableDefinition<&str, u64> = TableDefinition::new("journal");
const DAYS: TableDefinition<u32, &[u8]> = TableDefinition::new("days");
const TOTALS: TableDefinition<&str, u64> = TableDefinition::new("totals");
const EPOCHS: TableDefinition<&str, u64> = TableDefinition::new("epochs");
const TOKEN_KEYS: TableDefinition<u32, &[u8]> = TableDefinition::new("token_keys");

/// The content of one group of the journal.
#[derive(Deserialize)]
struct Written {
    users: Vec<(String, User)>,
    counts: Counts,
    epochs_below: Option<u64>,
}

/// The whole content of the old store.
#[derive(Default)]
struct Old {
    users: BTreeMap<String, User>,
    counts: Counts,
    epochs_below: u64,
    token_keys: Vec<TokenKey>,
}

/// Creates the new file from the old ones, if those exist and the new one does not.
pub fn take_over(directory: &Path, new: &Path) -> Result<(), StoreError> {
    let old = OLD.map(|name| directory.join(name));
    let is_there = |path: &PathBuf| path.try_exists().map_err(failed);
    let [redb, one, two] = [is_there(&old[0])?, is_there(&old[1])?, is_there(&old[2])?];
    if new.try_exists().map_err(failed)? || !(redb || one || two) {
        return Ok(());
    }
    if !redb {
        return Err(failed(format_args!(
            "{} is missing, and the journal beside it is of no use without it: put both back from \
             one copy, or move {} and {} away to begin anew",
            old[0].display(),
            old[1].display(),
            old[2].display()
        )));
    }
    let here = |error| failed(format_args!("{}: {error}", directory.display()));
    let content = read(&old).map_err(here)?;
    // It gets its own name only once it is complete.
    let partial = new.with_extension("partial");
    for leftover in [
        &partial,
        &beside(&partial, "-wal"),
        &beside(&partial, "-shm"),
    ] {
        if leftover.try_exists().map_err(failed)? {
            fs::remove_file(leftover).map_err(failed)?;
        }
    }
    {
        let (_, mut connection) = Database::open(&partial)?;
        write(&mut connection, &content)?;
    }
    fs::rename(&partial, new).map_err(failed)?;
    for path in &old {
        if path.try_exists().map_err(failed)? {
            fs::rename(path, beside(path, ".taken-over")).map_err(failed)?;
        }
    }
    tracing::info!(
        users = content.users.len(),
        "the store of tim-server 0.1 was taken over; its files are kept, their names end with .taken-over"
    );
    Ok(())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn write(connection: &mut Connection, old: &Old) -> Result<(), StoreError> {
    let mut rest = old.users.iter();
    loop {
        let users: Vec<_> = rest
            .by_ref()
            .take(AT_ONCE)
            .map(|(user_id, user)| (user_id.as_str(), user.as_lasting()))
            .collect();
        if users.is_empty() {
            break;
        }
        let group = Group {
            users,
            ..Group::default()
        };
        database::write(connection, &group).map_err(failed)?;
    }
    let group = Group {
        counts: old.counts.clone(),
        ..Group::default()
    };
    database::write(connection, &group).map_err(failed)?;
    epochs::write(connection, old.epochs_below).map_err(failed)?;
    token_keys::replace(connection, &old.token_keys).map_err(failed)
}

fn read(old: &[PathBuf; 3]) -> Result<Old, StoreError> {
    let (mut found, mut figures) = (Old::default(), Figures::default());
    let database = redb::Database::open(&old[0]).map_err(failed)?;
    let transaction = database.begin_read().map_err(failed)?;
    // The earliest stores had fewer tables.
    macro_rules! table {
        ($definition:expr) => {
            match transaction.open_table($definition) {
                Ok(table) => Some(table),
                Err(TableError::TableDoesNotExist(_)) => None,
                Err(error) => return Err(failed(error)),
            }
        };
    }
    if let Some(users) = table!(USERS) {
        for row in users.iter().map_err(failed)? {
            let (user_id, bytes) = row.map_err(failed)?;
            let user = serde_json::from_slice(bytes.value()).map_err(failed)?;
            found.users.insert(user_id.value().to_owned(), user);
        }
    }
    if let Some(totals) = table!(TOTALS) {
        let total = |name| {
            let total = totals.get(name).map_err(failed)?;
            Ok::<u64, StoreError>(total.map_or(0, |total| total.value()))
        };
        figures.registered = total("registered")?;
        figures.removed = total("removed")?;
    } else {
        let accounts = found.users.values().filter(|user| user.account.is_some());
        figures.registered = accounts.count() as u64;
    }
    if let Some(days) = table!(DAYS) {
        for row in days.iter().map_err(failed)? {
            let (day, bytes) = row.map_err(failed)?;
            let of_day = serde_json::from_slice(bytes.value()).map_err(failed)?;
            figures.days.insert(Day(day.value()), of_day);
        }
    }
    found.counts = Counts::of(&figures);
    if let Some(epochs) = table!(EPOCHS) {
        let below = epochs.get("below").map_err(failed)?;
        found.epochs_below = below.map_or(0, |below| below.value());
    }
    if let Some(keys) = table!(TOKEN_KEYS) {
        for row in keys.iter().map_err(failed)? {
            let (id, bytes) = row.map_err(failed)?;
            let key = TokenKey::from_bytes(id.value(), bytes.value());
            let key = key.ok_or_else(|| failed("an invalid token key"))?;
            found.token_keys.insert(0, key);
        }
    }
    let settled = match table!(JOURNAL) {
        None => 0,
        Some(table) => {
            let number = table.get("settled").map_err(failed)?;
            number.map_or(0, |number| number.value())
        }
    };
    read_journal(&mut found, &old[1..], settled)?;
    Ok(found)
}

/// Adds what the journal has beyond this group.
fn read_journal(found: &mut Old, files: &[PathBuf], settled: u64) -> Result<(), StoreError> {
    let mut texts = Vec::new();
    for file in files {
        if file.try_exists().map_err(failed)? {
            texts.push(fs::read(file).map_err(failed)?);
        }
    }
    let mut groups: Vec<_> = texts
        .iter()
        .flat_map(|text| journal::groups(text))
        .collect();
    groups.sort_by_key(|group| group.number);
    let mut last = settled;
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
        last = group.number;
        let written: Written = serde_json::from_slice(group.text)
            .map_err(|error| failed(format_args!("group {}: {error}", group.number)))?;
        found.users.extend(written.users);
        found.counts.add(&written.counts);
        found.epochs_below = found.epochs_below.max(written.epochs_below.unwrap_or(0));
    }
    Ok(())
}
