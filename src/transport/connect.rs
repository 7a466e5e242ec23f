//! Opens connections: all addresses of a host, staggered as RFC 8305 describes, in one wait.

use super::failure::{Cause, Phase};
use super::wait::{Waiter, Waiters};
use super::{BUFFER_SIZE, too_long};
use super::{Endpoint, authority};
use crate::os::{self, Socket, Want};
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use ureq::unversioned::transport::LazyBuffers;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector as UreqConnector, Either, NextTimeout, Transport,
};

/// How long an address has before the next one is tried alongside.
const STAGGER_MS: u64 = 250;
/// How long a peer may leave sent bytes unacknowledged.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// More than this is sent right away.
const OUTBOX_MAX: usize = 16 * 1024;

/// Opens the TCP connection.
#[derive(Debug)]
pub(super) struct Connector {
    waiters: Arc<Waiters>,
    plaintext_refused: bool,
    proxied: bool,
    target: String,
}

impl Connector {
    pub(super) fn new(waiters: Arc<Waiters>, endpoint: &Endpoint) -> Connector {
        Connector {
            waiters,
            plaintext_refused: !endpoint.https && !endpoint.allow_plaintext,
            proxied: endpoint.proxy.is_some(),
            target: authority(&endpoint.host, endpoint.port),
        }
    }

    fn open(waiter: &Waiter, addresses: &[SocketAddr]) -> Result<Socket, ureq::Error> {
        waiter.reach(Phase::Connect);
        let mut next = interleaved(addresses).into_iter().peekable();
        let mut started: Vec<(Socket, SocketAddr)> = Vec::new();
        let mut next_at = 0;
        let mut last_error = None;
        loop {
            if os::monotonic_ms() >= next_at
                && let Some(address) = next.next()
            {
                waiter.set_peer(address);
                next_at = os::monotonic_ms() + STAGGER_MS;
                match os::begin_connect(address) {
                    Ok(socket) => started.push((socket, address)),
                    Err(error) => {
                        last_error = Some((error, address));
                        next_at = 0;
                    }
                }
            }
            if started.is_empty() {
                if next.peek().is_some() {
                    continue;
                }
                let (error, address) = last_error
                    .unwrap_or_else(|| (ErrorKind::AddrNotAvailable.into(), addresses[0]));
                waiter.set_peer(address);
                return Err(waiter.stop_io(&error));
            }
            let until = next.peek().map(|_| next_at);
            let sockets: Vec<_> = started
                .iter()
                .map(|(socket, _)| (socket, Want::Write))
                .collect();
            let ready = waiter.wait(&sockets, until)?;
            // From the back, so that removing an entry does not move those still to be checked.
            for at in (0..ready.len()).rev().filter(|at| ready[*at]) {
                let (socket, address) = started.remove(at);
                match socket
                    .take_error()
                    .and_then(|error| error.map_or(Ok(()), Err))
                {
                    Ok(()) => {
                        waiter.set_peer(address);
                        return Ok(socket);
                    }
                    Err(error) => {
                        last_error = Some((error, address));
                        next_at = 0;
                    }
                }
            }
        }
    }
}

/// The addresses with the families alternating, starting with the first one's.
fn interleaved(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let (mut first, mut second): (Vec<_>, Vec<_>) = addresses
        .iter()
        .copied()
        .partition(|address| address.is_ipv6() == addresses[0].is_ipv6());
    first.reverse();
    second.reverse();
    let mut order = Vec::new();
    while order.len() < addresses.len() {
        order.extend(first.pop());
        order.extend(second.pop());
    }
    order
}

impl<In: Transport> UreqConnector<In> for Connector {
    type Out = Either<In, Connection>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        if let Some(tunnel) = chained {
            return Ok(Some(Either::A(tunnel)));
        }
        let waiter = self.waiters.newest();
        let mut addresses = details.addrs.to_vec();
        if self.plaintext_refused {
            // Through a proxy, the server counts as another host.
            addresses.retain(|address| address.ip().is_loopback() && !self.proxied);
            if addresses.is_empty() {
                return Err(waiter.stop(
                    Cause::PlaintextRefused,
                    format!(
                        "http:// to {}, which is not this machine: use https://, or set \
                         allow_plaintext",
                        self.target
                    ),
                ));
            }
        }
        let socket = Arc::new(Connector::open(&waiter, &addresses)?);
        let prepared = socket.set_nodelay(true);
        prepared.map_err(|error| waiter.stop_io(&error))?;
        os::limit_unacknowledged(&socket, UNACKNOWLEDGED);
        waiter.set_socket(&socket);
        Ok(Some(Either::B(Connection {
            socket,
            outbox: Vec::new(),
            buffers: LazyBuffers::new(BUFFER_SIZE, BUFFER_SIZE),
            waiter,
        })))
    }
}

/// Sits in the chain behind another connector and records which phase comes next.
#[derive(Debug)]
pub(super) struct PhaseMarker {
    waiters: Arc<Waiters>,
    proxied: bool,
    next: Phase,
}

impl PhaseMarker {
    /// `next` is the phase that follows this place in the chain.
    pub(super) fn new(waiters: Arc<Waiters>, endpoint: &Endpoint, next: Phase) -> PhaseMarker {
        PhaseMarker {
            waiters,
            proxied: endpoint.proxy.is_some(),
            next,
        }
    }
}

impl<In: Transport> UreqConnector<In> for PhaseMarker {
    type Out = In;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<In>, ureq::Error> {
        // The connection to the proxy itself is opened without the proxy's configuration.
        let to_proxy = self.proxied && details.config.proxy().is_none();
        self.waiters
            .newest()
            .reach(if to_proxy { Phase::Proxy } else { self.next });
        Ok(chained)
    }
}

/// A connection whose every wait can be interrupted.
pub(super) struct Connection {
    socket: Arc<Socket>,
    buffers: LazyBuffers,
    /// Written but not sent yet: what ureq writes in pieces is sent as one when ureq waits for an
    /// answer.
    outbox: Vec<u8>,
    waiter: Arc<Waiter>,
}

impl Connection {
    fn send(&mut self) -> Result<(), ureq::Error> {
        let mut sent = 0;
        while sent < self.outbox.len() {
            // std sends without SIGPIPE, which socket2 and write_vectored do not on Linux.
            match (&**self.socket).write(&self.outbox[sent..]) {
                Ok(length) => sent += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait(Want::Write)?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.stop(&error)),
            }
        }
        self.outbox.clear();
        Ok(())
    }

    fn wait(&self, want: Want) -> Result<(), ureq::Error> {
        self.waiter.wait(&[(&self.socket, want)], None)?;
        Ok(())
    }

    /// What an error on an open connection means.
    fn stop(&self, error: &io::Error) -> ureq::Error {
        match error.kind() {
            // The peer has not acknowledged for too long.
            ErrorKind::TimedOut => self.waiter.stop(
                Cause::Reset,
                "the server does not answer on this connection",
            ),
            _ => self.waiter.stop_io(error),
        }
    }
}

impl Transport for Connection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        let Connection {
            outbox, buffers, ..
        } = self;
        outbox.extend_from_slice(&buffers.output()[..amount]);
        if outbox.len() < OUTBOX_MAX {
            return Ok(());
        }
        self.send()
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        if self.waiter.phase() == Phase::Send {
            self.waiter.reach(Phase::Response);
        }
        self.send()?;
        loop {
            self.waiter.before_read()?;
            let room = self.buffers.input_append_buf();
            if room.is_empty() {
                return Err(self.waiter.stop_io(&too_long()));
            }
            match (&**self.socket).read(room) {
                Ok(length) => {
                    self.buffers.input_appended(length);
                    self.waiter.have_read(length);
                    return Ok(length > 0);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait(Want::Read)?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.stop(&error)),
            }
        }
    }

    fn is_open(&mut self) -> bool {
        // Connections are never kept for another request.
        false
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::Interrupt;
    use super::*;
    use crate::os::{Poller, Ready};
    use socket2::{Domain, Type};
    use std::net::TcpListener;
    use std::time::Instant;

    /// Never interrupts and has no deadline; only the system's own time-out of over a minute
    /// applies.
    struct Patience(Arc<Poller>);

    impl Interrupt for Patience {
        fn poller(&self) -> &Arc<Poller> {
            &self.0
        }

        fn attend(&self, _: &Ready) -> bool {
            true
        }

        fn deadline_ms(&self) -> Option<u64> {
            None
        }

        fn watched(&self) -> Vec<Arc<Socket>> {
            Vec::new()
        }

        fn drain(&self) {}
    }

    /// Connects to one of the addresses. Returns which one, and how long it took.
    fn connected(addresses: &[SocketAddr]) -> (SocketAddr, Duration) {
        let poller = Arc::new(Poller::new().unwrap());
        let waiters = Waiters::new(Arc::new(Patience(poller)));
        let waiter = waiters.begin();
        let since = Instant::now();
        let socket = Connector::open(&waiter, addresses).unwrap();
        let peer = socket.peer_addr().unwrap();
        assert_eq!(waiter.peer(), Some(peer), "which is what last_error says");
        (peer, since.elapsed())
    }

    fn live() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// An address that neither accepts nor refuses connections: its backlog is full. Keep the
    /// sockets.
    fn black_hole() -> (Vec<socket2::Socket>, SocketAddr) {
        let socket = || socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let (listener, plug) = (socket(), socket());
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        listener.bind(&any.into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        plug.connect(&address).unwrap();
        (vec![listener, plug], address.as_socket().unwrap())
    }

    #[test]
    fn a_first_address_that_is_dead_costs_no_more_than_the_stagger() {
        let (_live, second) = live();
        let (_hole, dead) = black_hole();
        let (peer, took) = connected(&[dead, second]);
        assert_eq!(peer, second);
        // The first had its time, and not the minutes that the system would have given it.
        assert!(took >= Duration::from_millis(STAGGER_MS - 1), "{took:?}");
        assert!(took < Duration::from_secs(5), "{took:?}");
        // An IPv6 address that leads nowhere, whether or not the system knows that.
        let (peer, took) = connected(&["[2001:db8::1]:443".parse().unwrap(), second]);
        assert_eq!(peer, second);
        assert!(took < Duration::from_secs(5), "{took:?}");
    }

    #[test]
    fn an_address_that_refuses_costs_nothing() {
        let (_live, last) = live();
        // Nothing listens on port 1.
        let mut addresses = vec![SocketAddr::from(([127, 0, 0, 1], 1)); 40];
        addresses.push(last);
        let (peer, took) = connected(&addresses);
        assert_eq!(peer, last);
        let staggered = Duration::from_millis(STAGGER_MS * 40);
        assert!(took < staggered / 2, "{took:?}");
    }

    #[test]
    fn the_families_take_turns_beginning_with_the_first() {
        let all = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        assert_eq!(
            interleaved(&all(&["[::1]:1", "[::2]:1", "[::3]:1", "10.0.0.1:1"])),
            all(&["[::1]:1", "10.0.0.1:1", "[::2]:1", "[::3]:1"])
        );
        assert_eq!(
            interleaved(&all(&["10.0.0.1:1", "10.0.0.2:1", "[::1]:1"])),
            all(&["10.0.0.1:1", "[::1]:1", "10.0.0.2:1"])
        );
    }
}
