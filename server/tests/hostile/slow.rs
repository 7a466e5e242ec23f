//! Clients that send slowly or not at all: each is cut off when its time is up, and not before.

use crate::process::tls::{certificate, hears};
use crate::process::{Server, posted};
use crate::talk::{connect, received, statuses};
use crate::victim::Victim;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const TIME: Duration = Duration::from_millis(400);
const SETTINGS: &str = "limits.header_timeout_ms = 400\nlimits.body_timeout_ms = 400\n";
const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: tim\r\n\r\n";
const HEAD: &str = "POST /v1/login HTTP/1.1\r\nHost: tim\r\nContent-Length: 9000\r\n\r\n";

/// What a client receives that sends this and then nothing; its time must have passed.
fn hears_after(address: &str, sent: &[u8]) -> Vec<u8> {
    let begun = Instant::now();
    let mut stream = connect(address);
    stream.write_all(sent).unwrap();
    let received = received(stream);
    assert!(
        begun.elapsed() >= TIME,
        "cut off after {:?}",
        begun.elapsed()
    );
    received
}

#[test]
fn a_client_that_falls_silent_is_cut_off_wherever_it_is() {
    let victim = Victim::with(SETTINGS);
    let hears = |sent: &str| statuses(&hears_after(&victim.address, sent.as_bytes()));
    let refused = |statuses: Vec<u16>| assert!(matches!(statuses[..], [] | [408]), "{statuses:?}");
    refused(hears(""));
    refused(hears("P"));
    refused(hears("POST /v1/login HTTP/1.1\r\n"));
    refused(hears("POST /v1/login HTTP/1.1\r\nHost: tim\r\nContent-Le"));
    assert_eq!(hears(HEALTH), [200], "between two requests");
    assert_eq!(hears(&format!("{HEALTH}GET /he"))[..1], [200]);
    assert_eq!(hears(HEAD), [408]);
    assert_eq!(hears(&format!("{HEAD}{{")), [408]);
    let chunked = "POST /v1/login HTTP/1.1\r\nHost: tim\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(hears(chunked), [408]);
    assert_eq!(hears(&format!("{chunked}5\r\nhel")), [408]);
    let nothing = HEAD.replace("/v1/login", "/nothing");
    assert_eq!(hears_at_once(&victim, &nothing)[..1], [404]);
    victim.survives(1);
}

/// The same for what may be answered before the time is up.
fn hears_at_once(victim: &Victim, sent: &str) -> Vec<u16> {
    let mut stream = connect(&victim.address);
    stream.write_all(sent.as_bytes()).unwrap();
    statuses(&received(stream))
}

/// Sends a byte whenever the server has been silent for a moment, until it closes.
fn trickle(mut stream: TcpStream, begun: Instant, byte: u8) -> Duration {
    stream.set_read_timeout(Some(TIME / 20)).unwrap();
    loop {
        assert!(begun.elapsed() < crate::talk::PATIENCE, "still open");
        // Connections closed meanwhile are discovered by reading.
        let _ = stream.write_all(&[byte]);
        match stream.read(&mut [0; 1024]) {
            Ok(0) => return begun.elapsed(),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return begun.elapsed(),
        }
    }
}

#[test]
fn a_client_that_sends_byte_by_byte_has_no_more_time_than_one_that_sends_nothing() {
    let victim = Victim::with(SETTINGS);
    let chunks =
        "POST /v1/login HTTP/1.1\r\nHost: tim\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n";
    for begins in ["", HEAD, chunks, "GET /healthz HTTP/1.1\r\nHeader: "] {
        let slow: Vec<_> = (0..100)
            .map(|_| {
                let begun = Instant::now();
                let mut stream = connect(&victim.address);
                stream.write_all(begins.as_bytes()).unwrap();
                std::thread::spawn(move || trickle(stream, begun, b'x'))
            })
            .collect();
        victim.lets_honest_clients_in();
        for trickle in slow {
            let lasted = trickle.join().unwrap();
            assert!(lasted >= TIME, "{begins:?} was cut off after {lasted:?}");
        }
    }
    victim.survives(100);
}

#[test]
fn what_is_skipped_however_much_it_is_counts_as_silence() {
    let victim = Victim::with(SETTINGS);
    let chunks = "POST /v1/login HTTP/1.1\r\nHost: tim\r\nTransfer-Encoding: chunked\r\n\r\n";
    // Empty lines before a request, and zeros before the size of a chunk.
    for (begins, skipped) in [("", "\r\n"), (chunks, "0")] {
        let mut stream = connect(&victim.address);
        stream.write_all(begins.as_bytes()).unwrap();
        let begun = Instant::now();
        let skipped = skipped.repeat(32 * 1024);
        while stream.write_all(skipped.as_bytes()).is_ok() {
            assert!(
                begun.elapsed() < crate::talk::PATIENCE,
                "{begins:?}: still open"
            );
        }
    }
    victim.survives(1);
}

#[test]
fn a_tls_handshake_has_as_much_time_as_a_head() {
    let (trusted, pem, key) = certificate();
    let server = Server::with_tls_and(&pem, &key, SETTINGS);
    for sent in [&b""[..], &[0x16], crate::malformed::TLS_HELLO] {
        hears_after(&server.address, sent);
    }
    // The length of a record of TLS, whose bytes then come one by one.
    let begun = Instant::now();
    let mut stream = connect(&server.address);
    stream.write_all(crate::malformed::TLS_HELLO).unwrap();
    assert!(trickle(stream, begun, 0) >= TIME);
    assert_eq!(hears(&server, &trusted).unwrap(), "HTTP/1.1 200 OK");
}

#[test]
fn a_login_that_comes_in_time_is_not_cut_off_for_having_come_in_parts() {
    let victim = Victim::with("limits.header_timeout_ms = 600000");
    let request = posted(
        "/v1/login",
        &crate::process::login("alice", 1, 1, 1).to_string(),
    );
    let mut stream = connect(&victim.address);
    stream.set_nodelay(true).unwrap();
    for part in request.as_bytes().chunks(3) {
        stream.write_all(part).unwrap();
    }
    assert_eq!(crate::process::Answer::read(stream).status, 200);
}

#[test]
fn a_body_that_comes_byte_by_byte_takes_up_no_more_than_one_that_comes_whole() {
    let victim = Victim::with("limits.body_timeout_ms = 600000");
    let mut slow: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = connect(&victim.address);
            stream.set_nodelay(true).unwrap();
            stream.write_all(HEAD.as_bytes()).unwrap();
            stream
        })
        .collect();
    // In turn, so that the server has read one connection's byte before the next one arrives.
    for _ in 0..200 {
        for stream in &mut slow {
            stream.write_all(b"x").unwrap();
        }
    }
    victim.survives(100);
}
