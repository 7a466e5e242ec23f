//! The store of many nodes: Valkey or Redis, single or as a cluster. A record is one hash, swapped
//! by one short script; pushes go by channel, one for each node; a node's lease says that it lives.
//!
//! Keys, for app 1400000001: `tim:1400000001:{alice}` (a user; the braces keep a user's keys on one
//! node of a cluster), `tim:1400000001:nodes`, `tim:1400000001:token_keys`, `tim:1400000001:figures`,
//! `tim:1400000001:online`; channels: `tim:1400000001:node:NODE`.

mod address;
mod counts;
mod keeper;
mod link;
mod token_keys;

pub use address::Address;

use super::{Answer, Deliver, Opened, Store, StoreError, Swapped, Versioned, Written};
use crate::calendar::Day;
use crate::figures::{Figures, Tally};
use crate::token::{KeyAges, TokenKey};
use crate::user::{Push, User};
use counts::Counts;
use keeper::Keeper;
use link::Link;
use redis::{Script, cmd};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use token_keys::TokenKeys;
use tokio::time::sleep;

/// How often a node says that it lives, and what it has counted.
const LEASE_EVERY: Duration = Duration::from_secs(4);
/// How long a record is kept that has neither an account nor anything that the operator decided.
const NO_ACCOUNT: Duration = Duration::from_secs(600);
/// Swaps a record if its version is still the expected one, and answers 0 if it is not, otherwise 1
/// and what the figures grow by: 1 an active user, 2 an account made, 4 an account removed. With a
/// second key they grow here.
///
/// ARGV: version, next version, record, ms to live or 0, active day, 1 with an account, its day.
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
if KEYS[2] then
  for _, field in ipairs(fields) do redis.call('HINCRBY', KEYS[2], field, 1) end
end
return grown";

/// Users' records in an engine that nodes share.
pub struct Valkey {
    link: Link,
    app: u32,
    node: u64,
    swap: Script,
    token_keys: Arc<TokenKeys>,
    shared: Arc<Shared>,
    counts: Arc<Counts>,
}

/// What the store's own thread shares with it.
#[derive(Default)]
struct Shared {
    deliver: OnceLock<Deliver>,
    dead: Mutex<HashSet<u64>>,
}

/// Connects to the engine. A thread of its own serves the connection, renews the node's lease and
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
    std::thread::Builder::new()
        .name("store".into())
        .spawn(move || {
            runtime.block_on(async move {
                let keeper = match Keeper::connect(&address, app, node, for_thread).await {
                    Ok(keeper) => keeper,
                    Err(error) => return drop(opened.send(Err(error))),
                };
                let link = keeper.link.clone();
                let counts = Arc::new(Counts::new(link.clone(), app, node, keeper.shared.clone()));
                let _ = opened.send(Ok((link, keeper.token_keys.clone(), counts.clone())));
                tokio::join!(keeper.renew_leases(), keeper.listen(), count(&counts));
            });
        })
        .map_err(|error| failed(&error))?;
    let gone = || StoreError::Failed("its thread has ended".to_owned());
    let (link, token_keys, counts) = opens.recv().map_err(|_| gone())??;
    Ok(Opened {
        store: Arc::new(Valkey {
            link,
            app,
            node,
            swap: Script::new(SWAP),
            token_keys: token_keys.clone(),
            shared,
            counts,
        }),
        token_keys: token_keys.known(),
        node,
    })
}

/// Tells the engine now and then what was counted here.
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

impl Valkey {
    fn user_key(&self, user_id: &str) -> String {
        // A brace in a user id would end the hash tag early; the key stays the user's own.
        format!("tim:{}:{{{user_id}}}", self.app)
    }
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

    fn swap<'a>(&'a self, user_id: &'a str, version: u64, user: Arc<User>) -> Answer<'a, Swapped> {
        Box::pin(async move {
            let failed = |error: &dyn std::fmt::Display| StoreError::Failed(error.to_string());
            let text = serde_json::to_vec(&*user).map_err(|error| failed(&error))?;
            // Random, so that a version that was lost in a fail-over is never taken for another.
            let mut next = [0; 8];
            getrandom::fill(&mut next).map_err(|error| failed(&error))?;
            let lives_ms = match user.is_worth_keeping() {
                true => 0,
                false => NO_ACCOUNT.as_millis(),
            };
            let registered_day = user.account.as_ref().map(|account| account.registered_day);
            let mut swap = self.swap.key(self.user_key(user_id));
            if let Link::Single(_) = self.link {
                swap.key(self.counts.key());
            }
            swap.arg(version)
                .arg(u64::from_le_bytes(next).max(1))
                .arg(text)
                .arg(u64::try_from(lives_ms).unwrap_or(0))
                .arg(user.active_day.0)
                .arg(u8::from(user.account.is_some()))
                .arg(registered_day.unwrap_or_default().0);
            let Some(grown) = self.link.run::<u8>(&swap).await?.checked_sub(1) else {
                return Ok(Swapped::Late);
            };
            if let Link::Cluster(_) = self.link
                && let Err(error) = self.counts.follow(grown, &user).await
            {
                // The decision stands.
                tracing::warn!("figures: {error}");
            }
            Ok(Swapped::Done(Written::already()))
        })
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

    fn watch(&self, deliver: Deliver) {
        // Set once, by the service of this node.
        let _ = self.shared.deliver.set(deliver);
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

    fn ready(&self) -> Answer<'_, ()> {
        Box::pin(async { self.link.query::<()>(&cmd("PING")).await })
    }

    fn sweep(&self, _: i64) {
        // Records are tidied when they are decided over.
    }
}
