//! What the server logs: no secret at any level, and JSON that a machine can read.

#![allow(clippy::unwrap_used, reason = "tests")]

mod process;

use process::{APP, Answer, KEY, login, program, ready_address, resume};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

/// A server that logs at every level, and how it is addressed.
struct Talkative {
    address: String,
    /// What must not be in the log.
    secrets: Vec<String>,
}

impl Talkative {
    fn post(&self, path: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nHost: tim\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all((head + body).as_bytes()).unwrap();
        Answer::read(stream)
    }

    fn accepted(&mut self, path: &str, body: &Value) -> (Answer, Value) {
        let mut answer = self.post(path, &body.to_string());
        let (_, session) = answer.event().unwrap();
        self.secrets
            .push(session["session"].as_str().unwrap().to_owned());
        (answer, session)
    }

    /// Everything that a client does, rightly and wrongly.
    fn talk(&mut self) {
        let good = login("alice", 1, 1, 1);
        self.secrets
            .push(good["user_sig"].as_str().unwrap().to_owned());
        let (_stream, session) = self.accepted("/v1/login", &good);
        let mut renewal = resume(&session, 1, 1, 2);
        renewal["user_sig"] = process::ticket("alice", 7200).into();
        self.secrets
            .push(renewal["user_sig"].as_str().unwrap().to_owned());
        let (_stream, session) = self.accepted("/v1/resume", &renewal);

        let mut for_another = login("bob", 2, 1, 1);
        for_another["user_sig"] = good["user_sig"].clone();
        for _ in 0..20 {
            assert!(self.post("/v1/login", &for_another.to_string()).status >= 400);
        }
        let mut expired = login("alice", 3, 1, 1);
        expired["user_sig"] = process::ticket("alice", -10).into();
        self.secrets
            .push(expired["user_sig"].as_str().unwrap().to_owned());
        assert_eq!(self.post("/v1/login", &expired.to_string()).status, 401);
        let changed = format!("{}x", session["session"].as_str().unwrap());
        let forged = json!({"session": changed});
        assert_eq!(
            self.post("/v1/resume", &resume(&forged, 1, 1, 3).to_string())
                .status,
            401
        );

        let ticket = good["user_sig"].as_str().unwrap();
        for body in [
            format!("{{\"user_sig\": \"{ticket}\""),
            format!("{{\"user_sig\": [\"{ticket}\"]}}"),
            format!("{{\"platform\": \"{ticket}\"}}"),
            format!("\"{ticket}\""),
            ticket.to_owned(),
        ] {
            for path in ["/v1/login", "/v1/resume", "/v1/logout"] {
                assert_eq!(self.post(path, &body).status, 400);
            }
        }
        let nowhere = self.post(&format!("/v1/{ticket}?user_sig={ticket}"), "{}");
        assert_eq!(nowhere.status, 404);
        let logout = json!({"session": session["session"], "seq": 4});
        assert_eq!(self.post("/v1/logout", &logout.to_string()).status, 200);
        assert_eq!(
            self.post("/v1/resume", &resume(&session, 1, 1, 5).to_string())
                .status,
            403
        );
    }
}

/// The log of a server to which all of that happened, and what must not be in it.
fn log_of(arguments: &[&str]) -> (String, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("old key"), KEY.replace('9', "8")).unwrap();
    let settings = format!("old_secret_key_files = [{:?}]", path("old key"));
    std::fs::write(path("settings.toml"), settings).unwrap();
    let mut process = program()
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(path("data"))
        .arg("--config")
        .arg(path("settings.toml"))
        .args(["--sdk-app-id", &APP.to_string()])
        .args(arguments)
        .env("TIM_SERVER_LOG", "trace")
        .env("TIM_SERVER_SECRET_KEY", KEY)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = process.stderr.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut log = String::new();
        stderr.read_to_string(&mut log).unwrap();
        log
    });
    let mut server = Talkative {
        address: ready_address(&mut process, "http"),
        secrets: vec![KEY.to_owned(), KEY.replace('9', "8")],
    };
    server.talk();
    for signal in ["HUP", "TERM"] {
        let pid = process.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status();
        assert!(sent.unwrap().success());
    }
    assert!(process.wait().unwrap().success());
    (reader.join().unwrap(), server.secrets)
}

#[test]
fn no_ticket_token_or_key_is_logged_at_any_level_in_any_format() {
    for format in ["text", "json"] {
        let (log, secrets) = log_of(&["--log-format", format]);
        assert!(secrets.len() >= 7);
        for secret in secrets {
            assert!(!log.contains(&secret), "{secret} in {log}");
        }
        assert!(
            log.lines().count() > 20,
            "there was a log to look at: {log}"
        );
    }
}

#[test]
fn json_logs_have_one_object_a_line_with_time_level_and_message() {
    let (log, _) = log_of(&["--log-format", "json"]);
    let mut codes = Vec::new();
    for line in log.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        for field in ["timestamp", "level", "message"] {
            assert!(entry[field].is_string(), "{line}");
        }
        codes.extend(entry["code"].as_i64());
    }
    assert!(
        codes.contains(&70001) && codes.contains(&70013),
        "{codes:?}"
    );
}
