//! A client of a server with fault injection (docs/faults.md): what an app's own test can trigger,
//! the client experiences as the real thing.

#![allow(clippy::unwrap_used, reason = "tests")]

mod recorder;
mod tim_server;

use recorder::{LONG, Recorder, is_connection, is_kick};
use std::sync::Arc;
use tim::client::Client;
use tim::delivery::Notice;
use tim::error::*;
use tim::session::ConnectionStatus;
use tim_server::{APP, TimServer, begin_login, client_of, log_in, user_sig, user_sig_for};

/// Short waits, so that tests are quick.
const QUICK: &str = r#", "reconnect": {"first_ms": 20, "max_ms": 100}"#;
const ALICE: &str = r#"{"user_id": "alice"}"#;

/// Alice, logged in.
fn alice(server: &TimServer) -> (Arc<Client>, Arc<Recorder>) {
    let client = client_of(&server.url, APP, QUICK);
    let recorder = Recorder::by(&client);
    assert_eq!(log_in(&client, "alice", &user_sig("alice")), OK);
    recorder.connected(0);
    (client, recorder)
}

#[test]
fn an_expired_session_is_reported_as_expired_and_its_ticket_is_refused() {
    let server = TimServer::with_faults();
    let client = client_of(&server.url, APP, QUICK);
    let (recorder, ticket) = (Recorder::by(&client), user_sig("alice"));
    assert_eq!(log_in(&client, "alice", &ticket), OK);
    server.fault("POST", "/expire", ALICE);
    recorder.wait(0, |notice| {
        matches!(notice, Notice::UserSigExpired { code: 70001, .. })
    });
    assert_eq!(client.login_status(), 3);
    assert_eq!(recorder.sign_outs().len(), 1);
    // This client does not send it again; another client is refused.
    let (here, elsewhere) = (6206, 70001);
    assert_eq!(log_in(&client, "alice", &ticket), here);
    let other = client_of(&server.url, APP, QUICK);
    assert_eq!(log_in(&other, "alice", &ticket), elsewhere);
    let next = user_sig_for("alice", 3600);
    assert_eq!(log_in(&client, "alice", &next), OK);
}

#[test]
fn a_kicked_session_is_reported_as_kicked_and_does_not_come_back_by_itself() {
    let server = TimServer::with_faults();
    let (client, recorder) = alice(&server);
    let by = r#"{"user_id": "alice", "by_platform": "mac", "by_device_name": "a laptop"}"#;
    server.fault("POST", "/kick", by);
    recorder.wait(0, is_kick);
    assert_eq!(client.login_status(), 3);
    let info = client.kick_info_json();
    assert!(
        info.contains("a laptop") && info.contains("other_device"),
        "{info}"
    );
}

#[test]
fn a_dropped_stream_is_resumed_through_a_server_that_fails_and_the_user_stays() {
    let server = TimServer::with_faults();
    let (client, recorder) = alice(&server);
    let seen = recorder.len();
    server.fault("PUT", "/status", r#"{"status": 502, "count": 3}"#);
    server.fault("POST", "/drop", ALICE);
    let is_cut = |notice: &Notice| {
        is_connection(notice, ConnectionStatus::Disconnected, ERR_CONNECTION_RESET)
    };
    let gone = recorder.wait(seen, is_cut);
    recorder.connected(gone);
    assert_eq!((client.login_status(), client.login_id()), (1, 1));
    recorder.nobody_was_signed_out();
}

#[test]
fn a_login_whose_answer_comes_late_ends_at_its_own_deadline() {
    let server = TimServer::with_faults();
    server.fault("PUT", "/delay", r#"{"ms": 600000}"#);
    let client = client_of(&server.url, APP, r#", "login_timeout_ms": 300"#);
    let done = begin_login(&client, "alice").recv_timeout(LONG).unwrap();
    assert_eq!(done, ERR_RESPONSE_TIMEOUT, "{}", client.last_error_json());
    assert_eq!(client.login_status(), 3);
}

#[test]
fn the_servers_clock_is_the_clients_server_time() {
    let server = TimServer::with_faults();
    server.fault("PUT", "/clock", r#"{"offset_ms": -86400000}"#);
    let (client, _told) = alice(&server);
    let off_ms = client.server_time_ms().unwrap() - tim_server::now_s() * 1000;
    assert!((off_ms + 86_400_000).abs() < 10_000, "{off_ms}");
}
