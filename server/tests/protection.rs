//! What protects the server and its users from those who try too much.

#![allow(clippy::unwrap_used, reason = "tests")]

mod process;

use process::{APP, Answer, Server, login, now_s, resume};
use serde_json::Value;
use tim_proto::user_sig;

const HERE: &str = "127.0.0.1";
const ELSEWHERE: &str = "127.0.0.2";

/// A login with a ticket that somebody without the key has made.
fn forged(user_id: &str) -> Value {
    let guessed = "0123456789abcdef0123456789abcdef";
    let mut login = login(user_id, 9, 1, 1);
    login["user_sig"] = user_sig::make(guessed, APP, user_id, now_s(), 3600, None)
        .unwrap()
        .into();
    login
}

/// Logs in from an address; the status and the code.
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
        "a client whose ticket has run out is told so"
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
