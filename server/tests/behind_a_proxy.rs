//! Behind proxies, and for web pages: whose address counts, what the logs say about it, and who may
//! read answers.

#![allow(clippy::unwrap_used, reason = "tests")]

mod process;

use process::refused::refused;
use process::{Answer, Server, login, posted, resume};
use serde_json::{Value, json};
use std::io::Write;

/// Sends a login with an additional header, and returns its log line.
fn logged(server: &Server, user_id: &str, header: &str) -> String {
    let request = posted("/v1/login", &login(user_id, 1, 1, 1).to_string());
    let request = request.replacen("\r\n", &format!("\r\n{header}"), 1);
    assert_eq!(server.send(&request).status, 200);
    server.logged(user_id)
}

#[test]
fn a_trusted_proxy_is_believed_by_the_header_of_the_settings_and_nobody_else() {
    let server = Server::with("trusted_proxies = [\"127.0.0.0/8\"]\n");
    for (user_id, header, from) in [
        (
            "a",
            "X-Forwarded-For: 198.51.100.9, 203.0.113.7\r\n",
            "from=203.0.113.7",
        ),
        ("b", "Forwarded: for=203.0.113.7\r\n", "from=127.0.0.1"),
        ("c", "", "from=127.0.0.1"),
    ] {
        let line = logged(&server, &format!("user.{user_id}"), header);
        assert!(line.contains(from), "{line}");
    }
    let server = Server::with(
        "trusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]\nforwarded_header = \"forwarded\"\n",
    );
    let line = logged(
        &server,
        "alice",
        "Forwarded: for=\"[2001:db8::7]:99\", for=10.1.2.3\r\n",
    );
    assert!(line.contains("from=2001:db8::7"), "{line}");
    let server = Server::with("trusted_proxies = [\"10.0.0.0/8\"]\n");
    let line = logged(&server, "alice", "X-Forwarded-For: 203.0.113.7\r\n");
    assert!(line.contains("from=127.0.0.1"), "{line}");
}

#[test]
fn failures_of_clients_behind_one_proxy_count_for_each_of_them() {
    let server = Server::with(
        "trusted_proxies = [\"127.0.0.1\"]\nthrottle.address_failures = 3\nthrottle.failures = 3\n",
    );
    let fails = |from: &str| {
        let mut wrong = login("alice", 1, 1, 1);
        wrong["user_sig"] = "garbage".into();
        let request = posted("/v1/login", &wrong.to_string());
        let header = format!("\r\nX-Forwarded-For: {from}\r\n");
        server.send(&request.replacen("\r\n", &header, 1)).status
    };
    for _ in 0..3 {
        assert_eq!(fails("203.0.113.7"), 401);
    }
    assert_eq!(fails("203.0.113.7"), 429);
    assert_eq!(fails("203.0.113.8"), 401);
}

#[test]
fn the_proxy_protocol_names_the_client_of_a_connection() {
    let server = Server::with("trusted_proxies = [\"127.0.0.1\"]\nproxy_protocol = true\n");
    let request = |user_id| posted("/v1/login", &login(user_id, 1, 1, 1).to_string());
    let send = |head: &[u8], request: &str| {
        let mut stream = server.connect();
        stream.write_all(head).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        Answer::read(stream).status
    };
    let first = b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 7700\r\n";
    assert_eq!(send(first, &request("by.one")), 200);
    assert!(server.logged("by.one").contains("from=203.0.113.7"));
    let mut second = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    second.extend([203, 0, 113, 8, 127, 0, 0, 1, 1, 2, 3, 4]);
    assert_eq!(send(&second, &request("by.two")), 200);
    assert!(server.logged("by.two").contains("from=203.0.113.8"));
    // Without a header there is no answer, and the server lives.
    let mut stream = server.connect();
    stream.write_all(request("by.none").as_bytes()).unwrap();
    assert_eq!(process::read_to_end(&mut stream), b"");
    assert_eq!(send(first, &request("later")), 200);
}

#[test]
fn every_login_and_refusal_is_logged_with_who_where_and_what_came_of_it() {
    let server = Server::with("log_users = true\n");
    let (_stream, session) = server.log_in(&login("alice", 1, 1, 1));
    let line = server.logged("/v1/login");
    for part in [
        "accepted",
        "user=\"alice\"",
        "device=\"device 1\"",
        "from=127.0.0.1",
        "code=0",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    let mut wrong = login("bob", 1, 1, 1);
    wrong["user_sig"] = "garbage".into();
    server.post("/v1/login", &wrong);
    let line = server.logged("/v1/login");
    for part in ["refused", "user=\"bob\"", "code=70003"] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert!(!line.contains("garbage"), "{line}");
    server.post(
        "/v1/logout",
        &json!({"session": session["session"], "seq": 2}),
    );
    let line = server.logged("/v1/logout");
    assert!(line.contains("user=\"alice\""), "{line}");
    // Nobody can inject a line into the log.
    let mut wrong = login("x", 1, 1, 1);
    wrong["user_id"] = "a\nb".into();
    server.post("/v1/login", &wrong);
    assert!(!server.logged("/v1/login").contains("user="));

    let server = Server::with("log_users = false\n");
    let (_stream, session) = server.log_in(&login("alice", 1, 1, 1));
    server.post("/v1/resume", &resume(&session, 1, 1, 2));
    for path in ["/v1/login", "/v1/resume"] {
        let line = server.logged(path);
        assert!(
            !line.contains("alice") && line.contains("device=\"device 1\""),
            "{line}"
        );
    }
}

#[test]
fn what_administrators_change_is_in_the_audit_log_with_who_whose_and_what_came_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    let server = Server::with_admin(&format!("audit_log = {file:?}\n"));
    server.reference(
        "im_open_login_svc/account_import",
        &json!({"UserID": "alice"}),
    );
    server.own("PUT", "/v1/users/alice/ban", r#"{"reason": "spam"}"#);
    server.reference("im_open_login_svc/kick", &json!({"UserID": "nobody"}));
    server.own("POST", "/v1/users/alice/devices/tablet/sign_out", "");
    server.own("GET", "/v1/users/alice", "");
    server.own("POST", "/v1/sign_out_everybody", "");
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let said: Vec<_> = lines
        .iter()
        .map(|line| {
            assert_eq!(
                (&line["admin_id"], &line["from"]),
                (&json!("administrator"), &json!("127.0.0.1"))
            );
            assert!(line["time_ms"].as_i64().unwrap() > 0);
            let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
            (
                text("action"),
                text("user_id"),
                text("device_id"),
                line["code"].as_i64().unwrap(),
            )
        })
        .collect();
    let line = |action: &str, user: &str, device: &str, code| {
        (action.to_owned(), user.to_owned(), device.to_owned(), code)
    };
    let expected = [
        line("import", "alice", "", 0),
        line("ban", "alice", "", 0),
        line("kick", "nobody", "", 70107),
        line("sign_out", "alice", "tablet", 70107),
        line("sign_out_everybody", "", "", 0),
    ];
    assert_eq!(said, expected);
    // If no file is named, the log has it.
    let server = Server::with_admin("");
    server.own("PUT", "/v1/users/alice/ban", "{}");
    let line = server.logged("audit");
    for part in [
        "admin_id=\"administrator\"",
        "action=\"ban\"",
        "user_id=\"alice\"",
        "code=0",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
}

#[test]
fn pages_of_the_allowed_origins_may_ask_and_read() {
    let server = Server::with("allowed_origins = [\"https://app.example.org\"]\n");
    let preflight = |origin: &str| {
        server.send(&format!(
            "OPTIONS /v1/login HTTP/1.1\r\nHost: tim\r\nOrigin: {origin}\r\n\
             Access-Control-Request-Method: POST\r\n\
             Access-Control-Request-Headers: content-type, tim-protocol\r\n\r\n"
        ))
    };
    let answer = preflight("https://app.example.org");
    assert_eq!(answer.status, 204);
    for (name, value) in [
        ("access-control-allow-origin", "https://app.example.org"),
        ("access-control-allow-methods", "POST, GET"),
        ("access-control-allow-headers", "content-type, tim-protocol"),
        ("vary", "origin"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    assert_eq!(
        preflight("https://evil.example").header("access-control-allow-origin"),
        None
    );
    let request = posted("/v1/login", &login("alice", 1, 1, 1).to_string());
    for (origin, is_allowed) in [
        ("https://app.example.org", true),
        ("https://evil.example", false),
    ] {
        let header = format!("\r\nOrigin: {origin}\r\n");
        let answer = server.send(&request.replacen("\r\n", &header, 1));
        let allowed = answer.header("access-control-allow-origin");
        assert_eq!(allowed == Some(origin), is_allowed);
        assert_eq!(
            answer.header("access-control-expose-headers").is_some(),
            is_allowed
        );
    }
}

#[test]
fn settings_that_cannot_be_meant_stop_the_start() {
    for (settings, expected) in [
        (
            "trusted_proxies = [\"10.0.0.0/99\"]",
            "expected an address or a network",
        ),
        (
            "trusted_proxies = [\"proxy.example.org\"]",
            "expected an address or a network",
        ),
        (
            "forwarded_header = \"x-real-ip\"",
            "expected `x-forwarded-for` or `forwarded`",
        ),
        (
            "allowed_origins = [\"https://app.example.org/\"]",
            "without a path",
        ),
        ("audit_log = \"/nowhere/audit\"", "audit_log /nowhere/audit"),
    ] {
        let said = refused(settings, &[]);
        assert!(said.contains(expected), "{said}");
    }
}
