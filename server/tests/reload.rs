//! What an operator changes while the server runs: SIGHUP reloads all settings.

#![allow(clippy::unwrap_used, reason = "tests")]

mod process;

use process::tls::{certificate, hears};
use process::{APP, KEY, Server, login, now_s, resume};
use serde_json::Value;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tim_proto::user_sig;

const RELOADED: &str = "settings reloaded";
const KEPT: &str = "no settings were changed";
const NEW_KEY: &str = "5d1c2b0a998f4e7766d3a1b2c4e5f60718293a4b5c6d7e8f9010aabbccddeeff";

fn login_with(key: &str, user_id: &str, number: u64) -> Value {
    let mut login = login(user_id, 1, number, number);
    login["user_sig"] = user_sig::make(key, APP, user_id, now_s(), 3600, None)
        .unwrap()
        .into();
    login
}

#[test]
fn keys_rotate_without_a_moment_in_which_a_good_ticket_is_refused() {
    let server = Server::start();
    let path = |name: &str| server.directory.path().join(name);
    let with_old = |name: &str| format!("old_secret_key_files = [{:?}]", path(name));
    let logins = AtomicUsize::new(0);
    let number = AtomicU64::new(1);
    let makers_key = Mutex::new(KEY);
    let at_work = AtomicUsize::new(1);
    std::thread::scope(|scope| {
        for user in ["alice", "bob"] {
            let (server, logins, number) = (&server, &logins, &number);
            let (makers_key, at_work) = (&makers_key, &at_work);
            scope.spawn(move || {
                while at_work.load(Ordering::SeqCst) == 1 {
                    let key = makers_key.lock().unwrap();
                    let number = number.fetch_add(1, Ordering::SeqCst);
                    server.log_in(&login_with(&key, user, number));
                    logins.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let some_logins = || {
            let before = logins.load(Ordering::SeqCst);
            while logins.load(Ordering::SeqCst) < before + 20 {
                std::thread::yield_now();
            }
        };
        some_logins();
        server.write("old key", KEY);
        server.write("key", NEW_KEY);
        server.reload(&with_old("old key"), RELOADED);
        some_logins();
        *makers_key.lock().unwrap() = NEW_KEY;
        some_logins();
        server.reload("", RELOADED);
        some_logins();
        at_work.store(0, Ordering::SeqCst);
    });
    let late = login_with(KEY, "alice", 1_000_000);
    assert_eq!(server.refusal("/v1/login", &late), (401, 70009));
}

#[test]
fn another_policy_kicks_nobody_and_counts_from_the_next_login() {
    let server = Server::with("policy = \"multi\"");
    let (mut phone, session) = server.log_in(&login("alice", 1, 1, 1));
    let mut on_the_mac = login("alice", 2, 2, 2);
    on_the_mac["platform"] = "mac".into();
    let (mut mac, _) = server.log_in(&on_the_mac);
    server.reload("policy = \"single\"", RELOADED);
    drop(phone);
    (phone, _) = server.log_in_by(&resume(&session, 1, 1, 2));
    server.log_in(&login("alice", 3, 3, 3));
    for stream in [&mut phone, &mut mac] {
        assert_eq!(stream.event().unwrap().0, "kicked");
    }
}

#[test]
fn a_mistake_leaves_everything_as_it_was_and_is_logged_with_file_line_and_key() {
    let server = Server::with("[throttle]\nfailures = 0\naddress_failures = 0");
    let mistakes = [
        (
            "policy = \"single\"\nheartbeat_ms = 5\n",
            "settings.toml: TOML parse error at line 2",
        ),
        (
            "heart_beat = 5\n",
            "settings.toml: TOML parse error at line 1",
        ),
        (
            "old_secret_key_files = [\"/nowhere/key\"]\n",
            "/nowhere/key",
        ),
        (
            "tls_cert = \"/nowhere/cert\"\n",
            "tls_cert and tls_key belong together",
        ),
    ];
    for (settings, why) in mistakes {
        let line = server.reload(settings, KEPT);
        assert!(line.contains(why), "{line}");
    }
    for number in 1..100 {
        let forged = login_with(NEW_KEY, "alice", number);
        assert_eq!(server.refusal("/v1/login", &forged), (401, 70009));
    }
    server.write("key", "too short");
    assert!(server.reload("", KEPT).contains("32 bytes"));
    server.log_in(&login("alice", 1, 100, 100));
}

#[test]
fn throttle_and_limits_change_at_once() {
    let server = Server::start();
    let (_stream, _) = server.log_in(&login("bob", 1, 1, 1));
    server.reload(
        "[throttle]\nfailures = 1\n[limits]\nstreams_per_address = 1",
        RELOADED,
    );
    assert_eq!(
        server.refusal("/v1/login", &login("alice", 1, 1, 1)),
        (503, 7724)
    );
    for expected in [70009, 70050] {
        let forged = login_with(NEW_KEY, "alice", 1);
        assert_eq!(server.refusal("/v1/login", &forged).1, expected);
    }
}

#[test]
fn a_new_heartbeat_goes_for_streams_that_begin_later() {
    let server = Server::start();
    server.reload("heartbeat_ms = 100", RELOADED);
    let (mut stream, event) = server.log_in(&login("alice", 1, 1, 1));
    assert_eq!(event["heartbeat_ms"], 100);
    assert_eq!(stream.block().unwrap(), ": hb");
}

#[test]
fn what_only_a_start_can_change_is_said_and_the_rest_is_done() {
    let server = Server::start();
    let settings = "log_format = \"json\"\nheartbeat_ms = 1000\n[limits]\nconnections = 5";
    server.reload(settings, "log_format has changed: restart to apply it");
    server.logged("limits.connections has changed");
    server.logged(RELOADED);
    let (_stream, event) = server.log_in(&login("alice", 1, 1, 1));
    assert_eq!(event["heartbeat_ms"], 1000);
}

#[test]
fn a_new_certificate_is_shown_to_new_connections_and_a_bad_one_to_nobody() {
    let (old, pem, key) = certificate();
    let (new, new_pem, new_key) = certificate();
    let server = Server::with_tls(&pem, &key);
    let settings = std::fs::read_to_string(server.directory.path().join("settings.toml")).unwrap();
    assert_eq!(hears(&server, &old).unwrap(), "HTTP/1.1 200 OK");
    assert!(hears(&server, &new).is_err());

    server.write("cert", &new_pem);
    let line = server.reload(&settings, KEPT);
    assert!(
        line.contains("cert key"),
        "the key is another certificate's: {line}"
    );
    assert_eq!(hears(&server, &old).unwrap(), "HTTP/1.1 200 OK");

    server.write("cert key", &new_key);
    server.reload(&settings, RELOADED);
    assert_eq!(hears(&server, &new).unwrap(), "HTTP/1.1 200 OK");
    assert!(hears(&server, &old).is_err());
}
