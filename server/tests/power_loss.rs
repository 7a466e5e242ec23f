//! The power may fail at any moment of a server's life: everything it acknowledged is on the disk.
//! The test separates what a server has written from what it has synced (`recorder.c`), and opens
//! its store in the states in which the disk may be found (`disk.rs`).

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "power_loss/disk.rs"]
mod disk;
mod process;

use disk::Disk;
use process::random::Random;
use process::{Server, admin, login, program};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread::scope;

/// The clients, each with users of its own.
const CLIENTS: usize = 8;
const USERS: usize = 60;
/// How many moments are examined, each in several ways.
const MOMENTS: usize = 60;

/// What the server has acknowledged of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Done {
    LoggedIn,
    Kicked,
    Banned,
}

/// Something acknowledged, with how long the record was then.
struct Acknowledged {
    at: u64,
    user_id: String,
    done: Done,
}

/// Builds `recorder.c`.
fn recorder(folder: &Path) -> PathBuf {
    let library = folder.join("recorder.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/power_loss/recorder.c");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let mut build = Command::new(compiler);
    build.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]);
    let built = build.arg(&library).arg(source).arg("-ldl").status();
    assert!(built.unwrap().success());
    library
}

/// Runs a server with many clients. Returns what it did to its files and what it acknowledged.
fn lives(folder: &Path) -> (Vec<u8>, Vec<Acknowledged>) {
    let record = folder.join("record");
    let server = Server::recorded(&recorder(folder), &record, admin::SETTINGS);
    let acknowledged = Mutex::new(Vec::new());
    scope(|scope| {
        for client in 0..CLIENTS {
            let (server, record, acknowledged) = (&server, &record, &acknowledged);
            scope.spawn(move || {
                let remember = |user_id: &str, done| {
                    let at = std::fs::metadata(record).unwrap().len();
                    let user_id = user_id.to_owned();
                    let mut all = acknowledged.lock().unwrap();
                    all.push(Acknowledged { at, user_id, done });
                };
                for user in 0..USERS {
                    let user_id = format!("user.{client}.{user}");
                    server.log_in(&login(&user_id, 1, 1, 1));
                    remember(&user_id, Done::LoggedIn);
                    match user % 3 {
                        0 => {
                            let kicked = server
                                .reference("im_open_login_svc/kick", &json!({"UserID": user_id}));
                            assert_eq!(kicked["ErrorCode"], 0);
                            remember(&user_id, Done::Kicked);
                        }
                        1 => {
                            let path = format!("/v1/users/{user_id}/ban");
                            assert_eq!(server.own("PUT", &path, "{}").0, 200);
                            remember(&user_id, Done::Banned);
                        }
                        _ => {}
                    }
                }
            });
        }
    });
    server.signal("KILL");
    drop(server);
    (
        std::fs::read(record).unwrap(),
        acknowledged.into_inner().unwrap(),
    )
}

/// What the store of a data directory holds, by user.
fn exported(directory: &Path) -> BTreeMap<String, Value> {
    let output = program()
        .args(["export", "--sdk-app-id", &process::APP.to_string()])
        .arg("--data-dir")
        .arg(directory)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    let (mut users, mut registered) = (BTreeMap::new(), 0);
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if let Some(user) = line.get("user") {
            let user_id = user["user_id"].as_str().unwrap().to_owned();
            users.insert(user_id, user["record"].clone());
        } else if let Some(accounts) = line.get("accounts") {
            registered = accounts["registered"].as_u64().unwrap();
        }
    }
    let accounts = users.values().filter(|user| user["account"].is_object());
    assert_eq!(
        registered,
        accounts.count() as u64,
        "counted with their records"
    );
    users
}

/// What was acknowledged but is missing.
fn lost(users: &BTreeMap<String, Value>, acknowledged: &[Acknowledged], at: u64) -> Vec<String> {
    let is_there = |one: &&Acknowledged| {
        users.get(&one.user_id).is_some_and(|user| match one.done {
            Done::LoggedIn => user["account"].is_object(),
            Done::Kicked => user["revoked"].is_object(),
            Done::Banned => user["ban"].is_object(),
        })
    };
    let before = acknowledged.iter().filter(|one| one.at <= at);
    before
        .filter(|one| !is_there(one))
        .map(|one| format!("{} {:?}", one.user_id, one.done))
        .collect()
}

/// Examines the disk at several moments; returns what was lost at each.
fn losses(
    mut disk: Disk,
    entries: &[(u64, disk::Entry)],
    acknowledged: &[Acknowledged],
    random: &mut Random,
) -> Vec<Vec<String>> {
    let first = entries
        .iter()
        .position(|(end, _)| *end >= acknowledged[0].at)
        .unwrap();
    let mut moments: Vec<usize> = (0..MOMENTS)
        .map(|_| first + random.below(entries.len() - first))
        .collect();
    moments.sort_unstable();
    let (mut done, mut losses) = (0, Vec::new());
    for moment in moments {
        for (_, entry) in &entries[done..=moment] {
            disk.does(entry);
        }
        done = moment + 1;
        for _ in 0..3 {
            let directory = tempfile::tempdir().unwrap();
            disk.loses_power(directory.path(), random);
            let is_there = directory.path().join("store.sqlite").exists();
            let users = match is_there {
                true => exported(directory.path()),
                false => BTreeMap::new(),
            };
            losses.push(lost(&users, acknowledged, entries[moment].0));
        }
    }
    losses
}

#[test]
fn what_was_acknowledged_is_on_the_disk_whatever_else_the_power_took() {
    let folder = tempfile::tempdir().unwrap();
    let (record, mut acknowledged) = lives(folder.path());
    acknowledged.sort_by_key(|one| one.at);
    let entries = disk::read(&record);
    let seed = process::now_s().unsigned_abs();
    println!("seed {seed}, {} entries", entries.len());
    let mut random = Random::new(seed);
    for lost in losses(Disk::default(), &entries, &acknowledged, &mut random) {
        assert!(lost.is_empty(), "{lost:?} with seed {seed}");
    }
    // The test would catch a store that does not sync.
    let mut careless = Disk::default();
    careless.ignores_syncs = true;
    let careless = std::panic::catch_unwind(move || {
        let losses = losses(careless, &entries, &acknowledged, &mut random);
        losses.iter().all(Vec::is_empty)
    });
    // It may even find a file that is not a store.
    assert!(
        !careless.unwrap_or(false),
        "nothing was lost without any sync"
    );
}
