//! Clients that do not read: cut off when their time is up, and only they.

use crate::process::metrics::{becomes, figures};
use crate::process::{login, posted};
use crate::talk::PATIENCE;
use crate::victim::Victim;
use socket2::{Domain, Socket, Type};
use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const TIME: Duration = Duration::from_secs(1);
const SETTINGS: &str = "heartbeat_ms = 100\nmetrics_listen = \"127.0.0.1:0\"\n\
    limits.unread_timeout_ms = 1000\nlimits.header_timeout_ms = 600000\n";
const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: tim\r\n\r\n";

/// A connection whose system buffers as little as possible for a client that does not read.
fn narrow(address: &str) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    // Before connecting, or the other side has been promised more. The system applies its minimum.
    socket.set_recv_buffer_size(1).unwrap();
    let address: SocketAddr = address.parse().unwrap();
    socket.connect(&address.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends requests without reading an answer, until the connection is gone.
pub fn asks_without_reading(address: &str) -> Duration {
    let mut stream = narrow(address);
    let requests = HEALTH.repeat(1000);
    let begun = Instant::now();
    loop {
        match stream.write_all(requests.as_bytes()) {
            Ok(()) => assert!(begun.elapsed() < PATIENCE, "the server goes on answering"),
            Err(error) => {
                let gone = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
                assert!(gone.contains(&error.kind()), "it was not cut off: {error}");
                return begun.elapsed();
            }
        }
    }
}

#[test]
fn a_client_that_reads_no_answer_is_cut_off_and_one_that_reads_stays() {
    let victim = Victim::with(SETTINGS);
    let (mut reading, _) = victim.lets_honest_clients_in();
    std::thread::scope(|scope| {
        let unread: Vec<_> = (0..20)
            .map(|_| scope.spawn(|| asks_without_reading(&victim.address)))
            .collect();
        for unread in unread {
            assert!(unread.join().unwrap() >= TIME);
        }
    });
    // Only the reading one is left.
    becomes(&victim, "tim_connections", 1.0);
    for _ in 0..5 {
        assert!(reading.block().unwrap().starts_with(": hb"));
    }
    victim.survives(20);
}

#[test]
fn a_stream_that_nobody_reads_any_more_is_cut_off_and_its_user_goes_offline() {
    let victim = Victim::with(SETTINGS);
    let (mut reading, _) = victim.lets_honest_clients_in();
    let mut unread = narrow(&victim.address);
    let login = posted("/v1/login", &login("alice", 1, 1, 1).to_string());
    unread.write_all(login.as_bytes()).unwrap();
    becomes(&victim, "tim_connections", 2.0);
    let begun = Instant::now();
    // Heartbeats alone fill the buffer.
    while figures(&victim)["tim_connections"] > 1.0 {
        assert!(begun.elapsed() < PATIENCE, "it is still there");
        assert!(reading.block().unwrap().starts_with(": hb"));
    }
    victim.survives(1);
}
