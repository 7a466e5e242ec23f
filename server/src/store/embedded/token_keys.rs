//! The keys of session tokens, in the database of a single node.

use super::failed;
use crate::store::StoreError;
use crate::token::{self, KeyAges, TokenKey};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};

/// key id -> key.
const TOKEN_KEYS: TableDefinition<u32, &[u8]> = TableDefinition::new("token_keys");

/// Makes the table.
pub fn prepare(transaction: &WriteTransaction) -> Result<(), StoreError> {
    transaction.open_table(TOKEN_KEYS).map_err(failed)?;
    Ok(())
}

/// Does what is due with the token keys, and gives them. The first start makes the first one.
pub fn turn(database: &Database, ages: &KeyAges, now_ms: i64) -> Result<Vec<TokenKey>, StoreError> {
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

fn bad_key() -> StoreError {
    failed("a token key that is none")
}

#[cfg(test)]
mod tests {
    use super::super::open;
    use super::super::tests::wait;
    use super::*;
    use crate::store::Opened;

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
            let keys = wait(turning).unwrap();
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
