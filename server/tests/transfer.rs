//! Moving a store: backups, exports and imports between engines, and the store of tim-server 0.1.

#![allow(clippy::unwrap_used, reason = "tests")]

mod process;

use process::engine::database;
use process::refused::refused_on;
use process::{APP, Server, login, program, resume, ticket};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Output;

/// Runs a command on a store: its data directory, or an engine.
fn run(command: &[&str], place: &[&str]) -> Output {
    program()
        .args(command)
        .args(place)
        .args(["--sdk-app-id", &APP.to_string()])
        .output()
        .unwrap()
}

fn done(output: &Output) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
}

/// The last line printed by a command that failed.
fn failure(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr)
        .trim_end()
        .to_owned()
}

/// The content of an export, regardless of the order of its lines.
fn exported(place: &[&str]) -> Vec<String> {
    let output = run(&["export"], place);
    done(&output);
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        // Which epochs may still be assigned is the store's own business.
        if let Some(user) = line.get_mut("user") {
            let record = user["record"].as_object_mut().unwrap();
            assert!(record.remove("highest_epoch").is_some());
        }
        line.to_string()
    });
    let mut lines: Vec<String> = lines.collect();
    lines.sort_unstable();
    lines
}

/// A server with something of everything: accounts, bans, void tickets, devices, figures, sessions.
struct Filled {
    /// A ticket from before bob was kicked.
    void: String,
    session: Value,
}

fn fill(server: &Server) -> Filled {
    let import = json!({"UserID": "alice", "Nick": "Alice"});
    assert_eq!(
        server.reference("im_open_login_svc/account_import", &import)["ErrorCode"],
        0
    );
    let mut bob = login("bob", 1, 1, 1);
    let void = process::admin::ticket_made(10, "bob");
    bob["user_sig"] = void.clone().into();
    let (_stream, _) = server.log_in(&bob);
    let kick = json!({"UserID": "bob"});
    assert_eq!(
        server.reference("im_open_login_svc/kick", &kick)["ErrorCode"],
        0
    );
    assert_eq!(
        server
            .own("PUT", "/v1/users/carol/ban", r#"{"reason": "spam"}"#)
            .0,
        200
    );
    let (_stream, session) = server.log_in(&login("dave", 1, 1, 1));
    Filled { void, session }
}

/// Checks that a server has all of it.
fn finds(server: &Server, filled: &Filled) {
    assert_eq!(server.user("alice")["account"]["nick"], "Alice");
    assert_eq!(server.user("carol")["ban"]["reason"], "spam");
    assert_eq!(server.user("dave")["devices"][0]["device_id"], "device 1");
    let mut bob = login("bob", 2, 1, 1);
    bob["user_sig"] = filled.void.clone().into();
    assert_eq!(server.refusal("/v1/login", &bob).1, 70052);
    bob["user_sig"] = ticket("bob", 3600).into();
    bob["seq"] = 2.into();
    assert_eq!(server.post("/v1/login", &bob).status, 200);
    assert_eq!(
        server.refusal("/v1/login", &login("carol", 1, 1, 1)).1,
        70051
    );
    let resumed = server.post("/v1/resume", &resume(&filled.session, 1, 1, 2));
    assert_eq!(resumed.status, 200, "token keys move, too");
    let figures = server.own("GET", "/v1/figures?days=1", "").1;
    assert_eq!(figures["registered"], 3);
    assert_eq!(figures["days"][0]["active"], 2);
}

#[test]
fn a_backup_of_a_running_server_is_a_store_like_any_other() {
    let server = Server::with_admin("");
    let filled = fill(&server);
    let data = process::in_data(&server.directory, "");
    let data = data.to_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.sqlite");
    let backup = ["backup", copy.to_str().unwrap()];
    let output = program()
        .args(backup)
        .args(["--data-dir", data])
        .output()
        .unwrap();
    done(&output);
    let again = program()
        .args(backup)
        .args(["--data-dir", data])
        .output()
        .unwrap();
    assert!(failure(&again).ends_with("is there already"));
    use std::os::unix::fs::PermissionsExt;
    let mode = copy.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it holds keys");
    // Work continues at the old place, and then the copy replaces its result.
    server.reference(
        "im_open_login_svc/account_import",
        &json!({"UserID": "later"}),
    );
    let server = server.after_a_kill_with_files(process::admin::SETTINGS, |data| {
        for name in ["store.sqlite", "store.sqlite-wal", "store.sqlite-shm"] {
            let _ = std::fs::remove_file(data.join(name));
        }
        std::fs::copy(&copy, data.join("store.sqlite")).unwrap();
    });
    finds(&server, &filled);
    assert_eq!(server.own("GET", "/v1/users/later", "").0, 404);
}

#[test]
fn an_export_moves_everything_from_one_node_to_many_and_back() {
    let server = Server::with_admin("");
    let filled = fill(&server);
    let data = process::in_data(&server.directory, "");
    let embedded = ["--data-dir", data.to_str().unwrap()];
    let mut server = server;
    server.signal("TERM");
    assert!(server.wait().success());

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("export.jsonl");
    let file = file.to_str().unwrap();
    done(&run(&["export", file], &embedded));
    let url = database();
    let engine = ["--store", url.as_str()];
    done(&run(&["import", file], &engine));
    assert_eq!(exported(&engine), exported(&embedded));
    let twice = failure(&run(&["import", file], &engine));
    assert!(twice.contains("has users of app"), "{twice}");

    let node = Server::node(&url, process::admin::SETTINGS);
    finds(&node, &filled);
    drop(node);

    let back = folder.path().join("back");
    std::fs::create_dir(&back).unwrap();
    let embedded = ["--data-dir", back.to_str().unwrap()];
    let second = folder.path().join("second.jsonl");
    let second = second.to_str().unwrap();
    done(&run(&["export", second], &engine));
    done(&run(&["import", second], &embedded));
    assert_eq!(exported(&engine), exported(&embedded));
    let twice = failure(&run(&["import", second], &embedded));
    assert!(twice.contains("has users already"), "{twice}");
}

#[test]
fn an_import_that_cannot_be_read_says_where_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let place = ["--data-dir", folder.path().to_str().unwrap()];
    let head = format!(r#"{{"tim_server_export":{{"form":1,"sdk_app_id":{APP}}}}}"#);
    let user = r#"{"user":{"user_id":"alice","record":{"account":{"registered_ms":1}}}}"#;
    let other_app = r#"{"tim_server_export":{"form":1,"sdk_app_id":7}}"#;
    let later = format!(r#"{{"tim_server_export":{{"form":2,"sdk_app_id":{APP}}}}}"#);
    for (text, expected) in [
        (String::new(), "the import is empty".to_owned()),
        (
            user.to_owned(),
            "line 1 of the import: expected the first line of an export".to_owned(),
        ),
        (
            other_app.to_owned(),
            format!("line 1 of the import: it is of app 7: this is app {APP}"),
        ),
        (
            later,
            "line 1 of the import: its form is 2: expected 1".to_owned(),
        ),
        (
            format!("{head}\n{user}\n{{\"user\":"),
            "line 3 of the import: not a line of an export, at column 8".to_owned(),
        ),
    ] {
        let file = folder.path().join("import");
        std::fs::write(&file, text).unwrap();
        let said = failure(&run(&["import", file.to_str().unwrap()], &place));
        assert!(said.contains(&expected), "{said}");
        assert_eq!(
            exported(&place)
                .iter()
                .filter(|line| line.contains("alice"))
                .count(),
            0
        );
    }
}

#[test]
fn no_import_goes_into_a_store_that_a_server_has() {
    let server = Server::with_admin("");
    let data = process::in_data(&server.directory, "");
    let said = failure(&run(
        &["import", "/dev/null"],
        &["--data-dir", data.to_str().unwrap()],
    ));
    assert!(
        said.contains("is in use: stop the tim-server that runs on it"),
        "{said}"
    );
}

/// Dave's session in the store of 0.1, whose ticket expires in 2036.
const DAVE: &str = "1.1.eyJhIjoxNDAwMDAwMDAxLCJ1IjoiZGF2ZSIsImQiOiJwaG9uZSIsInAiOiJhbmRyb2lkIiwibiI6IiIsInMiOjg2MzI0MzI3MjE5MzM2NTkyMDgsImUiOjE3OTU3NjIyMDU3NjIsImwiOjEsIngiOjIxMTExMjIyMDU5OTl9.RU-0A75GS12Wu_VlXfLRI83FD_RyAiTOid2L7a7_wbk";

/// Alice, bob (kicked), carol (banned) and dave (on one device) are in its database; erin is only
/// in its journal, because the server was killed.
fn unpack_store_of_0_1(data: &Path) {
    std::fs::create_dir_all(data).unwrap();
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/store_0_1.tgz");
    let mut tar = std::process::Command::new("tar");
    let unpacked = tar.arg("xzf").arg(archive).arg("-C").arg(data).status();
    assert!(unpacked.unwrap().success());
}

#[test]
fn the_store_of_0_1_is_taken_over_once_and_kept_beside() {
    let server = Server::with_admin("");
    let server = server.after_a_kill_with_files(process::admin::SETTINGS, |data| {
        std::fs::remove_dir_all(data).unwrap();
        unpack_store_of_0_1(data);
    });
    let data = process::in_data(&server.directory, "");
    for name in ["store.redb", "store.1.journal", "store.2.journal"] {
        assert!(!data.join(name).exists());
        assert!(data.join(format!("{name}.taken-over")).exists(), "{name}");
    }
    let looks = |server: &Server| {
        assert_eq!(server.user("alice")["account"]["nick"], "Alice");
        assert_eq!(server.user("erin")["account"]["nick"], "in the journal");
        assert_eq!(server.user("carol")["ban"]["reason"], "spam");
        assert_eq!(server.user("dave")["devices"][0]["device_id"], "phone");
        assert_eq!(server.own("GET", "/v1/figures", "").1["registered"], 4);
    };
    looks(&server);
    let resumed = server.post(
        "/v1/resume",
        &json!({"session": DAVE, "instance": "00000000000000000000000000000001", "login_no": 1, "seq": 2}),
    );
    assert_eq!(resumed.status, 200);
    server.reference(
        "im_open_login_svc/account_delete",
        &json!({"DeleteItem": [{"UserID": "erin"}]}),
    );
    let server = server.after_a_kill();
    assert!(server.user("alice")["account"].is_object());
    assert_eq!(
        server.own("GET", "/v1/users/erin", "").0,
        404,
        "it is not taken over again"
    );
}

#[test]
fn a_journal_without_its_database_is_not_taken_for_all_there_was() {
    let folder = tempfile::tempdir().unwrap();
    let (data, key) = (folder.path().join("data"), folder.path().join("key"));
    unpack_store_of_0_1(&data);
    std::fs::remove_file(data.join("store.redb")).unwrap();
    std::fs::write(&key, process::KEY).unwrap();
    let app = format!("sdk_app_id = {APP}\nsecret_key_file = {key:?}\n");
    let said = refused_on(folder.path(), &app, &[]);
    assert!(said.contains("store.redb is missing"), "{said}");
}
