//! When everybody was last signed out, in the embedded store.

use super::numbers::{self, signed, unsigned};
use crate::store::SignedOut;
use rusqlite::Connection;

const AT_MS: &str = "signed_out_ms";
const EPOCH: &str = "signed_out_epoch";

pub fn read(connection: &Connection) -> rusqlite::Result<SignedOut> {
    Ok(SignedOut {
        at_ms: signed(numbers::read(connection, AT_MS)?),
        epoch: numbers::read(connection, EPOCH)?,
    })
}

/// Writes both values or neither.
pub fn write(writer: &mut Connection, signed_out: SignedOut) -> rusqlite::Result<()> {
    let transaction = writer.transaction()?;
    numbers::write(&transaction, AT_MS, unsigned(signed_out.at_ms))?;
    numbers::write(&transaction, EPOCH, signed_out.epoch)?;
    transaction.commit()
}
