//! Heads and bodies of any size: what exceeds the bounds is refused and never kept.

use crate::malformed::PATIENT;
use crate::process::{login, posted};
use crate::talk::{connect, receive_all, received, statuses};
use crate::victim::Victim;
use std::io::Write;
use tim_proto::wire::BODY_MAX;

const REQUEST: &str = "POST /v1/login HTTP/1.1\r\nHost: tim\r\n";
/// How much of an endless message is offered: many times what may be kept.
const OFFERED: usize = 64 * 1024 * 1024;

/// Sends a head and then the same bytes repeatedly, until the server stops reading. Returns how
/// many, and the answer.
fn pour(victim: &Victim, head: &str, more: &str) -> (usize, Vec<u16>) {
    let mut stream = connect(&victim.address);
    stream.write_all(head.as_bytes()).unwrap();
    let more = more.repeat(1 + 64 * 1024 / more.len());
    let mut poured = 0;
    while poured < OFFERED && stream.write_all(more.as_bytes()).is_ok() {
        poured += more.len();
    }
    (poured, statuses(&received(stream)))
}

#[test]
fn whatever_has_no_end_is_cut_off_early_and_not_kept() {
    let victim = Victim::with(PATIENT);
    let chunked = format!("{REQUEST}Transfer-Encoding: chunked\r\n\r\n");
    let endless = format!("{REQUEST}Content-Length: 1000000000000\r\n\r\n");
    let wide = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    for (what, head, more) in [
        ("a method", "", "A"),
        ("a path", "GET /", "a"),
        ("a header", &format!("{REQUEST}Header: "), "x"),
        ("a header's name", REQUEST, "x"),
        ("headers", REQUEST, "A: b\r\n"),
        ("a body", &endless, "x"),
        ("a body that is white space", &endless, " "),
        ("chunks of one byte", &chunked, "1\r\nx\r\n"),
        ("large chunks", &chunked, &wide),
        ("a chunk", &format!("{chunked}fffffffffffffff\r\n"), "x"),
        ("a chunk's extension", &format!("{chunked}1;"), "x"),
        (
            "extensions of chunks",
            &chunked,
            "1;extension=of-this-chunk\r\nx\r\n",
        ),
        ("a trailer", &format!("{chunked}0\r\nTrailer: "), "x"),
        ("trailers", &format!("{chunked}0\r\n"), "A: b\r\n"),
    ] {
        let (poured, statuses) = pour(&victim, head, more);
        assert!(poured < OFFERED, "{what}: all of it was taken");
        assert!(
            matches!(statuses[..], [] | [400 | 413 | 414 | 431]),
            "{what}: {statuses:?}"
        );
    }
    victim.survives(1);
}

#[test]
fn a_body_of_16_kib_is_read_and_one_byte_more_is_refused() {
    let victim = Victim::with(PATIENT);
    let padded = |size: usize, number: u64| {
        let body = login("alice", 1, number, number).to_string();
        let padding = " ".repeat(size - body.len());
        posted("/v1/login", &(body + &padding))
    };
    assert_eq!(victim.send(&padded(BODY_MAX, 1)).status, 200);
    assert_eq!(victim.send(&padded(BODY_MAX + 1, 2)).status, 413);
    let chunked = |size: usize, number: u64| {
        let body = login("alice", 1, number, number).to_string();
        let padding = " ".repeat(size - body.len());
        let length = body.len();
        let padded = padding.len();
        format!(
            "{REQUEST}Transfer-Encoding: chunked\r\n\r\n\
             {length:x}\r\n{body}\r\n{padded:x}\r\n{padding}\r\n0\r\n\r\n"
        )
    };
    assert_eq!(victim.send(&chunked(BODY_MAX, 3)).status, 200);
    assert_eq!(victim.send(&chunked(BODY_MAX + 1, 4)).status, 413);
    victim.survives(1);
}

#[test]
fn a_hundred_headers_are_read_and_one_more_is_refused() {
    let victim = Victim::with(PATIENT);
    let with = |count: usize| {
        let headers: String = (2..count).map(|at| format!("H{at}: x\r\n")).collect();
        let two = "Host: tim\r\nConnection: close\r\n";
        let request = format!("GET /healthz HTTP/1.1\r\n{two}{headers}\r\n");
        statuses(&receive_all(&victim.address, request.as_bytes()))
    };
    assert_eq!(with(100), [200]);
    assert_eq!(with(101), [431]);
    assert_eq!(with(2000), [431]);
    victim.survives(1);
}

#[test]
fn a_hundred_clients_that_pour_at_once_take_up_what_a_hundred_connections_may() {
    let victim = Victim::with(PATIENT);
    let endless = format!("{REQUEST}Content-Length: 1000000000000\r\n\r\n");
    std::thread::scope(|scope| {
        for at in 0..100 {
            let (victim, endless) = (&victim, &endless);
            scope.spawn(move || match at % 2 {
                0 => pour(victim, endless, "x"),
                _ => pour(victim, REQUEST, "A: b\r\n"),
            });
        }
    });
    victim.survives(100);
}
