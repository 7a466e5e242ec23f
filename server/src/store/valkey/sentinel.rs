//! The primary named by sentinels: looked up again once it is gone or has become a replica.

use super::address::{Address, Engines};
use super::link::{ANSWER, no_answer, unavailable};
use crate::store::StoreError;
use redis::aio::MultiplexedConnection;
use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, IntoConnectionInfo, RedisError, RedisResult,
    ServerErrorKind, TlsMode,
};
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// The connection to the current primary.
#[derive(Clone)]
pub(super) struct Watched(Arc<Mutex<State>>);

struct State {
    sentinels: SentinelClient,
    connection: Option<MultiplexedConnection>,
    /// Counts the connections.
    number: u64,
}

impl Watched {
    /// Connects to the primary, or returns why that failed.
    pub(super) async fn connect(address: &Address) -> Result<Watched, StoreError> {
        let watched = Watched(Arc::new(Mutex::new(State {
            sentinels: sentinels(address).map_err(|error| unavailable(&error))?,
            connection: None,
            number: 0,
        })));
        watched.ask(async |_| Ok(())).await?;
        Ok(watched)
    }

    /// Queries the primary. If it no longer answers, it is dropped: the next request goes to the
    /// one that the sentinels name then.
    pub(super) async fn ask<T>(
        &self,
        ask: impl AsyncFnOnce(&mut MultiplexedConnection) -> RedisResult<T>,
    ) -> Result<T, StoreError> {
        let mut number = None;
        let request = async {
            let (mut connection, of_number) = self.connection().await?;
            number = Some(of_number);
            ask(&mut connection).await
        };
        let answer = timeout(ANSWER, request).await;
        let is_gone = match &answer {
            Ok(Ok(_)) => false,
            Ok(Err(error)) => is_gone(error),
            Err(_) => true,
        };
        if let Some(number) = number.filter(|_| is_gone) {
            self.give_up(number).await;
        }
        match answer {
            Ok(answer) => answer.map_err(|error| unavailable(&error)),
            Err(_) => Err(no_answer()),
        }
    }

    async fn connection(&self) -> RedisResult<(MultiplexedConnection, u64)> {
        let mut state = self.0.lock().await;
        if let Some(connection) = &state.connection {
            return Ok((connection.clone(), state.number));
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(ANSWER))
            .set_response_timeout(Some(ANSWER));
        let connected = state.sentinels.get_async_connection_with_config(&config);
        let connection = connected.await?;
        state.connection = Some(connection.clone());
        state.number += 1;
        Ok((connection, state.number))
    }

    async fn give_up(&self, number: u64) {
        let mut state = self.0.lock().await;
        if state.number == number {
            state.connection = None;
        }
    }
}

/// The current primary.
pub(super) async fn primary(address: &Address) -> RedisResult<Client> {
    sentinels(address)?.async_get_client().await
}

fn sentinels(address: &Address) -> RedisResult<SentinelClient> {
    let Engines::Sentinels { name, engine } = &address.engines else {
        let what = "the address names no sentinels";
        return Err((ErrorKind::InvalidClientConfig, what).into());
    };
    let engine = engine.as_str().into_connection_info()?;
    let mut info = SentinelNodeConnectionInfo::default()
        .set_redis_connection_info(engine.redis_settings().clone());
    if address.has_tls() {
        info = info.set_tls_mode(TlsMode::Secure);
    }
    let sentinels = address.urls.iter().map(String::as_str).collect();
    SentinelClient::build(sentinels, name, Some(info), SentinelServerType::Master)
}

/// Whether this error means that the engine is not the primary, or no longer.
fn is_gone(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_unrecoverable_error()
        || matches!(
            error.kind(),
            ErrorKind::Server(
                ServerErrorKind::ReadOnly
                    | ServerErrorKind::MasterDown
                    | ServerErrorKind::BusyLoading
            )
        )
}
