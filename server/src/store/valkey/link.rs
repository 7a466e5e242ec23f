//! The way to the engine: every answer in time, whatever the engine is.

use super::address::Address;
use crate::store::StoreError;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{Client, Cmd, FromRedisValue, ScriptInvocation};
use std::future::Future;
use std::time::Duration;
use tokio::time::timeout;

/// The engine has this long for an answer, waiting for a new connection included.
const ANSWER: Duration = Duration::from_secs(2);

/// The way to the engine.
#[derive(Clone)]
pub(super) enum Link {
    Single(ConnectionManager),
    Cluster(ClusterConnection),
}

impl Link {
    /// Connects; `client` is of the first of the addresses.
    pub(super) async fn connect(address: &Address, client: &Client) -> Result<Link, StoreError> {
        if address.is_cluster {
            let client = ClusterClient::builder(address.urls.iter().map(String::as_str))
                .response_timeout(ANSWER)
                .connection_timeout(ANSWER)
                .build()
                .map_err(|error| unavailable(&error))?;
            Ok(Link::Cluster(in_time(client.get_async_connection()).await?))
        } else {
            Link::connect_to_one(client).await
        }
    }

    /// Connects to one engine, which may be a part of a cluster.
    pub(super) async fn connect_to_one(client: &Client) -> Result<Link, StoreError> {
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_min_delay(Duration::from_millis(20))
            .set_connection_timeout(Some(ANSWER))
            .set_response_timeout(Some(ANSWER));
        let connected = ConnectionManager::new_with_config(client.clone(), config);
        Ok(Link::Single(in_time(connected).await?))
    }

    pub(super) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        in_time(async {
            match self.clone() {
                Link::Single(mut link) => command.query_async(&mut link).await,
                Link::Cluster(mut link) => command.query_async(&mut link).await,
            }
        })
        .await
    }

    pub(super) async fn run<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
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

pub(super) async fn in_time<T>(
    answer: impl Future<Output = redis::RedisResult<T>>,
) -> Result<T, StoreError> {
    match timeout(ANSWER, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(unavailable(&error)),
        Err(_) => Err(StoreError::Unavailable("no answer in time".to_owned())),
    }
}

/// The error's kind and the engine's own words: both hold no secret.
pub(super) fn unavailable(error: &redis::RedisError) -> StoreError {
    StoreError::Unavailable(error.to_string())
}
