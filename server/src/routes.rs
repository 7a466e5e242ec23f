//! The routes: bodies in, answers out.

use crate::body::{self, Unread};
use crate::cors;
use crate::faults::{Failing, Faults};
use crate::metrics::RequestKind;
use crate::refused::Refused;
use crate::service::{Asker, Request, Service, Stream};
use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Method, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tim_proto::code::{self, Class};
use tim_proto::wire::{self, LogoutAnswer, Refusal};

const PROTOCOL: HeaderName = HeaderName::from_static(wire::PROTOCOL_HEADER);
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// How long a client should wait if the server has no better estimate.
const RETRY_AFTER_S: u64 = 5;

/// The answer to a client.
pub type Answer = Response<Either<Full<Bytes>, Stream>>;

/// What a refusal echoes from its request.
#[derive(Default, Deserialize)]
struct Echo {
    #[serde(default)]
    instance: String,
    #[serde(default)]
    seq: u64,
}

/// What a request is for.
pub enum Route {
    Request(RequestKind),
    Health,
    Readiness,
    /// A browser's preflight.
    Preflight,
    NotPost,
    Unknown,
}

impl Route {
    /// Determined from the request's head.
    pub fn of<B>(request: &hyper::Request<B>) -> Route {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        let path = request.uri().path();
        match path {
            "/healthz" if reads => return Route::Health,
            "/readyz" if reads => return Route::Readiness,
            _ => {}
        }
        match RequestKind::ALL
            .into_iter()
            .find(|kind| kind.path() == path)
        {
            None => Route::Unknown,
            Some(_) if cors::is_preflight(request) => Route::Preflight,
            Some(kind) if *request.method() == Method::POST => Route::Request(kind),
            Some(_) => Route::NotPost,
        }
    }
}

/// The future of an answer.
pub type Answering = Pin<Box<dyn Future<Output = Result<Answer, Infallible>> + Send>>;

/// Answers the request of a client at that address. Requests that need a decision run in a separate
/// task: the client may disconnect once the request is sent, but what has begun is finished.
pub fn answer(
    service: Arc<Service>,
    from: IpAddr,
    body_timeout: Duration,
    route: Route,
    body: Incoming,
) -> Answering {
    let Route::Request(kind) = route else {
        return Box::pin(answer_at_once(service, route));
    };
    let answering = tokio::spawn(answer_request(service, from, kind, body, body_timeout));
    Box::pin(async move {
        Ok(answering.await.unwrap_or_else(|_| {
            let what = "the server failed while answering";
            refusal(Refused::new(code::SERVER_ERROR, what), Echo::default())
        }))
    })
}

async fn answer_at_once(service: Arc<Service>, route: Route) -> Result<Answer, Infallible> {
    Ok(match route {
        Route::Health => plain(StatusCode::OK, "ok\n"),
        Route::Readiness => match service.ready().await {
            Ok(()) => plain(StatusCode::OK, "ready\n"),
            Err(why) => plain(StatusCode::SERVICE_UNAVAILABLE, why),
        },
        Route::Preflight => {
            let mut answer = plain(StatusCode::NO_CONTENT, "");
            cors::describe(answer.headers_mut());
            answer
        }
        Route::Request(_) | Route::NotPost => {
            plain(StatusCode::METHOD_NOT_ALLOWED, "expected POST\n")
        }
        Route::Unknown => plain(StatusCode::NOT_FOUND, "no such path\n"),
    })
}

async fn answer_request(
    service: Arc<Service>,
    from: IpAddr,
    kind: RequestKind,
    body: Incoming,
    body_timeout: Duration,
) -> Answer {
    let body = match read(body, body_timeout).await {
        Ok(body) => body,
        Err(refused) => return *refused,
    };
    if let Some(failing) = service.faults().and_then(Faults::next_failure) {
        return failed(&failing);
    }
    let start = Instant::now();
    let request = parse_request(kind, &body);
    let asker = match &request {
        Ok(request) if is_logged() => service.asker(request),
        _ => Asker::default(),
    };
    let result = match request {
        Ok(request) => answer_to(&service, from, request).await,
        Err(refused) => Err(refused),
    };
    let code = result.as_ref().map_or_else(|refused| refused.code, |_| 0);
    service.metrics().answered(kind, code, start.elapsed());
    if let Some(faults) = service.faults() {
        Box::pin(faults.hold_back()).await;
    }
    log(&service, kind, from, asker, code);
    let mut answer = result.unwrap_or_else(|refused| {
        let echo = serde_json::from_slice(&body).unwrap_or_default();
        refusal(refused, echo)
    });
    announce_keep_alive(&mut answer, &service);
    answer
}

/// Announces how long the connection may idle before the next request: a second less than it may,
/// so that no request is on its way when it closes.
fn announce_keep_alive(answer: &mut Answer, service: &Service) {
    if service.is_going() || matches!(answer.body(), Either::Right(_)) {
        return;
    }
    let idle_s = service
        .settings()
        .connections
        .header_timeout
        .as_secs()
        .saturating_sub(1);
    if let Ok(value) = HeaderValue::try_from(format!("timeout={idle_s}")) {
        answer.headers_mut().insert(KEEP_ALIVE, value);
    }
}

/// Whether requests are logged.
fn is_logged() -> bool {
    tracing::enabled!(tracing::Level::INFO)
}

/// Logs a request's result. A flood of invalid tickets does not flood the log.
fn log(service: &Service, kind: RequestKind, from: IpAddr, asker: Asker, code: i32) {
    if !is_logged() {
        return;
    }
    let user = asker.user_id.filter(|_| service.settings().log_users);
    let (user, device) = (user.as_deref(), asker.device_id.as_deref());
    let (path, what) = (kind.path(), if code == 0 { "accepted" } else { "refused" });
    match code {
        code::TOO_MANY_FAILURES => tracing::debug!(path, user, device, %from, code, "{what}"),
        _ => tracing::info!(path, user, device, %from, code, "{what}"),
    }
}

fn parse_request(kind: RequestKind, body: &[u8]) -> Result<Request, Refused> {
    match kind {
        RequestKind::Login => parse(body).map(Request::Login),
        RequestKind::Resume => parse(body).map(Request::Resume),
        RequestKind::Logout => parse(body).map(Request::Logout),
    }
}

async fn answer_to(
    service: &Arc<Service>,
    from: IpAddr,
    request: Request,
) -> Result<Answer, Refused> {
    match request {
        Request::Login(login) => service.login(from, login).await.map(stream),
        Request::Resume(resume) => service.resume(from, resume).await.map(stream),
        Request::Logout(logout) => {
            service.logout(from, &logout).await?;
            let seq = logout.seq;
            Ok(json(StatusCode::OK, &LogoutAnswer { code: 0, seq }))
        }
    }
}

/// Reads a body within the bounds of size and time.
async fn read(body: Incoming, in_time: Duration) -> Result<Bytes, Box<Answer>> {
    let body = body::read(body, wire::BODY_MAX, in_time).await;
    body.map_err(|unread| {
        Box::new(match unread {
            Unread::TooLarge => refusal_with(
                StatusCode::PAYLOAD_TOO_LARGE,
                Refused::new(code::BAD_REQUEST, "the body is larger than 16 KiB"),
                Echo::default(),
            ),
            Unread::NotWhole => plain(StatusCode::BAD_REQUEST, "the body ended early\n"),
            Unread::TooLate => plain(StatusCode::REQUEST_TIMEOUT, "the body took too long\n"),
        })
    })
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    // Checked once, rather than string by string.
    let body = std::str::from_utf8(body)
        .map_err(|error| Refused::new(code::BAD_REQUEST, format!("the body: {error}")))?;
    serde_json::from_str(body).map_err(|error| {
        // serde's message names the field or the place, but it may quote a value of the wrong type;
        // the body may hold a secret in the wrong place, so nothing of it is repeated.
        let text = error.to_string();
        let text = match text.split_once(": ") {
            Some((kind, _)) if kind.starts_with("invalid") => {
                format!("{kind} at line {} column {}", error.line(), error.column())
            }
            _ => text,
        };
        Refused::new(code::BAD_REQUEST, format!("the body: {text}"))
    })
}

fn stream(body: Stream) -> Answer {
    let mut answer = Response::new(Either::Right(body));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // Buffering reverse proxies would hold events back.
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-transform"),
    );
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    headers.insert(PROTOCOL, HeaderValue::from_static(wire::PROTOCOL_VERSION));
    answer
}

fn json<T: serde::Serialize>(status: StatusCode, body: &T) -> Answer {
    // Serializing strings and numbers into memory cannot fail.
    let body = serde_json::to_vec(body).unwrap_or_default();
    let mut answer = Response::new(Either::Left(Full::new(body.into())));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PROTOCOL, HeaderValue::from_static(wire::PROTOCOL_VERSION));
    answer
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Either::Left(Full::new(text.into())));
    *answer.status_mut() = status;
    answer
}

/// An answer set by fault injection, in the form that a proxy in front might give it.
fn failed(failing: &Failing) -> Answer {
    let mut answer = plain(failing.status, "fault injection\n");
    if let Some(after_s) = failing.retry_after_s {
        let headers = answer.headers_mut();
        headers.insert(RETRY_AFTER, HeaderValue::from(after_s));
    }
    answer
}

fn refusal(refused: Refused, echo: Echo) -> Answer {
    let status = match (refused.code, code::class(refused.code)) {
        (code::TOO_MANY_FAILURES | code::LOGIN_TOO_OFTEN, _) => StatusCode::TOO_MANY_REQUESTS,
        (code::SERVER_OVERLOADED, _) => StatusCode::SERVICE_UNAVAILABLE,
        (code::SESSION_TOKEN_INVALID | code::USER_SIG_EMPTY, _) => StatusCode::UNAUTHORIZED,
        (_, Some(Class::NeedsTicket)) => StatusCode::UNAUTHORIZED,
        (_, Some(Class::Ended)) => StatusCode::FORBIDDEN,
        (_, Some(Class::Retry)) => StatusCode::INTERNAL_SERVER_ERROR,
        (_, Some(Class::Configuration) | None) => StatusCode::BAD_REQUEST,
    };
    refusal_with(status, refused, echo)
}

fn refusal_with(status: StatusCode, refused: Refused, echo: Echo) -> Answer {
    let waits = code::class(refused.code) == Some(Class::Retry);
    // In whole seconds, rounded up.
    let wait_s = refused
        .retry_after_ms
        .and_then(|ms| u64::try_from(ms).ok())
        .map(|ms| ms.div_ceil(1000));
    let body = Refusal {
        code: refused.code,
        message: refused.message,
        instance: echo.instance,
        seq: echo.seq,
        kick: refused.kick,
    };
    let mut answer = json(status, &body);
    if waits {
        answer.headers_mut().insert(
            RETRY_AFTER,
            HeaderValue::from(wait_s.unwrap_or(RETRY_AFTER_S)),
        );
    }
    answer
}
