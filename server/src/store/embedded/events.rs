//! Events that the app's backend has not received yet. They are written in the same transaction as
//! the decisions that caused them and removed once delivered: what a crash leaves undelivered is
//! delivered after the next start.

use super::failed;
use super::numbers::signed;
use crate::event::Event;
use crate::store::{Announce, Origin, Receipt, StoreError};
use rusqlite::Connection;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// The changes of a transaction.
#[derive(Default)]
pub struct Changes<'a> {
    pub added: Vec<(u64, &'a Event)>,
    pub delivered: Vec<u64>,
}

/// The events on disk, by user, oldest first.
pub struct Events {
    pending: Mutex<HashMap<String, VecDeque<(u64, Event)>>>,
    last_id: AtomicU64,
    announce: OnceLock<Announce>,
}

impl Events {
    /// Loads those left by earlier runs.
    pub fn open(connection: &Connection) -> Result<Events, StoreError> {
        let mut select = connection
            .prepare("SELECT id, event FROM events ORDER BY id")
            .map_err(failed)?;
        let rows = select.query_map((), |row| Ok((row.get(0)?, row.get(1)?)));
        let (mut pending, mut last_id) = (HashMap::<_, VecDeque<_>>::new(), 0);
        for row in rows.map_err(failed)? {
            let (id, text): (i64, String) = row.map_err(failed)?;
            let event: Event = serde_json::from_str(&text).map_err(failed)?;
            last_id = u64::try_from(id).map_err(failed)?;
            let of_user = pending.entry(event.user_id.clone()).or_default();
            of_user.push_back((last_id, event));
        }
        Ok(Events {
            pending: Mutex::new(pending),
            last_id: AtomicU64::new(last_id),
            announce: OnceLock::new(),
        })
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<String, VecDeque<(u64, Event)>>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers events in their order of delivery.
    pub fn number(&self, events: Vec<Event>) -> Vec<(u64, Event)> {
        let next_id = || self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        events.into_iter().map(|event| (next_id(), event)).collect()
    }

    /// Announces events from now on, starting with the pending ones.
    pub fn watch(&self, announce: Announce) {
        let users: Vec<(String, usize)> = {
            let pending = self.pending();
            let counted = pending
                .iter()
                .map(|(user_id, all)| (user_id.clone(), all.len()));
            counted.collect()
        };
        for (user_id, count) in users {
            for _ in 0..count {
                announce(&user_id, Origin::Here);
            }
        }
        // Set once, by the service.
        let _ = self.announce.set(announce);
    }

    /// Records that these are on disk.
    pub fn written(&self, events: impl IntoIterator<Item = (u64, Event)>) {
        for (id, event) in events {
            let user_id = event.user_id.clone();
            let mut pending = self.pending();
            pending
                .entry(user_id.clone())
                .or_default()
                .push_back((id, event));
            drop(pending);
            if let Some(announce) = self.announce.get() {
                announce(&user_id, Origin::Here);
            }
        }
    }

    /// The user's oldest event.
    pub fn first(&self, user_id: &str) -> Option<(Receipt, Event)> {
        let pending = self.pending();
        let (id, event) = pending.get(user_id)?.front()?;
        Some((Receipt::Id(*id), event.clone()))
    }

    /// Removes a delivered event.
    pub fn remove(&self, user_id: &str, id: u64) {
        let mut pending = self.pending();
        let Some(of_user) = pending.get_mut(user_id) else {
            return;
        };
        of_user.retain(|(other, _)| *other != id);
        if of_user.is_empty() {
            pending.remove(user_id);
        }
    }
}

/// Writes the changes.
pub fn write(transaction: &Connection, changes: &Changes<'_>) -> rusqlite::Result<()> {
    for id in &changes.delivered {
        let mut delete = transaction.prepare_cached("DELETE FROM events WHERE id = ?1")?;
        delete.execute([signed(*id)])?;
    }
    for (id, event) in &changes.added {
        let mut insert = transaction.prepare_cached("INSERT INTO events VALUES (?1, ?2)")?;
        // Serializing strings and numbers into memory cannot fail.
        let text = serde_json::to_string(event).unwrap_or_default();
        insert.execute((signed(*id), text))?;
    }
    Ok(())
}
