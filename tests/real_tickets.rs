//! Tickets from the public generators log in; modified, foreign, expired and broken ones are
//! refused with the right code. Library, server and tickets are real. (Tickets that the generators
//! made once are checked in `proto/tests/generators.rs`: no server starts with their key, which is
//! public.)

#![allow(clippy::unwrap_used, reason = "tests")]

mod tim_server;

use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;
use tim::client::Client;
use tim::error;
use tim_proto::user_sig;
use tim_server::{
    APP, KEY, OTHER_KEY, TimServer, client_of, log_in, root, user_sig_by, user_sig_for,
};

/// Each bad ticket must get its own code, however many there were before.
const UNTHROTTLED: &str = "[throttle]\nfailures = 0\naddress_failures = 0\n";

fn jsonl(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn text<'a>(line: &'a Value, field: &str) -> &'a str {
    line[field].as_str().unwrap()
}

/// The tickets that a generator makes now, after its package was installed.
fn made_now(generator: &str, users: &[&str]) -> Vec<Value> {
    let tickets = root().join("tests/tickets");
    let packages = packages();
    let directory = tempfile::tempdir().unwrap();
    let key_file = directory.path().join("key");
    std::fs::write(&key_file, KEY).unwrap();
    let program = if generator.ends_with(".py") {
        "python3"
    } else {
        "node"
    };
    let output = Command::new(program)
        .arg(tickets.join(generator))
        .arg("--packages")
        .arg(packages)
        .arg(APP.to_string())
        .arg(&key_file)
        .args(users)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{generator}: {errors}");
    jsonl(&String::from_utf8(output.stdout).unwrap())
}

/// Where the packages of the generators are.
fn packages() -> PathBuf {
    root().join("target/tickets")
}

#[test]
fn tickets_that_both_generators_make_now_log_in() {
    if std::env::var_os("TIM_OFFLINE").is_some_and(|value| value == "1") {
        eprintln!("left out: TIM_OFFLINE=1");
        return;
    }
    let install = Command::new("sh")
        .arg(root().join("tests/tickets/install"))
        .arg(packages())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&install.stderr);
    assert!(
        install.status.success(),
        "installing the generators (TIM_OFFLINE=1 leaves them out): {errors}"
    );
    let server = TimServer::configured(UNTHROTTLED);
    let client = client_of(&server.url, APP, "");
    let users = [
        "alice",
        "用户_1",
        "zoë \"/\\ 😀",
        "user-of-32-bytes_0123456789abcde",
    ];
    for (generator, tickets_a_user) in [("generate.py", 2), ("generate.js", 3)] {
        let made = made_now(generator, &users);
        assert_eq!(made.len(), users.len() * tickets_a_user);
        for line in &made {
            let (user_id, user_sig) = (text(line, "user_id"), text(line, "user_sig"));
            assert_eq!(log_in(&client, user_id, user_sig), error::OK, "{line}");
            assert_eq!(client.login_user(), user_id);
        }
        every_changed_character_is_refused_or_means_the_same(&server, text(&made[0], "user_sig"));
    }
}

#[test]
fn a_ticket_changed_in_any_character_is_refused_or_means_the_same() {
    let server = TimServer::configured(UNTHROTTLED);
    every_changed_character_is_refused_or_means_the_same(&server, &user_sig_for("alice", 3600));
}

fn every_changed_character_is_refused_or_means_the_same(server: &TimServer, ticket: &str) {
    let client = client_of(&server.url, APP, "");
    let refusals = [
        error::ERR_USER_SIG_UNREADABLE,
        error::ERR_USER_SIG_WRONG_KEY,
        error::ERR_USER_SIG_OTHER_USER,
        error::ERR_USER_SIG_OTHER_APP,
    ];
    let fields = |ticket: &str| {
        let ticket = user_sig::parse(ticket).ok()?;
        let genuine = ticket.verify_mac(KEY);
        Some((
            ticket.user_id,
            ticket.sdk_app_id,
            ticket.issued_s,
            ticket.expire_s,
            genuine,
        ))
    };
    let mut refused = 0;
    for at in 0..ticket.len() {
        for other in ["A", "*"] {
            if &ticket[at..=at] == other {
                continue;
            }
            let changed = format!("{}{other}{}", &ticket[..at], &ticket[at + 1..]);
            // A client with nobody logged in: otherwise a login is a renewal.
            let code = log_in(&client, "alice", &changed);
            if fields(&changed) == fields(ticket) {
                assert_eq!(code, error::OK, "character {at}");
                assert_eq!(tim_server::log_out(&client), error::OK);
            } else {
                assert!(refusals.contains(&code), "character {at}: {code}");
                refused += 1;
            }
        }
    }
    assert!(
        refused > ticket.len(),
        "{refused} of {} changes were refused",
        2 * ticket.len()
    );
}

/// The answers of the library and of the server to a login of alice's with this ticket.
fn codes(server: &TimServer, client: &Client, user_sig: &str) -> (i32, i32) {
    (
        log_in(client, "alice", user_sig),
        code_of_the_server(server, user_sig),
    )
}

/// The code of a login over plain HTTP, without the library.
fn code_of_the_server(server: &TimServer, user_sig: &str) -> i32 {
    let body = serde_json::json!({
        "sdk_app_id": APP, "user_id": "alice", "user_sig": user_sig, "device_id": "plain",
        "platform": "linux", "intent": "interactive", "instance": "0123456789abcdef0123456789abcdef",
        "login_no": 1, "seq": 1,
    });
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    let mut answer = agent
        .post(format!("{}/v1/login", server.url))
        .header("content-type", "application/json")
        .send(body.to_string())
        .unwrap();
    assert_eq!(answer.headers()["tim-protocol"], "1");
    let refusal: Value =
        serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
    i32::try_from(refusal["code"].as_i64().unwrap()).unwrap()
}

#[test]
fn each_bad_ticket_has_its_code_in_the_library_and_on_the_server() {
    let server = TimServer::configured(UNTHROTTLED);
    let client = client_of(&server.url, APP, "");
    let good = user_sig_for("alice", 3600);
    let cases = [
        (
            "another app",
            user_sig_by(KEY, APP + 1, "alice", 3600),
            error::ERR_USER_SIG_OTHER_APP,
        ),
        (
            "another user",
            user_sig_by(KEY, APP, "bob", 3600),
            error::ERR_USER_SIG_OTHER_USER,
        ),
        (
            "another key",
            user_sig_by(OTHER_KEY, APP, "alice", 3600),
            error::ERR_USER_SIG_WRONG_KEY,
        ),
        (
            "expired",
            user_sig_for("alice", -1),
            error::ERR_USER_SIG_EXPIRED,
        ),
        ("empty", String::new(), error::ERR_USER_SIG_EMPTY),
        (
            "truncated",
            good[..good.len() / 2].to_owned(),
            error::ERR_USER_SIG_UNREADABLE,
        ),
        (
            "not a ticket",
            "hello".to_owned(),
            error::ERR_USER_SIG_UNREADABLE,
        ),
        (
            "5,000 bytes long",
            good.repeat(5000 / good.len() + 1),
            error::ERR_USER_SIG_UNREADABLE,
        ),
    ];
    for (what, ticket, code) in cases {
        assert_eq!(codes(&server, &client, &ticket), (code, code), "{what}");
        assert_eq!(client.login_status(), 3, "{what}");
        assert_eq!(client.login_user(), "", "{what}");
    }
}

#[test]
fn a_ticket_of_a_megabyte_is_refused_before_it_is_sent_and_before_it_is_read() {
    let server = TimServer::configured(UNTHROTTLED);
    let client = client_of(&server.url, APP, "");
    let long = "A".repeat(1_000_000);
    assert_eq!(
        log_in(&client, "alice", &long),
        error::ERR_USER_SIG_UNREADABLE
    );
    // The server answers 413 once it has seen 16 KiB, without reading the rest.
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    if let Ok(answer) = agent.post(format!("{}/v1/login", server.url)).send(&long) {
        assert_eq!(answer.status(), 413);
    }
    assert_eq!(
        log_in(&client, "alice", &user_sig_for("alice", 60)),
        error::OK
    );
}
