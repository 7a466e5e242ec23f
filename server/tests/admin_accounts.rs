//! The reference system's account paths: import, check, delete and kick, and their effect on the
//! users' devices.

#![allow(clippy::unwrap_used, reason = "tests")]

mod process;

use process::admin::{admin_query, ticket_made};
use process::{Server, Store, login, resume};
use serde_json::{Value, json};

const SERVICE: &str = "im_open_login_svc";

fn ask(server: &Server, what: &str, body: &Value) -> Value {
    server.reference(&format!("{SERVICE}/{what}"), body)
}

fn code(server: &Server, what: &str, body: &Value) -> i64 {
    let answer = ask(server, what, body);
    let code = answer["ErrorCode"].as_i64().unwrap();
    let status = if code == 0 { "OK" } else { "FAIL" };
    assert_eq!(answer["ActionStatus"], status);
    assert_eq!(answer["ErrorInfo"] == "", code == 0, "{answer}");
    code
}

/// `[Imported, NotImported, …]`
fn statuses(server: &Server, users: &[&str]) -> Vec<String> {
    let items: Vec<Value> = users.iter().map(|user| json!({"UserID": user})).collect();
    let answer = ask(server, "account_check", &json!({"CheckItem": items}));
    assert_eq!(answer["ErrorCode"], 0);
    let results = answer["ResultItem"].as_array().unwrap();
    for (result, user) in results.iter().zip(users) {
        let user_id = result["UserID"].as_str().unwrap();
        assert_eq!((user_id, &result["ResultCode"]), (*user, &json!(0)));
        assert_eq!(result["ResultInfo"], "");
    }
    let status = |result: &Value| result["AccountStatus"].as_str().unwrap().to_owned();
    results.iter().map(status).collect()
}

fn many(count: usize) -> Vec<String> {
    (0..count).map(|at| format!("user {at}")).collect()
}

fn an_import_makes_an_account_once_and_survives_a_kill(store: Store) {
    let server = store.with_admin("");
    assert_eq!(statuses(&server, &["alice", "bob"]), ["NotImported"; 2]);
    let alice = json!({"UserID": "alice", "Nick": "Alice", "FaceUrl": "http://example.org/a"});
    assert_eq!(code(&server, "account_import", &alice), 0);
    assert_eq!(
        code(&server, "account_import", &json!({"Identifier": "bob"})),
        0
    );
    let registered = server.user("alice")["account"]["registered_ms"].clone();
    let server = server.after_a_kill();
    assert_eq!(
        statuses(&server, &["alice", "bob", "eve"]),
        ["Imported", "Imported", "NotImported"]
    );
    assert_eq!(
        code(
            &server,
            "account_import",
            &json!({"UserID": "alice", "Nick": "Al"})
        ),
        0
    );
    let account = &server.user("alice")["account"];
    assert_eq!(
        (
            &account["nick"],
            &account["face_url"],
            &account["registered_ms"]
        ),
        (&json!("Al"), &json!("http://example.org/a"), &registered)
    );
}

fn an_answer_has_its_fields_in_the_documented_order(store: Store) {
    let server = store.with_admin("");
    let body = r#"{"UserID":"alice"}"#;
    let query = admin_query();
    let length = body.len();
    let mut answer = server.send_admin(&format!(
        "POST /v4/{SERVICE}/account_import?{query} HTTP/1.1\r\nHost: tim\r\nContent-Length: {length}\r\n\r\n{body}"
    ));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(
        answer.text(),
        r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}"#
    );
}

fn bad_fields_are_refused_with_their_codes(store: Store) {
    let server = store.with_admin("");
    let long = "a".repeat(33);
    let wide = "a".repeat(501);
    for (what, body, wanted) in [
        ("account_import", json!({}), 70402),
        ("account_import", json!({"UserID": ""}), 70402),
        ("account_import", json!({"UserID": long}), 70402),
        ("account_import", json!({"UserID": "a\nb"}), 70402),
        ("account_import", json!({"UserID": 1}), 70402),
        ("account_import", json!({"UserID": "a", "Nick": 1}), 70402),
        (
            "account_import",
            json!({"UserID": "a", "Nick": wide}),
            40601,
        ),
        ("multiaccount_import", json!({}), 70402),
        ("multiaccount_import", json!({"Accounts": []}), 70402),
        ("multiaccount_import", json!({"Accounts": many(101)}), 70402),
        ("multiaccount_import", json!({"Accounts": [1]}), 70402),
        ("multiaccount_import", json!({"AccountList": [{}]}), 70402),
        ("account_check", json!({"CheckItem": "alice"}), 70402),
        ("account_check", json!({"CheckItem": ["alice"]}), 70402),
        (
            "account_delete",
            json!({"DeleteItem": [{"UserID": 1}]}),
            70402,
        ),
        ("kick", json!({}), 70402),
        ("kick", json!({"UserID": "nobody"}), 70107),
    ] {
        assert_eq!(code(&server, what, &body), wanted, "{what} {body}");
    }
    assert_eq!(
        statuses(&server, &["a"]),
        ["NotImported"],
        "nothing was done"
    );
    for (body, wanted) in [("[]", 60003), ("{", 60003), ("", 70402)] {
        let path = format!("{SERVICE}/kick");
        let answer = server.reference_by("POST", &path, &admin_query(), body);
        assert_eq!(answer["ErrorCode"], wanted, "{body:?}");
    }
}

fn a_body_with_get_is_taken(store: Store) {
    let server = store.with_admin("");
    let body = json!({"CheckItem": [{"UserID": "alice"}]}).to_string();
    let path = format!("{SERVICE}/account_check");
    let answer = server.reference_by("GET", &path, &admin_query(), &body);
    assert_eq!(answer["ResultItem"][0]["AccountStatus"], "NotImported");
}

fn a_hundred_accounts_come_in_at_once_in_both_forms_and_the_bad_ones_are_named(store: Store) {
    let server = store.with_admin("");
    let users = many(100);
    let answer = ask(&server, "multiaccount_import", &json!({"Accounts": users}));
    assert_eq!(
        (&answer["ErrorCode"], &answer["FailAccounts"]),
        (&json!(0), &json!([]))
    );
    let names: Vec<&str> = users.iter().map(String::as_str).collect();
    assert_eq!(statuses(&server, &names), vec!["Imported"; 100]);
    let list = json!({"AccountList": [
        {"UserID": "alice", "Nick": "Alice"},
        {"UserID": "", "Nick": "Nobody"},
        {"UserID": "bob", "FaceUrl": "a".repeat(501)},
    ]});
    let answer = ask(&server, "multiaccount_import", &list);
    assert_eq!(
        (&answer["ErrorCode"], &answer["FailAccounts"]),
        (&json!(0), &json!(["", "bob"]))
    );
    assert_eq!(server.user("alice")["account"]["nick"], "Alice");
}

fn a_login_registers_and_a_deleted_account_is_gone_with_its_sessions(store: Store) {
    let server = store.with_admin("");
    let (mut stream, session) = server.log_in(&login("alice", 1, 1, 1));
    assert_eq!(statuses(&server, &["alice"]), ["Imported"]);
    let body = json!({"DeleteItem": [{"UserID": "alice"}, {"UserID": "nobody"}, {"UserID": ""}]});
    let answer = ask(&server, "account_delete", &body);
    assert_eq!(
        (&answer["ActionStatus"], &answer["ErrorCode"]),
        (&json!("OK"), &json!(0))
    );
    let results = &answer["ResultItem"];
    assert_eq!(
        results[0],
        json!({"ResultCode": 0, "ResultInfo": "", "UserID": "alice"})
    );
    assert_eq!(
        results[1],
        json!({
            "ResultCode": 70107,
            "ResultInfo": "Err_TLS_PT_Open_Login_Account_Not_Exist",
            "UserID": "nobody",
        })
    );
    assert_eq!(results[2]["ResultCode"], 70402);
    let (name, end) = stream.event().unwrap();
    assert_eq!(
        (name.as_str(), &end["code"]),
        ("session_ended", &json!(70107))
    );
    assert_eq!(stream.event(), None);
    assert_eq!(server.own("GET", "/v1/users/alice", "").0, 404);
    let server = server.after_a_kill();
    assert_eq!(statuses(&server, &["alice"]), ["NotImported"]);
    assert_eq!(
        server.refusal("/v1/resume", &resume(&session, 1, 1, 2)),
        (403, 70107)
    );
    server.log_in(&login("alice", 1, 2, 3));
    assert_eq!(statuses(&server, &["alice"]), ["Imported"], "anew");
}

fn a_kick_ends_every_session_and_voids_the_tickets_from_before_also_after_a_kill(store: Store) {
    let server = store.with_admin("policy = \"multi\"");
    let mut phone = login("alice", 1, 1, 1);
    phone["user_sig"] = ticket_made(60, "alice").into();
    let (mut stream, session) = server.log_in(&phone);
    let mut page = login("alice", 2, 1, 1);
    page["platform"] = "web".into();
    page["user_sig"] = ticket_made(30, "alice").into();
    let (mut other, _) = server.log_in(&page);
    let (mut bobs, _) = server.log_in(&login("bob", 3, 1, 1));
    assert_eq!(code(&server, "kick", &json!({"UserID": "alice"})), 0);
    for stream in [&mut stream, &mut other] {
        let (name, end) = stream.event().unwrap();
        assert_eq!(
            (name.as_str(), &end["code"]),
            ("session_ended", &json!(70052))
        );
        assert_eq!(stream.event(), None);
    }
    let server = server.after_a_kill();
    assert_eq!(
        server.refusal("/v1/resume", &resume(&session, 1, 1, 2)),
        (401, 70052)
    );
    (phone["login_no"], phone["seq"]) = (2.into(), 3.into());
    for intent in ["reconnect", "interactive"] {
        phone["intent"] = intent.into();
        assert_eq!(server.refusal("/v1/login", &phone), (401, 70052));
    }
    let mut renewal = resume(&session, 1, 1, 4);
    renewal["user_sig"] = ticket_made(-1, "alice").into();
    assert_eq!(
        server.refusal("/v1/resume", &renewal),
        (401, 70052),
        "the session has ended"
    );
    // A ticket issued after the kick is valid, without waiting for its second to end.
    phone["user_sig"] = ticket_made(0, "alice").into();
    (phone["login_no"], phone["seq"]) = (3.into(), 5.into());
    server.log_in(&phone);
    assert!(
        bobs.event().is_none(),
        "bob's stream had no event but the server's shutdown"
    );
}

fn within_the_second_of_a_kick_only_what_was_used_before_it_is_void(store: Store) {
    let server = store.with_admin("");
    // From the next second, as a clock that is slightly ahead issues them: the kick cannot come
    // later.
    let (used, unused) = (ticket_made(-60, "alice"), ticket_made(-61, "alice"));
    let mut first = login("alice", 1, 1, 1);
    first["user_sig"] = used.clone().into();
    server.log_in(&first);
    assert_eq!(code(&server, "kick", &json!({"UserID": "alice"})), 0);
    let mut again = login("alice", 1, 2, 2);
    again["user_sig"] = used.into();
    assert_eq!(server.refusal("/v1/login", &again), (401, 70052));
    (again["user_sig"], again["seq"]) = (unused.into(), 3.into());
    server.log_in(&again);
}

#[test]
fn a_kick_at_one_node_ends_the_sessions_that_another_holds() {
    let database = process::engine::database();
    let node = || Server::node(&database, process::admin::SETTINGS);
    let (one, other) = (node(), node());
    let mut phone = login("alice", 1, 1, 1);
    phone["user_sig"] = ticket_made(60, "alice").into();
    let (mut stream, session) = one.log_in(&phone);
    assert_eq!(code(&other, "kick", &json!({"UserID": "alice"})), 0);
    let (name, end) = stream.event().unwrap();
    assert_eq!(
        (name.as_str(), &end["code"]),
        ("session_ended", &json!(70052))
    );
    assert_eq!(
        one.refusal("/v1/resume", &resume(&session, 1, 1, 2)),
        (401, 70052)
    );
}

over_each_store! {
    an_import_makes_an_account_once_and_survives_a_kill
    an_answer_has_its_fields_in_the_documented_order
    bad_fields_are_refused_with_their_codes
    a_body_with_get_is_taken
    a_hundred_accounts_come_in_at_once_in_both_forms_and_the_bad_ones_are_named
    a_login_registers_and_a_deleted_account_is_gone_with_its_sessions
    a_kick_ends_every_session_and_voids_the_tickets_from_before_also_after_a_kill
    within_the_second_of_a_kick_only_what_was_used_before_it_is_void
}
