//! What files, forms and devices add around texts: it is accepted, cleaned up, or named in the
//! error.

#![allow(clippy::unwrap_used, reason = "tests")]

mod process;

use process::refused::refused;
use process::{APP, KEY, Server, login, program, ticket};
use serde_json::json;
use std::process::Command;

/// Runs `tim-server usersig` with a key file that holds this.
fn usersig(key: &str, user_id: &str) -> std::process::Output {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key");
    std::fs::write(&file, key).unwrap();
    let mut command: Command = program();
    command
        .args(["usersig", "--user-id", user_id])
        .args(["--sdk-app-id", &APP.to_string(), "--secret-key-file"])
        .arg(&file);
    command.output().unwrap()
}

#[test]
fn a_key_file_may_have_line_ends_blanks_and_a_byte_order_mark_around_the_key() {
    let server = Server::start();
    for (which, key) in [
        format!("{KEY}\n"),
        format!("\u{feff}{KEY}\r\n\r\n"),
        format!("  {KEY}\t\n"),
    ]
    .iter()
    .enumerate()
    {
        let made = usersig(key, "alice");
        assert!(made.status.success());
        let mut request = login("alice", which as u8 + 1, 1, 1);
        // The program's line end goes along.
        request["user_sig"] = String::from_utf8(made.stdout).unwrap().into();
        let (_stream, session) = server.log_in(&request);
        assert!(session["session"].is_string());
    }
}

#[test]
fn an_invalid_user_id_is_refused_with_what_is_wrong_at_its_edge() {
    let refused = usersig(KEY, "alice\n");
    let output = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success());
    assert!(
        output.contains("--user-id: it ends with a line end"),
        "{output}"
    );
}

#[test]
fn a_ticket_may_have_line_ends_blanks_and_a_byte_order_mark_around_it() {
    let server = Server::start();
    let mut request = login("alice", 1, 1, 1);
    request["user_sig"] = format!("\u{feff} {}\r\n", ticket("alice", 3600)).into();
    server.log_in(&request);
    request["user_sig"] = " \n".into();
    request["seq"] = 2.into();
    assert_eq!(server.refusal("/v1/login", &request).1, 70002);
}

#[test]
fn a_devices_name_is_cleaned_and_cut_and_never_refused() {
    let server = Server::start();
    let mut first = login("alice", 1, 1, 1);
    first["platform"] = json!("android");
    let (mut stream, _) = server.log_in(&first);
    let mut second = login("alice", 2, 1, 1);
    let name = format!("\u{feff}\u{202e}Anna\u{2019}s\n{}", "手".repeat(40));
    second["device_name"] = name.into();
    server.log_in(&second);
    let (event, kick) = stream.event().unwrap();
    assert_eq!(event, "kicked");
    // 64 bytes, and a whole character.
    let expected = format!("Anna\u{2019}s {}", "手".repeat(18));
    assert_eq!(kick["device_name"], expected);
    assert!(expected.len() <= 64);
}

#[test]
fn a_settings_file_may_begin_with_a_byte_order_mark() {
    let server = Server::with("\u{feff}heartbeat_ms = 30000\n");
    let (_stream, session) = server.log_in(&login("alice", 1, 1, 1));
    assert_eq!(session["heartbeat_ms"], 30_000);
}

#[test]
fn a_heartbeat_that_clients_would_not_keep_stops_the_start_with_its_line_and_range() {
    for value in ["99", "600001"] {
        let output = refused(&format!("heartbeat_ms = {value}\n"), &[]);
        for part in ["line 1", "heartbeat_ms", "100 to 600000", value] {
            assert!(output.contains(part), "{part}: {output}");
        }
    }
}

#[test]
fn a_certificate_that_is_marked_as_an_authoritys_is_refused_at_the_start() {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    let server = Server::with_tls(&certificate.pem(), &key.serialize_pem());
    let line = server.logged("CA:TRUE");
    assert!(line.contains("WARN") && line.contains("ca_file"), "{line}");
    // Others are not mentioned.
    let (_, certificate, key) = process::tls::certificate();
    let mut server = Server::with_tls(&certificate, &key);
    server.signal("TERM");
    server.wait();
    assert!(!server.rest_of_the_log().contains("CA:TRUE"));
}
