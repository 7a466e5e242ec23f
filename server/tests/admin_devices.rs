//! The server's own paths: a user's devices, signing one out, bans.

#![allow(clippy::unwrap_used, reason = "tests")]

mod process;

use process::admin::ticket_made;
use process::{Server, Store, login, now_s, resume};
use serde_json::{Value, json};

fn ban(server: &Server, body: &Value) -> u16 {
    server
        .own("PUT", "/v1/users/alice/ban", &body.to_string())
        .0
}

fn devices_are_listed_with_what_is_known_of_them_also_after_a_kill(store: Store) {
    let server = store.with_admin("");
    let (_stream, session) = server.log_in(&login("alice", 1, 1, 1));
    let device = server.user("alice")["devices"][0].clone();
    assert_eq!(
        (
            &device["device_id"],
            &device["platform"],
            &device["device_name"]
        ),
        (&json!("device 1"), &json!("android"), &json!("phone 1"))
    );
    assert_eq!(
        (&device["online"], &device["epoch"]),
        (&json!(true), &session["epoch"])
    );
    for time in ["since_ms", "first_login_ms"] {
        assert!((device[time].as_i64().unwrap() / 1000 - now_s()).abs() <= 5);
    }
    assert_eq!(device["last_login_day"].as_str().unwrap().len(), 8);
    let server = server.after_a_kill();
    let after = &server.user("alice")["devices"];
    assert_eq!(after.as_array().unwrap().len(), 1);
    for known in [
        "device_id",
        "platform",
        "device_name",
        "first_login_ms",
        "last_login_day",
    ] {
        assert_eq!(after[0][known], device[known]);
    }
    let _back = server.log_in(&login("alice", 1, 2, 2));
    assert_eq!(server.user("alice")["devices"][0]["online"], true);
}

fn signing_one_device_out_kicks_it_in_the_operators_name_and_no_other(store: Store) {
    let server = store.with_admin("policy = \"multi\"");
    let (mut phone, session) = server.log_in(&login("alice", 1, 1, 1));
    let mut page = login("alice", 2, 1, 1);
    (page["platform"], page["device_id"]) = ("web".into(), "a/b 用".into());
    let (mut other, _) = server.log_in(&page);
    let sign_out = |device: &str| {
        let path = format!("/v1/users/alice/devices/{device}/sign_out");
        server.own("POST", &path, "").0
    };
    assert_eq!(sign_out("device%201"), 200);
    let (name, kick) = phone.event().unwrap();
    assert_eq!(
        (name.as_str(), &kick["cause"]),
        ("kicked", &json!("operator"))
    );
    assert_eq!(phone.event(), None);
    let mut answer = server.post("/v1/resume", &resume(&session, 1, 1, 2));
    let refusal = answer.json();
    assert_eq!(
        (&refusal["code"], &refusal["kick"]["cause"]),
        (&json!(6208), &json!("operator"))
    );
    assert_eq!(sign_out("device%209"), 404);
    assert_eq!(sign_out("a%2Fb%20%E7%94%A8"), 200);
    assert_eq!(other.event().unwrap().1["cause"], "operator");
    server.log_in(&login("alice", 1, 2, 3));
}

fn a_banned_user_is_signed_out_and_kept_out_until_the_ban_is_lifted(store: Store) {
    let server = store.with_admin("");
    let (mut stream, session) = server.log_in(&login("alice", 1, 1, 1));
    assert_eq!(ban(&server, &json!({"reason": "spam"})), 200);
    let (name, end) = stream.event().unwrap();
    assert_eq!(
        (name.as_str(), &end["code"]),
        ("session_ended", &json!(70051))
    );
    let server = server.after_a_kill();
    assert_eq!(
        server.user("alice")["ban"],
        json!({"until_ms": null, "reason": "spam"})
    );
    let mut answer = server.post("/v1/login", &login("alice", 1, 2, 2));
    assert_eq!(answer.status, 403);
    let refusal = answer.json();
    assert_eq!(refusal["code"], 70051);
    assert!(refusal["message"].as_str().unwrap().contains("spam"));
    assert_eq!(
        server.refusal("/v1/resume", &resume(&session, 1, 1, 3)),
        (403, 70051)
    );
    assert_eq!(server.own("DELETE", "/v1/users/alice/ban", "").0, 200);
    assert_eq!(server.own("DELETE", "/v1/users/alice/ban", "").0, 404);
    assert_eq!(
        server.refusal("/v1/resume", &resume(&session, 1, 1, 4)),
        (403, 70051)
    );
    server.log_in(&login("alice", 1, 3, 5));
}

fn a_ban_ends_at_its_time_and_may_come_before_the_account(store: Store) {
    let server = store.with_admin("");
    let until_ms = (now_s() + 2) * 1000;
    assert_eq!(ban(&server, &json!({"until_ms": until_ms})), 200);
    assert_eq!(
        server.refusal("/v1/login", &login("alice", 1, 1, 1)),
        (403, 70051)
    );
    assert_eq!(server.user("alice")["account"], Value::Null);
    for seq in 2.. {
        if server
            .post("/v1/login", &login("alice", 1, seq, seq))
            .status
            == 200
        {
            break;
        }
    }
    assert!(now_s() * 1000 >= until_ms);
}

fn bans_that_cannot_be_meant_are_refused(store: Store) {
    let server = store.with_admin("");
    for body in [
        json!({"until_ms": 1}),
        json!({"until_ms": "tomorrow"}),
        json!({"reason": "a\nb"}),
        json!({"reason": "a".repeat(257)}),
        json!({"until": 1}),
        json!(1),
    ] {
        assert_eq!(ban(&server, &body), 400, "{body}");
    }
    server.log_in(&login("alice", 1, 1, 1));
    let path = format!("/v1/users/{}/ban", "a".repeat(33));
    assert_eq!(server.own("PUT", &path, "{}").0, 400);
}

fn a_missing_user_is_reported_as_missing(store: Store) {
    let server = store.with_admin("");
    let (status, refusal) = server.own("GET", "/v1/users/nobody", "");
    assert_eq!((status, &refusal["code"]), (404, &json!(70107)));
}

#[test]
fn no_secret_and_no_query_reaches_the_log() {
    let mut server = Server::talkative_with_admin();
    let secret = ticket_made(7, "administrator");
    let query = process::admin::query_of(process::APP, "administrator", &secret);
    let body = json!({"UserID": "alice"}).to_string();
    server.reference_by("POST", "im_open_login_svc/account_import", &query, &body);
    server.reference_by("POST", "nothing/canary", &query, "{");
    server.own_by(
        "GET",
        "/v1/users/alice",
        &format!("Authorization: Bearer {secret}\r\n"),
        "",
    );
    server.own_by("GET", &format!("/v1/figures?usersig={secret}"), "", "");
    let broken = format!("{secret}x");
    server.own_by(
        "GET",
        "/v1/figures",
        &format!("Authorization: Bearer {broken}\r\n"),
        "",
    );
    server.signal("TERM");
    server.wait();
    let text = server.rest_of_the_log();
    assert!(
        text.contains("administration"),
        "the log says what was done: {text}"
    );
    for leak in [&secret[..40], "usersig"] {
        assert!(!text.contains(leak), "{leak} in {text}");
    }
}

over_each_store! {
    devices_are_listed_with_what_is_known_of_them_also_after_a_kill
    signing_one_device_out_kicks_it_in_the_operators_name_and_no_other
    a_banned_user_is_signed_out_and_kept_out_until_the_ban_is_lifted
    a_ban_ends_at_its_time_and_may_come_before_the_account
    bans_that_cannot_be_meant_are_refused
    a_missing_user_is_reported_as_missing
}
