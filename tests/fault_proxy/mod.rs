//! A proxy between library and server that breaks connections in a chosen way at a chosen place.

#![allow(dead_code, reason = "each test program uses its part")]

mod connection;
mod fault;

use connection::Pipe;
pub use fault::{Fault, Place};
use socket2::{Domain, SockRef, Socket, Type};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::thread;
use std::time::Duration;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

#[derive(Default)]
struct State {
    fault: Option<(Place, Fault)>,
    /// The server's address with port.
    upstream: String,
    /// Connections that are whole.
    pipes: Vec<Weak<Pipe>>,
    /// How many connections have reached their fault, or the server.
    arrived: usize,
    /// How many connections were accepted.
    taken: usize,
    /// How many bytes have dripped.
    dripped: usize,
    /// What fills the backlog of a black hole.
    plugs: Vec<Socket>,
    /// The accepting thread holds one of them and accepts no other.
    is_hole: bool,
}

/// The proxy; its threads end with the test's process.
pub struct FaultProxy {
    address: SocketAddr,
    listener: TcpListener,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// Servers to which connections are redirected, by the fault they represent.
    impostors: Vec<(Fault, String)>,
}

impl FaultProxy {
    /// A proxy to `upstream`, an address with a port, that breaks nothing yet.
    pub fn start(upstream: &str) -> FaultProxy {
        FaultProxy::with_impostors(upstream, Vec::new())
    }

    /// The same, with servers that show another certificate.
    pub fn with_impostors(upstream: &str, impostors: Vec<(Fault, String)>) -> FaultProxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        SockRef::from(&listener).listen(BACKLOG).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                upstream: upstream.to_owned(),
                ..State::default()
            }),
            changed: Condvar::new(),
            impostors,
        });
        let (for_thread, taking) = (shared.clone(), listener.try_clone().unwrap());
        thread::spawn(move || {
            for client in taking.incoming().flatten() {
                let Some((upstream, broken)) = for_thread.take(client.peer_addr().ok()) else {
                    continue;
                };
                let shared = for_thread.clone();
                thread::spawn(move || {
                    // A connection that breaks by itself is the purpose.
                    let _ = connection::serve(client, &upstream, broken, &shared);
                });
            }
        });
        FaultProxy {
            address,
            listener,
            shared,
        }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// From now on connections break like this; open ones stay.
    pub fn breaks(&self, place: Place, fault: Fault) {
        assert!(fault.can_be(place), "{fault:?} at {place:?}");
        self.shared.state.lock().unwrap().fault = Some((place, fault));
        if fault == Fault::BlackHole {
            // The first one occupies the accepting thread; then the backlog fills.
            let first = TcpStream::connect(self.address).unwrap();
            self.shared.count(|state| state.plugs.push(first.into()));
            self.wait(|state| state.is_hole);
            let plugs = plug(&SockRef::from(&self.listener));
            self.shared.count(|state| state.plugs.extend(plugs));
        }
    }

    /// Breaks the connections that are open; new ones stay whole.
    pub fn breaks_open(&self, fault: Fault) {
        assert!(fault.can_be(Place::Stream), "{fault:?}");
        for pipe in self.whole() {
            // One that has ended by itself cannot be broken.
            let _ = pipe.breaks(fault);
        }
    }

    /// From now on connections are whole. Broken ones stay broken.
    pub fn heals(&self) {
        SockRef::from(&self.listener).listen(BACKLOG).unwrap();
        self.shared.state.lock().unwrap().fault = None;
        self.shared.changed.notify_all();
    }

    /// From now on connections go to another server.
    pub fn leads_to(&self, upstream: &str) {
        upstream.clone_into(&mut self.shared.state.lock().unwrap().upstream);
    }

    /// Closes every connection that is whole.
    pub fn cut(&self) {
        for pipe in self.whole() {
            pipe.cut();
        }
    }

    fn whole(&self) -> Vec<Arc<Pipe>> {
        let mut state = self.shared.state.lock().unwrap();
        state.pipes.drain(..).filter_map(|w| w.upgrade()).collect()
    }

    /// How many connections were accepted.
    pub fn taken(&self) -> usize {
        self.shared.state.lock().unwrap().taken
    }

    /// How many connections have reached the place where they break, or would have.
    pub fn arrived(&self) -> usize {
        self.shared.state.lock().unwrap().arrived
    }

    /// Waits until another connection has reached it.
    pub fn wait_for_arrival(&self, seen: usize) {
        self.wait(|state| state.arrived > seen);
    }

    /// Waits until so many bytes have dripped.
    pub fn wait_for_drops(&self, count: usize) {
        self.wait(|state| state.dripped >= count);
    }

    fn wait(&self, come: impl Fn(&State) -> bool) {
        let state = self.shared.state.lock().unwrap();
        let limit = Duration::from_secs(60);
        let (_state, timeout) = self
            .shared
            .changed
            .wait_timeout_while(state, limit, |state| !come(state))
            .unwrap();
        assert!(!timeout.timed_out(), "nothing came");
    }
}

impl Shared {
    /// Accepts a connection, unless this is a black hole, and says where it leads and how it
    /// breaks. `None`: it only fills the backlog of a black hole.
    fn take(&self, peer: Option<SocketAddr>) -> Option<(String, Option<(Place, Fault)>)> {
        let mut state = self.state.lock().unwrap();
        while matches!(state.fault, Some((_, Fault::BlackHole))) {
            state.is_hole = true;
            self.changed.notify_all();
            state = self.changed.wait(state).unwrap();
        }
        state.is_hole = false;
        let local = |plug: &Socket| plug.local_addr().ok()?.as_socket();
        if state.plugs.iter().any(|plug| local(plug) == peer) {
            return None;
        }
        state.taken += 1;
        let is_it = |(fault, _): &&(Fault, String)| Some(*fault) == state.fault.map(|(_, f)| f);
        Some(match self.impostors.iter().find(is_it) {
            Some((_, impostor)) => (impostor.clone(), None),
            None => (state.upstream.clone(), state.fault),
        })
    }

    /// A connection has reached its fault, or the server.
    fn arrive(&self, whole: Option<&Arc<Pipe>>) {
        self.count(|state| {
            state.arrived += 1;
            state.pipes.extend(whole.map(Arc::downgrade));
        });
    }

    fn count(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }
}

/// An address that neither accepts nor refuses connections: its backlog is full. Keep the sockets.
pub fn black_hole() -> (SocketAddr, Vec<Socket>) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    listener.bind(&any.into()).unwrap();
    let mut kept = plug(&listener);
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    kept.push(listener);
    (address, kept)
}

/// Fills a listener's backlog with connections; those after them get no answer.
fn plug(listener: &Socket) -> Vec<Socket> {
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let first = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    first.connect(&address).unwrap();
    let mut plugs = vec![first];
    for _ in 0..3 {
        let plug = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        plug.set_nonblocking(true).unwrap();
        // The backlog holds one; should it hold more, these fill it.
        let _ = plug.connect(&address);
        plugs.push(plug);
    }
    plugs
}
