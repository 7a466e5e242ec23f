//! The life of a session over real sockets: broken streams, resumes, renewals, kicks, restarts. A
//! fault proxy stands between library and server; only the server's word signs anybody out.

#![allow(clippy::unwrap_used, reason = "tests")]

mod fault_proxy;
mod tim_server;
mod told;

use fault_proxy::{Fault, FaultProxy, Place};
use std::sync::Arc;
use tim::client::{self, Client};
use tim::delivery::Notice;
use tim::error::*;
use tim::session::ConnectionStatus;
use tim_server::{
    APP, TimServer, begin_login, begin_renewal, client_of, log_in, log_out, user_sig, user_sig_for,
};
use told::{LONG, Told, is_connection, is_kick};

/// Short waits, so that a test need not wait long.
const QUICK: &str = r#", "login_timeout_ms": 2000, "request_timeout_ms": 1000, "reconnect": {"first_ms": 20, "max_ms": 100}"#;

/// A renewal may take ten minutes.
const PATIENT: &str = r#", "request_timeout_ms": 600000"#;

/// Alice, logged in through a proxy that is whole.
fn alice(server: &TimServer, config: &str) -> (FaultProxy, Arc<Client>, Arc<Told>) {
    alice_on("phone", server, config)
}

fn alice_on(
    device_id: &str,
    server: &TimServer,
    config: &str,
) -> (FaultProxy, Arc<Client>, Arc<Told>) {
    let proxy = FaultProxy::start(server.address());
    let config = format!(r#"{config}, "device_id": "{device_id}""#);
    let client = client_of(&proxy.url(), APP, &config);
    let told = Told::by(&client);
    assert_eq!(log_in(&client, "alice", &user_sig("alice")), OK);
    told.connected(0);
    (proxy, client, told)
}

/// The stream is gone, and it is told why.
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
fn a_broken_stream_is_told_and_resumed_and_the_user_stays() {
    let server = TimServer::start();
    let (proxy, client, told) = alice(&server, QUICK);
    let seen = told.len();
    proxy.cut();
    let gone = told.wait(seen, is_cut);
    is_alice(&client);
    told.connected(gone);
    is_alice(&client);
    told.nobody_was_signed_out();
    // It is the same session as ever: a takeover reaches it.
    let seen = told.len();
    let _other = takes_over(&server);
    told.wait(seen, is_kick);
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
    let (proxy, client, told) = alice(&server, QUICK);
    proxy.leads_to(without_its_data.address());
    let seen = told.len();
    proxy.cut();
    told.connected(seen);
    is_alice(&client);
    told.nobody_was_signed_out();
    // A place that is taken is not taken back.
    let (proxy, away, told) = alice_on("tablet", &server, QUICK);
    proxy.leads_to(without_its_data.address());
    proxy.cut();
    told.wait(0, is_kick);
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
    let (_proxy, client, told) = alice(&server, QUICK);
    let seen = told.len();
    // The end of the old stream and the answer on the new one race: many times, so that each wins.
    for _ in 0..50 {
        let renewal = begin_renewal(&client, &user_sig("alice"));
        assert_eq!(renewal.recv().unwrap(), OK);
    }
    assert_eq!(told.len(), seen, "nothing was told");
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
        let (proxy, client, told) = alice(&server, PATIENT);
        let arrived = proxy.arrived();
        proxy.breaks(place, fault);
        let renewal = begin_renewal(&client, &user_sig("alice"));
        if fault != Fault::BlackHole {
            proxy.wait_for_arrival(arrived);
        }
        let other = takes_over(&server);
        told.wait(0, is_kick);
        assert_eq!(renewal.recv().unwrap(), ERR_NOT_LOGGED_IN, "{place:?}");
        assert_eq!(client.login_status(), 3);
        client::destroy(other.handle(), LONG).unwrap();
    }
}

#[test]
fn a_kick_of_a_session_whose_renewal_was_accepted_unheard_is_told_on_its_return() {
    let server = TimServer::start();
    let (proxy, client, told) = alice(&server, PATIENT);
    let arrived = proxy.arrived();
    proxy.breaks(Place::Answer, Fault::HalfOpen);
    let renewal = begin_renewal(&client, &user_sig("alice"));
    proxy.wait_for_arrival(arrived);
    // The server has moved the session to a stream that nobody hears.
    let _other = takes_over(&server);
    is_alice(&client);
    proxy.heals();
    client.notify().unwrap();
    told.wait(0, is_kick);
    assert_eq!(renewal.recv().unwrap(), ERR_NOT_LOGGED_IN);
    assert_eq!(client.login_status(), 3);
}

#[test]
fn a_kick_while_the_device_was_away_is_told_on_its_return() {
    let server = TimServer::start();
    let (proxy, client, told) = alice(&server, QUICK);
    proxy.breaks(Place::Connect, Fault::HalfOpen);
    let seen = told.len();
    proxy.cut();
    told.wait(seen, is_cut);
    let _other = takes_over(&server);
    is_alice(&client);
    proxy.heals();
    client.notify().unwrap();
    told.wait(seen, is_kick);
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
    let (_proxy, client, told) = alice(&server, QUICK);
    assert_eq!(log_in(&client, "bob", &user_sig("bob")), OK);
    assert_eq!(
        (client.login_user().as_str(), client.login_id()),
        ("bob", 2)
    );
    told.nobody_was_signed_out();
    // Alice's session is gone from the server: her next login has nobody to kick.
    let other = takes_over(&server);
    assert_eq!((other.login_status(), client.login_status()), (1, 1));
    // On her way in, she is replaced too, and what comes late does not count.
    let first = begin_login(&other, "carol");
    assert_eq!(log_in(&other, "dave", &user_sig("dave")), OK);
    let first = first.recv().unwrap();
    assert!(first == ERR_SUPERSEDED || first == OK, "{first}");
    assert_eq!(other.login_user(), "dave");
}

#[test]
fn a_ticket_is_told_to_end_and_ends_and_the_next_one_logs_in() {
    let server = TimServer::start();
    let client = client_of(&server.url, APP, QUICK);
    let told = Told::by(&client);
    assert_eq!(log_in(&client, "alice", &user_sig_for("alice", 2)), OK);
    let told_early = told.wait(0, |n| {
        matches!(n, Notice::UserSigExpiring { login_id: 1, .. })
    });
    told.wait(told_early, |n| {
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
    let told = Told::by(&client);
    let short = user_sig_for("alice", 1);
    assert_eq!(log_in(&client, "alice", &short), OK);
    told.wait(0, |n| matches!(n, Notice::UserSigExpired { .. }));
    let connections = proxy.taken();
    assert_eq!(
        log_in(&client, "alice", &short),
        ERR_USER_SIG_EXPIRED_LOCALLY
    );
    assert_eq!(proxy.taken(), connections, "refused here");
}
