//! Fault injection: each fault reaches a client as the real thing would, and none exists unless
//! enabled.

#![allow(clippy::unwrap_used, reason = "tests")]

mod process;

use process::page::Shell;
use process::refused::refused;
use process::{Answer, Server, login, now_s, resume, ticket};
use serde_json::{Value, json};
use std::io::Read;
use std::time::{Duration, Instant};

const NOBODY: &str = "{\"user_id\": \"nobody\"}";

fn alice() -> Value {
    json!({"user_id": "alice"})
}

#[test]
fn without_the_flag_there_is_no_such_path() {
    let server = Server::with_admin("");
    for (method, path) in [
        ("GET", "/v1/faults"),
        ("DELETE", "/v1/faults"),
        ("POST", "/v1/faults/expire"),
        ("PUT", "/v1/faults/clock"),
    ] {
        assert_eq!(server.own(method, path, "{}").0, 404, "{method} {path}");
    }
}

#[test]
fn the_flag_needs_an_operators_listener_that_no_other_machine_reaches() {
    let refusal = |settings: &str| refused(settings, &["--enable-fault-injection"]);
    let without = refusal("");
    assert!(without.contains("--enable-fault-injection: "), "{without}");
    assert!(without.contains("give --admin-listen"), "{without}");
    let remote = "admin_listen = \"0.0.0.0:0\"\nadmin_allow_remote = true\nadmins = [\"a\"]\n";
    let remote = refusal(remote);
    assert!(
        remote.contains("--enable-fault-injection: other machines reach 0.0.0.0:0"),
        "{remote}"
    );
    let key = refusal("enable_fault_injection = true\n");
    assert!(key.contains("unknown field"), "it is no setting: {key}");
}

#[test]
fn a_server_with_faults_says_so_loudly() {
    let server = Server::with_faults("");
    server.logged("FAULT INJECTION IS ON");
    assert_eq!(server.fault_injection.as_deref(), Some("on"));
    assert_eq!(Server::with_admin("").fault_injection, None);
}

#[test]
fn an_expired_session_is_reported_and_neither_its_token_nor_its_ticket_is_accepted() {
    let server = Server::with_faults("policy = \"multi\"\n");
    let first = login("alice", 1, 1, 1);
    let (mut stream, session) = server.log_in(&first);
    let mut web = login("alice", 2, 1, 1);
    web["platform"] = "web".into();
    web["user_sig"] = ticket("alice", 1800).into();
    let (mut other, _) = server.log_in(&web);
    let device = json!({"user_id": "alice", "device_id": "device 1"});
    assert_eq!(server.fault("POST", "/expire", &device)["sessions"], 1);
    let (name, refusal) = stream.event().unwrap();
    assert_eq!(
        (name.as_str(), &refusal["code"]),
        ("user_sig_expired", &json!(70001))
    );
    assert_eq!(stream.event(), None);
    let mut again = first.clone();
    (again["login_no"], again["seq"]) = (2.into(), 2.into());
    assert_eq!(server.refusal("/v1/login", &again), (401, 70001));
    let back = resume(&session, 1, 1, 3);
    assert_eq!(server.refusal("/v1/resume", &back), (401, 70001));

    // A new ticket restores the very session, as after a real expiry.
    let mut renewal = resume(&session, 1, 1, 4);
    renewal["user_sig"] = ticket("alice", 7200).into();
    let (_stream, renewed) = server.log_in_by(&renewal);
    assert_eq!(renewed["epoch"], session["epoch"]);
    let (_stream, _) = server.log_in_by(&resume(&renewed, 1, 1, 5));

    // The other device was left alone: what ends it is the first event on its stream.
    server.fault("POST", "/kick", &alice());
    assert_eq!(other.event().unwrap().0, "kicked");
}

#[test]
fn a_device_that_is_away_finds_its_ticket_run_out() {
    let server = Server::with_faults("");
    let (stream, session) = server.log_in(&login("alice", 1, 1, 1));
    drop(stream);
    server.fault("POST", "/expire", &alice());
    let back = resume(&session, 1, 1, 2);
    assert_eq!(server.refusal("/v1/resume", &back), (401, 70001));
    server.fault("DELETE", "", &json!({}));
    let (_stream, _) = server.log_in_by(&resume(&session, 1, 1, 3));
}

#[test]
fn kicked_sessions_learn_who_kicked_them_and_stay_ended() {
    let server = Server::with_faults("");
    let (mut stream, session) = server.log_in(&login("alice", 1, 1, 1));
    let by = json!({"user_id": "alice", "by_platform": "mac", "by_device_name": "a laptop"});
    server.fault("POST", "/kick", &by);
    let (name, kick) = stream.event().unwrap();
    assert_eq!(name, "kicked");
    assert_eq!(
        (&kick["cause"], &kick["platform"], &kick["device_name"]),
        (&json!("other_device"), &json!("mac"), &json!("a laptop"))
    );
    assert_eq!(stream.event(), None);
    server.fault("DELETE", "", &json!({}));
    let mut refused = server.post("/v1/resume", &resume(&session, 1, 1, 2));
    assert_eq!(refused.status, 403);
    let refused = refused.json();
    assert_eq!(
        (&refused["code"], &refused["kick"]["device_name"]),
        (&json!(6208), &json!("a laptop"))
    );
    server.log_in(&login("alice", 1, 2, 3));
}

/// The last bytes of a connection that has come to its end.
fn rest(stream: Answer) -> String {
    let mut rest = Vec::new();
    // A reset is an end, too.
    let _ = stream.into_connection().read_to_end(&mut rest);
    String::from_utf8(rest).unwrap()
}

#[test]
fn a_dropped_stream_breaks_off_without_a_word_and_its_session_is_resumed() {
    let server = Server::with_faults("");
    let (stream, session) = server.log_in(&login("alice", 1, 1, 1));
    let (bob, _) = server.log_in(&login("bob", 2, 1, 1));
    assert_eq!(server.fault("POST", "/drop", &alice())["sessions"], 1);
    assert_eq!(rest(stream), "", "no event, and no end of the body");
    let (stream, again) = server.log_in_by(&resume(&session, 1, 1, 2));
    assert_eq!(again["epoch"], session["epoch"]);
    assert_eq!(server.fault("POST", "/drop", &json!({}))["sessions"], 2);
    assert_eq!((rest(stream), rest(bob)), (String::new(), String::new()));
}

#[test]
fn answers_are_delayed_as_configured_until_the_fault_is_cleared() {
    let server = Server::with_faults("");
    server.fault("PUT", "/delay", &json!({"ms": 300}));
    let began = Instant::now();
    let (_stream, _) = server.log_in(&login("alice", 1, 1, 1));
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert_eq!(server.refusal("/v1/resume", &json!({})).0, 400);
    assert!(began.elapsed() >= Duration::from_millis(600));

    server.fault("PUT", "/delay", &json!({"ms": 600_000}));
    std::thread::scope(|scope| {
        let bob = scope.spawn(|| server.log_in(&login("bob", 2, 1, 1)));
        // It is decided but not answered.
        while server.own("GET", "/v1/users/bob", "").0 == 404 {
            std::thread::yield_now();
        }
        server.fault("DELETE", "", &json!({}));
        bob.join().unwrap();
    });
}

#[test]
fn the_configured_number_of_requests_fail_and_have_no_effect() {
    let server = Server::with_faults("");
    let failing = json!({"status": 502, "count": 2, "retry_after_s": 7});
    server.fault("PUT", "/status", &failing);
    let mut answer = server.post("/v1/login", &login("alice", 1, 1, 1));
    assert_eq!(answer.status, 502);
    assert_eq!(answer.header("retry-after"), Some("7"));
    assert_eq!(answer.header("tim-protocol"), None, "as from a proxy");
    assert_eq!(answer.text(), "fault injection\n");
    assert_eq!(server.own("GET", "/v1/users/alice", "").0, 404);
    let set = server.own("GET", "/v1/faults", "").1;
    assert_eq!(
        set["status"],
        json!({"status": 502, "count": 1, "retry_after_s": 7})
    );
    assert_eq!(server.post("/v1/logout", &json!({})).status, 502);
    server.log_in(&login("alice", 1, 1, 1));

    server.fault("PUT", "/status", &json!({"status": 599}));
    for number in 2..10 {
        let answer = server.post("/v1/login", &login("alice", 1, number, number));
        assert_eq!((answer.status, answer.header("retry-after")), (599, None));
    }
    let health = "GET /healthz HTTP/1.1\r\nHost: tim\r\n\r\n";
    assert_eq!(server.send(health).status, 200);
    server.fault("DELETE", "", &json!({}));
    server.log_in(&login("alice", 1, 10, 10));
}

#[test]
fn a_moved_clock_is_reported_and_decides_over_clients_tickets_and_not_over_the_operators() {
    let server = Server::with_faults("");
    let off_s = |session: &Value| session["server_time_ms"].as_i64().unwrap() / 1000 - now_s();
    for (login_no, days) in [(1, 0), (2, -30), (3, 0)] {
        let offset = json!({"offset_ms": days * 86_400_000_i64});
        server.fault("PUT", "/clock", &offset);
        let (_stream, session) = server.log_in(&login("alice", 1, login_no, login_no));
        assert!((off_s(&session) - days * 86_400).abs() <= 5, "{session}");
    }
    server.fault("PUT", "/clock", &json!({"offset_ms": 86_400_000}));
    let late = login("alice", 1, 4, 4);
    assert_eq!(server.refusal("/v1/login", &late), (401, 70001));
    let set = server.own("GET", "/v1/faults", "").1;
    assert_eq!(set["clock_offset_ms"], 86_400_000);
    server.fault("DELETE", "", &json!({}));
    server.log_in(&login("alice", 1, 5, 5));
}

#[test]
fn a_fault_that_cannot_be_meant_is_refused_with_what_would_be_right() {
    let server = Server::with_faults("");
    for (method, path, body, status, what) in [
        ("POST", "/expire", "{}", 400, "missing field `user_id`"),
        (
            "POST",
            "/expire",
            "{\"user_id\": \"\"}",
            400,
            "1 to 32 bytes",
        ),
        ("POST", "/expire", NOBODY, 404, "there is no such session"),
        ("POST", "/kick", NOBODY, 404, "there is no such session"),
        (
            "POST",
            "/kick",
            "{\"user_id\": \"a\", \"by_platform\": \"toaster\"}",
            400,
            "android",
        ),
        ("POST", "/drop", NOBODY, 404, "there is no such session"),
        (
            "POST",
            "/drop",
            "{\"device_id\": \"x\"}",
            400,
            "device_id needs a user_id",
        ),
        ("PUT", "/delay", "{\"ms\": 600001}", 400, "0 to 600000"),
        ("PUT", "/delay", "", 400, "expected {\"ms\"}"),
        ("PUT", "/status", "{\"status\": 404}", 400, "500 to 599"),
        (
            "PUT",
            "/status",
            "{\"status\": 503, \"count\": 0}",
            400,
            "1 or more",
        ),
        (
            "PUT",
            "/clock",
            "{\"offset_ms\": 315360000001}",
            400,
            "315360000000",
        ),
        (
            "PUT",
            "/clock",
            "{\"offset\": 1}",
            400,
            "unknown field `offset`",
        ),
        (
            "POST",
            "/clock",
            "{\"offset_ms\": 1}",
            405,
            "does not take this method",
        ),
        ("PUT", "/weather", "{}", 404, "no such path"),
    ] {
        let (found, refusal) = server.own(method, &format!("/v1/faults{path}"), body);
        let message = refusal["message"].as_str().unwrap();
        assert_eq!(found, status, "{path} {body}: {message}");
        assert!(message.contains(what), "{path} {body}: {message}");
    }
    let nothing = json!({
        "delay_ms": 0, "status": null, "clock_offset_ms": 0, "run_out_tickets": 0,
    });
    assert_eq!(server.own("GET", "/v1/faults", "").1, nothing);
}

#[test]
fn the_lines_of_the_page_do_what_it_says() {
    let shell = Shell::new(include_str!("../../docs/faults.md"));
    shell.write("test.toml", &shell.block("toml", 0));
    let server = shell.start(&shell.block("sh", 0), "");
    let lines = shell.block("sh", 1);
    let (setup, faults): (Vec<&str>, Vec<&str>) =
        lines.lines().partition(|line| !line.starts_with("fault "));
    assert!(faults.len() >= 8, "{lines}");
    for (number, line) in (1..).zip(faults) {
        let of_session = ["expire", "kick", "drop"];
        let _stream = of_session
            .iter()
            .any(|name| line.contains(name))
            .then(|| server.log_in(&shell.login("alice", number)));
        let script = format!("{}\n{line}", setup.join("\n"));
        let refusal = shell.run(&server, &script);
        let refusal: Value =
            serde_json::from_str(&refusal).unwrap_or_else(|_| panic!("{line}: {refusal}"));
        let is_shown = refusal.get("clock_offset_ms").is_some();
        assert!(is_shown || refusal["code"] == 0, "{line}: {refusal}");
        server.own_with(&shell.ticket("administrator"), "DELETE", "/v1/faults");
    }
}
