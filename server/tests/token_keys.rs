//! Token keys turn while two nodes serve: what one signs the other accepts, before, during and
//! after. The clocks are moved, because keys live for days.

#![allow(clippy::unwrap_used, reason = "tests")]

mod process;

use process::engine::database;
use process::{Server, login, resume, ticket};
use serde_json::{Value, json};

const AGES: &str = "[token_keys]\nrenew_days = 1\nkeep_days = 2\n";
const DAY_MS: i64 = 86_400_000;
/// By then a new key signs.
const SETTLED_MS: i64 = 200_000;

fn node(store: &str) -> Server {
    Server::with_faults(&format!("store = \"{store}\"\n{AGES}"))
}

/// Does at a node what has become due.
fn at(node: &Server, ms: i64) {
    node.fault("PUT", "/clock", &json!({"offset_ms": ms}));
}

/// The number of the key that signed a session's token.
fn key(session: &Value) -> String {
    let token = session["session"].as_str().unwrap();
    token.split('.').nth(1).unwrap().to_owned()
}

/// A user's session started at a node. Its ticket outlives all keys of the test.
fn session_at(node: &Server, user_id: &str) -> Value {
    let mut login = login(user_id, 1, 1, 1);
    login["user_sig"] = ticket(user_id, 30 * 86_400).into();
    node.log_in(&login).1
}

/// The session that a token gives at a node.
fn resumed_at(node: &Server, session: &Value, seq: u64) -> Value {
    let (_stream, resumed) = node.log_in_by(&resume(session, 1, 1, seq));
    assert_eq!(resumed["epoch"], session["epoch"]);
    resumed
}

#[test]
fn tokens_of_either_node_are_good_at_the_other_before_during_and_after_the_turn_of_a_key() {
    let store = database();
    let (one, two) = (node(&store), node(&store));
    let before = [session_at(&one, "before 1"), session_at(&two, "before 2")];
    resumed_at(&two, &before[0], 2);
    resumed_at(&one, &before[1], 2);

    // The first creates a key, the second learns of it, and both still sign with the old one.
    at(&one, DAY_MS);
    at(&two, DAY_MS);
    let during = [session_at(&one, "during 1"), session_at(&two, "during 2")];
    for session in before.iter().chain(&during) {
        assert_eq!(key(session), "1");
    }
    resumed_at(&two, &during[0], 2);
    resumed_at(&one, &during[1], 2);

    // The clock of the first is ahead: it signs with the new key already, which the second knows.
    at(&one, DAY_MS + SETTLED_MS);
    let ahead = session_at(&one, "ahead");
    assert_eq!(key(&ahead), "2");
    let behind = resumed_at(&two, &ahead, 2);
    assert_eq!(key(&behind), "1");
    resumed_at(&one, &behind, 3);

    at(&two, DAY_MS + SETTLED_MS);
    let after = session_at(&two, "after");
    assert_eq!(key(&after), "2");
    resumed_at(&one, &after, 2);
    let renewed = resumed_at(&two, &before[0], 3);
    assert_eq!(
        key(&renewed),
        "2",
        "who comes back gets a token of the new key"
    );

    // The old key has expired, at both.
    for node in [&one, &two] {
        at(node, 3 * DAY_MS + SETTLED_MS);
    }
    for node in [&one, &two] {
        let (status, _) = node.refusal("/v1/resume", &resume(&before[1], 1, 1, 9));
        assert_eq!(status, 401);
    }
    resumed_at(&one, &renewed, 4);
    resumed_at(&two, &renewed, 5);
}

#[test]
fn of_two_nodes_whose_key_is_due_at_once_one_makes_it() {
    let store = database();
    let (one, two) = (node(&store), node(&store));
    std::thread::scope(|scope| {
        for node in [&one, &two] {
            scope.spawn(|| at(node, DAY_MS));
        }
    });
    for node in [&one, &two] {
        at(node, DAY_MS + SETTLED_MS);
    }
    let sessions = [session_at(&one, "alice"), session_at(&two, "bob")];
    assert_eq!(sessions.each_ref().map(key), ["2", "2"]);
    resumed_at(&two, &sessions[0], 2);
    resumed_at(&one, &sessions[1], 2);
}
