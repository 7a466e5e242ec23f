//! Interruptible HTTP over our own sockets: ureq speaks HTTP/1.1 and TLS, and every wait, in every
//! phase, also watches the client's wake-up.
//!
//! All of ureq's own time limits are off. [`Interrupt`] owns the one deadline and may move it
//! during a wait.

mod connect;
mod failure;
mod lookups;
mod resolve;
mod retry_after;
#[cfg(feature = "tls")]
mod tls;
mod wait;

pub(crate) use failure::{Cause, Failure, Phase};
pub(crate) use lookups::begin_anew as begin_lookups_anew;
#[cfg(feature = "tls")]
pub(crate) use tls::Trust;

use crate::os::{Poller, Ready, Socket};
use crate::secret::Secret;
use connect::{Connector, PhaseMarker};
use resolve::Lookup;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;
use tim_proto::wire;
#[cfg(feature = "tls")]
use tls::TlsConnector;
use ureq::unversioned::transport::{ConnectProxyConnector, Connector as _};
use wait::{Waiter, Waiters};

/// A request and an answer's head fit, and a stream's events come in small pieces.
const BUFFER_SIZE: usize = 16 * 1024;

/// The error for an answer with a line, or a chunk's head, longer than [`BUFFER_SIZE`].
fn too_long() -> std::io::Error {
    let text = format!("a part of the answer is longer than {BUFFER_SIZE} bytes");
    std::io::Error::new(std::io::ErrorKind::InvalidData, text)
}

/// What a blocked wait needs from its owner. Called on the network thread only.
pub(crate) trait Interrupt: Send + Sync + 'static {
    /// What to wait with.
    fn poller(&self) -> &Arc<Poller>;
    /// Called when the wake-up, a stream's bytes or the deadline has come. Does what is due and
    /// returns whether the wait goes on. If not, the wait ends: as a time-out if the deadline has
    /// passed, otherwise as interrupted.
    fn attend(&self, ready: &Ready) -> bool;
    /// On `os::monotonic_ms`; read again after every [`Interrupt::attend`].
    fn deadline_ms(&self) -> Option<u64>;
    /// Open streams, which must be read while a request waits.
    fn watched(&self) -> Vec<Arc<Socket>>;
    /// Called when one of them has bytes: reads them all.
    fn drain(&self);
}

/// Where the server is and how to reach it.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) https: bool,
    /// A name, an IPv4 address, or an IPv6 address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Starts with `/` or is empty; never ends with `/`.
    pub(crate) path_prefix: String,
    /// Whose certificates to trust; absent for `http://`.
    #[cfg(feature = "tls")]
    pub(crate) trust: Option<Trust>,
    pub(crate) proxy: Option<Proxy>,
    /// Allows `http://` to other hosts.
    pub(crate) allow_plaintext: bool,
}

/// An HTTP proxy; the server is reached by CONNECT, even for `http://`.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) credentials: Option<(String, Secret)>,
}

/// `host:port`, with brackets around an IPv6 address.
pub(crate) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// The connection settings for one server.
pub(crate) struct Transport {
    agent: ureq::Agent,
    base_url: String,
    waiters: Arc<Waiters>,
}

impl Transport {
    /// Opens no connection yet. The error is a sentence about the configuration.
    pub(crate) fn new(
        endpoint: Endpoint,
        interrupt: Arc<dyn Interrupt>,
    ) -> Result<Transport, String> {
        let scheme = if endpoint.https { "https" } else { "http" };
        let base_url = format!(
            "{scheme}://{}{}",
            authority(&endpoint.host, endpoint.port),
            endpoint.path_prefix
        );
        let waiters = Arc::new(Waiters::new(interrupt));
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // A redirect is returned as the answer it is.
            .max_redirects(0)
            .max_redirects_will_error(false)
            // A stream's connection is never reused, and a refusal's hardly ever.
            .max_idle_connections(0)
            .max_idle_connections_per_host(0)
            .input_buffer_size(BUFFER_SIZE)
            .output_buffer_size(BUFFER_SIZE)
            .user_agent(concat!("libtim/", env!("CARGO_PKG_VERSION")))
            .accept("text/event-stream, application/json")
            .proxy(proxy(endpoint.proxy.as_ref())?);
        let connector = Connector::new(waiters.clone(), &endpoint);
        let chain = ().chain(ConnectProxyConnector::default()).chain(connector);
        #[cfg(feature = "tls")]
        let chain = chain
            .chain(PhaseMarker::new(waiters.clone(), &endpoint, Phase::Tls))
            .chain(TlsConnector(endpoint.trust.clone()));
        let chain = chain.chain(PhaseMarker::new(waiters.clone(), &endpoint, Phase::Send));
        let agent = ureq::Agent::with_parts(config.build(), chain, Lookup::new(waiters.clone()));
        Ok(Transport {
            agent,
            base_url,
            waiters,
        })
    }

    /// Posts `json` and waits for the head of the answer.
    pub(crate) fn post(&self, path: &str, json: &[u8]) -> Result<Response, Failure> {
        let waiter = self.waiters.begin();
        let answer = self
            .agent
            .post(format!("{}{path}", self.base_url))
            .header(wire::PROTOCOL_HEADER, wire::PROTOCOL_VERSION)
            .content_type("application/json")
            .send(json)
            .map_err(|error| waiter.failure(error))?;
        let (head, body) = answer.into_parts();
        let header = |name: &str| {
            let value = head.headers.get(name)?;
            value.to_str().ok().map(str::trim)
        };
        Ok(Response {
            status: head.status.as_u16(),
            protocol_header: header(wire::PROTOCOL_HEADER) == Some(wire::PROTOCOL_VERSION),
            content_type: header("content-type").unwrap_or_default().to_owned(),
            retry_after_ms: header("retry-after")
                .and_then(|value| retry_after::to_ms(value, header("date"), SystemTime::now())),
            peer: waiter.peer(),
            body: body.into_with_config().limit(u64::MAX).reader(),
            waiter,
        })
    }
}

fn proxy(proxy: Option<&Proxy>) -> Result<Option<ureq::Proxy>, String> {
    let Some(proxy) = proxy else {
        // Explicitly none: otherwise ureq would read the environment.
        return Ok(None);
    };
    let mut builder = ureq::Proxy::builder(ureq::ProxyProtocol::Http)
        .host(&proxy.host)
        .port(proxy.port)
        .resolve_target(false);
    if let Some((user, password)) = &proxy.credentials {
        builder = builder.username(user).password(password.reveal());
    }
    let built = builder.build();
    built
        .map(Some)
        .map_err(|_| "proxy: expected http://[user:password@]host:port".to_owned())
}

/// An answer whose body has not been read yet.
pub(crate) struct Response {
    pub(crate) status: u16,
    /// The answer has the header `Tim-Protocol: 1`.
    pub(crate) protocol_header: bool,
    pub(crate) content_type: String,
    /// From the header Retry-After, within the protocol's bounds.
    pub(crate) retry_after_ms: Option<u64>,
    pub(crate) peer: Option<SocketAddr>,
    body: ureq::BodyReader<'static>,
    waiter: Arc<Waiter>,
}

impl Response {
    /// Waits for bytes of the body; 0 is its end. After [`Cause::Interrupted`], reading can
    /// continue.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        self.waiter.reach(Phase::Stream);
        let read = self.body.read(buffer);
        read.map_err(|error| self.waiter.failure(error.into()))
    }

    /// Lets `body` read without waiting: [`Cause::Interrupted`] means that nothing is there, or
    /// that enough was read for now; the rest is still in the socket.
    pub(crate) fn at_once<T>(&mut self, body: impl FnOnce(&mut Response) -> T) -> T {
        self.waiter.set_at_once(true);
        let result = body(self);
        self.waiter.set_at_once(false);
        result
    }

    /// The connection, unless it is closed.
    pub(crate) fn socket(&self) -> Option<Arc<Socket>> {
        self.waiter.socket()
    }

    /// Reads the body, up to `limit` bytes.
    pub(crate) fn read_to_limit(&mut self, limit: usize) -> Result<Vec<u8>, Failure> {
        self.waiter.reach(Phase::Response);
        let mut body = Vec::new();
        let read = io::Read::by_ref(&mut self.body)
            .take(limit as u64)
            .read_to_end(&mut body);
        read.map_err(|error| self.waiter.failure(error.into()))?;
        Ok(body)
    }

    /// A failure on this answer's stream.
    pub(crate) fn failure(&self, cause: Cause, text: &str) -> Failure {
        Failure {
            cause,
            phase: Phase::Stream,
            text: text.to_owned(),
            peer: self.peer,
        }
    }
}
