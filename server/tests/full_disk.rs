//! A full disk: what cannot be stored is refused, however often it is requested, and once there is
//! space again everything works without a restart.

#![allow(clippy::unwrap_used, reason = "tests")]

mod process;

use process::engine::Engine;
use process::{Server, login};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The store must not grow: its files are larger than this already.
const FULL: u64 = 4096;

/// The server could not write to its store.
const FAILED: i64 = 70500;

/// The size to which a server's files may grow; `None`: no limit.
fn limit_files(server: &Server, bytes: Option<u64>) {
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    let pid = Pid::from_raw(i32::try_from(server.pid()).unwrap());
    prlimit(pid, Resource::Fsize, limit).unwrap();
}

fn readiness(server: &Server) -> (u16, String) {
    let mut answer = server.send("GET /readyz HTTP/1.1\r\nHost: tim\r\n\r\n");
    (answer.status, answer.text())
}

fn until_ready(server: &Server) {
    let until = Instant::now() + Duration::from_secs(30);
    while readiness(server).0 != 200 {
        assert!(Instant::now() < until, "it does not heal");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn import(server: &Server, user_id: &str) -> i64 {
    let path = "im_open_login_svc/account_import";
    let imported = server.reference(path, &json!({"UserID": user_id}));
    imported["ErrorCode"].as_i64().unwrap()
}

fn has_account(server: &Server, user_id: &str) -> bool {
    let check = json!({"CheckItem": [{"UserID": user_id}]});
    let checked = server.reference("im_open_login_svc/account_check", &check);
    checked["ResultItem"][0]["AccountStatus"] == "Imported"
}

/// A login that is refused for lack of space.
fn refused_login(server: &Server, login: &Value) {
    let mut answer = server.post("/v1/login", login);
    assert_eq!(answer.status, 500);
    assert!(answer.header("retry-after").is_some());
    assert_eq!(answer.json()["code"], FAILED);
}

#[test]
fn what_cannot_be_written_is_refused_each_time_and_it_heals_when_there_is_space() {
    let server = Server::with_admin("");
    assert_eq!(import(&server, "before"), 0);
    let (_stream, session) = server.log_in(&login("known", 1, 1, 1));
    limit_files(&server, Some(FULL));
    for _ in 0..3 {
        assert_eq!(import(&server, "alice"), FAILED);
    }
    for user in 0..20 {
        refused_login(&server, &login(&format!("user {user}"), 1, 1, 1));
    }
    let (status, why) = readiness(&server);
    assert_eq!(status, 503);
    assert!(why.contains("full") || why.contains("disk I/O"), "{why}");
    // What changes nothing in the store needs no space.
    let resume = process::resume(&session, 1, 1, 2);
    assert_eq!(server.post("/v1/resume", &resume).status, 200);
    limit_files(&server, None);
    until_ready(&server);
    assert_eq!(import(&server, "alice"), 0);
    server.log_in(&login("user 1", 1, 1, 2));
    let server = server.after_a_kill();
    for user_id in ["before", "alice", "user 1", "known"] {
        assert!(has_account(&server, user_id), "{user_id}");
    }
}

#[test]
fn a_server_whose_disk_is_full_ends_in_time_all_the_same() {
    let mut server = Server::with_admin("drain_timeout_s = 2\n");
    let (_stream, _) = server.log_in(&login("known", 1, 1, 1));
    limit_files(&server, Some(FULL));
    refused_login(&server, &login("alice", 1, 1, 1));
    let begun = Instant::now();
    server.signal("TERM");
    assert!(server.wait().success());
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "drain_timeout_s and a second"
    );
}

#[test]
fn an_engine_without_memory_is_not_ready_and_heals() {
    let engine = Engine::start();
    let server = Server::node(&engine.url(), process::admin::SETTINGS);
    assert_eq!(import(&server, "before"), 0);
    engine.command("CONFIG SET maxmemory 1");
    for _ in 0..3 {
        assert_ne!(import(&server, "alice"), 0);
    }
    assert_eq!(readiness(&server).0, 503);
    engine.command("CONFIG SET maxmemory 0");
    until_ready(&server);
    assert_eq!(import(&server, "alice"), 0);
}

/// Logins, imports and bans while the disk repeatedly fills up and frees: what was acknowledged is
/// there.
fn fill_again_and_again(rounds: usize) {
    let mut server = Server::with_admin("");
    let mut acknowledged = Vec::new();
    for round in 0..rounds {
        for user in 0..8 {
            let user_id = format!("user.{round}.{user}");
            if user == 3 {
                limit_files(&server, Some(FULL));
            }
            if import(&server, &user_id) == 0 {
                acknowledged.push((user_id.clone(), false));
            }
            let ban = format!("/v1/users/{user_id}/ban");
            if user % 2 == 0 && server.own("PUT", &ban, "{}").0 == 200 {
                acknowledged.push((user_id, true));
            }
        }
        if round % 2 == 0 {
            limit_files(&server, None);
            until_ready(&server);
        }
        if round % 5 == 4 {
            // The limit is that of the process.
            server = server.after_a_kill_elsewhere();
        } else {
            limit_files(&server, None);
            until_ready(&server);
        }
    }
    let server = server.after_a_kill();
    for (user_id, is_ban) in &acknowledged {
        let is_there = match is_ban {
            false => has_account(&server, user_id),
            true => server.user(user_id)["ban"].is_object(),
        };
        assert!(is_there, "{user_id}, ban: {is_ban}");
    }
    println!("{rounds} full disks, {} acknowledged", acknowledged.len());
}

#[test]
fn what_was_acknowledged_is_true_however_often_the_disk_was_full() {
    fill_again_and_again(10);
}

#[test]
#[ignore = "takes minutes: make test-long"]
fn what_was_acknowledged_is_true_after_hundreds_of_full_disks() {
    fill_again_and_again(200);
}
