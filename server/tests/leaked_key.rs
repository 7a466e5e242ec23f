//! What an operator does when a key has leaked, over both stores: limit tickets that claim too
//! much, sign everybody out, replace token keys. It holds after a restart and for later requests.

#![allow(clippy::unwrap_used, reason = "tests")]

mod process;

use process::admin::ticket_made;
use process::engine::Engine;
use process::{APP, KEY, Server, Store, login, now_s, resume, ticket};
use serde_json::{Value, json};
use tim_proto::user_sig;

const YEAR_S: i64 = 365 * 86_400;
const DAY_MS: i64 = 86_400_000;

/// A ticket issued at that time.
fn ticket_of(issued_s: i64, expire_s: i64) -> String {
    user_sig::make(KEY, APP, "alice", issued_s, expire_s, None).unwrap()
}

fn with(user_sig: String, seq: u64) -> Value {
    let mut login = login("alice", 1, 1, seq);
    login["user_sig"] = user_sig.into();
    login
}

fn a_ticket_that_claims_too_much_ends_as_the_operator_says(store: Store) {
    let server = store.with("max_ticket_days = 7\n");
    let (stream, session) = server.log_in(&with(ticket_of(now_s(), YEAR_S), 1));
    let ends_ms = session["user_sig_expires_ms"].as_i64().unwrap();
    assert!(
        (ends_ms - now_s() * 1000 - 7 * DAY_MS).abs() < 60_000,
        "{ends_ms}"
    );
    drop(stream);
    let old = ticket_of(now_s() - 8 * 86_400, YEAR_S);
    assert_eq!(server.refusal("/v1/login", &with(old, 2)).1, 70001);
    let short = ticket_of(now_s(), 60);
    let (_stream, session) = server.log_in(&with(short, 3));
    let ends_ms = session["user_sig_expires_ms"].as_i64().unwrap();
    assert!(
        ends_ms - now_s() * 1000 <= 61_000,
        "what claims less ends as it says"
    );
}

fn a_ticket_from_a_time_to_come_is_refused_in_its_own_words(store: Store) {
    let server = store.start();
    let said = |issued_s: i64, seq| {
        let mut answer = server.post("/v1/login", &with(ticket_of(issued_s, 3600), seq));
        let refusal = answer.json();
        (
            answer.status,
            refusal["code"].clone(),
            refusal["message"].as_str().unwrap().to_owned(),
        )
    };
    let (status, code, message) = said(now_s() + 3600, 1);
    assert_eq!((status, code), (401, json!(70003)));
    assert!(message.contains("ahead of the server's clock"), "{message}");
    let (_, _, message) = said(now_s() * 1000, 2);
    assert!(
        message.contains("in milliseconds: expected seconds"),
        "{message}"
    );
    // Clocks differ by a little.
    assert_eq!(
        server
            .post("/v1/login", &with(ticket_of(now_s() + 200, 3600), 3))
            .status,
        200
    );
}

/// Signs everybody out; what has ended and what has not.
fn everybody_is_signed_out_for_good_and_comes_back_with_a_new_ticket(store: Store) {
    let server = store.with_admin("");
    let old = ticket_made(10, "alice");
    let (mut stream, session) = server.log_in(&with(old.clone(), 1));
    let mut away = login("bob", 1, 1, 1);
    away["user_sig"] = ticket_made(10, "bob").into();
    let (bobs, away) = server.log_in(&away);
    drop(bobs);
    let by = |server: &Server| server.own("POST", "/v1/sign_out_everybody", "");
    assert_eq!(by(&server), (200, json!({"code": 0})));
    let (name, event) = stream.event().unwrap();
    assert_eq!(
        (name.as_str(), &event["code"]),
        ("session_ended", &json!(70052))
    );
    assert_eq!(stream.event(), None);
    let holds = |server: &Server, seq: u64| {
        for session in [&session, &away] {
            let back = resume(session, 1, 1, seq);
            assert_eq!(server.refusal("/v1/resume", &back).1, 70052);
        }
        let login = with(old.clone(), seq);
        assert_eq!(server.refusal("/v1/login", &login).1, 70052);
    };
    holds(&server, 5);
    let again = login("alice", 1, 2, 9);
    let (_stream, newer) = server.log_in(&again);
    assert!(newer["epoch"].as_u64() > session["epoch"].as_u64());
    let server = server.after_a_kill_with(process::admin::SETTINGS);
    holds(&server, 20);
    assert_eq!(
        server.post("/v1/resume", &resume(&newer, 1, 2, 30)).status,
        200
    );
}

fn replaced_token_keys_end_tokens_and_not_users(store: Store) {
    let server = store.with_admin("");
    let (mut stream, session) = server.log_in(&login("alice", 1, 1, 1));
    assert_eq!(
        server.own("POST", "/v1/token_keys/replace", ""),
        (200, json!({"code": 0}))
    );
    let stale = resume(&session, 1, 1, 2);
    assert_eq!(server.refusal("/v1/resume", &stale), (401, 7726));
    // With its ticket it returns as itself, and the open stream was not touched.
    let (_stream, newer) = server.log_in(&login("alice", 1, 1, 3));
    assert_eq!(newer["epoch"], session["epoch"]);
    assert_eq!(
        stream.event(),
        None,
        "replaced by its own client, without a word"
    );
    let server = server.after_a_kill_with(process::admin::SETTINGS);
    assert_eq!(
        server.refusal("/v1/resume", &resume(&session, 1, 1, 4)),
        (401, 7726)
    );
    assert_eq!(
        server.post("/v1/resume", &resume(&newer, 1, 1, 5)).status,
        200
    );
}

fn only_an_administrator_may(store: Store) {
    let server = store.with_admin("");
    for path in ["/v1/sign_out_everybody", "/v1/token_keys/replace"] {
        let users = ticket("alice", 3600);
        assert_eq!(server.own_with(&users, "POST", path).0, 403);
        assert_eq!(server.own_by("POST", path, "", "").0, 401);
    }
}

over_each_store! {
    a_ticket_that_claims_too_much_ends_as_the_operator_says
    a_ticket_from_a_time_to_come_is_refused_in_its_own_words
    everybody_is_signed_out_for_good_and_comes_back_with_a_new_ticket
    replaced_token_keys_end_tokens_and_not_users
    only_an_administrator_may
}

#[test]
fn other_nodes_and_an_engine_that_came_back_empty_learn_of_both() {
    let engine = Engine::start();
    let settings = process::admin::SETTINGS;
    let nodes = [(); 2].map(|()| Server::node(&engine.url(), settings));
    let mut before = login("alice", 1, 1, 1);
    before["user_sig"] = ticket_made(10, "alice").into();
    let (mut stream, session) = nodes[1].log_in(&before);
    assert_eq!(nodes[0].own("POST", "/v1/sign_out_everybody", "").0, 200);
    assert_eq!(
        stream.event().unwrap().0,
        "session_ended",
        "on the other node"
    );
    let (stream, newer) = nodes[1].log_in(&login("alice", 1, 2, 3));
    assert_eq!(nodes[0].own("POST", "/v1/token_keys/replace", "").0, 200);
    // What was published arrives at once, otherwise with the next lease.
    while nodes[1].post("/v1/resume", &resume(&newer, 1, 2, 4)).status == 200 {
        std::thread::yield_now();
    }
    engine.command("FLUSHALL");
    // With their next leases the nodes restore it in the engine, and a new node gets it from there.
    let signed_out = format!("tim:{APP}:signed_out");
    while engine.command(&format!("EXISTS {signed_out}")) != ":1" {
        std::thread::yield_now();
    }
    let third = Server::node(&engine.url(), settings);
    assert_eq!(
        third
            .refusal("/v1/login", &with(ticket_made(10, "alice"), 9))
            .1,
        70052
    );
    assert_eq!(
        third.refusal("/v1/resume", &resume(&session, 1, 1, 10)).1,
        7726
    );
    drop(stream);
}
