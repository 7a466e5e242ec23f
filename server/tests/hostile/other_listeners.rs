//! The listeners of the operator and of the metrics, under the same attacks as the clients'.

use crate::malformed::{PATIENT, is_refused, malformed};
use crate::process::Server;
use crate::process::metrics::{figures, get};
use crate::process::random::Random;
use crate::talk::{connect, receive_all, receive_all_after_close, received, statuses};
use crate::victim::Victim;
use std::io::Write;

const SEED: u64 = 1;
const METRICS: &str = "metrics_listen = \"127.0.0.1:0\"\n";

/// The addresses of both.
fn listeners(victim: &Victim) -> [String; 2] {
    [
        victim.admin.clone().unwrap(),
        victim.metrics.clone().unwrap(),
    ]
}

/// Both listeners answer, and so does the clients'.
fn all_answer(victim: &Victim) {
    assert_eq!(victim.own("GET", "/v1/users/nobody", "").0, 404);
    assert!(figures(victim).contains_key("tim_connections"));
    victim.survives(300);
}

#[test]
fn malformed_and_random_input_is_refused_there_too() {
    let victim = Victim::of(Server::with_admin(&format!("{METRICS}{PATIENT}")));
    let mut random = Random::new(SEED);
    for address in listeners(&victim) {
        for (what, bytes) in malformed() {
            // The metrics listener reads no body: it answers before it could see a mistake there.
            if Some(&address) == victim.metrics.as_ref() && what.contains("chunk") {
                receive_all_after_close(&address, &bytes);
            } else {
                is_refused(what, &receive_all(&address, &bytes));
            }
        }
        for round in 0..300 {
            let received = receive_all_after_close(&address, &random.bytes(1000));
            is_refused(&format!("seed {SEED}, round {round}"), &received);
        }
    }
    all_answer(&victim);
}

#[test]
fn large_heads_and_bodies_are_refused_there_too() {
    let victim = Victim::of(Server::with_admin(&format!("{METRICS}{PATIENT}")));
    let large = "x".repeat(17 * 1024);
    for address in listeners(&victim) {
        let head = format!("GET /healthz HTTP/1.1\r\nHost: tim\r\nHeader: {large}\r\n\r\n");
        assert_eq!(
            statuses(&receive_all_after_close(&address, head.as_bytes())),
            [431]
        );
        let mut stream = connect(&address);
        let head = b"POST /v1/users HTTP/1.1\r\nHost: tim\r\nContent-Length: 1000000000000\r\n\r\n";
        stream.write_all(head).unwrap();
        let mut poured = 0;
        while poured < 1000 && stream.write_all(&[b'x'; 64 * 1024]).is_ok() {
            poured += 1;
        }
        assert!(poured < 1000, "all of it was taken");
        assert!(matches!(
            statuses(&received(stream))[..],
            [] | [404 | 405 | 413]
        ));
    }
    all_answer(&victim);
}

#[test]
fn connections_left_silent_there_make_way_when_their_time_is_up() {
    let victim = Victim::of(Server::with_admin(&format!(
        "{METRICS}limits.header_timeout_ms = 400"
    )));
    for address in listeners(&victim) {
        // More than either serves at a time.
        let silent: Vec<_> = (0..300).map(|_| connect(&address)).collect();
        if Some(&address) == victim.metrics.as_ref() {
            assert_eq!(get(&address, "/metrics").0, 200);
        } else {
            assert_eq!(victim.own("GET", "/v1/users/nobody", "").0, 404);
        }
        drop(silent);
    }
    all_answer(&victim);
}

#[test]
fn clients_that_read_no_answer_there_make_way_when_their_time_is_up() {
    let victim = Victim::of(Server::with_admin(&format!(
        "{METRICS}{PATIENT}limits.unread_timeout_ms = 1000"
    )));
    let [_, metrics] = listeners(&victim);
    std::thread::scope(|scope| {
        // As many as it serves at a time.
        for _ in 0..16 {
            scope.spawn(|| crate::unread::asks_without_reading(&metrics));
        }
        assert_eq!(get(&metrics, "/metrics").0, 200);
    });
    all_answer(&victim);
}
