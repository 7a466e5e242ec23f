//! The life of a session over real sockets: broken streams, resumes, renewals, kicks, restarts. A
//! fault proxy is between library and server; only the server's word signs anybody out.

#![allow(clippy::unwrap_used, reason = "tests")]

mod fault_proxy;
mod recorder;
mod tim_server;

use fault_proxy::{Fault, FaultProxy, Place};
use recorder::{LONG, Recorder, is_connection, is_kick};
use std::sync::Arc;
use tim::client::{self, Client, Hint};
use tim::delivery::Notice;
use tim::error::*;
use tim::session::ConnectionStatus;
use tim_server::{
    APP, TimServer, begin_login, begin_renewal, client_of, log_in, log_out, user_sig, user_sig_for,
};

/// Short waits, so that tests are quick.
const QUICK: &str = r#", "login_timeout_ms": 2000, "request_timeout_ms": 1000, "reconnect": {"first_ms": 20, "max_ms": 100}"#;

/// A renewal may take ten minutes.
const PATIENT: &str = r#", "request_timeout_ms": 600000"#;

/// Alice, logged in through a proxy that is whole.
fn alice(server: &TimServer, config: &str) -> (FaultProxy, Arc<Client>, Arc<Recorder>) {
    alice_on("phone", server, config)
}

fn alice_on(
    device_id: &str,
    server: &TimServer,
    config: &str,
) -> (FaultProxy, Arc<Client>, Arc<Recorder>) {
    let proxy = FaultProxy::start(server.address());
    let config = format!(r#"{config}, "device_id": "{device_id}""#);
    let client = client_of(&proxy.url(), APP, &config);
    let recorder = Recorder::by(&client);
    assert_eq!(log_in(&client, "alice", &user_sig("alice")), OK);
    recorder.connected(0);
    (proxy, client, recorder)
}

/// The stream was lost, and the event says why.
fn is_cut(notice: &Notice) -> bool {
    is_connection(notice, ConnectionStatus::Disconnected, ERR_CONNECTION_RESET)
}

fn is_alice(client: &Client) {
    assert_eq!(
        (
            client.login_status(),
            client.login_user().as_str(),
            client.login_id()
        ),
        (1, "alice", 1)
    );
}

/// Another device of alice's takes over, without the proxy.
fn takes_over(server: &TimServer) -> Arc<Client> {
    let other = client_of(
        &server.url,
        APP,
        r#", "device_id": "tablet", "device_name": "a tablet""#,
    );
    assert_eq!(log_in(&other, "alice", &user_sig("alice")), OK);
    other
}

#[test]
fn a_broken_stream_is_reported_and_resumed_and_the_user_stays() {
    let server = TimServer::start();
    let (proxy, client, recorder) = alice(&server, QUICK);
    let seen = recorder.len();
    proxy.cut();
    let gone = recorder.wait(seen, is_cut);
    is_alice(&client);
    recorder.connected(gone);
    is_alice(&client);
    recorder.nobody_was_signed_out();
    // It is still the same session: a takeover reaches it.
    let seen = recorder.len();
    let _other = takes_over(&server);
    recorder.wait(seen, is_kick);
    assert_eq!(
        (client.login_status(), client.login_user().as_str()),
        (3, "")
    );
    assert!(
        client
            .kick_info_json()
            .contains(r#""device_name":"a tablet""#),
        "{}",
        client.kick_info_json()
    );
}

#[test]
fn a_server_that_lost_its_tokens_is_logged_in_to_again_and_displaces_nobody() {
    let (server, without_its_data) = (TimServer::start(), TimServer::start());
    let (proxy, client, recorder) = alice(&server, QUICK);
    proxy.leads_to(without_its_data.address());
    let seen = recorder.len();
    proxy.cut();
    recorder.connected(seen);
    is_alice(&client);
    recorder.nobody_was_signed_out();
    // A place that was taken is not taken back.
    let (proxy, away, recorder) = alice_on("tablet", &server, QUICK);
    proxy.leads_to(without_its_data.address());
    proxy.cut();
    recorder.wait(0, is_kick);
    assert_eq!((away.login_status(), client.login_status()), (3, 1));
}

#[test]
fn a_logout_from_a_server_that_lost_its_tokens_completes_all_the_same() {
    let (server, without_its_data) = (TimServer::start(), TimServer::start());
    let (proxy, client, _) = alice(&server, QUICK);
    proxy.leads_to(without_its_data.address());
    assert_eq!(log_out(&client), OK);
}

#[test]
fn renewals_leave_no_gap() {
    let server = TimServer::start();
    let (_proxy, client, recorder) = alice(&server, QUICK);
    let seen = recorder.len();
    // The end of the old stream races with the answer on the new one: many times, so that each
    // wins.
    for _ in 0..50 {
        let renewal = begin_renewal(&client, &user_sig("alice"));
        assert_eq!(renewal.recv().unwrap(), OK);
    }
    assert_eq!(recorder.len(), seen, "nothing was delivered");
    is_alice(&client);
}

#[test]
fn a_renewal_that_hangs_does_not_hold_a_kick_up() {
    let server = TimServer::start();
    for (place, fault) in [
        (Place::Connect, Fault::BlackHole),
        (Place::Connect, Fault::HalfOpen),
        (Place::Request, Fault::HalfOpen),
    ] {
        let (proxy, client, recorder) = alice(&server, PATIENT);
        let arrived = proxy.arrived();
        proxy.breaks(place, fault);
        let renewal = begin_renewal(&client, &user_sig("alice"));
        if fault != Fault::BlackHole {
            proxy.wait_for_arrival(arrived);
        }
        let other = takes_over(&server);
        recorder.wait(0, is_kick);
        assert_eq!(renewal.recv().unwrap(), ERR_NOT_LOGGED_IN, "{place:?}");
        assert_eq!(client.login_status(), 3);
        client::destroy(other.handle(), LONG).unwrap();
    }
}

#[test]
fn a_kick_of_a_session_whose_accepted_renewal_was_not_received_is_reported_on_its_return() {
    let server = TimServer::start();
    let (proxy, client, recorder) = alice(&server, PATIENT);
    let arrived = proxy.arrived();
    proxy.breaks(Place::Answer, Fault::HalfOpen);
    let renewal = begin_renewal(&client, &user_sig("alice"));
    proxy.wait_for_arrival(arrived);
    // The server has moved the session to a stream that nobody reads.
    let _other = takes_over(&server);
    is_alice(&client);
    proxy.heals();
    client.notify(Hint::NetworkChanged).unwrap();
    recorder.wait(0, is_kick);
    assert_eq!(renewal.recv().unwrap(), ERR_NOT_LOGGED_IN);
    assert_eq!(client.login_status(), 3);
}

#[test]
fn a_kick_while_the_device_was_away_is_reported_on_its_return() {
    let server = TimServer::start();
    let (proxy, client, recorder) = alice(&server, QUICK);
    proxy.breaks(Place::Connect, Fault::HalfOpen);
    let seen = recorder.len();
    proxy.cut();
    recorder.wait(seen, is_cut);
    let _other = takes_over(&server);
    is_alice(&client);
    proxy.heals();
    client.notify(Hint::NetworkChanged).unwrap();
    recorder.wait(seen, is_kick);
    assert_eq!(client.login_status(), 3);
    assert!(
        client.kick_info_json().contains("a tablet"),
        "{}",
        client.kick_info_json()
    );
}

#[test]
fn a_switch_ends_the_first_session_and_kicks_nobody() {
    let server = TimServer::start();
    let (_proxy, client, recorder) = alice(&server, QUICK);
    assert_eq!(log_in(&client, "bob", &user_sig("bob")), OK);
    assert_eq!(
        (client.login_user().as_str(), client.login_id()),
        ("bob", 2)
    );
    recorder.nobody_was_signed_out();
    // Alice's session no longer exists on the server: her next login has nobody to kick.
    let other = takes_over(&server);
    assert_eq!((other.login_status(), client.login_status()), (1, 1));
    // While logging in she is displaced too, and what arrives late does not count.
    let first = begin_login(&other, "carol");
    assert_eq!(log_in(&other, "dave", &user_sig("dave")), OK);
    let first = first.recv().unwrap();
    assert!(first == ERR_SUPERSEDED || first == OK, "{first}");
    assert_eq!(other.login_user(), "dave");
}

#[test]
fn a_ticket_that_ends_is_reported_before_and_after_and_the_next_one_logs_in() {
    let server = TimServer::start();
    let client = client_of(&server.url, APP, QUICK);
    let recorder = Recorder::by(&client);
    assert_eq!(log_in(&client, "alice", &user_sig_for("alice", 2)), OK);
    let warned = recorder.wait(0, |n| {
        matches!(n, Notice::UserSigExpiring { login_id: 1, .. })
    });
    recorder.wait(warned, |n| {
        matches!(
            n,
            Notice::UserSigExpired {
                code: ERR_USER_SIG_EXPIRED,
                login_id: 1
            }
        )
    });
    assert_eq!(client.login_status(), 3);
    assert_eq!(log_in(&client, "alice", &user_sig("alice")), OK);
}

#[test]
fn a_ticket_that_ended_here_is_not_sent_again() {
    let server = TimServer::start();
    let proxy = FaultProxy::start(server.address());
    let client = client_of(&proxy.url(), APP, QUICK);
    let recorder = Recorder::by(&client);
    let short = user_sig_for("alice", 1);
    assert_eq!(log_in(&client, "alice", &short), OK);
    recorder.wait(0, |n| matches!(n, Notice::UserSigExpired { .. }));
    let connections = proxy.taken();
    assert_eq!(
        log_in(&client, "alice", &short),
        ERR_USER_SIG_EXPIRED_LOCALLY
    );
    assert_eq!(proxy.taken(), connections, "refused here");
}
