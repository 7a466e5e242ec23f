//! The shutdown of a server: every client learns when to come back, and no new one is accepted.

#![allow(clippy::unwrap_used, reason = "tests")]

mod process;

use process::{Answer, Server, login, resume};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

/// A request whose body the server waits for.
fn unfinished(server: &Server) -> TcpStream {
    let mut stream = server.connect();
    let head = "POST /v1/logout HTTP/1.1\r\nHost: tim\r\nExpect: 100-continue\r\n\
                Content-Length: 2\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut said = vec![0; go_on.len()];
    stream.read_exact(&mut said).unwrap();
    assert_eq!(said, go_on);
    stream
}

fn get(server: &Server, path: &str) -> Answer {
    server.send(&format!("GET {path} HTTP/1.1\r\nHost: tim\r\n\r\n"))
}

#[test]
fn a_draining_server_says_so_lets_nobody_in_and_finishes_what_it_has_begun() {
    let mut server = Server::with("drain_timeout_s = 3600\n[limits]\nbody_timeout_ms = 600000");
    let (mut stream, session) = server.log_in(&login("alice", 1, 1, 1));
    let mut request = unfinished(&server);
    assert_eq!(get(&server, "/readyz").status, 200);
    server.signal("TERM");
    assert_eq!(stream.event().unwrap().0, "going_away");
    assert_eq!(stream.event(), None);

    assert_eq!(get(&server, "/readyz").status, 503);
    assert_eq!(get(&server, "/healthz").status, 200, "it is still alive");
    for (path, body) in [
        ("/v1/login", login("bob", 2, 1, 1)),
        ("/v1/resume", resume(&session, 1, 1, 2)),
    ] {
        let mut refused = server.post(path, &body);
        assert_eq!(
            (refused.status, refused.header("retry-after")),
            (503, Some("5"))
        );
        assert_eq!(refused.json()["code"], 7724);
    }

    request.write_all(b"{}").unwrap();
    let mut answer = Answer::read(request);
    assert_eq!(
        (answer.status, &answer.json()["code"]),
        (400, &70402.into())
    );
    assert!(server.wait().success());
}

#[test]
fn every_stream_has_a_return_slot_of_its_own() {
    let server = Server::start();
    let mut streams: Vec<_> = (0..100)
        .map(|which| {
            server
                .log_in(&login(&format!("user {which}"), which, 1, 1))
                .0
        })
        .collect();
    server.signal("TERM");
    let mut slots = BTreeMap::new();
    for stream in &mut streams {
        let (name, event) = stream.event().unwrap();
        assert_eq!(name, "going_away");
        *slots
            .entry(event["return_in_ms"].as_u64().unwrap())
            .or_insert(0) += 1;
    }
    let evenly: BTreeMap<u64, i32> = (0..50).map(|slot| (slot, 2)).collect();
    assert_eq!(slots, evenly, "2,000 a second");
}

#[test]
fn at_the_deadline_the_server_leaves_the_remaining_clients() {
    let mut server = Server::with("drain_timeout_s = 0\n[limits]\nbody_timeout_ms = 600000");
    let _request = unfinished(&server);
    server.signal("TERM");
    assert!(server.wait().success());
}

#[test]
fn a_second_signal_ends_the_server_at_once() {
    let mut server = Server::with("drain_timeout_s = 3600\n[limits]\nbody_timeout_ms = 600000");
    let _request = unfinished(&server);
    server.signal("TERM");
    server.logged("draining");
    server.signal("INT");
    assert!(server.wait().success());
}
