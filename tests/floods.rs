//! Peers that send without end, faster than a client can read: deadlines, calls and destroy do not
//! wait for them to stop.

#![allow(clippy::unwrap_used, reason = "tests")]

mod recorder;
mod scripted_server;
mod tim_server;

use recorder::{LONG, Recorder};
use scripted_server::ScriptedServer;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tim::client::{self, Client};
use tim::delivery::Notice;
use tim::error::{ERR_INTERRUPTED, ERR_NOT_TIM_SERVER, ERR_RESPONSE_TIMEOUT, OK};
use tim_proto::wire::{EndEvent, LOGIN_PATH, LOGOUT_PATH, SpreadEvent, StreamEvent};
use tim_server::{begin_login, begin_logout, client_of};

/// Fails soon if nothing answers.
const SHORT: &str = r#", "login_timeout_ms": 500"#;
const STREAM: &str = "HTTP/1.1 200 OK\r\nTim-Protocol: 1\r\nContent-Type: text/event-stream\r\n";
const REFUSAL: &str = "HTTP/1.1 401 No\r\nTim-Protocol: 1\r\nContent-Type: application/json\r\n";

/// What follows forever in place of the answer to a login, and after what.
fn floods() -> Vec<(&'static str, String, &'static [u8])> {
    vec![
        (
            "interim answers",
            String::new(),
            b"HTTP/1.1 100 Continue\r\n\r\n",
        ),
        ("header lines", "HTTP/1.1 200 OK\r\n".into(), b"X: x\r\n"),
        ("one header line", "HTTP/1.1 200 OK\r\nX: ".into(), b"x"),
        ("comments", format!("{STREAM}\r\n"), b":x\n"),
        ("one comment", format!("{STREAM}\r\n"), b":"),
        ("one event", format!("{STREAM}\r\ndata: "), b"x"),
        (
            "events of a later version",
            format!("{STREAM}\r\n"),
            b"event: later\ndata: {}\n\n",
        ),
        (
            "chunks of comments",
            format!("{STREAM}Transfer-Encoding: chunked\r\n\r\n"),
            b"2\r\n:\n\r\n",
        ),
        (
            "a chunk's head",
            format!("{STREAM}Transfer-Encoding: chunked\r\n\r\n"),
            b"0",
        ),
        (
            "a chunk's extension",
            format!("{STREAM}Transfer-Encoding: chunked\r\n\r\n2;"),
            b"x",
        ),
        ("a refusal", format!("{REFUSAL}\r\n"), b" "),
    ]
}

fn client(url: &str, more: &str) -> Arc<Client> {
    client_of(url, 1, more)
}

#[test]
fn a_login_ends_at_its_deadline_whatever_comes() {
    for (what, begin, again) in floods() {
        let server = ScriptedServer::start();
        let client = client(&server.url, SHORT);
        let result = begin_login(&client, "alice");
        server.next_on(LOGIN_PATH).flood(&begin, again);
        let code = result.recv_timeout(LONG);
        let code = code.unwrap_or_else(|_| panic!("{what}: the login does not end"));
        // An answer that is too long is reported at once.
        assert!(
            [ERR_RESPONSE_TIMEOUT, ERR_NOT_TIM_SERVER].contains(&code),
            "{what}: {code}, {}",
            client.last_error_json()
        );
        assert_eq!(client::destroy(client.handle(), LONG), Ok(()), "{what}");
    }
}

#[test]
fn a_destroy_during_any_flood_ends_the_login_and_the_client() {
    for (what, begin, again) in floods() {
        let server = ScriptedServer::start();
        let client = client(&server.url, r#", "login_timeout_ms": 600000"#);
        let result = begin_login(&client, "alice");
        server.next_on(LOGIN_PATH).flood(&begin, again);
        assert_eq!(client::destroy(client.handle(), LONG), Ok(()), "{what}");
        let code = result.recv().unwrap();
        assert!(
            [ERR_INTERRUPTED, ERR_NOT_TIM_SERVER].contains(&code),
            "{what}: {code}"
        );
    }
}

/// What comes forever on the stream of a session.
fn stream_floods() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("comments", b":x\n".to_vec()),
        ("one comment", b":".to_vec()),
        (
            "events",
            StreamEvent::Spread(SpreadEvent { spread_ms: 0 }).to_bytes(),
        ),
    ]
}

#[test]
fn a_logout_goes_out_and_ends_while_the_stream_floods() {
    for (what, again) in stream_floods() {
        let server = ScriptedServer::start();
        let client = client(&server.url, "");
        let recorder = Recorder::by(&client);
        let result = begin_login(&client, "alice");
        let stream = server.next_on(LOGIN_PATH).accept();
        assert_eq!(result.recv_timeout(LONG), Ok(OK));
        recorder.connected(0);
        stream.flood(&again);
        let result = begin_logout(&client);
        // The answer comes late enough for the flood to be read meanwhile.
        let request = server.next_on(LOGOUT_PATH);
        thread::sleep(Duration::from_millis(100));
        request.end();
        assert_eq!(result.recv_timeout(LONG), Ok(OK), "{what}");
        assert_eq!(client::destroy(client.handle(), LONG), Ok(()), "{what}");
    }
}

#[test]
fn a_renewal_that_is_not_answered_ends_at_its_deadline_while_the_stream_floods() {
    for (what, again) in stream_floods() {
        let server = ScriptedServer::start();
        let client = client(&server.url, r#", "request_timeout_ms": 300"#);
        let result = begin_login(&client, "alice");
        let stream = server.next_on(LOGIN_PATH).accept();
        assert_eq!(result.recv_timeout(LONG), Ok(OK));
        stream.flood(&again);
        let result = tim_server::begin_renewal(&client, "ticket");
        let _unanswered = server.next();
        assert!(result.recv_timeout(LONG).is_ok(), "{what}");
        assert_eq!(client::destroy(client.handle(), LONG), Ok(()), "{what}");
    }
}

#[test]
fn the_session_event_alone_completes_a_login_and_what_is_right_behind_it_is_not_lost() {
    let server = ScriptedServer::start();
    let client = client(&server.url, "");
    let recorder = Recorder::by(&client);
    let result = begin_login(&client, "alice");
    // Held open, with nothing after the event.
    let mut stream = server.next_on(LOGIN_PATH).accept();
    assert_eq!(result.recv_timeout(LONG), Ok(OK));
    recorder.connected(0);
    stream.tell(&StreamEvent::UserSigExpired(EndEvent {
        code: 70001,
        message: String::new(),
    }));
    recorder.wait(0, |notice| matches!(notice, Notice::UserSigExpired { .. }));
}
