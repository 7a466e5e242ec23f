//! What has begun is finished even if the client is gone: pushes, webhooks, figures; and what could
//! not be delivered to the app's backend before the end is delivered after the next start.

#![allow(clippy::unwrap_used, reason = "tests")]

mod backend;
mod process;

use backend::Backend;
use process::engine::Engine;
use process::{Server, Store, login, posted, resume};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Sends a request and disconnects.
fn sends_and_goes(server: &Server, path: &str, body: &str) {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.write_all(posted(path, body).as_bytes()).unwrap();
}

fn logouts_of_clients_that_went_away_are_pushed_and_delivered(store: Store) {
    let backend = Backend::start();
    let server = store.with(&backend.settings());
    let mut streams = Vec::new();
    for user in 0..50 {
        let user_id = format!("user {user}");
        let (stream, session) = server.log_in(&login(&user_id, 1, 1, 1));
        let logout = json!({"session": session["session"], "seq": 2}).to_string();
        sends_and_goes(&server, "/v1/logout", &logout);
        streams.push(stream);
    }
    for stream in &mut streams {
        assert_eq!(stream.event(), None, "ended without a word");
    }
    let mut actions = BTreeMap::new();
    for _ in 0..100 {
        *actions.entry(backend.action().1).or_insert(0) += 1;
    }
    let expected = [("Login".to_owned(), 50), ("Logout".to_owned(), 50)];
    assert_eq!(actions, expected.into());
}

fn every_disconnect_of_a_drain_is_delivered_before_the_end(store: Store) {
    let backend = Backend::start();
    let mut server = store.with(&backend.settings());
    let streams: Vec<_> = (0..100)
        .map(|user| server.log_in(&login(&format!("user {user}"), 1, 1, 1)))
        .collect();
    for _ in 0..100 {
        assert_eq!(backend.action().1, "Login");
    }
    server.signal("TERM");
    for _ in 0..100 {
        assert_eq!(backend.action().1, "Disconnect");
    }
    assert!(server.wait().success());
    drop(streams);
}

fn a_users_events_come_in_the_order_of_the_decisions(store: Store) {
    let backend = Backend::start();
    let settings = format!(
        "{}takeovers.max = 0\nlimits.requests_per_user = 0\n",
        backend.settings()
    );
    let server = store.with(&settings);
    for turn in 1..=40 {
        let (stream, session) = server.log_in(&login("alice", 1, turn, 2 * turn));
        drop(stream);
        let logout = json!({"session": session["session"], "seq": 2 * turn + 1});
        assert_eq!(server.post("/v1/logout", &logout).status, 200);
    }
    let mut is_in = false;
    let mut logins = 0;
    while logins < 40 || is_in {
        match backend.action().1.as_str() {
            "Login" => {
                assert!(!is_in, "a login before the logout");
                (is_in, logins) = (true, logins + 1);
            }
            "Logout" => {
                assert!(is_in, "a logout before the login");
                is_in = false;
            }
            // It is not known here whether the connection or the session ended first.
            "Disconnect" => assert!(is_in, "a disconnect after the logout"),
            other => panic!("{other}"),
        }
    }
}

fn a_user_whose_event_fails_delays_nobody_else(store: Store) {
    let backend = Backend::start();
    let server = store.with(&format!("{}webhook_retries = 10\n", backend.settings()));
    server.log_in(&login("alice", 1, 1, 1));
    let mut failing = backend.request();
    assert_eq!(failing.user_id(), "alice");
    failing.answer("500 Internal Server Error");
    for user in 0..50 {
        server.log_in(&login(&format!("user {user}"), 1, 1, 1));
    }
    let begun = Instant::now();
    let mut others = 0;
    while others < 50 {
        let mut request = backend.request();
        if request.user_id() == "alice" {
            request.answer("500 Internal Server Error");
        } else {
            others += usize::from(request.action() == "Login");
            request.answer("204 No Content");
        }
    }
    // Ten attempts at alice's events take a quarter of an hour.
    assert!(begun.elapsed() < Duration::from_secs(30));
}

over_each_store! {
    logouts_of_clients_that_went_away_are_pushed_and_delivered
    every_disconnect_of_a_drain_is_delivered_before_the_end
    a_users_events_come_in_the_order_of_the_decisions
    a_user_whose_event_fails_delays_nobody_else
}

#[test]
fn a_login_whose_client_went_away_meanwhile_kicks_at_once() {
    let engine = Engine::start();
    let server = Server::node(&engine.url(), "");
    let (mut first, _) = server.log_in(&login("bob", 1, 1, 1));
    engine.command("CLIENT PAUSE 500 WRITE");
    sends_and_goes(&server, "/v1/login", &login("bob", 2, 1, 1).to_string());
    let begun = Instant::now();
    assert_eq!(first.event().unwrap().0, "kicked");
    // A heartbeat, which would reveal it as well, takes 25 s.
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn what_a_kill_left_undelivered_is_delivered_after_the_start() {
    let backend = Backend::start();
    let server = Server::with(&format!(
        "{}webhook_retries = 10\nmetrics_listen = \"127.0.0.1:0\"\n",
        backend.settings()
    ));
    let (stream, session) = server.log_in(&login("alice", 1, 1, 1));
    // In transit when the server is killed: nobody has confirmed it.
    let unanswered = backend.request();
    drop(stream);
    server.until_figure("tim_webhook_pending", 2.0);
    let (_stream, _) = server.log_in_by(&resume(&session, 1, 1, 2));
    server.signal("KILL");
    drop(unanswered);
    let _server = server.after_a_kill();
    for expected in ["Login", "Disconnect", "Login"] {
        let (user_id, action) = backend.action();
        assert_eq!((user_id.as_str(), action.as_str()), ("alice", expected));
    }
}

#[test]
fn what_a_dead_node_left_undelivered_is_delivered_by_another() {
    let (backend, engine) = (Backend::start(), Engine::start());
    let settings = format!("{}webhook_retries = 10\n", backend.settings());
    let first = Server::node(&engine.url(), &settings);
    first.log_in(&login("alice", 1, 1, 1));
    let unanswered = backend.request();
    first.signal("KILL");
    drop(unanswered);
    let _second = Server::node(&engine.url(), &settings);
    assert_eq!(backend.action(), ("alice".to_owned(), "Login".to_owned()));
}

#[test]
fn what_waits_for_the_webhook_shows_in_the_metrics() {
    let backend = Backend::start();
    let settings = format!(
        "{}webhook_retries = 0\nmetrics_listen = \"127.0.0.1:0\"\n",
        backend.settings()
    );
    let server = Server::with(&settings);
    let (_stream, _) = server.log_in(&login("alice", 1, 1, 1));
    let mut request = backend.request();
    assert_eq!(server.figure("tim_webhook_pending"), 1.0);
    request.answer("500 Internal Server Error");
    let (_stream, _) = server.log_in(&login("bob", 1, 1, 1));
    backend.received();
    server.until_figure("tim_webhook_pending", 0.0);
    for name in ["delivered", "failures", "dropped"] {
        assert_eq!(
            server.figure(&format!("tim_webhook_{name}_total")),
            1.0,
            "{name}"
        );
    }
}
