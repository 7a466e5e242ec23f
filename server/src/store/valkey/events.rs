//! Events for the app's backend in the shared store: a list beside each record, written with the
//! decision, so that events keep the order of the decisions, whichever nodes made them. One node at
//! a time delivers a user's events; if it dies, the others take over.

use super::Link;
use crate::event::Event;
use crate::store::{Announce, Origin, Receipt, StoreError};
use redis::{Script, cmd};
use std::sync::OnceLock;
use std::time::Duration;
use tokio::time::sleep;

/// How long a node has a user's events to itself after its last attempt. Longer than an attempt
/// takes.
const LEASE_MS: u64 = 10_000;
/// How often a node looks for events left by others.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// How many users it takes over at a time.
const USERS_MAX: usize = 1_000;

/// The oldest event of a user, for the node that delivers that user's: KEYS lease, events; ARGV
/// node, ms.
const FIRST: &str = "
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return {1, false} end
local first = redis.call('LINDEX', KEYS[2], 0)
if first then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) else redis.call('DEL', KEYS[1]) end
return {0, first}";

/// Access to the events.
pub struct Events {
    link: Link,
    app: u32,
    node: u64,
    announce: OnceLock<Announce>,
}

impl Events {
    pub fn new(link: Link, app: u32, node: u64) -> Events {
        Events {
            link,
            app,
            node,
            announce: OnceLock::new(),
        }
    }

    /// The key of a user's events.
    pub fn key(&self, user_id: &str) -> String {
        format!("{}:events", super::user_key(self.app, user_id))
    }

    /// The key of the users with events.
    pub fn users_key(&self) -> String {
        format!("tim:{}:events", self.app)
    }

    pub fn watch(&self, announce: Announce) {
        // Set once, by the service.
        let _ = self.announce.set(announce);
    }

    /// Announces that an event of this user can be delivered.
    pub fn announce(&self, user_id: &str) {
        if let Some(announce) = self.announce.get() {
            announce(user_id, Origin::Here);
        }
    }

    /// In a cluster: lists a user who is about to have events.
    pub async fn list(&self, user_id: &str) -> Result<(), StoreError> {
        let add = cmd("SADD").arg(self.users_key()).arg(user_id).to_owned();
        self.link.query(&add).await
    }

    /// The oldest event of a user. Also an error if another node delivers this user's.
    pub async fn first(&self, user_id: &str) -> Result<Option<(Receipt, Event)>, StoreError> {
        let script = Script::new(FIRST);
        let mut first = script.key(format!("{}:lease", self.key(user_id)));
        first.key(self.key(user_id)).arg(self.node).arg(LEASE_MS);
        let (is_taken, text): (bool, Option<Vec<u8>>) = self.link.run(&first).await?;
        if is_taken {
            let why = "another node delivers the events of this user";
            return Err(StoreError::Unavailable(why.to_owned()));
        }
        let Some(text) = text else {
            let forget = cmd("SREM").arg(self.users_key()).arg(user_id).to_owned();
            self.link.query::<()>(&forget).await?;
            // An event that arrived in between must not be forgotten with them.
            let left: u64 = self.link.query(cmd("LLEN").arg(self.key(user_id))).await?;
            if left > 0 {
                self.list(user_id).await?;
            }
            return Ok(None);
        };
        match serde_json::from_slice(&text) {
            Ok(event) => Ok(Some((Receipt::Text(text), event))),
            Err(error) => Err(StoreError::Failed(format!("an event: {error}"))),
        }
    }

    /// Removes a delivered event.
    pub async fn remove(&self, user_id: &str, receipt: &Receipt) -> Result<(), StoreError> {
        let Receipt::Text(text) = receipt else {
            return Ok(());
        };
        let mut remove = cmd("LREM");
        remove.arg(self.key(user_id)).arg(1).arg(text.as_slice());
        self.link.query(&remove).await
    }

    /// Takes over events left by other nodes, for the life of the process.
    pub async fn look_for_others(&self) {
        loop {
            if let Some(announce) = self.announce.get() {
                let mut some = cmd("SRANDMEMBER");
                some.arg(self.users_key()).arg(USERS_MAX);
                match self.link.query::<Vec<String>>(&some).await {
                    Ok(users) => {
                        let each = users.iter();
                        each.for_each(|user_id| announce(user_id, Origin::Elsewhere));
                    }
                    Err(error) => tracing::debug!("events: {error}"),
                }
            }
            sleep(LOOK_EVERY).await;
        }
    }
}
