//! The keys of session tokens, in the embedded store.

use crate::token::{self, KeyAges, TokenKey};
use rusqlite::Connection;

/// The keys, newest first.
pub fn read(connection: &Connection) -> rusqlite::Result<Vec<TokenKey>> {
    let mut select =
        connection.prepare("SELECT id, secret, made_ms FROM token_keys ORDER BY id DESC")?;
    let keys = select.query_map((), |row| {
        Ok(TokenKey {
            id: row.get(0)?,
            secret: row.get(1)?,
            made_ms: row.get(2)?,
        })
    })?;
    keys.collect()
}

/// Replaces all keys with these.
pub fn replace(transaction: &Connection, keys: &[TokenKey]) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM token_keys", ())?;
    let mut insert = transaction.prepare("INSERT INTO token_keys VALUES (?1, ?2, ?3)")?;
    for key in keys {
        insert.execute((key.id, key.secret, key.made_ms))?;
    }
    Ok(())
}

/// Does what is due with the token keys and returns them. The first start creates the first one.
pub fn turn(
    writer: &mut Connection,
    ages: &KeyAges,
    now_ms: i64,
) -> rusqlite::Result<Vec<TokenKey>> {
    let mut keys = read(writer)?;
    let mut secret = [0; 32];
    let random = getrandom::fill(&mut secret);
    if token::turn(&mut keys, ages, now_ms, || random.ok().map(|()| secret)) {
        let transaction = writer.transaction()?;
        replace(&transaction, &keys)?;
        transaction.commit()?;
    }
    Ok(keys)
}

/// Replaces all keys with a new one.
pub fn replace_all(
    writer: &mut Connection,
    secret: [u8; 32],
    now_ms: i64,
) -> rusqlite::Result<Vec<TokenKey>> {
    let id = read(writer)?.first().map_or(1, |key| key.id + 1);
    let keys = vec![TokenKey {
        id,
        secret,
        made_ms: now_ms,
    }];
    let transaction = writer.transaction()?;
    replace(&transaction, &keys)?;
    transaction.commit()?;
    Ok(keys)
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
        let ages = KeyAges {
            renew_ms: Some(1_000_000),
            keep_ms: 500_000,
        };
        let ids = |opened: &Opened, now_ms| {
            let turning = opened.store.turn_token_keys(&ages, now_ms);
            let keys = wait(turning).unwrap();
            keys.iter().map(|key| key.id).collect::<Vec<_>>()
        };
        let opened = open(directory.path()).unwrap();
        let start_ms = opened.token_keys[0].made_ms;
        let first = opened.token_keys[0].secret;
        assert_eq!(ids(&opened, start_ms + 999_999), [1]);
        assert_eq!(ids(&opened, start_ms + 1_000_000), [2, 1]);
        drop(opened);
        let opened = open(directory.path()).unwrap();
        assert!(opened.token_keys[1].secret == first);
        assert!(opened.token_keys[0].secret != first);
        assert_eq!(ids(&opened, start_ms + 1_500_000 + token::SETTLE_MS), [2]);
    }
}
