//! A proxy between library and server that breaks connections in a chosen way at a chosen place.

#![allow(dead_code, reason = "each test program uses its part")]

use socket2::{Domain, SockRef, Socket, Type};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// Where a connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before a byte is read.
    Connect,
    /// After the first bytes of the client: its TLS hello, or its request.
    FirstBytes,
    /// When the whole request has been read: instead of the server's answer.
    Answer,
    /// In the middle of the answer's first event.
    FirstEvent,
    /// After the first event: on the open stream.
    Stream,
}

/// How it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing comes any more, and the connection stays.
    Silent,
    /// The connection is reset.
    Reset,
    /// The connection is closed in an orderly way.
    Close,
    /// What would come comes a byte at a time.
    Drip,
    /// Bytes that mean nothing.
    Garbage,
    /// A gateway's error page.
    Page502,
    /// A captive portal.
    Redirect,
    /// Somebody in the middle says that the ticket has expired.
    FalseVerdict,
}

#[derive(Default)]
struct State {
    fault: Option<(Place, Fault)>,
    /// Both ends of every connection that was taken.
    open: Vec<TcpStream>,
    /// How many connections have come to their fault, or to the end of their request without one.
    arrived: usize,
    /// When each connection came, for tests of spreading.
    taken: usize,
}

/// The proxy; its threads end with the test's process.
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl FaultProxy {
    /// A proxy to `upstream`, an address with a port, that breaks nothing yet.
    pub fn start(upstream: &str) -> FaultProxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let (upstream, for_thread) = (upstream.to_owned(), shared.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (upstream, shared) = (upstream.clone(), for_thread.clone());
                thread::spawn(move || {
                    // A connection that breaks by itself is what this is for.
                    let _ = shared.serve(client, &upstream);
                });
            }
        });
        FaultProxy { address, shared }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// From now on connections break like this.
    pub fn breaks(&self, place: Place, fault: Fault) {
        self.shared.state.lock().unwrap().fault = Some((place, fault));
    }

    /// From now on connections are whole.
    pub fn heals(&self) {
        self.shared.state.lock().unwrap().fault = None;
    }

    /// Closes every connection there is.
    pub fn cut(&self) {
        for stream in self.shared.state.lock().unwrap().open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// How many connections have been taken.
    pub fn taken(&self) -> usize {
        self.shared.state.lock().unwrap().taken
    }

    /// Waits until another connection has come to the place where it breaks, or would have.
    pub fn wait_for_arrival(&self, seen: usize) {
        let state = self.shared.state.lock().unwrap();
        let (_state, timeout) = self
            .shared
            .changed
            .wait_timeout_while(state, Duration::from_secs(60), |state| {
                state.arrived <= seen
            })
            .unwrap();
        assert!(!timeout.timed_out(), "no connection came");
    }

    /// How many connections have come so far.
    pub fn arrived(&self) -> usize {
        self.shared.state.lock().unwrap().arrived
    }
}

/// An address that takes no connection and refuses none: its queue is full. Keep what is returned.
pub fn black_hole() -> (SocketAddr, Vec<Socket>) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let mut kept = vec![listener];
    // Connections that nobody accepts fill the queue; those behind them get no answer.
    for _ in 0..4 {
        let waiting = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        waiting.set_nonblocking(true).unwrap();
        let _ = waiting.connect(&address.into());
        kept.push(waiting);
    }
    (address, kept)
}

impl Shared {
    fn arrive(&self) {
        self.state.lock().unwrap().arrived += 1;
        self.changed.notify_all();
    }

    fn serve(&self, mut client: TcpStream, upstream: &str) -> std::io::Result<()> {
        let fault = {
            let mut state = self.state.lock().unwrap();
            state.taken += 1;
            state.open.push(client.try_clone()?);
            state.fault
        };
        let mut head = Vec::new();
        match fault {
            Some((Place::Connect, fault)) => {
                self.arrive();
                return self.apply(fault, client, &mut TcpStream::connect(upstream)?);
            }
            Some((Place::FirstBytes, fault)) => {
                client.read_exact(&mut [0])?;
                self.arrive();
                return self.apply(fault, client, &mut TcpStream::connect(upstream)?);
            }
            Some((Place::Answer | Place::FirstEvent | Place::Stream, _)) => {
                head = read_request(&mut client)?;
            }
            None => {}
        }
        let mut server = TcpStream::connect(upstream)?;
        self.state.lock().unwrap().open.push(server.try_clone()?);
        server.write_all(&head)?;
        match fault {
            Some((Place::Answer, fault)) => {
                self.arrive();
                return self.apply(fault, client, &mut server);
            }
            Some((Place::FirstEvent, fault)) => {
                let mut answer = [0; 100];
                server.read_exact(&mut answer)?;
                client.write_all(&answer)?;
                self.arrive();
                return self.apply(fault, client, &mut server);
            }
            Some((Place::Stream, fault)) => {
                // The first event ends with an empty line, the head before it with another; an
                // answer that is no stream ends with its connection.
                let mut answer = Vec::new();
                let mut byte = [0];
                while !(answer.ends_with(b"\n\n") || answer.ends_with(b"}")) {
                    if server.read(&mut byte)? == 0 {
                        break;
                    }
                    answer.push(byte[0]);
                    client.write_all(&byte)?;
                }
                // The end of the chunk, so that what follows begins anew.
                let mut end = [0; 2];
                server.read_exact(&mut end)?;
                client.write_all(&end)?;
                self.arrive();
                return self.apply(fault, client, &mut server);
            }
            _ => {}
        }
        self.arrive();
        let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
        thread::spawn(move || {
            let _ = std::io::copy(&mut from_client, &mut to_server);
            let _ = to_server.shutdown(Shutdown::Write);
        });
        let _ = std::io::copy(&mut server, &mut client);
        let _ = client.shutdown(Shutdown::Both);
        Ok(())
    }

    fn apply(
        &self,
        fault: Fault,
        mut client: TcpStream,
        server: &mut TcpStream,
    ) -> std::io::Result<()> {
        match fault {
            Fault::Silent => wait_for_the_end(client),
            Fault::Reset => {
                // The last copy that is closed, unread or not, resets.
                SockRef::from(&client).set_linger(Some(Duration::ZERO))?;
                let peer = client.peer_addr()?;
                let mut state = self.state.lock().unwrap();
                state
                    .open
                    .retain(|open| open.peer_addr().ok() != Some(peer));
            }
            Fault::Close => {
                let _ = client.shutdown(Shutdown::Both);
            }
            Fault::Drip => {
                let mut byte = [0];
                while server.read(&mut byte)? == 1 {
                    client.write_all(&byte)?;
                    thread::sleep(Duration::from_millis(200));
                }
            }
            Fault::Garbage => {
                client.write_all(b"\x16\x03\x03\x00\x05 this is not what you asked for\r\n\r\n")?;
                wait_for_the_end(client);
            }
            Fault::Page502 => page(
                client,
                "502 Bad Gateway",
                "text/html",
                "",
                "<h1>Bad Gateway</h1>",
            )?,
            Fault::Redirect => page(
                client,
                "302 Found",
                "text/html",
                "Location: http://portal.invalid/\r\n",
                "",
            )?,
            Fault::FalseVerdict => page(
                client,
                "401 Unauthorized",
                "application/json",
                "",
                r#"{"code":70001,"message":"expired","instance":"","seq":0}"#,
            )?,
        }
        Ok(())
    }
}

fn page(
    mut client: TcpStream,
    status: &str,
    media_type: &str,
    header: &str,
    body: &str,
) -> std::io::Result<()> {
    let length = body.len();
    write!(
        client,
        "HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n{header}Connection: close\r\n\r\n{body}"
    )?;
    wait_for_the_end(client);
    Ok(())
}

fn wait_for_the_end(mut client: TcpStream) {
    let _ = std::io::copy(&mut client, &mut std::io::sink());
}

/// A request's head and body.
fn read_request(client: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&request).to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .and_then(|length| length.trim().parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    client.read_exact(&mut body)?;
    request.extend(body);
    Ok(request)
}
