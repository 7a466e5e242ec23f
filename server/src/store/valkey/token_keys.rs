//! The token keys that all nodes share through the engine.

use super::Link;
use crate::store::StoreError;
use crate::token::{self, KeyAges, TokenKey};
use redis::cmd;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The token keys, as known to this node and to the engine.
pub struct TokenKeys {
    place: String,
    /// Newest first. If the engine has lost them, it gets them back.
    known: Mutex<Vec<TokenKey>>,
}

impl TokenKeys {
    pub fn new(place: String) -> TokenKeys {
        TokenKeys {
            place,
            known: Mutex::default(),
        }
    }

    /// The keys known to this node.
    pub fn known(&self) -> Vec<TokenKey> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }

    /// Restores keys that the engine has lost, unless they were dropped on purpose. Returns whether
    /// keys known here were dropped.
    pub async fn put_back(&self, link: &Link) -> Result<bool, StoreError> {
        let first = self.first(link).await?;
        let (kept, dropped): (Vec<_>, Vec<_>) =
            self.known().into_iter().partition(|key| key.id >= first);
        for key in &kept {
            self.put(link, key).await?;
        }
        if dropped.is_empty() {
            return Ok(false);
        }
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = self.read(link).await?;
        Ok(true)
    }

    fn first_key(&self) -> String {
        format!("{}:first", self.place)
    }

    /// The first key that was not dropped on purpose.
    async fn first(&self, link: &Link) -> Result<u32, StoreError> {
        let first: Option<u32> = link.query(cmd("GET").arg(self.first_key())).await?;
        Ok(first.unwrap_or(0))
    }

    /// Creates a new key and drops all others.
    pub async fn replace_all(&self, link: &Link, now_ms: i64) -> Result<(), StoreError> {
        let mut secret = [0; 32];
        let failed = |error: getrandom::Error| StoreError::Failed(error.to_string());
        getrandom::fill(&mut secret).map_err(failed)?;
        let before = self.read(link).await?;
        let id = before.first().map_or(1, |key| key.id + 1);
        let key = TokenKey {
            id,
            secret,
            made_ms: now_ms,
        };
        self.put(link, &key).await?;
        let set = cmd("SET").arg(self.first_key()).arg(id).to_owned();
        link.query::<()>(&set).await?;
        for old in before {
            let drop = cmd("HDEL").arg(&self.place).arg(old.id).to_owned();
            link.query::<()>(&drop).await?;
        }
        let keys = self.read(link).await?;
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    pub async fn put(&self, link: &Link, key: &TokenKey) -> Result<(), StoreError> {
        let mut put = cmd("HSETNX");
        put.arg(&self.place).arg(key.id).arg(key.to_bytes());
        link.query(&put).await
    }

    pub async fn read(&self, link: &Link) -> Result<Vec<TokenKey>, StoreError> {
        let first = self.first(link).await?;
        let read: BTreeMap<u32, Vec<u8>> = link.query(cmd("HGETALL").arg(&self.place)).await?;
        read.into_iter()
            .rev()
            .filter(|(id, _)| *id >= first)
            .map(|(id, bytes)| {
                TokenKey::from_bytes(id, &bytes)
                    .ok_or_else(|| StoreError::Failed(format!("token key {id} is invalid")))
            })
            .collect()
    }

    /// Does what is due with the keys of all nodes and returns them. If two nodes create a
    /// successor at once, the faster one wins.
    pub async fn turn(
        &self,
        link: &Link,
        ages: &KeyAges,
        now_ms: i64,
    ) -> Result<Vec<TokenKey>, StoreError> {
        self.put_back(link).await?;
        let before = self.read(link).await?;
        let mut keys = before.clone();
        let mut secret = [0; 32];
        let random = getrandom::fill(&mut secret);
        if token::turn(&mut keys, ages, now_ms, || random.ok().map(|()| secret)) {
            for key in &keys {
                self.put(link, key).await?;
            }
            let has_ended = |id| keys.iter().all(|key| key.id != id);
            for key in before.iter().filter(|key| has_ended(key.id)) {
                let mut drop = cmd("HDEL");
                drop.arg(&self.place).arg(key.id);
                link.query::<()>(&drop).await?;
            }
            keys = self.read(link).await?;
        }
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = keys.clone();
        Ok(keys)
    }
}
