//! When everybody was signed out, in the embedded store.

use crate::store::SignedOut;
use rusqlite::{Connection, OptionalExtension};

const AT_MS: &str = "signed_out_ms";
const EPOCH: &str = "signed_out_epoch";

pub fn read(connection: &Connection) -> rusqlite::Result<SignedOut> {
    let number = |name: &str| {
        let mut select = connection.prepare("SELECT value FROM numbers WHERE name = ?1")?;
        let value: Option<i64> = select.query_row([name], |row| row.get(0)).optional()?;
        Ok::<i64, rusqlite::Error>(value.unwrap_or(0))
    };
    Ok(SignedOut {
        at_ms: number(AT_MS)?,
        epoch: u64::try_from(number(EPOCH)?).unwrap_or(0),
    })
}

pub fn write(connection: &Connection, signed_out: SignedOut) -> rusqlite::Result<()> {
    let epoch = i64::try_from(signed_out.epoch).unwrap_or(i64::MAX);
    connection.execute(
        "INSERT INTO numbers VALUES (?1, ?2), (?3, ?4)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (AT_MS, signed_out.at_ms, EPOCH, epoch),
    )?;
    Ok(())
}
