//! A public REST client of the reference system, PyPI `timsdk`, works against the operator's listener.

#![allow(clippy::unwrap_used, reason = "tests")]

mod process;

use process::{APP, Server};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

#[test]
fn the_public_client_is_answered_as_it_expects() {
    if std::env::var_os("TIM_OFFLINE").is_some_and(|value| value == "1") {
        eprintln!("left out: TIM_OFFLINE=1");
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let packages = root.join("target/timsdk");
    let here = root.join("server/tests/timsdk");
    let install = Command::new("sh")
        .arg(here.join("install"))
        .arg(&packages)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&install.stderr);
    assert!(
        install.status.success(),
        "installing timsdk (TIM_OFFLINE=1 leaves it out): {errors}"
    );
    let server = Server::with_admin("");
    let output = Command::new("python3")
        .arg(here.join("drive.py"))
        .arg("--packages")
        .arg(packages.join("python"))
        .args([
            "--server",
            &format!("http://{}", server.admin.as_ref().unwrap()),
        ])
        .arg(APP.to_string())
        .arg(server.directory.path().join("key"))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let codes: Vec<i64> = answers
        .iter()
        .map(|answer| answer["ErrorCode"].as_i64().unwrap())
        .collect();
    assert_eq!(codes, [0, 0, 0, 0, 0, 0, 70107, 0, 70403], "{text}");
    assert_eq!(answers[1]["FailAccounts"], json!([]));
    let statuses: Vec<&str> = answers[2]["ResultItem"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["AccountStatus"].as_str().unwrap())
        .collect();
    assert_eq!(statuses, ["Imported", "Imported", "NotImported"]);
    assert_eq!(
        answers[3]["QueryResult"],
        json!([{"To_Account": "alice", "State": "Offline"}])
    );
    assert_eq!(answers[4]["Result"][0]["RegistUserNumTotal"], "3");
    assert_eq!(answers[7]["ResultItem"][1]["ResultCode"], 70107);
}
