//! The store of many nodes: Valkey or Redis, single or as a cluster. A record is one hash, swapped
//! by one short script; pushes go by channel, one for each node; a node's lease says that it lives.
//!
//! Keys, for app 1400000001: `tim:1400000001:{alice}` (a user; the braces keep a user's keys on one
//! node of a cluster), `tim:1400000001:nodes`, `tim:1400000001:token_keys`, `tim:1400000001:figures`,
//! `tim:1400000001:online`; channels: `tim:1400000001:node:NODE`.

mod counts;
mod token_keys;

use super::{Answer, Deliver, Opened, Store, StoreError, Versioned};
use crate::calendar::Day;
use crate::clock::now_ms;
use crate::figures::{Figures, Tally};
use crate::token::{KeyAges, TokenKey};
use crate::user::{Push, User};
use counts::Counts;
use futures_util::StreamExt;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{Client, Cmd, FromRedisValue, Script, cmd};
use std::collections::HashSet;
use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use token_keys::TokenKeys;
use tokio::time::{sleep, timeout};

/// The engine has this long for an answer, waiting for a new connection included.
const ANSWER: Duration = Duration::from_secs(2);
/// How long a node is taken for alive after its last word, and how often it says one.
const LEASE: Duration = Duration::from_secs(15);
const LEASE_EVERY: Duration = Duration::from_secs(4);
/// How long a dead node is remembered: as long as sessions can name its streams.
const DEAD_FOR: Duration = Duration::from_secs(30 * 86_400);
/// How long a record is kept that has neither an account nor anything that the operator decided.
const NO_ACCOUNT: Duration = Duration::from_secs(600);
/// How long to wait before listening for pushes again after the engine was gone.
const LISTEN_AGAIN: Duration = Duration::from_millis(200);

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

/// Renews a node's lease, by the engine's clock, and lists the dead.
const LEASES: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[3])
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)";

/// The way to the engine.
#[derive(Clone)]
enum Link {
    Single(ConnectionManager),
    Cluster(ClusterConnection),
}

impl Link {
    async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        in_time(async {
            match self.clone() {
                Link::Single(mut link) => command.query_async(&mut link).await,
                Link::Cluster(mut link) => command.query_async(&mut link).await,
            }
        })
        .await
    }

    async fn run<T: FromRedisValue>(
        &self,
        script: &redis::ScriptInvocation<'_>,
    ) -> Result<T, StoreError> {
        in_time(async {
            match self.clone() {
                Link::Single(mut link) => script.invoke_async(&mut link).await,
                Link::Cluster(mut link) => script.invoke_async(&mut link).await,
            }
        })
        .await
    }
}

async fn in_time<T>(answer: impl Future<Output = redis::RedisResult<T>>) -> Result<T, StoreError> {
    match timeout(ANSWER, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(unavailable(&error)),
        Err(_) => Err(StoreError::Unavailable("no answer in time".to_owned())),
    }
}

/// The error's kind and the engine's own words: both hold no secret.
fn unavailable(error: &redis::RedisError) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

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

/// Where the engine is.
pub struct Address {
    /// `redis://`, `rediss://`, or, for a cluster, several of them.
    urls: Vec<String>,
    is_cluster: bool,
}

impl Address {
    /// Reads `redis://HOST:PORT[/DB]`, `rediss://…`, or, for a cluster,
    /// `redis-cluster://HOST:PORT,HOST:PORT` and `rediss-cluster://…`. A password may stand before
    /// the host, or come by itself.
    pub fn parse(text: &str, password: Option<&str>) -> Result<Address, String> {
        const EXPECTED: &str = "expected redis://HOST:PORT, rediss://HOST:PORT, \
             redis-cluster://HOST:PORT,HOST:PORT or rediss-cluster://HOST:PORT,HOST:PORT";
        let (scheme, rest) = text.split_once("://").ok_or(EXPECTED)?;
        let (scheme, is_cluster) = match scheme {
            "redis" | "rediss" => (scheme, false),
            "redis-cluster" => ("redis", true),
            "rediss-cluster" => ("rediss", true),
            _ => return Err(EXPECTED.to_owned()),
        };
        let (credentials, hosts) = match rest.rsplit_once('@') {
            Some((credentials, hosts)) => (format!("{credentials}@"), hosts),
            None => (String::new(), rest),
        };
        let credentials = match password {
            Some(_) if !credentials.is_empty() => {
                return Err("the password is given twice: in the address and by itself".to_owned());
            }
            Some(password) => format!(":{}@", percent_encoded(password)),
            None => credentials,
        };
        let hosts: Vec<&str> = hosts.split(',').collect();
        if hosts.len() > 1 && !is_cluster || hosts.iter().any(|host| host.is_empty()) {
            return Err(EXPECTED.to_owned());
        }
        Ok(Address {
            urls: hosts
                .into_iter()
                .map(|host| format!("{scheme}://{credentials}{host}"))
                .collect(),
            is_cluster,
        })
    }
}

fn percent_encoded(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric();
    text.bytes()
        .map(|byte| match byte {
            byte if plain(&byte) => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
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

/// What the store's thread does.
struct Keeper {
    link: Link,
    listens: Client,
    app: u32,
    node: u64,
    token_keys: Arc<TokenKeys>,
    shared: Arc<Shared>,
}

impl Keeper {
    async fn connect(
        address: &Address,
        app: u32,
        node: u64,
        shared: Arc<Shared>,
    ) -> Result<Keeper, StoreError> {
        let listens = Client::open(address.urls[0].as_str()).map_err(|e| unavailable(&e))?;
        let link = if address.is_cluster {
            let client = ClusterClient::builder(address.urls.iter().map(String::as_str))
                .response_timeout(ANSWER)
                .connection_timeout(ANSWER)
                .build()
                .map_err(|error| unavailable(&error))?;
            Link::Cluster(in_time(client.get_async_connection()).await?)
        } else {
            let config = ConnectionManagerConfig::new()
                .set_number_of_retries(1)
                .set_min_delay(Duration::from_millis(20))
                .set_connection_timeout(Some(ANSWER))
                .set_response_timeout(Some(ANSWER));
            Link::Single(
                in_time(ConnectionManager::new_with_config(listens.clone(), config)).await?,
            )
        };
        let keeper = Keeper {
            link,
            listens,
            app,
            node,
            token_keys: Arc::new(TokenKeys::new(format!("tim:{app}:token_keys"))),
            shared,
        };
        let ages = KeyAges::only_first();
        keeper
            .token_keys
            .turn(&keeper.link, &ages, now_ms())
            .await?;
        keeper.renew_lease().await?;
        Ok(keeper)
    }

    fn key(&self, name: &str) -> String {
        format!("tim:{}:{name}", self.app)
    }

    async fn renew_leases(&self) {
        let mut answers = true;
        loop {
            sleep(LEASE_EVERY).await;
            let renewed = self.renew_lease().await;
            if let Err(error) = &renewed
                && answers
            {
                tracing::warn!("{error}; streams stay, logins have to wait");
            } else if renewed.is_ok() && !answers {
                tracing::info!("the store is back");
            }
            answers = renewed.is_ok();
        }
    }

    async fn renew_lease(&self) -> Result<(), StoreError> {
        let script = Script::new(LEASES);
        let mut leases = script.key(self.key("nodes"));
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        leases.arg(self.node).arg(ms(LEASE)).arg(ms(DEAD_FOR));
        let dead: HashSet<u64> = self.link.run(&leases).await?;
        *self
            .shared
            .dead
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = dead;
        // An engine that came back empty is given the keys that tokens were made with.
        self.token_keys.put_back(&self.link).await
    }

    async fn listen(&self) {
        loop {
            if let Err(error) = self.listen_while_connected().await {
                tracing::debug!("listening for pushes: {error}");
            }
            sleep(LISTEN_AGAIN).await;
        }
    }

    async fn listen_while_connected(&self) -> redis::RedisResult<()> {
        let (mut sink, mut messages) = self.listens.get_async_pubsub().await?.split();
        sink.subscribe(channel(self.app, self.node)).await?;
        loop {
            let message = tokio::select! {
                message = messages.next() => message,
                () = sleep(LEASE_EVERY) => {
                    // An engine that vanished without a word would never be missed otherwise.
                    if in_time(sink.ping::<()>()).await.is_err() {
                        return Ok(());
                    }
                    continue;
                }
            };
            let Some(message) = message else {
                return Ok(());
            };
            match serde_json::from_slice::<Push>(message.get_payload_bytes()) {
                Ok(push) => {
                    if let Some(deliver) = self.shared.deliver.get() {
                        deliver(push);
                    }
                }
                Err(error) => tracing::warn!("a push of another node: {error}"),
            }
        }
    }
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

    fn swap<'a>(&'a self, user_id: &'a str, version: u64, user: User) -> Answer<'a, bool> {
        Box::pin(async move {
            let failed = |error: &dyn std::fmt::Display| StoreError::Failed(error.to_string());
            let text = serde_json::to_vec(&user).map_err(|error| failed(&error))?;
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
                return Ok(false);
            };
            if let Link::Cluster(_) = self.link
                && let Err(error) = self.counts.follow(grown, &user).await
            {
                // The decision stands.
                tracing::warn!("figures: {error}");
            }
            Ok(true)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(text: &str, password: Option<&str>) -> Result<Vec<String>, String> {
        Address::parse(text, password).map(|address| address.urls)
    }

    #[test]
    fn an_address_is_one_engine_or_a_cluster_with_or_without_tls() {
        assert_eq!(urls("redis://a:1/2", None).unwrap(), ["redis://a:1/2"]);
        assert_eq!(urls("rediss://u:p@a", None).unwrap(), ["rediss://u:p@a"]);
        assert_eq!(
            urls("rediss-cluster://a:1,b:2", None).unwrap(),
            ["rediss://a:1", "rediss://b:2"]
        );
        for bad in [
            "a:1",
            "http://a",
            "redis://a,b",
            "redis://",
            "redis-cluster://a,",
        ] {
            assert!(
                urls(bad, None).unwrap_err().contains("redis://HOST:PORT"),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_password_by_itself_may_have_any_characters_and_is_given_once() {
        assert_eq!(
            urls("redis://a", Some("p@/:é")).unwrap(),
            ["redis://:p%40%2F%3A%C3%A9@a"]
        );
        assert!(
            urls("redis://:p@a", Some("q"))
                .unwrap_err()
                .contains("twice")
        );
    }
}
