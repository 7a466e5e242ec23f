//! What a node does beside its requests: it says that it lives, learns who died, and listens for
//! pushes.

use super::address::Address;
use super::link::{Link, in_time, unavailable};
use super::signed_out::Everybody;
use super::token_keys::TokenKeys;
use super::{LEASE_EVERY, Shared, channel, channel_of_all};
use crate::clock::now_ms;
use crate::store::StoreError;
use crate::token::KeyAges;
use crate::user::Push;
use futures_util::StreamExt;
use redis::{Client, Script};
use std::collections::HashSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::time::sleep;

/// How long a node is taken for alive after its last word.
const LEASE: Duration = Duration::from_secs(15);
/// How long a dead node is remembered: as long as sessions can name its streams.
const DEAD_FOR: Duration = Duration::from_secs(30 * 86_400);
/// How long to wait before listening for pushes again after the engine was gone.
const LISTEN_AGAIN: Duration = Duration::from_millis(200);

/// Renews a node's lease, by the engine's clock, and lists the dead.
const LEASES: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[3])
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)";

/// What the store's thread does.
pub(super) struct Keeper {
    pub(super) link: Link,
    listens: Client,
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
        let listens = Client::open(address.urls[0].as_str()).map_err(|e| unavailable(&e))?;
        let link = Link::connect(address, &listens).await?;
        let keeper = Keeper {
            link,
            listens,
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
        self.refresh().await
    }

    /// Learns what holds for all users, and tells an engine that came back empty: the keys that tokens
    /// were made with, and that everybody was signed out.
    async fn refresh(&self) -> Result<(), StoreError> {
        let has_changed = self.everybody.refresh(&self.link).await?;
        let has_changed = self.token_keys.put_back(&self.link).await? || has_changed;
        if has_changed && let Some(watch) = self.shared.watch.get() {
            (watch.changed)();
        }
        Ok(())
    }

    pub(super) async fn listen(&self) {
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
        let everybody = channel_of_all(self.app);
        sink.subscribe(&everybody).await?;
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
