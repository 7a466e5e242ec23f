//! Export, import and backup of the embedded store.

use super::counts::{self, Counts};
use super::database::{self, Database, Group};
use super::{FILE, epochs, failed, lock, takeover, token_keys};
use crate::store::StoreError;
use crate::store::transfer::{self, Count, Export, Item};
use std::io::{BufRead, Write};
use std::path::Path;

/// Writes everything in the store of a data directory as of one moment. A server may be running on
/// it.
pub fn export(directory: &Path, app: u32, to: &mut dyn Write) -> Result<Count, StoreError> {
    let database = opened(directory)?;
    let mut export = Export::begin(to, app)?;
    database.snapshot(|connection| {
        for key in token_keys::read(connection).map_err(failed)? {
            export.add(Item::TokenKey(key))?;
        }
        let figures = counts::read(connection, crate::calendar::Day(0)).map_err(failed)?;
        export.add(Item::Figures(figures))?;
        let below = epochs::read(connection).map_err(failed)?;
        database::each_user(connection, |user_id, mut user| {
            // All epochs assigned are below it.
            user.epochs_above(below.saturating_sub(1));
            export.add(Item::User(user_id, Box::new(user)))
        })
    })?;
    Ok(export.count)
}

/// Fills the empty store of a data directory without a running server; all of it or nothing.
pub fn import(directory: &Path, app: u32, from: &mut dyn BufRead) -> Result<Count, StoreError> {
    let _lock = lock::lock(directory)?;
    let path = directory.join(FILE);
    takeover::take_over(directory, &path)?;
    let (_, mut connection) = Database::open(&path)?;
    let transaction = connection.transaction().map_err(failed)?;
    let is_empty = "SELECT NOT EXISTS (SELECT * FROM users)";
    let is_empty: bool = (transaction.query_row(is_empty, (), |row| row.get(0))).map_err(failed)?;
    if !is_empty {
        return Err(failed(format_args!(
            "{} has users already: expected a store without any",
            path.display()
        )));
    }
    let (mut keys, mut epochs_below) = (Vec::new(), epochs::read(&transaction).map_err(failed)?);
    let count = transfer::read(from, app, |item| {
        let group = match &item {
            Item::User(user_id, user) => {
                epochs_below = epochs_below.max(user.highest_epoch().saturating_add(1));
                Group {
                    users: vec![(user_id, user.as_lasting())],
                    ..Group::default()
                }
            }
            Item::Figures(figures) => Group {
                counts: Counts::of(figures),
                ..Group::default()
            },
            Item::TokenKey(key) => {
                keys.push(key.clone());
                return Ok(());
            }
        };
        database::put(&transaction, &group).map_err(failed)
    })?;
    epochs::write(&transaction, epochs_below).map_err(failed)?;
    if !keys.is_empty() {
        token_keys::replace(&transaction, &keys).map_err(failed)?;
    }
    transaction.commit().map_err(failed)?;
    Ok(count)
}

/// Writes a copy of the store's file, which can replace the one in a data directory. A server may
/// be running on it.
pub fn back_up(directory: &Path, file: &Path) -> Result<(), StoreError> {
    if file.try_exists().map_err(failed)? {
        return Err(failed(format_args!("{} is there already", file.display())));
    }
    opened(directory)?.copy_to(file)
}

fn opened(directory: &Path) -> Result<Database, StoreError> {
    let path = directory.join(FILE);
    if !path.try_exists().map_err(failed)? {
        return Err(failed(format_args!(
            "{} is missing: start the server on it once",
            path.display()
        )));
    }
    Database::open_to_read(&path)
}
