//! The operator's listener: the reference system's REST paths (`reference.rs`) and this server's
//! own (`own.rs`), plus faults for tests if enabled (`faults.rs`). Without an administrator's
//! ticket, only health is answered, and the metrics unless they are restricted.
//!
//! A ticket may be in the query, where the reference system expects it; queries are never logged.

mod faults;
mod own;
mod query;
mod reference;

use crate::audit::Operator;
use crate::body::{self, Unread};
use crate::http;
use crate::metrics;
use crate::refused::Refused;
use crate::service::Service;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tim_proto::{code, identity};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// The largest body: a hundred accounts with every field at its longest.
const BODY_MAX: usize = 256 * 1024;
/// The most connections that may be open.
const CONNECTIONS_MAX: usize = 256;

/// The public paths; the last one can be restricted.
const HEALTH_PATH: &str = "/healthz";
const READY_PATH: &str = "/readyz";
const METRICS_PATH: &str = "/metrics";
/// The code for a caller who is not an administrator.
const NOT_ADMIN: i32 = 70403;

/// Every route, including those of fault injection: method and path, with variable parts in braces.
pub fn routes() -> impl Iterator<Item = (&'static str, &'static str)> {
    let reference = reference::PATHS.iter().map(|(path, _)| ("POST", *path));
    let own = own::ROUTES.iter().map(|(method, path, _)| (*method, *path));
    let faults = faults::ROUTES
        .iter()
        .map(|(method, path, _)| (*method, *path));
    [HEALTH_PATH, READY_PATH, METRICS_PATH]
        .into_iter()
        .map(|path| ("GET", path))
        .chain(reference)
        .chain(own)
        .chain(faults)
}

type Answer = Response<Full<Bytes>>;

/// Serves for the life of the process.
pub async fn serve(listener: TcpListener, has_tls: bool, service: Arc<Service>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // Further connections wait until one of the open ones ends.
        let Ok(slot) = slots.clone().acquire_owned().await else {
            return;
        };
        let (stream, from) = match listener.accept().await {
            Ok((stream, from)) => (stream, from.ip()),
            Err(error) => {
                tracing::warn!("accept: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let service = service.clone();
        tokio::spawn(async move {
            let settings = service.settings();
            let tls = settings.tls.clone().filter(|_| has_tls);
            let answer = move |request| answered(service.clone(), from, request);
            if let Err(error) = http::talk(stream, tls, settings.connections, answer).await {
                tracing::debug!("connection: {error}");
            }
            drop(slot);
        });
    }
}

/// Answers in a separate task: the client may disconnect, but what has begun is finished.
fn answered(
    service: Arc<Service>,
    from: IpAddr,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Answer, Infallible>> {
    let answering = tokio::spawn(answer(service, from, request));
    async move {
        answering.await.unwrap_or_else(|_| {
            let what = "the server failed while answering\n";
            Ok(text(StatusCode::INTERNAL_SERVER_ERROR, what))
        })
    }
}

async fn answer(
    service: Arc<Service>,
    from: IpAddr,
    request: Request<Incoming>,
) -> Result<Answer, Infallible> {
    let from = service.settings().proxies.client(from, request.headers());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    if path == HEALTH_PATH {
        return Ok(text(StatusCode::OK, "ok\n"));
    }
    if path == READY_PATH {
        return Ok(match service.ready().await {
            Ok(()) => text(StatusCode::OK, "ready\n"),
            Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, why),
        });
    }
    let asks_for_figures = path == METRICS_PATH;
    if asks_for_figures && service.settings().admin_metrics {
        return Ok(figures(&service, &method));
    }
    let query = request.uri().query().unwrap_or_default().to_owned();
    let bearer = bearer(&request);
    let body = match read(request, service.settings().connections.body_timeout).await {
        Ok(body) => body,
        Err(refused) => return Ok(refused),
    };
    if path.starts_with(reference::PREFIX) {
        let request = reference::ReferenceRequest {
            method: &method,
            path: &path,
            query: &query,
            body: &body,
        };
        return Ok(reference::answer(&service, from, &request).await);
    }
    let admin_id = match by_bearer(&service, from, bearer).await {
        Ok(admin_id) => admin_id,
        Err(refused) => {
            tracing::info!(%from, path, code = refused.code, "refused");
            return Ok(refusal(&refused));
        }
    };
    if asks_for_figures {
        return Ok(figures(&service, &method));
    }
    let result = match service.faults() {
        Some(request) if path.starts_with(faults::PREFIX) => {
            faults::answer(&service, request, from, &method, &path, &body).await
        }
        _ => {
            let by = Operator { admin_id, from };
            own::answer(&service, &by, &method, &path, &query, &body).await
        }
    };
    Ok(result.unwrap_or_else(|refused| refusal(&refused)))
}

fn figures(service: &Service, method: &Method) -> Answer {
    if method != Method::GET {
        return text(StatusCode::METHOD_NOT_ALLOWED, "expected GET\n");
    }
    let figures = service.metrics().to_text();
    with_type(StatusCode::OK, figures.into(), metrics::CONTENT_TYPE)
}

fn is_admin(service: &Service, user_id: &str) -> bool {
    let settings = service.settings();
    settings.admins.iter().any(|admin| admin == user_id)
}

/// The administrator identified by the ticket in the header.
async fn by_bearer(
    service: &Service,
    from: IpAddr,
    ticket: Option<String>,
) -> Result<String, Refused> {
    let Some(ticket) = ticket else {
        let what = "expected an administrator's ticket: Authorization: Bearer TICKET";
        return Err(Refused::new(code::USER_SIG_EMPTY, what));
    };
    let user_id = service.identify_bearer(from, &ticket).await?;
    if is_admin(service, &user_id) {
        Ok(user_id)
    } else {
        let what = "the ticket is not an administrator's";
        Err(Refused::new(NOT_ADMIN, what))
    }
}

fn bearer(request: &Request<Incoming>) -> Option<String> {
    let header = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, ticket) = header.split_once(' ')?;
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    is_bearer.then(|| ticket.trim().to_owned())
}

async fn read(request: Request<Incoming>, in_time: Duration) -> Result<Bytes, Answer> {
    let body = body::read(request.into_body(), BODY_MAX, in_time).await;
    body.map_err(|unread| match unread {
        Unread::TooLarge => text(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body is larger than 256 KiB\n",
        ),
        Unread::NotWhole => text(StatusCode::BAD_REQUEST, "the body ended early\n"),
        Unread::TooLate => text(StatusCode::REQUEST_TIMEOUT, "the body took too long\n"),
    })
}

/// The body of a refusal on this server's own paths.
#[derive(Serialize)]
struct Refusal<'a> {
    code: i32,
    message: &'a str,
}

fn bad(what: impl Into<String>) -> Refused {
    Refused::new(code::BAD_REQUEST, what)
}

/// Parses the body of a request to this server's own paths.
fn parse<T: DeserializeOwned>(body: &[u8], expected: &str) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| bad(format!("expected {expected}: {error}")))
}

fn check_user_id(user_id: &str) -> Result<(), Refused> {
    if identity::is_user_id(user_id) {
        return Ok(());
    }
    Err(bad(
        "user_id: expected 1 to 32 bytes of UTF-8 without control characters",
    ))
}

fn problem(status: StatusCode, message: &str) -> Answer {
    let body = Refusal {
        code: code::BAD_REQUEST,
        message,
    };
    json(status, &body)
}

fn refusal(refused: &Refused) -> Answer {
    let status = match refused.code {
        code::BAD_REQUEST => StatusCode::BAD_REQUEST,
        code::ACCOUNT_NOT_FOUND => StatusCode::NOT_FOUND,
        NOT_ADMIN | code::BANNED => StatusCode::FORBIDDEN,
        code::SERVER_ERROR | code::SERVER_TIMEOUT => StatusCode::INTERNAL_SERVER_ERROR,
        code::SERVER_OVERLOADED => StatusCode::SERVICE_UNAVAILABLE,
        code::TOO_MANY_FAILURES => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::UNAUTHORIZED,
    };
    let body = Refusal {
        code: refused.code,
        message: &refused.message,
    };
    let mut answer = json(status, &body);
    if status == StatusCode::UNAUTHORIZED {
        let bearer = HeaderValue::from_static("Bearer");
        answer.headers_mut().insert(WWW_AUTHENTICATE, bearer);
    }
    answer
}

fn json(status: StatusCode, body: &impl Serialize) -> Answer {
    // Serializing strings and numbers into memory cannot fail.
    let body = serde_json::to_vec(body).unwrap_or_default();
    with_type(status, body.into(), "application/json")
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    with_type(status, body.into(), "text/plain")
}

fn with_type(status: StatusCode, body: Bytes, kind: &'static str) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
