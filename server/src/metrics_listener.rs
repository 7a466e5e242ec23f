//! The listener of `metrics_listen`: `GET /metrics`, without authentication.

use crate::http;
use crate::metrics::CONTENT_TYPE as OPEN_METRICS;
use crate::service::Service;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// How many connections are served at once; others wait.
const CONNECTIONS: usize = 16;

/// Starts serving the metrics; returns the address with its port.
pub async fn listen(address: &str, service: Arc<Service>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    http::cut_off_unread(&listener, service.settings().connections.unread_timeout)?;
    let address = listener.local_addr()?;
    tokio::spawn(accept(listener, service));
    Ok(address)
}

async fn accept(listener: TcpListener, service: Arc<Service>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let slot = slots.clone().acquire_owned().await;
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!("accept: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let service = service.clone();
        tokio::spawn(async move {
            let limits = service.settings().connections;
            let answer = |request| std::future::ready(answer(&service, &request));
            if let Err(error) = http::talk(stream, None, limits, answer).await {
                tracing::debug!("metrics: {error}");
            }
            drop(slot);
        });
    }
}

fn answer(
    service: &Service,
    request: &Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut answer = Response::new(Full::default());
    if request.uri().path() != "/metrics" {
        *answer.status_mut() = StatusCode::NOT_FOUND;
    } else if request.method() != Method::GET {
        *answer.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    } else {
        let kind = HeaderValue::from_static(OPEN_METRICS);
        answer.headers_mut().insert(CONTENT_TYPE, kind);
        *answer.body_mut() = service.metrics().to_text().into();
    }
    Ok(answer)
}
