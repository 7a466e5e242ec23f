//! The store of several nodes: Valkey or Redis, single, watched by sentinels, or as a cluster. A
//! record is one hash, swapped by one short script; pushes go through channels, one per node; a
//! node's lease shows that it is alive.
//!
//! Keys, for app 1400000001: `tim:1400000001:{alice}` (a user; the braces keep a user's keys on one
//! node of a cluster), `tim:1400000001:nodes`, `tim:1400000001:token_keys`,
//! `tim:1400000001:figures`, `tim:1400000001:online`, `tim:1400000001:{alice}:events`,
//! `tim:1400000001:events`, `tim:1400000001:away`; channels: `tim:1400000001:node:NODE`.

mod address;
mod counts;
mod events;
mod keeper;
mod link;
mod primaries;
mod replicas;
mod sentinel;
mod signed_out;
mod token_keys;
mod transfer;

pub use address::{Address, Passwords};
pub use transfer::{export, import};

use super::{
    Announce, Answer, Opened, Receipt, SignedOut, Store, StoreError, Swap, Swapped, Versioned,
    Watch, Written,
};
use crate::calendar::Day;
use crate::event::Event;
use crate::figures::{Figures, Tally};
use crate::token::{KeyAges, TokenKey};
use crate::user::{Push, Rules, User};
use counts::Counts;
use events::Events;
use keeper::Keeper;
use link::Link;
use redis::{Script, cmd};
use replicas::Replicas;
use signed_out::Everybody;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use token_keys::TokenKeys;
use tokio::time::sleep;

/// How often a node renews its lease and reports its figures.
const LEASE_EVERY: Duration = Duration::from_secs(4);
/// How long a record without an account or a decision by the operator is kept.
const NO_ACCOUNT: Duration = Duration::from_secs(600);
/// Swaps a record if its version is still the expected one. Returns 0 if not; otherwise 1 plus what
/// the figures grow by: 1 an active user, 2 an account created, 4 an account removed. The user's
/// events are appended to the pending ones. With a third key, the figures are updated here, and so
/// are the lists of users with events and of users with absent sessions.
///
/// KEYS: the record, its events, figures, users with events, users with absent sessions. ARGV:
/// version, next version, record, ms to live or 0, active day, 1 with an account, its day, when the
/// next of its sessions ends or nothing, the user id, events.
const SWAP: &str = "
if (redis.call('HGET', KEYS[1], 'version') or '0') ~= ARGV[1] then return 0 end
local old = redis.call('HMGET', KEYS[1], 'active_day', 'has_account')
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'user', ARGV[3],
  'active_day', ARGV[5], 'has_account', ARGV[6])
if ARGV[4] == '0' then redis.call('PERSIST', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
local grown, fields = 1, {}
if tonumber(ARGV[5]) > tonumber(old[1] or 0) then
  grown = grown + 1
  fields[#fields + 1] = 'active:' .. ARGV[5]
end
if ARGV[6] == '1' and old[2] ~= '1' then
  grown = grown + 2
  fields[#fields + 1] = 'registered'
  fields[#fields + 1] = 'registered:' .. ARGV[7]
elseif ARGV[6] == '0' and old[2] == '1' then
  grown = grown + 4
  fields[#fields + 1] = 'removed'
end
for i = 10, #ARGV do redis.call('RPUSH', KEYS[2], ARGV[i]) end
if KEYS[3] then
  for _, field in ipairs(fields) do redis.call('HINCRBY', KEYS[3], field, 1) end
  if ARGV[10] then redis.call('SADD', KEYS[4], ARGV[9]) end
  if ARGV[8] == '' then redis.call('ZREM', KEYS[5], ARGV[9])
  else redis.call('ZADD', KEYS[5], ARGV[8], ARGV[9]) end
end
return grown";
/// Lists users with sessions that have ended by time, and postpones each, so that another node does
/// not process the same ones, and a node that dies leaves them for later.
///
/// KEYS: users with absent sessions. ARGV: now, until when, how many at most.
const DUE: &str = "
local users = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
for _, user in ipairs(users) do redis.call('ZADD', KEYS[1], 'XX', ARGV[2], user) end
return users";
/// How long the engine keeps the key that proves it can be written to.
const READY_S: u64 = 60;
/// How many users a sweep processes, and for how long other nodes leave those alone.
const DUE_MAX: usize = 1_000;
const DUE_FOR_MS: i64 = 3_600_000;

/// Users' records in an engine shared by several nodes.
pub struct Valkey {
    link: Link,
    app: u32,
    node: u64,
    swap: Script,
    token_keys: Arc<TokenKeys>,
    everybody: Arc<Everybody>,
    shared: Arc<Shared>,
    counts: Arc<Counts>,
    events: Arc<Events>,
    replicas: Replicas,
}

/// What the store shares with its own thread.
#[derive(Default)]
struct Shared {
    watch: OnceLock<Watch>,
    dead: Mutex<HashSet<u64>>,
}

/// Connects to the engine. A separate thread serves the connection, renews the node's lease and
/// listens for pushes.
pub fn open(address: Address, app: u32) -> Result<Opened, StoreError> {
    let failed = |error: &dyn std::fmt::Display| StoreError::Failed(error.to_string());
    let mut node = [0; 8];
    getrandom::fill(&mut node).map_err(|error| failed(&error))?;
    let node = u64::from_le_bytes(node);
    let shared = Arc::new(Shared::default());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed(&error))?;
    let (opened, opens) = std::sync::mpsc::channel();
    let for_thread = shared.clone();
    let replicas = Replicas::new(&address, app);
    std::thread::Builder::new()
        .name("store".into())
        .spawn(move || {
            runtime.block_on(async move {
                let keeper = match Keeper::connect(&address, app, node, for_thread).await {
                    Ok(keeper) => Arc::new(keeper),
                    Err(error) => return drop(opened.send(Err(error))),
                };
                let link = keeper.link.clone();
                let counts = Arc::new(Counts::new(link.clone(), app, node, keeper.shared.clone()));
                let events = Arc::new(Events::new(link.clone(), app, node));
                let for_all = (keeper.token_keys.clone(), keeper.everybody.clone());
                let _ = opened.send(Ok((link, for_all, counts.clone(), events.clone())));
                tokio::join!(
                    keeper.renew_leases(),
                    keeper.clone().listen(),
                    count(&counts),
                    events.look_for_others(),
                );
            });
        })
        .map_err(|error| failed(&error))?;
    let gone = || StoreError::Failed("its thread has ended".to_owned());
    let (link, (token_keys, everybody), counts, events) = opens.recv().map_err(|_| gone())??;
    Ok(Opened {
        store: Arc::new(Valkey {
            link,
            app,
            node,
            swap: Script::new(SWAP),
            token_keys: token_keys.clone(),
            everybody,
            shared,
            counts,
            events,
            replicas,
        }),
        token_keys: token_keys.known(),
        node,
    })
}

/// Periodically reports to the engine what was counted here.
async fn count(counts: &Counts) {
    loop {
        sleep(LEASE_EVERY).await;
        if let Err(error) = counts.write().await {
            tracing::debug!("figures: {error}");
        }
    }
}

fn channel(app: u32, node: u64) -> String {
    format!("tim:{app}:node:{node}")
}

/// The channel of all nodes.
fn channel_of_all(app: u32) -> String {
    format!("tim:{app}:all")
}

impl Valkey {
    async fn swap_in_the_engine(&self, swap: Swap<'_>) -> Result<Swapped, StoreError> {
        let failed = |error: &dyn std::fmt::Display| StoreError::Failed(error.to_string());
        let (user_id, user) = (swap.user_id, &swap.user);
        let text = serde_json::to_vec(&**user).map_err(|error| failed(&error))?;
        // Random, so that a version lost in a fail-over is never mistaken for another.
        let mut next = [0; 8];
        getrandom::fill(&mut next).map_err(|error| failed(&error))?;
        let lives_ms = match user.is_worth_keeping() {
            true => 0,
            false => NO_ACCOUNT.as_millis(),
        };
        let registered_day = user.account.as_ref().map(|account| account.registered_day);
        let mut script = self.swap.key(self.user_key(user_id));
        script.key(self.events.key(user_id));
        match self.link {
            Link::Single(_) | Link::Watched(_) => {
                script.key(self.counts.key());
                script.key(self.events.users_key());
                script.key(self.away_key());
            }
            // Their keys may be on other nodes of the cluster. A user who is in these lists without
            // reason is found to be so.
            Link::Cluster(_) if !swap.events.is_empty() => self.events.list(user_id).await?,
            Link::Cluster(_) => {}
        }
        script
            .arg(swap.version)
            .arg(u64::from_le_bytes(next).max(1))
            .arg(text)
            .arg(u64::try_from(lives_ms).unwrap_or(0))
            .arg(user.active_day.0)
            .arg(u8::from(user.account.is_some()))
            .arg(registered_day.unwrap_or_default().0)
            .arg(
                swap.due_ms
                    .map(|due_ms| due_ms.to_string())
                    .unwrap_or_default(),
            )
            .arg(user_id);
        for event in &swap.events {
            script.arg(serde_json::to_vec(event).map_err(|error| failed(&error))?);
        }
        let Some(grown) = self.link.run::<u8>(&script).await?.checked_sub(1) else {
            return Ok(Swapped::Late);
        };
        for _ in &swap.events {
            self.events.announce(user_id);
        }
        if let Link::Cluster(_) = self.link {
            let followed = self.counts.follow(grown, user).await;
            let listed = self.list_absent(user_id, swap.due_ms).await;
            // The decision stands.
            for error in [followed.err(), listed.err()].into_iter().flatten() {
                tracing::warn!("after a decision: {error}");
            }
        }
        Ok(Swapped::Done(Written::already()))
    }

    /// Informs every node that the value at this key, which concerns all users, has changed, and
    /// waits until a replica has it.
    async fn has_changed_for_all(&self, key: &str) -> Result<(), StoreError> {
        let publish = cmd("PUBLISH")
            .arg(channel_of_all(self.app))
            .arg("")
            .to_owned();
        if let Err(error) = self.link.query::<()>(&publish).await {
            // They find out with their next lease.
            tracing::warn!("telling other nodes: {error}");
        }
        self.replicas.confirm_key(key).await
    }

    /// The key of users with sessions that nobody reads, scored by when the next of those ends.
    fn away_key(&self) -> String {
        format!("tim:{}:away", self.app)
    }

    /// In a cluster: lists a user whose sessions nobody reads.
    async fn list_absent(&self, user_id: &str, due_ms: Option<i64>) -> Result<(), StoreError> {
        let list = match due_ms {
            Some(due_ms) => cmd("ZADD")
                .arg(self.away_key())
                .arg(due_ms)
                .arg(user_id)
                .to_owned(),
            None => cmd("ZREM").arg(self.away_key()).arg(user_id).to_owned(),
        };
        self.link.query(&list).await
    }

    fn user_key(&self, user_id: &str) -> String {
        user_key(self.app, user_id)
    }
}

fn user_key(app: u32, user_id: &str) -> String {
    // A brace in a user id would end the hash tag early, but the key remains the user's own.
    format!("tim:{app}:{{{user_id}}}")
}

fn signed_out_key(app: u32) -> String {
    format!("tim:{app}:signed_out")
}

fn token_keys_key(app: u32) -> String {
    format!("tim:{app}:token_keys")
}

impl Store for Valkey {
    fn load<'a>(&'a self, user_id: &'a str) -> Answer<'a, Versioned> {
        Box::pin(async move {
            let mut get = cmd("HMGET");
            get.arg(self.user_key(user_id)).arg("version").arg("user");
            let (version, user): (Option<u64>, Option<Vec<u8>>) = self.link.query(&get).await?;
            let user = match user {
                None => User::default(),
                Some(text) => serde_json::from_slice(&text)
                    .map_err(|error| StoreError::Failed(format!("a record: {error}")))?,
            };
            Ok(Versioned {
                user: Arc::new(user),
                version: version.unwrap_or(0),
            })
        })
    }

    fn swap<'a>(&'a self, swap: Swap<'a>) -> Answer<'a, Swapped> {
        Box::pin(self.swap_in_the_engine(swap))
    }

    fn settled<'a>(&'a self, _: &'a str) -> Answer<'a, ()> {
        // What is not in the engine was not loaded.
        Box::pin(std::future::ready(Ok(())))
    }

    fn confirm<'a>(&'a self, user_id: &'a str) -> Answer<'a, ()> {
        Box::pin(self.replicas.confirm(user_id))
    }

    fn push<'a>(&'a self, pushes: &'a [Push]) -> Answer<'a, ()> {
        Box::pin(async move {
            for push in pushes {
                let text = serde_json::to_vec(push)
                    .map_err(|error| StoreError::Failed(error.to_string()))?;
                let mut publish = cmd("PUBLISH");
                publish.arg(channel(self.app, push.to.node)).arg(text);
                self.link.query::<()>(&publish).await?;
            }
            Ok(())
        })
    }

    fn watch(&self, watch: Watch) {
        // Set once, by this node's service.
        let _ = self.shared.watch.set(watch);
    }

    fn signed_out(&self) -> SignedOut {
        self.everybody.signed_out()
    }

    fn sign_everybody_out(&self, now_ms: i64) -> Answer<'_, ()> {
        Box::pin(async move {
            self.everybody.sign_out(&self.link, now_ms).await?;
            self.has_changed_for_all(&signed_out_key(self.app)).await
        })
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn is_dead(&self, node: u64) -> bool {
        let dead = self.shared.dead.lock();
        node != self.node && dead.unwrap_or_else(PoisonError::into_inner).contains(&node)
    }

    fn tally(&self, day: Day, tally: Tally) {
        self.counts.tally(day, tally);
    }

    fn figures(&self, since: Day) -> Answer<'_, Figures> {
        Box::pin(self.counts.read(since))
    }

    fn turn_token_keys<'a>(&'a self, ages: &'a KeyAges, now_ms: i64) -> Answer<'a, Vec<TokenKey>> {
        Box::pin(self.token_keys.turn(&self.link, ages, now_ms))
    }

    fn replace_token_keys(&self, now_ms: i64) -> Answer<'_, ()> {
        Box::pin(async move {
            self.token_keys.replace_all(&self.link, now_ms).await?;
            self.has_changed_for_all(&token_keys_key(self.app)).await
        })
    }

    fn token_keys(&self) -> Vec<TokenKey> {
        self.token_keys.known()
    }

    fn ready(&self) -> Answer<'_, ()> {
        // Whether the engine can be written to: it may be full, or a replica.
        Box::pin(async {
            let mut write = cmd("SET");
            write
                .arg(format!("tim:{}:ready", self.app))
                .arg(1)
                .arg("EX")
                .arg(READY_S);
            self.link.query::<()>(&write).await
        })
    }

    fn sweep<'a>(&'a self, now_ms: i64, _: &'a Rules) -> Answer<'a, Vec<String>> {
        // Records are tidied when they are decided over.
        Box::pin(async move {
            let script = Script::new(DUE);
            let mut due = script.key(self.away_key());
            due.arg(now_ms)
                .arg(now_ms.saturating_add(DUE_FOR_MS))
                .arg(DUE_MAX);
            self.link.run(&due).await
        })
    }

    fn watch_events(&self, announce: Announce) {
        self.events.watch(announce);
    }

    fn first_event<'a>(&'a self, user_id: &'a str) -> Answer<'a, Option<(Receipt, Event)>> {
        Box::pin(self.events.first(user_id))
    }

    fn event_delivered<'a>(&'a self, user_id: &'a str, receipt: &'a Receipt) -> Answer<'a, ()> {
        Box::pin(self.events.remove(user_id, receipt))
    }
}
