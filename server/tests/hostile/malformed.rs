//! What is not HTTP or contradicts itself: one refusal or none, and the connection is closed.

use crate::process::random::Random;
use crate::process::{Server, login, posted};
use crate::talk::{receive_all, receive_all_after_close, statuses};
use crate::victim::Victim;

/// Nothing is closed for lack of time, unless a test says so.
pub const PATIENT: &str = "limits.header_timeout_ms = 600000\nlimits.body_timeout_ms = 600000\n";
const SEED: u64 = 1;
/// The start of a TLS client's first message.
pub const TLS_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

/// A POST with these further header lines.
fn post(headers: &str, body: &str) -> Vec<u8> {
    format!("POST /v1/login HTTP/1.1\r\nHost: tim\r\n{headers}\r\n{body}").into()
}

fn get(line: &str, headers: &str) -> Vec<u8> {
    format!("{line}\r\nHost: tim\r\n{headers}\r\n").into()
}

/// What no server may accept as a request, with what is wrong with it.
pub fn malformed() -> Vec<(&'static str, Vec<u8>)> {
    let chunked = |body: &str| post("Transfer-Encoding: chunked\r\n", body);
    vec![
        ("no version", get("GET /healthz", "")),
        ("no path", get("GET HTTP/1.1", "")),
        ("a word too many", get("GET /healthz /healthz HTTP/1.1", "")),
        ("a space in the path", get("GET /health z HTTP/1.1", "")),
        ("a bad method", get("G@T /healthz HTTP/1.1", "")),
        ("no method", get(" /healthz HTTP/1.1", "")),
        ("version 0.9", get("GET /healthz HTTP/0.9", "")),
        ("version 1.2", get("GET /healthz HTTP/1.2", "")),
        ("version 3.0", get("GET /healthz HTTP/3.0", "")),
        ("another protocol", get("GET /healthz RTSP/1.0", "")),
        ("a lower case version", get("GET /healthz http/1.1", "")),
        (
            "the preface of HTTP/2",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        ),
        ("TLS on a plain port", [TLS_HELLO, &[0; 600]].concat()),
        (
            "a header without a colon",
            get("GET /healthz HTTP/1.1", "Header\r\n"),
        ),
        (
            "a header without a name",
            get("GET /healthz HTTP/1.1", ": x\r\n"),
        ),
        (
            "a space before a colon",
            get("GET /healthz HTTP/1.1", "Header : x\r\n"),
        ),
        (
            "a header name in brackets",
            get("GET /healthz HTTP/1.1", "(Header): x\r\n"),
        ),
        (
            "a header that goes on (obs-fold)",
            get("GET /healthz HTTP/1.1", "Header: x\r\n y\r\n"),
        ),
        (
            "NUL in a header",
            get("GET /healthz HTTP/1.1", "Header: x\0y\r\n"),
        ),
        (
            "NUL in a header's name",
            get("GET /healthz HTTP/1.1", "Hea\0der: x\r\n"),
        ),
        ("NUL in the path", get("GET /health\0z HTTP/1.1", "")),
        ("NUL alone", vec![0; 64]),
        (
            "a lone CR in a header",
            get("GET /healthz HTTP/1.1", "Header: x\ry\r\n"),
        ),
        (
            "a lone CR in the first line",
            get("GET /healthz\rHTTP/1.1", ""),
        ),
        (
            "different lengths",
            post("Content-Length: 2\r\nContent-Length: 3\r\n", "{}}"),
        ),
        (
            "two lengths in one",
            post("Content-Length: 2, 3\r\n", "{}}"),
        ),
        ("a negative length", post("Content-Length: -1\r\n", "{}")),
        ("a signed length", post("Content-Length: +2\r\n", "{}")),
        (
            "a hexadecimal length",
            post("Content-Length: 0x2\r\n", "{}"),
        ),
        ("an empty length", post("Content-Length:\r\n", "{}")),
        ("a length of words", post("Content-Length: two\r\n", "{}")),
        (
            "a length beyond 64 bits",
            post("Content-Length: 99999999999999999999\r\n", "{}"),
        ),
        (
            "a length of 64 bits",
            post("Content-Length: 18446744073709551615\r\n", "{}"),
        ),
        (
            "chunks in version 1.0",
            b"POST /v1/login HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
        ),
        ("an unknown coding", post("Transfer-Encoding: gzip\r\n", "")),
        (
            "chunked that is not last",
            post("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"),
        ),
        (
            "an unknown coding and a length",
            post("Transfer-Encoding: x\r\nContent-Length: 2\r\n", "{}"),
        ),
        ("a chunk of no size", chunked("\r\n{}\r\n0\r\n\r\n")),
        (
            "a chunk of a negative size",
            chunked("-2\r\n{}\r\n0\r\n\r\n"),
        ),
        ("a chunk of words", chunked("two\r\n{}\r\n0\r\n\r\n")),
        (
            "a chunk size beyond 64 bits",
            chunked("fffffffffffffffff\r\n{}\r\n0\r\n\r\n"),
        ),
        (
            "a chunk longer than its size",
            chunked("2\r\n{}}}\r\n0\r\n\r\n"),
        ),
        (
            "a chunk size that ends with CR",
            chunked("2\r{}\r\n0\r\n\r\n"),
        ),
        (
            "a chunk size that ends with LF",
            chunked("2\n{}\r\n0\r\n\r\n"),
        ),
    ]
}

/// One refusal, or nothing, and then the end.
pub fn is_refused(what: &str, received: &[u8]) {
    match statuses(received)[..] {
        [] | [400 | 408 | 413 | 414 | 431 | 501 | 505] => {}
        ref other => panic!("{what}: {other:?}"),
    }
}

#[test]
fn a_malformed_request_is_refused_and_its_connection_closed() {
    let victim = Victim::with(PATIENT);
    for (what, bytes) in malformed() {
        is_refused(what, &receive_all(&victim.address, &bytes));
    }
    victim.survives(1);
}

#[test]
fn a_malformed_request_that_comes_byte_by_byte_is_refused_as_well() {
    let victim = Victim::with(PATIENT);
    for (what, bytes) in malformed() {
        let mut stream = crate::talk::connect(&victim.address);
        stream.set_nodelay(true).unwrap();
        // The server may have closed before all of it was sent.
        let sent = |byte: &u8| std::io::Write::write_all(&mut stream, &[*byte]).is_ok();
        let _ = bytes.iter().all(sent);
        is_refused(what, &crate::talk::received(stream));
    }
    victim.survives(1);
}

#[test]
fn a_request_cut_off_anywhere_is_dropped_without_a_trace() {
    let victim = Victim::with(PATIENT);
    let whole = posted("/v1/login", &login("alice", 1, 1, 1).to_string());
    for end in 0..whole.len() {
        let received = receive_all_after_close(&victim.address, &whole.as_bytes()[..end]);
        is_refused(&whole[..end], &received);
    }
    victim.survives(1);
    // None of them was a login: the number has not been used.
    victim.log_in(&login("alice", 1, 1, 1));
}

#[test]
fn random_bytes_are_refused() {
    let victim = Victim::with(PATIENT);
    let mut random = Random::new(SEED);
    for round in 0..2000 {
        let length = 1 + random.below(3000);
        let bytes = random.bytes(length);
        let received = receive_all_after_close(&victim.address, &bytes);
        is_refused(&format!("seed {SEED}, round {round}"), &received);
    }
    victim.survives(1);
}

#[test]
fn a_login_with_bytes_changed_is_answered_by_the_rules_or_its_connection_closed() {
    let victim = Victim::with(&format!(
        "{PATIENT}throttle.failures = 0\nthrottle.address_failures = 0"
    ));
    let mut random = Random::new(SEED);
    for round in 0..2000 {
        let body = login("alice", 1, 1, round + 1).to_string();
        let mut bytes = posted("/v1/login", &body).into_bytes();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len());
            match random.below(4) {
                0 => bytes[at] = random.number() as u8,
                1 => bytes[at] ^= 1 << random.below(8),
                2 => drop(bytes.remove(at)),
                _ => bytes.insert(at, b"\0\r\n:\"{}[]\\\xff"[random.below(11)]),
            }
        }
        for status in statuses(&receive_all_after_close(&victim.address, &bytes)) {
            let known = [200, 400, 401, 403, 404, 405, 413, 414, 429, 431];
            assert!(
                known.contains(&status),
                "seed {SEED}, round {round}: {status}"
            );
        }
    }
    victim.survives(1);
}

#[test]
fn plain_text_on_a_tls_port_is_refused_and_clients_with_tls_are_served() {
    let (trusted, pem, key) = crate::process::tls::certificate();
    let server = Server::with_tls_and(&pem, &key, PATIENT);
    let hears = || crate::process::tls::hears(&server, &trusted).unwrap();
    assert_eq!(hears(), "HTTP/1.1 200 OK");
    let before = server.most_memory();
    let mut random = Random::new(SEED);
    let request = b"GET /healthz HTTP/1.1\r\nHost: tim\r\n\r\n".to_vec();
    let inputs = malformed().into_iter().map(|(_, bytes)| bytes);
    let inputs = inputs
        .chain([request])
        .chain((0..500).map(|_| random.bytes(600)));
    for bytes in inputs {
        let received = receive_all_after_close(&server.address, &bytes);
        // A TLS alert, or nothing.
        assert!(received.is_empty() || received[0] == 0x15, "{received:?}");
    }
    assert_eq!(hears(), "HTTP/1.1 200 OK");
    let grown = server.most_memory() - before;
    assert!(grown <= crate::victim::MORE_BYTES, "{grown} bytes more");
}
