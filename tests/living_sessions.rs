//! The life of a session over real sockets: broken streams, resumes, renewals, kicks, restarts. A
//! fault proxy stands between library and server; only the server's word signs anybody out.

#![allow(clippy::unwrap_used, reason = "tests")]

mod fault_proxy;
mod tim_server;

use fault_proxy::{Fault, FaultProxy, Place};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tim::client::{self, Client};
use tim::delivery::{Kind, Notice};
use tim::error::*;
use tim::session::ConnectionStatus;
use tim_server::{APP, TimServer, client_of, log_in, log_out, user_sig, user_sig_for};

/// Short waits, so that a test need not wait long.
const QUICK: &str = r#", "login_timeout_ms": 2000, "request_timeout_ms": 1000, "reconnect": {"first_ms": 20, "max_ms": 100}"#;

/// Everything that a client tells, in order.
#[derive(Default)]
struct Told {
    notices: Mutex<Vec<Notice>>,
    more: Condvar,
}

impl Told {
    fn by(client: &Client) -> Arc<Told> {
        let told = Arc::new(Told::default());
        for kind in [
            Kind::Connection,
            Kind::KickedOffline,
            Kind::UserSigExpired,
            Kind::UserSigExpiring,
        ] {
            let told = told.clone();
            let keep = move |notice| {
                told.notices.lock().unwrap().push(notice);
                told.more.notify_all();
            };
            client.set_callback(kind, Some(Arc::new(keep))).unwrap();
        }
        told
    }

    /// Waits for a notice from the place `from` on, and gives the place behind it.
    fn wait(&self, from: usize, wanted: impl Fn(&Notice) -> bool) -> usize {
        let found = |notices: &Vec<Notice>| notices.iter().skip(from).position(&wanted);
        let notices = self.notices.lock().unwrap();
        let (notices, timeout) = self
            .more
            .wait_timeout_while(notices, Duration::from_secs(60), |notices| {
                found(notices).is_none()
            })
            .unwrap();
        assert!(
            !timeout.timed_out(),
            "waited in vain after {from}: {notices:?}"
        );
        from + found(&notices).unwrap() + 1
    }

    fn len(&self) -> usize {
        self.notices.lock().unwrap().len()
    }

    fn connected(&self, from: usize) -> usize {
        self.wait(from, |notice| {
            matches!(
                notice,
                Notice::Connection {
                    status: ConnectionStatus::Connected,
                    ..
                }
            )
        })
    }

    /// No kick and no expiry was told.
    fn nobody_was_signed_out(&self) {
        let notices = self.notices.lock().unwrap();
        let out = |n: &&Notice| {
            matches!(
                n,
                Notice::KickedOffline { .. } | Notice::UserSigExpired { .. }
            )
        };
        assert_eq!(notices.iter().find(out), None);
    }
}

/// The stream is gone. "Disconnected" may have been replaced by the newer "connecting".
fn is_gap(notice: &Notice) -> bool {
    matches!(
        notice,
        Notice::Connection {
            status: ConnectionStatus::Disconnected | ConnectionStatus::Connecting,
            ..
        }
    )
}

fn is_trouble(notice: &Notice) -> bool {
    matches!(notice, Notice::Connection { status: ConnectionStatus::ConnectFailed, code, .. } if *code != OK)
}

fn is_kick(notice: &Notice) -> bool {
    matches!(
        notice,
        Notice::KickedOffline {
            code: 6208,
            login_id: 1
        }
    )
}

/// Alice, logged in through a proxy that is whole.
fn alice(server: &TimServer) -> (FaultProxy, Client, Arc<Told>) {
    let proxy = FaultProxy::start(server.address());
    let client = client_of(
        &proxy.url(),
        APP,
        &format!(r#"{QUICK}, "device_id": "phone""#),
    );
    let told = Told::by(&client);
    assert_eq!(log_in(&client, "alice", &user_sig("alice")), OK);
    told.connected(0);
    (proxy, client, told)
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
fn takes_over(server: &TimServer) -> Client {
    let other = client_of(
        &server.url,
        APP,
        r#", "device_id": "tablet", "device_name": "a tablet""#,
    );
    assert_eq!(log_in(&other, "alice", &user_sig("alice")), OK);
    other
}

fn renew(client: &Client, ticket: &str) -> Receiver<i32> {
    let (done, result): (Sender<i32>, _) = channel();
    client
        .renew_user_sig(ticket, Box::new(move |code| done.send(code).unwrap()))
        .unwrap();
    result
}

/// How a connection can break, where.
fn faults() -> Vec<(Place, Fault)> {
    use Fault::*;
    use Place::*;
    vec![
        (Connect, Silent),
        (Connect, Reset),
        (Connect, Close),
        (FirstBytes, Silent),
        (FirstBytes, Reset),
        (FirstBytes, Garbage),
        (Answer, Silent),
        (Answer, Reset),
        (Answer, Close),
        (Answer, Drip),
        (Answer, Page502),
        (Answer, Redirect),
        (Answer, FalseVerdict),
        (FirstEvent, Silent),
        (FirstEvent, Reset),
        (FirstEvent, Close),
    ]
}

#[test]
fn a_broken_stream_is_told_and_resumed_and_the_user_stays() {
    let server = TimServer::start();
    let (proxy, client, told) = alice(&server);
    let seen = told.len();
    proxy.cut();
    let gone = told.wait(seen, is_gap);
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
fn no_fault_of_a_resume_signs_anybody_out_and_each_is_named() {
    let server = TimServer::start();
    for (place, fault) in faults() {
        let (proxy, client, told) = alice(&server);
        proxy.breaks(place, fault);
        let seen = told.len();
        proxy.cut();
        told.wait(seen, is_trouble);
        is_alice(&client);
        proxy.heals();
        let seen = told.len();
        client.notify().unwrap();
        told.connected(seen);
        is_alice(&client);
        told.nobody_was_signed_out();
        assert_eq!(log_out(&client), OK, "{fault:?} at {place:?}");
    }
}

#[test]
fn a_stream_that_falls_silent_is_noticed_and_resumed() {
    let settings = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&settings, "heartbeat_ms = 200\n").unwrap();
    let server = TimServer::with(&["--config", settings.path().to_str().unwrap()]);
    // (A reset may take the first event with it, and then the login is not accepted.)
    for fault in [Fault::Silent, Fault::Close, Fault::Garbage] {
        let proxy = FaultProxy::start(server.address());
        proxy.breaks(Place::Stream, fault);
        let client = client_of(&proxy.url(), APP, QUICK);
        let told = Told::by(&client);
        assert_eq!(
            log_in(&client, "alice", &user_sig("alice")),
            OK,
            "{fault:?}"
        );
        let up = told.connected(0);
        proxy.heals();
        told.connected(up);
        is_alice(&client);
        told.nobody_was_signed_out();
    }
}

#[test]
fn no_fault_of_a_renewal_ends_the_session_and_each_completes_it() {
    let server = TimServer::start();
    for (place, fault) in faults() {
        let (proxy, client, told) = alice(&server);
        proxy.breaks(place, fault);
        let code = renew(&client, &user_sig("alice")).recv().unwrap();
        assert_ne!(code, OK, "{fault:?} at {place:?}");
        is_alice(&client);
        told.nobody_was_signed_out();
        proxy.heals();
        assert_eq!(
            renew(&client, &user_sig("alice")).recv().unwrap(),
            OK,
            "after {fault:?} at {place:?}"
        );
        is_alice(&client);
        assert_eq!(log_out(&client), OK);
    }
}

#[test]
fn renewals_leave_no_gap() {
    let server = TimServer::start();
    let (_proxy, client, told) = alice(&server);
    let seen = told.len();
    // The end of the old stream and the answer on the new one race: many times, so that each wins.
    for _ in 0..50 {
        assert_eq!(renew(&client, &user_sig("alice")).recv().unwrap(), OK);
    }
    assert_eq!(told.len(), seen, "nothing was told");
    is_alice(&client);
}

#[test]
fn a_renewal_that_hangs_does_not_hold_a_kick_up() {
    let server = TimServer::start();
    for place in [
        Place::Connect,
        Place::FirstBytes,
        Place::Answer,
        Place::FirstEvent,
    ] {
        let proxy = FaultProxy::start(server.address());
        // The renewal would wait for ten minutes.
        let client = client_of(
            &proxy.url(),
            APP,
            r#", "device_id": "phone", "request_timeout_ms": 600000"#,
        );
        let told = Told::by(&client);
        assert_eq!(log_in(&client, "alice", &user_sig("alice")), OK);
        let arrived = proxy.arrived();
        proxy.breaks(place, Fault::Silent);
        let renewal = renew(&client, &user_sig("alice"));
        proxy.wait_for_arrival(arrived);
        let other = takes_over(&server);
        told.wait(0, is_kick);
        assert_eq!(renewal.recv().unwrap(), ERR_NOT_LOGGED_IN, "{place:?}");
        assert_eq!(client.login_status(), 3);
        client::destroy(other.handle(), Duration::from_secs(60)).unwrap();
    }
}

#[test]
fn a_logout_without_a_network_is_done_here_and_completes_with_the_networks_code() {
    let server = TimServer::start();
    for (place, fault) in faults() {
        let (proxy, client, told) = alice(&server);
        proxy.breaks(place, fault);
        let code = log_out(&client);
        assert_ne!(code, OK, "{fault:?} at {place:?}");
        assert_eq!(
            (client.login_status(), client.login_user().as_str()),
            (3, "")
        );
        told.nobody_was_signed_out();
        // Whoever logs in next is not disturbed by it.
        proxy.heals();
        assert_eq!(log_in(&client, "bob", &user_sig("bob")), OK);
        assert_eq!(client.login_user(), "bob");
    }
}

#[test]
fn a_kick_while_the_device_was_away_is_told_on_its_return() {
    let server = TimServer::start();
    let (proxy, client, told) = alice(&server);
    proxy.breaks(Place::Connect, Fault::Silent);
    let seen = told.len();
    proxy.cut();
    told.wait(seen, is_gap);
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
    let (_proxy, client, told) = alice(&server);
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
    let (done, first) = channel();
    other
        .login(
            "carol",
            &user_sig("carol"),
            Box::new(move |code| done.send(code).unwrap()),
        )
        .unwrap();
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

#[test]
fn five_hundred_clients_return_after_a_power_cut_and_nobody_is_signed_out() {
    let server = TimServer::start();
    let clients: Vec<_> = (0..500)
        .map(|at| {
            let client = client_of(&server.url, APP, "");
            let told = Told::by(&client);
            let user = format!("user {at}");
            let (done, result) = channel();
            client
                .login(
                    &user,
                    &user_sig(&user),
                    Box::new(move |code| done.send(code).unwrap()),
                )
                .unwrap();
            (client, told, user, result)
        })
        .collect();
    for (_, told, user, result) in &clients {
        assert_eq!(result.recv().unwrap(), OK, "{user}");
        told.connected(0);
    }
    let seen: Vec<_> = clients.iter().map(|(_, told, ..)| told.len()).collect();
    let _server = server.kill_and_start_again();
    for ((client, told, user, _), seen) in clients.iter().zip(seen) {
        told.connected(seen);
        told.nobody_was_signed_out();
        assert_eq!(
            (client.login_user(), client.login_id()),
            (user.clone(), 1),
            "resumed, not logged in again"
        );
    }
}
