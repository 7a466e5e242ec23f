//! The connection to the engine, of whatever kind: every answer arrives in time or fails.

use super::address::{Address, Engines};
use super::sentinel::Watched;
use crate::store::StoreError;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{Client, Cmd, FromRedisValue, ScriptInvocation};
use std::future::Future;
use std::time::Duration;
use tokio::time::timeout;

/// How long an answer may take, including the wait for a new connection.
pub(super) const ANSWER: Duration = Duration::from_secs(2);

/// A connection to the engine.
#[derive(Clone)]
pub(super) enum Link {
    Single(ConnectionManager),
    Cluster(ClusterConnection),
    /// To the primary named by sentinels.
    Watched(Watched),
}

impl Link {
    /// Connects.
    pub(super) async fn connect(address: &Address) -> Result<Link, StoreError> {
        match address.engines {
            Engines::One => {
                let client = Client::open(address.urls[0].as_str());
                Link::connect_to_one(&client.map_err(|error| unavailable(&error))?).await
            }
            Engines::Cluster => {
                let client = ClusterClient::builder(address.urls.iter().map(String::as_str))
                    .response_timeout(ANSWER)
                    .connection_timeout(ANSWER)
                    .build()
                    .map_err(|error| unavailable(&error))?;
                Ok(Link::Cluster(in_time(client.get_async_connection()).await?))
            }
            Engines::Sentinels { .. } => Watched::connect(address).await.map(Link::Watched),
        }
    }

    /// Connects to one engine, which may be part of a cluster.
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
        match self.clone() {
            Link::Single(mut link) => in_time(command.query_async(&mut link)).await,
            Link::Cluster(mut link) => in_time(command.query_async(&mut link)).await,
            Link::Watched(watched) => {
                watched
                    .ask(async |link| command.query_async(link).await)
                    .await
            }
        }
    }

    pub(super) async fn run<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, StoreError> {
        match self.clone() {
            Link::Single(mut link) => in_time(script.invoke_async(&mut link)).await,
            Link::Cluster(mut link) => in_time(script.invoke_async(&mut link)).await,
            Link::Watched(watched) => {
                watched
                    .ask(async |link| script.invoke_async(link).await)
                    .await
            }
        }
    }
}

pub(super) async fn in_time<T>(
    answer: impl Future<Output = redis::RedisResult<T>>,
) -> Result<T, StoreError> {
    match timeout(ANSWER, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(unavailable(&error)),
        Err(_) => Err(no_answer()),
    }
}

pub(super) fn no_answer() -> StoreError {
    StoreError::Unavailable("no answer in time".to_owned())
}

/// The error's kind and the engine's own text; neither contains a secret.
pub(super) fn unavailable(error: &redis::RedisError) -> StoreError {
    StoreError::Unavailable(error.to_string())
}
