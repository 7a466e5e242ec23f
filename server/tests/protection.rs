//! What protects the server and its users from excessive attempts.

#![allow(clippy::unwrap_used, reason = "tests")]

mod process;

use process::{APP, Answer, Server, login, now_s, resume};
use serde_json::Value;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tim_proto::user_sig;

const HERE: &str = "127.0.0.1";
const ELSEWHERE: &str = "127.0.0.2";

/// A login with a ticket made by somebody without the key.
fn forged(user_id: &str) -> Value {
    let guessed = "0123456789abcdef0123456789abcdef";
    let mut login = login(user_id, 9, 1, 1);
    login["user_sig"] = user_sig::make(guessed, APP, user_id, now_s(), 3600, None)
        .unwrap()
        .into();
    login
}

/// Logs in from an address; returns the status and the code.
fn try_from(server: &Server, address: &str, login: &Value) -> (u16, i64, Option<u64>) {
    let mut answer = server.post_from(address, "/v1/login", login);
    let wait = answer
        .header("retry-after")
        .map(|wait| wait.parse().unwrap());
    (answer.status, answer.json()["code"].as_i64().unwrap(), wait)
}

fn logs_in(mut answer: Answer) -> Value {
    assert_eq!(answer.status, 200);
    answer.event().unwrap().1
}

#[test]
fn a_thousand_bad_tickets_keep_nobody_out_whose_ticket_is_good() {
    let server = Server::start();
    for address in [ELSEWHERE, HERE] {
        let mut waits = 0;
        for _ in 0..1000 {
            match try_from(&server, address, &forged("alice")) {
                (401, 70009, None) => {}
                (429, 70050, Some(1..=30)) => waits += 1,
                other => panic!("{other:?}"),
            }
        }
        assert!(waits >= 900, "{waits} told to wait");
    }
    for (which, address) in [(1, HERE), (2, ELSEWHERE)] {
        let number = u64::from(which);
        let login = login("alice", which, number, number);
        let session = logs_in(server.post_from(address, "/v1/login", &login));
        let resume = resume(&session, which, number, number + 1);
        logs_in(server.post_from(address, "/v1/resume", &resume));
    }
}

#[test]
fn a_user_is_throttled_alone_and_an_address_for_all_its_users() {
    let server = Server::with("[throttle]\nfailures = 2\naddress_failures = 5\nwait_s = 7");
    for _ in 0..2 {
        assert_eq!(try_from(&server, HERE, &forged("alice")).1, 70009);
    }
    assert_eq!(
        try_from(&server, HERE, &forged("alice")),
        (429, 70050, Some(7))
    );
    assert_eq!(try_from(&server, HERE, &forged("bob")).1, 70009);
    assert_eq!(try_from(&server, HERE, &forged("carol")).1, 70009);
    assert_eq!(try_from(&server, HERE, &forged("dave")).1, 70050);
    assert_eq!(try_from(&server, ELSEWHERE, &forged("alice")).1, 70009);
}

#[test]
fn good_tickets_and_those_that_have_run_out_do_not_count() {
    let server = Server::with("[throttle]\nfailures = 1\naddress_failures = 1");
    let mut late = login("alice", 1, 1, 1);
    late["user_sig"] = process::ticket("alice", -10).into();
    for seq in 1..20 {
        assert_eq!(try_from(&server, HERE, &late).1, 70001);
        server.log_in(&login("alice", 2, seq, seq));
    }
    assert_eq!(try_from(&server, HERE, &forged("alice")).1, 70009);
    assert_eq!(try_from(&server, HERE, &forged("alice")).1, 70050);
    assert_eq!(
        try_from(&server, HERE, &late).1,
        70001,
        "a client with an expired ticket learns that it is expired"
    );
}

#[test]
fn renewals_and_logouts_with_bad_tickets_count_as_well() {
    let server = Server::with("[throttle]\nfailures = 1");
    let (_stream, session) = server.log_in(&login("alice", 1, 1, 1));
    let mut renewal = resume(&session, 1, 1, 2);
    renewal["user_sig"] = forged("alice")["user_sig"].clone();
    assert_eq!(server.refusal("/v1/resume", &renewal), (401, 70009));
    renewal["seq"] = 3.into();
    assert_eq!(server.refusal("/v1/resume", &renewal), (429, 70050));
    assert_eq!(server.refusal("/v1/logout", &forged("alice")), (429, 70050));
}

#[test]
fn without_bounds_every_bad_ticket_gets_its_own_code() {
    let server = Server::with("[throttle]\nfailures = 0\naddress_failures = 0");
    for _ in 0..200 {
        assert_eq!(try_from(&server, HERE, &forged("alice")).1, 70009);
    }
}

#[test]
fn logins_beyond_the_limit_get_a_retry_after_and_are_then_accepted() {
    let server = Server::with("[limits]\nlogins_at_once = 1\nlogin_wait_ms = 0");
    let had_to_wait = AtomicUsize::new(0);
    let round = |round: u64| {
        std::thread::scope(|scope| {
            for which in 1..=16 {
                let (server, had_to_wait) = (&server, &had_to_wait);
                scope.spawn(move || {
                    let user = format!("user {round} {which}");
                    for seq in 1.. {
                        let mut answer = server.post("/v1/login", &login(&user, which, 1, seq));
                        if answer.status == 200 {
                            break;
                        }
                        assert_eq!(
                            (answer.status, answer.header("retry-after")),
                            (503, Some("5"))
                        );
                        assert_eq!(answer.json()["code"], 7724);
                        had_to_wait.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        had_to_wait.load(Ordering::Relaxed) > 0
    };
    assert!((0..100).any(round), "nobody was told to wait");
}

#[test]
fn a_login_waits_its_turn_where_the_settings_give_it_time() {
    let server = Server::with("[limits]\nlogins_at_once = 1\nlogin_wait_ms = 60000");
    std::thread::scope(|scope| {
        for which in 1..=32 {
            let server = &server;
            scope.spawn(move || server.log_in(&login(&format!("user {which}"), which, 1, 1)));
        }
    });
}

#[test]
fn streams_of_a_user_and_of_an_address_have_bounds() {
    let server =
        Server::with("policy = \"multi\"\n[limits]\nstreams_per_user = 2\nstreams_per_address = 3");
    let device = |user: &str, which: u8, platform: &str| {
        let mut login = login(user, which, 1, 1);
        login["platform"] = platform.into();
        login
    };
    let from = |address: &str, login: &Value| {
        let answer = server.post_from(address, "/v1/login", login);
        (answer.status, answer)
    };
    let (status, _phone) = from(HERE, &device("alice", 1, "android"));
    assert_eq!(status, 200);
    let (status, tablet) = from(ELSEWHERE, &device("alice", 2, "ipad"));
    assert_eq!(status, 200);
    let (status, mut refused) = from(HERE, &device("alice", 3, "web"));
    assert_eq!((status, &refused.json()["code"]), (503, &7724.into()));
    let (_, _bob) = from(HERE, &device("bob", 4, "android"));
    let (_, _carol) = from(HERE, &device("carol", 5, "android"));
    assert_eq!(from(HERE, &device("dave", 6, "android")).0, 503);
    assert_eq!(from(ELSEWHERE, &device("dave", 7, "android")).0, 200);
    drop(tablet);
    let mut web = device("alice", 8, "web");
    for seq in 1..10_000 {
        web["seq"] = seq.into();
        if from(ELSEWHERE, &web).0 == 200 {
            return;
        }
    }
    panic!("a stream that has ended left no room");
}

#[test]
fn a_head_or_a_body_that_trickles_in_is_cut_off_and_others_are_served_meanwhile() {
    let server = Server::with("[limits]\nheader_timeout_ms = 300\nbody_timeout_ms = 300");
    let head = "POST /v1/login HTTP/1.1\r\nHost: tim\r\nContent-Length: 9000\r\n\r\n";
    for (sent_at_once, user) in [("", "alice"), (head, "bob")] {
        let mut slow: Vec<_> = (0..50).map(|_| server.connect()).collect();
        for stream in &mut slow {
            stream.write_all(sent_at_once.as_bytes()).unwrap();
            stream
                .set_read_timeout(Some(Duration::from_millis(1)))
                .unwrap();
        }
        server.log_in(&login(user, 1, 1, 1));
        let mut letters = 0;
        while !slow.is_empty() {
            letters += 1;
            assert!(letters < 5000, "{} are still open", slow.len());
            slow.retain_mut(|stream| {
                // Connections closed meanwhile are discovered by reading.
                let _ = stream.write_all(b"x");
                match stream.read(&mut [0; 1024]) {
                    Ok(0) => false,
                    Ok(_) => true,
                    Err(error) => error.kind() == ErrorKind::WouldBlock,
                }
            });
        }
        server.log_in(&login(user, 2, 2, 2));
    }
}

#[test]
fn a_tls_client_beyond_the_limit_of_connections_gets_a_close_and_no_plain_text() {
    let (_, cert, key) = process::tls::certificate();
    let server = Server::with_tls_and(&cert, &key, "[limits]\nconnections = 1");
    // Which of the two is over the limit is up to the system.
    let mut two = [server.connect(), server.connect()];
    for stream in &two {
        let soon = Some(Duration::from_millis(50));
        stream.set_read_timeout(soon).unwrap();
    }
    let until = Instant::now() + Duration::from_secs(30);
    let is_closed = |stream: &mut TcpStream| match stream.read(&mut [0]) {
        Ok(0) => true,
        Ok(_) => panic!("plain text"),
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    };
    while !two.iter_mut().any(is_closed) {
        assert!(Instant::now() < until, "neither is closed");
    }
}
