//! State.StateChange webhooks: the app's backend receives who comes and goes, and no login waits
//! for it.

#![allow(clippy::unwrap_used, reason = "tests")]

mod backend;
mod process;

use backend::Backend;
use process::engine::Engine;
use process::refused::refused;
use process::{Server, Store, login, now_s, resume};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::net::TcpListener;

fn change(action: &str, reason: &str, kicked: &[&str]) -> (String, String, Vec<String>) {
    let kicked = kicked.iter().map(|&platform| platform.to_owned()).collect();
    (action.to_owned(), reason.to_owned(), kicked)
}

fn on(which: u8, platform: &str) -> Value {
    let mut login = login("alice", which, 1, 1);
    login["platform"] = platform.into();
    login
}

fn a_login_is_delivered_with_its_time_and_who_logged_in(store: Store) {
    let backend = Backend::start();
    let server = store.with(&backend.settings());
    let (_stream, _) = server.log_in(&on(1, "iphone"));
    let received = backend.received();
    for (name, value) in [
        ("SdkAppid", process::APP.to_string().as_str()),
        ("CallbackCommand", "State.StateChange"),
        ("contenttype", "json"),
        ("OptPlatform", "IOS"),
    ] {
        assert_eq!(received.parameter(name), value);
    }
    assert!(!received.query.contains("Sign="), "without a token");
    let time_s = received.body["EventTime"].as_i64().unwrap() / 1000;
    assert!((time_s - now_s()).abs() <= 5);
    assert_eq!(received.body["CallbackCommand"], "State.StateChange");
    let info = json!({"Action": "Login", "To_Account": "alice", "Reason": "Register"});
    assert_eq!(received.body["Info"], info);
    assert_eq!(received.body.get("KickedDevice"), None);
}

fn a_login_that_kicks_is_one_change_that_names_the_kicked_devices(store: Store) {
    let backend = Backend::start();
    let server = store.with(&format!("{}policy = \"triple\"\n", backend.settings()));
    let mut streams = Vec::new();
    for (which, platform) in [(1, "windows"), (2, "ipad")] {
        streams.push(server.log_in(&on(which, platform)));
        assert_eq!(backend.change(), change("Login", "Register", &[]));
    }
    for (which, platform, kicked) in [
        (3, "linux", "Windows"),
        (4, "iphone", "iPad"),
        (5, "android", "iOS"),
    ] {
        streams.push(server.log_in(&on(which, platform)));
        assert_eq!(backend.change(), change("Login", "Register", &[kicked]));
    }
}

fn every_end_of_a_session_or_connection_is_delivered_in_order(store: Store) {
    let backend = Backend::start();
    let server = store.with(&format!(
        "{}{}",
        process::admin::SETTINGS,
        backend.settings()
    ));
    let (stream, session) = server.log_in(&on(1, "linux"));
    assert_eq!(backend.change(), change("Login", "Register", &[]));
    drop(stream);
    assert_eq!(backend.change(), change("Disconnect", "LinkClose", &[]));
    let answer = server.post("/v1/resume", &resume(&session, 1, 1, 2));
    assert_eq!(answer.status, 200);
    assert_eq!(backend.change(), change("Login", "Register", &[]));
    server.post(
        "/v1/logout",
        &json!({"session": session["session"], "seq": 3}),
    );
    assert_eq!(backend.change(), change("Logout", "Unregister", &[]));
    let (_stream, _) = server.log_in(&on(2, "web"));
    assert_eq!(backend.received().parameter("OptPlatform"), "Web");
    server.reference("im_open_login_svc/kick", &json!({"UserID": "alice"}));
    let received = backend.received();
    assert_eq!(received.parameter("OptPlatform"), "RESTAPI");
    assert_eq!(received.body["Info"]["Action"], "Logout");
    let mut page = on(3, "web");
    page["user_sig"] = process::admin::ticket_made(-1, "alice").into();
    let (_stream, _) = server.log_in(&page);
    assert_eq!(backend.change(), change("Login", "Register", &[]));
    let path = "/v1/users/alice/devices/device%203/sign_out";
    assert_eq!(server.own("POST", path, "").0, 200);
    let received = backend.received();
    assert_eq!(received.parameter("OptPlatform"), "RESTAPI");
    assert_eq!(received.body["Info"]["Action"], "Logout");
}

fn each_change_names_the_address_that_it_came_from(store: Store) {
    let backend = Backend::start();
    let server = store.with_admin(&backend.settings());
    let next = |action: &str, address: &str| {
        let received = backend.received();
        assert_eq!(received.body["Info"]["Action"], action);
        assert_eq!(received.parameter("ClientIP"), address, "{action}");
    };
    let mut stream = server.post_from("127.0.0.2", "/v1/login", &on(1, "linux"));
    let (_, session) = stream.event().unwrap();
    next("Login", "127.0.0.2");
    drop(stream);
    next("Disconnect", "127.0.0.2");
    let resume = resume(&session, 1, 1, 2);
    let _stream = server.post_from("127.0.0.3", "/v1/resume", &resume);
    next("Login", "127.0.0.3");
    let logout = json!({"session": session["session"], "seq": 3});
    server.post_from("127.0.0.4", "/v1/logout", &logout);
    next("Logout", "127.0.0.4");
    let _stream = server.post_from("127.0.0.5", "/v1/login", &on(2, "web"));
    next("Login", "127.0.0.5");
    server.reference("im_open_login_svc/kick", &json!({"UserID": "alice"}));
    next("Logout", "127.0.0.1");
}

fn a_session_that_times_out_is_delivered_with_the_last_address(store: Store) {
    let backend = Backend::start();
    let server = store.with_faults(&backend.settings());
    // The ticket expires within its hour; that of the other one outlives the absence.
    for (which, lasts_s, away_ms) in [
        (1, 3600, 3_600_000 + 61_000),
        (2, 86_400 * 30, 7 * 86_400_000),
    ] {
        let mut login = on(which, "linux");
        login["user_sig"] = process::ticket("alice", lasts_s).into();
        let stream = server.post_from("127.0.0.2", "/v1/login", &login);
        assert_eq!(backend.change(), change("Login", "Register", &[]));
        drop(stream);
        assert_eq!(backend.change(), change("Disconnect", "LinkClose", &[]));
        // Not yet, and then at once.
        server.fault(
            "PUT",
            "/clock",
            &json!({"offset_ms": away_ms - 60_000 - 3_000}),
        );
        server.fault("PUT", "/clock", &json!({"offset_ms": away_ms + 60_000}));
        let received = backend.received();
        assert_eq!(received.body["Info"]["Action"], "Disconnect");
        assert_eq!(received.body["Info"]["Reason"], "TimeOut");
        assert_eq!(received.parameter("ClientIP"), "127.0.0.2");
        assert_eq!(received.parameter("OptPlatform"), "Unknown");
        let late_ms = received.body["EventTime"].as_i64().unwrap() - now_s() * 1000;
        assert!(
            late_ms >= away_ms + 50_000,
            "not before its time: {late_ms}"
        );
        server.fault("DELETE", "", &json!({}));
    }
}

fn a_session_that_comes_back_in_time_is_not_delivered_as_gone(store: Store) {
    let backend = Backend::start();
    let server = store.with_faults(&backend.settings());
    let mut login = on(1, "linux");
    login["user_sig"] = process::ticket("alice", 86_400 * 60).into();
    let (stream, session) = server.log_in(&login);
    assert_eq!(backend.change(), change("Login", "Register", &[]));
    drop(stream);
    assert_eq!(backend.change(), change("Disconnect", "LinkClose", &[]));
    let (_stream, _) = server.log_in_by(&resume(&session, 1, 1, 2));
    assert_eq!(backend.change(), change("Login", "Register", &[]));
    server.fault("PUT", "/clock", &json!({"offset_ms": 30 * 86_400_000_i64}));
    server.fault("POST", "/kick", &json!({"user_id": "alice"}));
    assert_eq!(backend.change(), change("Logout", "Unregister", &[]));
}

over_each_store! {
    a_login_is_delivered_with_its_time_and_who_logged_in
    a_login_that_kicks_is_one_change_that_names_the_kicked_devices
    every_end_of_a_session_or_connection_is_delivered_in_order
    each_change_names_the_address_that_it_came_from
    a_session_that_times_out_is_delivered_with_the_last_address
    a_session_that_comes_back_in_time_is_not_delivered_as_gone
}

#[test]
fn a_connection_that_died_with_its_node_is_delivered_when_the_user_is_next_looked_at() {
    let (backend, engine) = (Backend::start(), Engine::start());
    let first = Server::node(&engine.url(), "");
    let leases = format!("tim:{}:nodes", process::APP);
    let name = "return {ok=redis.call('ZRANGE',KEYS[1],0,0)[1]}";
    let name = engine.command(&format!("EVAL \"{name}\" 1 {leases}"));
    let settings = format!("{}{}", process::admin::SETTINGS, backend.settings());
    let second = Server::node(&engine.url(), &settings);
    let (_stream, _) = first.log_in(&on(1, "linux"));
    drop(first);
    // Its lease has expired, as it would by itself in a while.
    let recent_ms = now_s() * 1000 - 1000;
    engine.command(&format!("ZADD {leases} {recent_ms} {}", &name[1..]));
    while second.user("alice")["devices"][0]["online"] == true {
        std::thread::yield_now();
    }
    let received = backend.received();
    assert_eq!(received.body["Info"]["Action"], "Disconnect");
    assert_eq!(received.body["Info"]["Reason"], "TimeOut");
    assert!(!received.query.contains("ClientIP="), "it is not known");
}

#[test]
fn requests_are_signed_with_the_token_of_the_file() {
    let backend = Backend::start();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "a secret\n").unwrap();
    let settings = format!("{}webhook_token_file = {file:?}\n", backend.settings());
    let server = Server::with(&settings);
    let (_stream, _) = server.log_in(&on(1, "linux"));
    let received = backend.received();
    let time = received.parameter("RequestTime");
    assert!((time.parse::<i64>().unwrap() - now_s()).abs() <= 5);
    let sign = Sha256::digest(format!("a secret{time}"));
    let sign: String = sign.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(received.parameter("Sign"), sign);
}

#[test]
fn what_is_not_answered_with_200_is_sent_again_and_then_the_next() {
    let backend = Backend::start();
    let server = Server::with(&format!("{}webhook_retries = 1\n", backend.settings()));
    let (stream, _) = server.log_in(&on(1, "linux"));
    // One user's changes keep their order, so the end of the connection waits.
    drop(stream);
    for _ in 0..2 {
        let mut received = backend.request();
        assert_eq!(received.body["Info"]["Action"], "Login");
        received.answer("500 Internal Server Error");
    }
    assert_eq!(backend.change(), change("Disconnect", "LinkClose", &[]));
}

#[test]
fn a_redirect_is_not_followed() {
    let backend = Backend::start();
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = elsewhere.local_addr().unwrap();
    let server = Server::with(&format!("{}webhook_retries = 0\n", backend.settings()));
    let (stream, _) = server.log_in(&on(1, "linux"));
    let mut received = backend.request();
    received.answer(&format!(
        "307 Temporary Redirect\r\nLocation: http://{address}/"
    ));
    drop(stream);
    assert_eq!(backend.change(), change("Disconnect", "LinkClose", &[]));
    elsewhere.set_nonblocking(true).unwrap();
    assert!(elsewhere.accept().is_err(), "nobody went there");
}

#[test]
fn logins_do_not_wait_for_a_backend_that_never_answers() {
    let backend = Backend::start();
    let server = Server::with(&format!("{}takeovers.max = 0\n", backend.settings()));
    let (_stream, _) = server.log_in(&on(100, "linux"));
    let held = backend.request();
    for turn in 1..=100 {
        server.log_in(&login("alice", 1 + (turn % 2) as u8, turn, turn));
    }
    // The backend has not answered the first yet, nor has the server given up on it.
    assert_eq!(held.body["Info"]["Action"], "Login");
}

#[test]
fn settings_that_cannot_be_meant_stop_the_start() {
    for (settings, what) in [
        (
            "webhook_url = \"example.org\"",
            "webhook_url: expected http:// or https://",
        ),
        (
            "webhook_token_file = \"x\"",
            "webhook_token_file belongs to a webhook_url",
        ),
        (
            "webhook_url = \"http://a\"\nwebhook_token_file = \"/nowhere\"",
            "/nowhere",
        ),
        ("webhook_retries = 11", "expected 0 to 10, found 11"),
    ] {
        let received = refused(settings, &[]);
        assert!(received.contains(what), "{received}");
    }
}
