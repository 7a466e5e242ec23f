//! The accept loop: bounds the number and slowness of connections, and closes them in an orderly
//! way.

use crate::cors;
use crate::limits::ConnectionLimits;
use crate::metrics::Counted;
use crate::proxy_protocol;
use crate::routes::{self, Route};
use crate::service::Service;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
#[cfg(target_os = "linux")]
use socket2::SockRef;
use socket2::{Domain, Socket, Type};
use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;

/// How many connections per listener may wait to be accepted.
const BACKLOG: i32 = 1024;
/// The answer to a connection beyond the limit, if it is without TLS.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n\
    Content-Length: 0\r\nConnection: close\r\n\r\n";

/// What all connections of a server share.
#[derive(Clone)]
struct Shared {
    service: Arc<Service>,
    slots: Arc<Semaphore>,
    /// Changes when the server shuts down.
    stays: watch::Receiver<bool>,
}

/// Counts a connection for as long as it lasts.
struct Slot {
    _slot: OwnedSemaphorePermit,
    _counted: Counted,
    /// `None` for connections accepted during shutdown, which does not wait for them.
    awaited: Option<mpsc::Sender<Infallible>>,
}

/// A running server.
pub struct Server {
    going: watch::Sender<bool>,
    /// Closes with the last connection that shutdown waits for.
    awaited: mpsc::Receiver<Infallible>,
}

/// Starts serving. Each listener has a thread that accepts its connections and serves them to the
/// end: no connection moves between threads.
pub fn start(listeners: Vec<std::net::TcpListener>, service: Arc<Service>) -> io::Result<Server> {
    let most = service.settings().connections.connections;
    let slots = Arc::new(Semaphore::new(most));
    let (going, stays) = watch::channel(false);
    let (waits, awaited) = mpsc::channel(1);
    for listener in listeners {
        let shared = Shared {
            service: service.clone(),
            slots: slots.clone(),
            stays: stays.clone(),
        };
        let waits = waits.clone();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new()
            .name("tim-serve".into())
            .spawn(move || runtime.block_on(accept(listener, shared, waits)))?;
    }
    Ok(Server { going, awaited })
}

impl Server {
    /// Ends every stream with an event, refuses new ones, and waits until all connections have
    /// closed, but not beyond the deadline.
    pub async fn drain(mut self, service: &Service, deadline: Instant) {
        tracing::info!(streams = service.open_streams(), "draining");
        service.say_goodbye();
        let _ = self.going.send(true);
        if timeout_at(deadline, self.awaited.recv()).await.is_err() {
            tracing::warn!("some connections did not end in time");
        }
    }
}

/// Accepts a listener's connections and serves them for the life of the process.
async fn accept(listener: std::net::TcpListener, shared: Shared, waits: mpsc::Sender<Infallible>) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!("listener: {error}"),
    };
    tokio::spawn(tick(shared.service.clone()));
    let mut stays = shared.stays.clone();
    let mut going = pin!(stays.changed());
    let mut waits = Some(waits);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut going, if waits.is_some() => {
                waits = None;
                continue;
            }
        };
        match accepted {
            Ok((stream, from)) => match shared.slots.clone().try_acquire_owned() {
                Ok(slot) => {
                    let slot = Slot {
                        _slot: slot,
                        _counted: shared.service.metrics().connection(),
                        // A connection that arrives now is to get an answer, not to be closed
                        // without one.
                        awaited: waits.clone().filter(|_| !shared.service.is_going()),
                    };
                    tokio::spawn(welcome(stream, from.ip(), shared.clone(), slot));
                }
                // A TLS client could not read it, and a handshake would cost what is already
                // scarce.
                Err(_) if shared.service.settings().tls.is_some() => drop(stream),
                Err(_) => drop(tokio::spawn(turn_away(stream))),
            },
            Err(error) => {
                // Most likely out of descriptors: connections that close free theirs.
                tracing::warn!("accept: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Keeps one timer of this thread ahead of those of its connections. For each timer that would be
/// the first to expire, the runtime wakes its own thread with a system call.
async fn tick(service: Arc<Service>) {
    loop {
        tokio::time::sleep(service.settings().connections.header_timeout / 2).await;
    }
}

async fn welcome(mut stream: TcpStream, from: IpAddr, shared: Shared, slot: Slot) {
    let from = match named_by_proxy(&mut stream, from, &shared).await {
        Ok(from) => from,
        Err(error) => return tracing::debug!("connection: {error}"),
    };
    let result = match shared.service.settings().tls.clone() {
        None => connection(stream, from, shared, slot).await,
        // Boxed, or plain connections would take as much memory.
        Some(tls) => Box::pin(secured(tls, stream, from, shared, slot)).await,
    };
    if let Err(error) = result {
        tracing::debug!("connection: {error}");
    }
}

/// The client's address, if a proxy announces it before the client's first byte.
async fn named_by_proxy(
    stream: &mut TcpStream,
    from: IpAddr,
    shared: &Shared,
) -> io::Result<IpAddr> {
    let in_time = {
        let settings = shared.service.settings();
        if !settings.proxies.proxy_protocol || !settings.proxies.trusts(from) {
            return Ok(from);
        }
        settings.connections.header_timeout
    };
    let named = timeout(in_time, proxy_protocol::client(stream)).await;
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    Ok(named.map_err(late)??.unwrap_or(from))
}

async fn secured(
    tls: TlsAcceptor,
    stream: TcpStream,
    from: IpAddr,
    shared: Shared,
    slot: Slot,
) -> Result<(), String> {
    // Boxed, so that its large state is freed once the handshake is done.
    let handshake = Box::pin(tls.accept(stream));
    let in_time = shared.service.settings().connections.header_timeout;
    match timeout(in_time, handshake).await {
        Ok(Ok(stream)) => connection(stream, from, shared, slot).await,
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the TLS handshake took too long".to_owned()),
    }
}

/// Answers the requests of a connection.
struct Answers {
    service: Arc<Service>,
    from: IpAddr,
    body_timeout: Duration,
}

impl hyper::service::Service<Request<Incoming>> for Answers {
    type Response = routes::Answer;
    type Error = Infallible;
    /// Boxed, so that a stream does not keep the memory its login needed.
    type Future = routes::Answering;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let service = self.service.clone();
        let settings = service.settings();
        let from = settings.proxies.client(self.from, request.headers());
        let origin = cors::allowed(&request, &settings.allowed_origins);
        drop(settings);
        let (route, body) = (Route::of(&request), request.into_body());
        let answer = routes::answer(service, from, self.body_timeout, route, body);
        match origin {
            None => answer,
            Some(origin) => Box::pin(async move {
                let mut answer = answer.await?;
                cors::allow(&mut answer, origin);
                Ok(answer)
            }),
        }
    }
}

async fn connection<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    from: IpAddr,
    shared: Shared,
    slot: Slot,
) -> Result<(), String> {
    let Shared {
        service, mut stays, ..
    } = shared;
    let mut connection = served(stream, from, service, slot.awaited.is_some());
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = stays.changed(), if slot.awaited.is_some() => {
            connection.as_mut().graceful_shutdown();
            connection.as_mut().await
        }
    };
    drop(slot);
    ended.map_err(|error| error.to_string())
}

/// Boxed and separate: a task is copied when it is spawned, including state it does not use yet.
fn served<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    from: IpAddr,
    service: Arc<Service>,
    keep_alive: bool,
) -> Pin<Box<http1::Connection<TokioIo<S>, Answers>>> {
    let limits = service.settings().connections;
    let answers = Answers {
        service,
        from,
        body_timeout: limits.body_timeout,
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(keep_alive)
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(stream), answers);
    Box::pin(connection)
}

async fn turn_away(mut stream: TcpStream) {
    let _ = timeout(Duration::from_secs(1), stream.write_all(TOO_MANY)).await;
}

/// Serves one connection to its end. At shutdown it closes without a further answer.
pub async fn talk<A, F, B>(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    limits: ConnectionLimits,
    answer: A,
) -> Result<(), String>
where
    A: Fn(Request<Incoming>) -> F,
    F: Future<Output = Result<Response<B>, Infallible>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let _ = stream.set_nodelay(true);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(16 * 1024);
    let answer = service_fn(answer);
    let ended = match tls {
        None => http.serve_connection(TokioIo::new(stream), answer).await,
        Some(tls) => match timeout(limits.header_timeout, tls.accept(stream)).await {
            Ok(Ok(stream)) => http.serve_connection(TokioIo::new(stream), answer).await,
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err("the TLS handshake took too long".to_owned()),
        },
    };
    ended.map_err(|error| error.to_string())
}

/// Opens as many listeners on an address as this machine has processors; the system spreads the
/// connections over them. Port 0 picks a free port.
pub fn listen(address: &str, unread_timeout: Duration) -> io::Result<Vec<std::net::TcpListener>> {
    // Alone at first: listeners that share a port would also share it with another server.
    let address = std::net::TcpListener::bind(address)?.local_addr()?;
    let count = thread::available_parallelism().map_or(1, usize::from);
    (0..count)
        .map(|_| {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
            socket.set_reuse_address(true)?;
            socket.set_reuse_port(true)?;
            cut_off_unread(&socket, unread_timeout)?;
            // Accepted connections inherit it, at least on Linux.
            socket.set_tcp_nodelay(true)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            socket.set_nonblocking(true)?;
            Ok(socket.into())
        })
        .collect()
}

/// Closes connections whose clients leave sent data unread for that long. Set on the listener; its
/// connections inherit it.
#[cfg_attr(not(target_os = "linux"), allow(unused_variables))]
pub fn cut_off_unread<S: AsFd>(listener: &S, in_time: Duration) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    SockRef::from(listener).set_tcp_user_timeout(Some(in_time))?;
    Ok(())
}
