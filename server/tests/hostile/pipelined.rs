//! Several requests in one write: answered in order, or the connection is closed; no part of a body
//! is ever taken for a request.

use crate::malformed::{PATIENT, is_refused, malformed};
use crate::process::metrics::becomes;
use crate::process::{Answer, login, posted};
use crate::talk::{answers, connect, receive_all, statuses};
use crate::victim::Victim;
use std::io::Write;

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: tim\r\n\r\n";
const NOTHING: &str = "GET /nothing HTTP/1.1\r\nHost: tim\r\n\r\n";
const LAST: &str = "GET /readyz HTTP/1.1\r\nHost: tim\r\nConnection: close\r\n\r\n";

#[test]
fn good_requests_in_one_write_are_answered_in_their_order() {
    let victim = Victim::with(PATIENT);
    let bad = posted("/v1/login", "hello");
    let requests = [HEALTH, NOTHING, &bad, HEALTH, LAST].concat();
    let answers = answers(&receive_all(&victim.address, requests.as_bytes()));
    let statuses: Vec<_> = answers.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [200, 404, 400, 200, 200]);
    assert_eq!((&*answers[0].1, &*answers[4].1), ("ok\n", "ready\n"));
    victim.survives(1);
}

#[test]
fn a_thousand_requests_in_one_write_get_a_thousand_answers() {
    let victim = Victim::with(PATIENT);
    let requests = [HEALTH.repeat(999).as_str(), LAST].concat();
    let answered = statuses(&receive_all(&victim.address, requests.as_bytes()));
    assert_eq!(answered, [200; 1000]);
    victim.survives(1);
}

#[test]
fn after_a_good_request_a_malformed_one_is_refused_and_ends_the_connection() {
    let victim = Victim::with(PATIENT);
    for (what, bytes) in malformed() {
        let sent = [HEALTH.as_bytes(), &bytes].concat();
        let received = receive_all(&victim.address, &sent);
        let (first, rest) = answers(&received)
            .split_first()
            .map_or((0, 0), |(first, rest)| (first.0, rest.len()));
        assert_eq!(first, 200, "{what}");
        assert!(rest <= 1, "{what}");
        let after = received
            .windows(4)
            .position(|four| four == b"ok\n" || four == b"ok\nH");
        is_refused(what, after.map_or(&[], |at| &received[at + 3..]));
    }
    victim.survives(1);
}

#[test]
fn a_request_in_a_body_is_no_request() {
    let victim = Victim::with(PATIENT);
    let inner = HEALTH.repeat(600);
    let with = |path: &str, headers: &str, body: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: tim\r\n{headers}\r\n{body}")
    };
    let length = |body: &str| format!("Content-Length: {}\r\n", body.len());
    let chunk = format!("{:x}\r\n{HEALTH}\r\n0\r\n\r\n", HEALTH.len());
    let both = |order: [&str; 2]| with("/v1/login", &order.concat(), &[&chunk, HEALTH].concat());
    let coding = "Transfer-Encoding: chunked\r\n";
    for (what, request, wanted) in [
        (
            "too large",
            with("/v1/login", &length(&inner), &inner),
            &[413, 200][..],
        ),
        (
            "no path's",
            with("/nothing", &length(HEALTH), HEALTH),
            &[404, 200],
        ),
        (
            "a large one of no path",
            with("/nothing", &length(&inner), &inner),
            &[404, 200],
        ),
        (
            "a refused login's",
            with("/v1/login", &length(HEALTH), HEALTH),
            &[400, 200],
        ),
        ("in a chunk", with("/v1/login", coding, &chunk), &[400, 200]),
        // By the length, what follows is the second body: nobody answers it.
        (
            "a length, then chunks",
            both(["Content-Length: 5\r\n", coding]),
            &[400],
        ),
        (
            "chunks, then a length",
            both([coding, "Content-Length: 5\r\n"]),
            &[400],
        ),
    ] {
        let received = receive_all(&victim.address, [&request, LAST].concat().as_bytes());
        let answers = answers(&received);
        let statuses: Vec<_> = answers.iter().map(|(status, _)| *status).collect();
        // Whether it reads on after a body it did not want depends on how much has arrived.
        let fits = statuses == wanted || wanted[0] != 400 && statuses == wanted[..1];
        assert!(fits, "{what}: {statuses:?}");
        assert!(answers.iter().all(|(_, body)| body != "ok\n"), "{what}");
    }
    victim.survives(1);
}

#[test]
fn a_request_behind_a_login_changes_nothing_of_its_stream_which_still_ends_with_its_client() {
    let victim = Victim::with(&format!(
        "{PATIENT}heartbeat_ms = 100\nmetrics_listen = \"127.0.0.1:0\""
    ));
    for (which, behind) in [
        (1, HEALTH.to_owned()),
        (2, posted("/v1/login", &login("bob", 9, 1, 1).to_string())),
        (3, "rubbish".to_owned()),
        (4, HEALTH.repeat(30_000)),
    ] {
        let user = format!("alice {which}");
        let login = posted("/v1/login", &login(&user, which, 1, 1).to_string());
        let mut stream = connect(&victim.address);
        stream.write_all(login.as_bytes()).unwrap();
        // The server reads only as far as it has room; the rest stays here.
        stream.set_nonblocking(true).unwrap();
        let _ = stream.write_all(behind.as_bytes());
        stream.set_nonblocking(false).unwrap();
        let mut answer = Answer::read(stream);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.event().unwrap().0, "session");
        for _ in 0..3 {
            assert!(answer.block().unwrap().starts_with(": hb"));
        }
        drop(answer);
    }
    becomes(&victim, "tim_connections", 1.0);
    victim.survives(4);
}
