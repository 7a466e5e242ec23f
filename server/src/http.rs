//! The accept loop: connections in, with bounds on how many and how slow, and an orderly end.

use crate::routes;
use crate::service::Service;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the last connections have to end once the server is going.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// What a connection gets for which there is no room.
const NO_ROOM: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n\
    Content-Length: 0\r\nConnection: close\r\n\r\n";

/// The bounds of one listener.
#[derive(Clone, Copy)]
pub struct Limits {
    /// How many connections may be open.
    pub connections: usize,
    /// How long the head of a request may take, and how long a connection may idle.
    pub header_timeout: Duration,
}

/// Serves until `stop` is done, then ends every stream with a word and leaves.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    service: Arc<Service>,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let (going, stays) = watch::channel(false);
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, most likely: those who end make room.
                tracing::warn!("accept: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(place) = room.clone().try_acquire_owned() else {
            tokio::spawn(turn_away(stream));
            continue;
        };
        let (tls, service, stays) = (tls.clone(), service.clone(), stays.clone());
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            let result = match tls {
                None => connection(stream, service, limits, stays, place).await,
                Some(tls) => match timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
                    Ok(Ok(stream)) => connection(stream, service, limits, stays, place).await,
                    Ok(Err(error)) => Err(error.to_string()),
                    Err(_) => Err("the TLS handshake took too long".to_owned()),
                },
            };
            if let Err(error) = result {
                tracing::debug!("connection: {error}");
            }
        });
    }
    drop(listener);
    tracing::info!(streams = service.open_streams(), "going");
    service.say_goodbye();
    let _ = going.send(true);
    let everybody = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    if timeout(LAST_WORDS, room.acquire_many(everybody))
        .await
        .is_err()
    {
        tracing::warn!("some connections did not end in time");
    }
}

async fn connection<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    service: Arc<Service>,
    limits: Limits,
    mut stays: watch::Receiver<bool>,
    place: OwnedSemaphorePermit,
) -> Result<(), String> {
    let answer = service_fn(move |request| routes::answer(service.clone(), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(stream), answer);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = stays.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    drop(place);
    ended.map_err(|error| error.to_string())
}

async fn turn_away(mut stream: TcpStream) {
    let _ = timeout(Duration::from_secs(1), stream.write_all(NO_ROOM)).await;
}

/// Opens a listener; the port 0 takes a free one.
pub async fn listen(address: &str) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}
