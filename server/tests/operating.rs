//! The program as an operator meets it: starting, keys, tickets, limits, bad requests, stopping.

#![allow(clippy::unwrap_used, reason = "tests")]

mod process;

use process::refused::refused_on;
use process::{Answer, Server, in_data, login, program, ready_address};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{Output, Stdio};

fn errors(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn the_first_start_makes_an_app_and_prints_the_next_command_which_works() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let start = || {
        program()
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(&data)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let mut server = start();
    let address = ready_address(&mut server, "http");
    server.kill().unwrap();
    let output = errors(&server.wait_with_output().unwrap());
    let command = output
        .lines()
        .find_map(|line| line.strip_prefix("tim-server: a ticket for alice: tim-server "))
        .unwrap_or_else(|| panic!("{output}"));
    assert!(address.starts_with("127.0.0.1:"));

    let output = program().args(command.split(' ')).output().unwrap();
    let ticket = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success(), "{}", errors(&output));
    assert_eq!(ticket.lines().count(), 1, "the ticket alone");
    let app = std::fs::read_to_string(in_data(&directory, "sdk_app_id")).unwrap();
    let sig = tim_proto::user_sig::parse(ticket.trim_end()).unwrap();
    assert_eq!(
        (sig.user_id.as_str(), sig.sdk_app_id.to_string().as_str()),
        ("alice", app.trim_end())
    );
    for secret in ["secret_key", "sdk_app_id"] {
        let mode = std::fs::metadata(in_data(&directory, secret))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }

    let mut again = start();
    ready_address(&mut again, "http");
    again.kill().unwrap();
    let output = errors(&again.wait_with_output().unwrap());
    assert!(
        !output.contains("made app"),
        "the second start keeps the app: {output}"
    );
}

#[test]
fn weak_short_and_public_keys_are_refused_with_what_would_be_right() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let app = format!("sdk_app_id = 1\nsecret_key_file = {file:?}\n");
    for (key, why) in [
        ("short", "32 bytes"),
        (
            "abababababababababababababababababababab",
            "8 of them different",
        ),
        (
            include_str!("../../proto/tests/fixtures/key"),
            "publicly known",
        ),
        ("", "32 bytes"),
    ] {
        std::fs::write(&file, key).unwrap();
        let output = refused_on(folder.path(), &app, &[]);
        assert!(output.contains(why), "{key}: {output}");
        assert!(
            key.is_empty() || !output.contains(key.trim_end()),
            "the key is not repeated: {output}"
        );
    }
}

#[test]
fn mistakes_on_the_command_line_and_in_the_file_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let settings = directory.path().join("settings.toml");
    std::fs::write(&settings, "heartbeat_ms = 1000\nheart_beat = 1\n").unwrap();
    let config = settings.to_str().unwrap();
    for (arguments, parts) in [
        (
            vec!["serve", "--listen", "nowhere"],
            vec!["--listen nowhere"],
        ),
        (
            vec!["serve", "--sdk-app-id", "1"],
            vec!["--secret-key-file"],
        ),
        (
            vec!["serve", "--sdk-app-id", "0", "--secret-key-file", "k"],
            vec!["--sdk-app-id", "0"],
        ),
        (vec!["serve", "--tls-cert", "c.pem"], vec!["--tls-key"]),
        (
            vec!["serve", "--config", config],
            vec!["settings.toml", "line 2", "heart_beat"],
        ),
        (
            vec!["serve", "--config", "/nowhere.toml"],
            vec!["/nowhere.toml"],
        ),
        (
            vec!["usersig", "--user-id", "alice", "--data-dir", "/nowhere"],
            vec!["/nowhere", "serve"],
        ),
        (vec!["usersig", "--user-id", ""], vec!["user"]),
    ] {
        let output = program()
            .args(&arguments)
            .current_dir(&directory)
            .output()
            .unwrap();
        let errors = errors(&output);
        assert!(!output.status.success(), "{arguments:?}");
        assert!(
            parts.iter().all(|part| errors.contains(part)),
            "{arguments:?}: {errors}"
        );
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn the_ready_line_is_all_that_is_printed_on_stdout() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = program()
        .args(["--listen", "127.0.0.1:0", "--data-dir"])
        .arg(directory.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Without a subcommand it serves, too.
    ready_address(&mut server, "http");
    server.kill().unwrap();
    let mut rest = String::new();
    server
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut rest)
        .unwrap();
    server.wait().unwrap();
    assert_eq!(rest, "");
}

#[test]
fn health_paths_methods_and_bodies() {
    let server = Server::start();
    assert_eq!(
        server
            .send("GET /healthz HTTP/1.1\r\nHost: tim\r\n\r\n")
            .status,
        200
    );
    assert_eq!(
        server
            .send("GET /v1/login HTTP/1.1\r\nHost: tim\r\n\r\n")
            .status,
        405
    );
    assert_eq!(
        server
            .send("GET /nothing HTTP/1.1\r\nHost: tim\r\n\r\n")
            .status,
        404
    );
    for body in [
        "",
        "{",
        "[]",
        "null",
        "{\"user_id\": 1}",
        "{\"sdk_app_id\": 1}",
    ] {
        let mut answer = server.post_text("/v1/login", body);
        assert_eq!(
            (answer.status, answer.json()["code"].as_i64()),
            (400, Some(70402)),
            "{body}"
        );
    }
    let mut wrong = login("alice", 1, 1, 1);
    wrong["user_sig"] = serde_json::json!({"secret": 1});
    let output = server.post("/v1/login", &wrong).json().to_string();
    assert!(!output.contains("secret"), "{output}");
    for (field, value) in [
        ("device_id", "a\nb"),
        ("device_id", ""),
        ("instance", "x"),
        ("platform", "toaster"),
    ] {
        let mut bad = login("alice", 1, 1, 1);
        bad[field] = value.into();
        assert_eq!(server.refusal("/v1/login", &bad), (400, 70402), "{field}");
    }
    let mut bad = login("alice", 1, 1, 1);
    bad["user_id"] = "a\nb".into();
    assert_eq!(server.refusal("/v1/login", &bad).1, 7003);
}

#[test]
fn what_is_too_large_is_refused_and_the_server_goes_on() {
    let server = Server::start();
    assert_eq!(
        server.post_text("/v1/login", &"x".repeat(17 * 1024)).status,
        413
    );
    let head = format!(
        "GET /healthz HTTP/1.1\r\nHost: tim\r\nX: {}\r\n\r\n",
        "x".repeat(64 * 1024)
    );
    assert_eq!(server.send(&head).status, 431);
    server.log_in(&login("alice", 1, 1, 1));
}

#[test]
fn a_slow_head_and_an_idle_connection_are_closed() {
    let server = Server::with("[limits]\nheader_timeout_ms = 200");
    let mut slow = server.connect();
    slow.write_all(b"POST /v1/login HT").unwrap();
    assert_closed(slow);
    assert_closed(server.connect());
}

/// The server closes it; what it had not read by then makes that a reset.
fn assert_closed(mut connection: TcpStream) {
    match connection.read_to_end(&mut Vec::new()) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

#[test]
fn beyond_the_limit_a_connection_gets_503_and_when_to_come_back() {
    let server = Server::with("[limits]\nconnections = 2");
    let (_one, _) = server.log_in(&login("alice", 1, 1, 1));
    let (_two, _) = server.log_in(&login("bob", 2, 1, 1));
    let third = Answer::read(server.connect());
    assert_eq!(third.status, 503);
    assert_eq!(third.header("retry-after"), Some("5"));
}

#[test]
fn sigterm_and_ctrl_c_tell_every_stream_when_to_come_back_and_end_with_0() {
    for signal in ["TERM", "INT"] {
        let mut server = Server::start();
        let (mut stream, _) = server.log_in(&login("alice", 1, 1, 1));
        server.signal(signal);
        let (name, event) = stream.event().unwrap();
        assert_eq!(name, "going_away");
        assert!(event["return_in_ms"].is_u64());
        assert_eq!(stream.event(), None);
        assert!(server.wait().success(), "{signal}");
    }
}

#[test]
fn a_service_manager_is_notified_of_the_start_of_life_and_of_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let manager = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    let patience = std::time::Duration::from_secs(30);
    manager.set_read_timeout(Some(patience)).unwrap();
    let mut server = process::program()
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(directory.path().join("data"))
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "100000")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let next = || {
        let mut text = [0; 256];
        let length = manager.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..length]).trim().to_owned()
    };
    assert_eq!(next(), "READY=1");
    for _ in 0..3 {
        assert_eq!(next(), "WATCHDOG=1");
    }
    let pid = server.id().to_string();
    let killed = std::process::Command::new("kill").arg(&pid).status();
    assert!(killed.unwrap().success());
    while next() != "STOPPING=1" {}
    assert!(server.wait().unwrap().success());
}

#[test]
fn an_answer_says_how_long_its_connection_may_idle_and_a_stream_does_not() {
    let server = Server::with("limits.header_timeout_ms = 7000\n");
    let (stream, session) = server.log_in(&login("alice", 1, 1, 1));
    assert_eq!(stream.header("keep-alive"), None);
    let logout = serde_json::json!({"session": session["session"], "seq": 2});
    let answer = server.post("/v1/logout", &logout);
    assert_eq!(answer.header("keep-alive"), Some("timeout=6"));
}
