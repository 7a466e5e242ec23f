//! A node's background work: it renews its lease, learns which nodes have died, and listens for
//! pushes.

use super::address::{Address, Engines};
use super::link::{Link, in_time};
use super::signed_out::Everybody;
use super::token_keys::TokenKeys;
use super::{LEASE_EVERY, Shared, channel, channel_of_all};
use super::{primaries, sentinel};
use crate::clock::now_ms;
use crate::store::StoreError;
use crate::token::KeyAges;
use crate::user::Push;
use futures_util::StreamExt;
use redis::{Client, Script};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// How long after its last lease a node counts as alive.
const LEASE: Duration = Duration::from_secs(15);
/// How long a dead node is remembered: as long as sessions may name its streams.
const DEAD_FOR: Duration = Duration::from_secs(30 * 86_400);
/// The pause before listening for pushes again after losing the engine.
const LISTEN_AGAIN: Duration = Duration::from_millis(200);

/// Renews a node's lease by the engine's clock, and lists the dead.
const LEASES: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[3])
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)";

/// What runs on the store's thread.
pub(super) struct Keeper {
    pub(super) link: Link,
    address: Address,
    app: u32,
    node: u64,
    pub(super) token_keys: Arc<TokenKeys>,
    pub(super) everybody: Arc<Everybody>,
    pub(super) shared: Arc<Shared>,
}

impl Keeper {
    pub(super) async fn connect(
        address: &Address,
        app: u32,
        node: u64,
        shared: Arc<Shared>,
    ) -> Result<Keeper, StoreError> {
        let link = Link::connect(address).await?;
        let keeper = Keeper {
            link,
            address: address.clone(),
            app,
            node,
            token_keys: Arc::new(TokenKeys::new(super::token_keys_key(app))),
            everybody: Arc::new(Everybody::new(super::signed_out_key(app))),
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

    pub(super) async fn renew_leases(&self) {
        let mut answers = true;
        loop {
            sleep(LEASE_EVERY).await;
            let renewed = self.renew_lease().await;
            if let Err(error) = &renewed
                && answers
            {
                tracing::warn!("{error}; streams stay open, logins must wait");
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
        self.refresh().await
    }

    /// Picks up what concerns all users, and restores it in an engine that lost it: the token keys,
    /// and that everybody was signed out.
    async fn refresh(&self) -> Result<(), StoreError> {
        let has_changed = self.everybody.refresh(&self.link).await?;
        let has_changed = self.token_keys.put_back(&self.link).await? || has_changed;
        if has_changed && let Some(watch) = self.shared.watch.get() {
            (watch.changed)();
        }
        Ok(())
    }

    /// Listens for messages from other nodes: at the only engine, or at every engine of a cluster,
    /// each of which gets everything, so that one that dies loses no push.
    pub(super) async fn listen(self: Arc<Self>) {
        if !matches!(self.address.engines, Engines::Cluster) {
            return self.listen_at(None).await;
        }
        let mut listening = HashMap::new();
        loop {
            match primaries::urls_of_cluster(&self.address).await {
                Ok(urls) => {
                    listening.retain(|url, task: &mut JoinHandle<()>| {
                        let stays = urls.contains(url);
                        if !stays {
                            task.abort();
                        }
                        stays
                    });
                    for url in urls {
                        listening.entry(url).or_insert_with_key(|url| {
                            let (keeper, url) = (self.clone(), url.clone());
                            tokio::spawn(async move { keeper.listen_at(Some(&url)).await })
                        });
                    }
                }
                Err(error) => tracing::debug!("the engines of the cluster: {error}"),
            }
            sleep(LEASE_EVERY).await;
        }
    }

    async fn listen_at(&self, url: Option<&str>) {
        loop {
            if let Err(error) = self.listen_while_connected(url).await {
                tracing::debug!("listening for pushes: {error}");
            }
            sleep(LISTEN_AGAIN).await;
        }
    }

    /// Listens at one engine of a cluster, or else at the only one.
    async fn listen_while_connected(&self, url: Option<&str>) -> redis::RedisResult<()> {
        let client = match (url, &self.address.engines) {
            (None, Engines::Sentinels { .. }) => sentinel::primary(&self.address).await?,
            (None, _) => Client::open(self.address.urls[0].as_str())?,
            (Some(url), _) => Client::open(url)?,
        };
        let (mut sink, mut messages) = client.get_async_pubsub().await?.split();
        sink.subscribe(channel(self.app, self.node)).await?;
        let everybody = channel_of_all(self.app);
        sink.subscribe(&everybody).await?;
        loop {
            let message = tokio::select! {
                message = messages.next() => message,
                () = sleep(LEASE_EVERY) => {
                    // Otherwise the loss of an engine that vanished silently would never be
                    // noticed.
                    if in_time(sink.ping::<()>()).await.is_err() {
                        return Ok(());
                    }
                    continue;
                }
            };
            let Some(message) = message else {
                return Ok(());
            };
            if message.get_channel_name() == everybody {
                if let Err(error) = self.refresh().await {
                    tracing::warn!("what another node has changed for all: {error}");
                }
                continue;
            }
            match serde_json::from_slice::<Push>(message.get_payload_bytes()) {
                Ok(push) => {
                    if let Some(watch) = self.shared.watch.get() {
                        (watch.push)(push);
                    }
                }
                Err(error) => tracing::warn!("a push of another node: {error}"),
            }
        }
    }
}
