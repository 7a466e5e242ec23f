//! Single numbers in the file, by name.

use rusqlite::{Connection, OptionalExtension};

/// Reads a number; 0 if it was never set.
pub fn read(connection: &Connection, name: &str) -> rusqlite::Result<u64> {
    let mut select = connection.prepare_cached("SELECT value FROM numbers WHERE name = ?1")?;
    let value: Option<i64> = select.query_row([name], |row| row.get(0)).optional()?;
    Ok(unsigned(value.unwrap_or(0)))
}

/// Replaces a number.
pub fn write(transaction: &Connection, name: &str, value: u64) -> rusqlite::Result<()> {
    let mut put = transaction.prepare_cached(
        "INSERT INTO numbers VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )?;
    put.execute((name, signed(value)))?;
    Ok(())
}

/// Adds to a number.
pub fn add(transaction: &Connection, name: &str, more: u64) -> rusqlite::Result<()> {
    let mut add = transaction.prepare_cached(
        "INSERT INTO numbers VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
    )?;
    add.execute((name, signed(more)))?;
    Ok(())
}

/// SQLite's integers are signed.
pub fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The reverse.
pub fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
