//! The file of the embedded store: SQLite with a write-ahead log. One connection writes
//! (`writer.rs`); others read.

use super::counts::{self, Counts};
use super::{epochs, events, failed};
use crate::store::StoreError;
use crate::user::{Lasting, User};
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Distinguishes the file from other SQLite files: "timS".
const APPLICATION_ID: i32 = 0x7469_6d53;
/// The layout of the tables. A file with a higher number belongs to a later server.
const LAYOUT: i32 = 1;
/// How long a statement waits for a lock held by another process, such as a shell.
const BUSY: Duration = Duration::from_secs(5);
/// Pages that a connection caches, in KiB: the upper levels of the tree of a million users.
const CACHE_KIB: i32 = 4096;
/// After a checkpoint, a log larger than this is truncated to this size, in bytes.
const LOG_MAX: i64 = 16 * 1024 * 1024;

const TABLES: &str = "
CREATE TABLE users (user_id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE days (day INTEGER PRIMARY KEY, active INTEGER NOT NULL, registered INTEGER NOT NULL,
  logins INTEGER NOT NULL, online_max INTEGER NOT NULL);
CREATE TABLE numbers (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE token_keys (id INTEGER PRIMARY KEY, secret BLOB NOT NULL, made_ms INTEGER NOT NULL);
CREATE TABLE events (id INTEGER PRIMARY KEY, event TEXT NOT NULL);
";

/// The file, for reading.
pub struct Database {
    path: PathBuf,
    /// Idle connections.
    readers: Mutex<Vec<Connection>>,
}

/// What one transaction writes.
#[derive(Default)]
pub struct Group<'a> {
    pub users: Vec<(&'a str, Lasting<'a>)>,
    pub counts: Counts,
    /// The new bound of all epochs, if it moves.
    pub epochs_below: Option<u64>,
    pub events: events::Changes<'a>,
}

impl Database {
    /// Opens or creates the file, and returns it with the writing connection. It contains keys, so
    /// only its owner may read it.
    pub fn open(path: &Path) -> Result<(Database, Connection), StoreError> {
        let here = |error: &dyn Display| failed(format_args!("{}: {error}", path.display()));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        options.mode(0o600).open(path).map_err(|e| here(&e))?;
        if let Some(directory) = path.parent() {
            // Otherwise a power failure could lose the name of a file that was written and synced.
            let synced = File::open(directory).and_then(|directory| directory.sync_all());
            synced.map_err(|e| here(&e))?;
        }
        let writer = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|e| here(&e))?;
        prepare(&writer).map_err(|e| here(&e))?;
        let database = Database {
            path: path.to_owned(),
            readers: Mutex::default(),
        };
        Ok((database, writer))
    }

    /// Opens an existing file for reading.
    pub fn open_to_read(path: &Path) -> Result<Database, StoreError> {
        let database = Database {
            path: path.to_owned(),
            readers: Mutex::default(),
        };
        let found = database.read(numbers)?;
        check(found).map_err(|error| failed(format_args!("{}: {error}", path.display())))?;
        Ok(database)
    }

    /// Reads with a connection of its own.
    pub fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let idle = self.readers().pop();
        let connection = match idle {
            Some(connection) => connection,
            // Read-only connections cannot create the log's index, which may be missing after a
            // crash.
            None => connect(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?,
        };
        let result = query(&connection);
        self.readers().push(connection);
        result.map_err(failed)
    }

    fn readers(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lasting part of a user's record; an empty one if there is none.
    pub fn user(&self, user_id: &str) -> Result<User, StoreError> {
        let record: Option<String> = self.read(|connection| {
            let mut select =
                connection.prepare_cached("SELECT record FROM users WHERE user_id = ?1")?;
            select.query_row([user_id], |row| row.get(0)).optional()
        })?;
        match record {
            None => Ok(User::default()),
            Some(text) => serde_json::from_str(&text).map_err(failed),
        }
    }

    /// Reads a consistent state: nothing changes meanwhile.
    pub fn snapshot<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut connection =
            connect(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
        let transaction = connection.transaction().map_err(failed)?;
        read(&transaction)
    }

    /// Writes a complete, consistent copy of the file while writing continues. It contains keys, so
    /// only its owner may read it.
    pub fn copy_to(&self, file: &Path) -> Result<(), StoreError> {
        // SQLite takes names in UTF-8 only, and treats an empty file as a new one.
        let name = file
            .to_str()
            .ok_or_else(|| failed("the name of the copy is not UTF-8"))?;
        let mut options = OpenOptions::new();
        let here = |error: &dyn Display| failed(format_args!("{name}: {error}"));
        options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(file)
            .map_err(|e| here(&e))?;
        self.read(|connection| connection.execute("VACUUM INTO ?1", [name]))?;
        let copy = connect(file, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
        let check: String = copy
            .query_row("PRAGMA integrity_check(1)", (), |row| row.get(0))
            .map_err(failed)?;
        if check != "ok" {
            return Err(failed(format_args!("the copy is damaged: {check}")));
        }
        let synced = File::open(file).and_then(|file| file.sync_all());
        synced.map_err(failed)
    }
}

/// Writes a group: all of it is on disk once this returns, or none of it happened.
pub fn write(writer: &mut Connection, group: &Group<'_>) -> rusqlite::Result<()> {
    let transaction = writer.transaction()?;
    put(&transaction, group)?;
    transaction.commit()
}

/// Writes a group as part of a transaction.
pub fn put(transaction: &Connection, group: &Group<'_>) -> rusqlite::Result<()> {
    if !group.users.is_empty() {
        let mut put = transaction.prepare_cached(
            "INSERT INTO users VALUES (?1, ?2)
                ON CONFLICT (user_id) DO UPDATE SET record = excluded.record",
        )?;
        let mut text = Vec::new();
        for (user_id, record) in &group.users {
            text.clear();
            // Serializing strings and numbers into memory cannot fail.
            let _ = serde_json::to_writer(&mut text, record);
            put.execute((user_id, String::from_utf8_lossy(&text)))?;
        }
    }
    counts::write(transaction, &group.counts)?;
    if let Some(below) = group.epochs_below {
        epochs::write(transaction, below)?;
    }
    events::write(transaction, &group.events)
}

fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    // Each connection is used by one thread at a time.
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    // Every commit is on disk when it returns. On Apple systems that takes more than fsync.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    Ok(connection)
}

/// Creates the tables of a new file, or checks that those of an old one are this server's.
fn prepare(writer: &Connection) -> Result<(), StoreError> {
    let found = numbers(writer).map_err(failed)?;
    let is_new: bool = writer
        .query_row("SELECT count(*) = 0 FROM sqlite_schema", (), |row| {
            row.get(0)
        })
        .map_err(failed)?;
    if !is_new {
        check(found)?;
    }
    writer
        .pragma_update(None, "journal_mode", "WAL")
        .and_then(|()| writer.pragma_update(None, "journal_size_limit", LOG_MAX))
        .map_err(failed)?;
    if is_new {
        let tables = format!(
            "BEGIN IMMEDIATE; {TABLES}
             PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {LAYOUT}; COMMIT;"
        );
        writer.execute_batch(&tables).map_err(failed)?;
    }
    Ok(())
}

/// The file's application id and layout.
fn numbers(connection: &Connection) -> rusqlite::Result<(i32, i32)> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get(0));
    Ok((number("application_id")?, number("user_version")?))
}

fn check((application_id, layout): (i32, i32)) -> Result<(), StoreError> {
    if application_id != APPLICATION_ID {
        return Err(failed("it is not a store of tim-server"));
    }
    if layout != LAYOUT {
        return Err(failed(format_args!(
            "its layout is {layout}, of a later tim-server: expected {LAYOUT}"
        )));
    }
    Ok(())
}

/// Calls `each` with every user id and record, ordered by id.
pub fn each_user(
    connection: &Connection,
    mut each: impl FnMut(String, User) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut select = connection
        .prepare("SELECT user_id, record FROM users ORDER BY user_id")
        .map_err(failed)?;
    let mut rows = select.query(()).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let user_id: String = row.get(0).map_err(failed)?;
        let record: String = row.get(1).map_err(failed)?;
        let user = serde_json::from_str(&record)
            .map_err(|error| failed(format_args!("the record of {user_id}: {error}")))?;
        each(user_id, user)?;
    }
    Ok(())
}
