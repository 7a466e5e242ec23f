//! Several nodes over one Valkey or Redis: the rules hold across them, even if a node, a push or
//! the engine itself is lost.

#![allow(clippy::unwrap_used, reason = "tests")]

mod process;

use process::engine::{Engine, database};
use process::refused::refused;
use process::{Answer, Server, instance, login, now_s, resume};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How often streams are re-examined.
const HEARTBEAT: &str = "heartbeat_ms = 400\ntakeovers.max = 0";

/// A login, repeated while the store is unavailable.
fn log_in_when_it_is_back(server: &Server, mut login: Value) -> (Answer, Value) {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let mut answer = server.post("/v1/login", &login);
        if answer.status == 200 {
            let (_, session) = answer.event().unwrap();
            return (answer, session);
        }
        assert_eq!(answer.status, 503);
        assert!(Instant::now() < until, "the store did not come back");
        login["seq"] = (login["seq"].as_u64().unwrap() + 1).into();
    }
}

#[test]
fn a_login_on_one_node_is_kicked_by_a_login_on_another() {
    let store = database();
    let nodes = [(); 3].map(|()| Server::node(&store, ""));
    let (mut first, session) = nodes[0].log_in(&login("alice", 1, 1, 1));
    let (mut second, _) = nodes[1].log_in(&login("alice", 2, 1, 1));
    let (name, kick) = first.event().unwrap();
    assert_eq!(
        (name.as_str(), &kick["device_name"]),
        ("kicked", &json!("phone 2"))
    );
    assert_eq!(first.event(), None);
    // The third knows all of it, too.
    assert_eq!(
        nodes[2].refusal("/v1/resume", &resume(&session, 1, 1, 2)),
        (403, 6208)
    );
    nodes[2].log_in(&login("alice", 1, 2, 3));
    assert_eq!(second.event().unwrap().0, "kicked");
}

#[test]
fn a_retry_on_another_node_is_the_same_login_and_a_late_request_has_no_effect() {
    let store = database();
    let nodes = [(); 2].map(|()| Server::node(&store, ""));
    let (mut lost, session) = nodes[0].log_in(&login("alice", 1, 1, 1));
    let (_stream, again) = nodes[1].log_in(&login("alice", 1, 1, 2));
    assert_eq!(again["epoch"], session["epoch"]);
    assert_eq!(lost.event(), None, "closed without a word");
    assert_eq!(
        nodes[0].refusal("/v1/login", &login("alice", 1, 1, 2)).1,
        70402
    );
}

#[test]
fn clients_of_a_killed_node_resume_on_another_and_nobody_is_signed_out() {
    let store = database();
    let (first, second) = (Server::node(&store, ""), Server::node(&store, ""));
    let sessions: Vec<(String, Value)> = (0..20)
        .map(|at| {
            let user = format!("user {at}");
            let (_, session) = first.log_in(&login(&user, 1, 1, 1));
            (user, session)
        })
        .collect();
    drop(first);
    for (user, session) in &sessions {
        let mut answer = second.post("/v1/resume", &resume(session, 1, 1, 2));
        assert_eq!(answer.status, 200, "{user}");
        assert_eq!(answer.event().unwrap().1["epoch"], session["epoch"]);
    }
}

#[test]
fn a_push_that_is_lost_is_made_good_within_a_heartbeat() {
    let engine = Engine::start();
    let nodes = [(); 2].map(|()| Server::node(&engine.url(), HEARTBEAT));
    for round in 1..=5 {
        let (mut first, _) = nodes[0].log_in(&login("alice", 1, round, round));
        // For a moment nobody listens.
        engine.command("CLIENT KILL TYPE pubsub");
        nodes[1].log_in(&login("alice", 2, round, round));
        let began = Instant::now();
        assert_eq!(first.event().unwrap().0, "kicked");
        // Generous: the assertion is that it comes at all; the next line says how soon.
        println!("output after {} ms", began.elapsed().as_millis());
        assert!(began.elapsed() < Duration::from_secs(10));
    }
}

#[test]
fn while_the_engine_is_gone_streams_stay_and_logins_wait_and_then_everything_returns() {
    let engine = Engine::start();
    let nodes = [(); 2].map(|()| Server::node(&engine.url(), HEARTBEAT));
    let (mut phone, session) = nodes[0].log_in(&login("alice", 1, 1, 1));
    let port = engine.kill();
    let mut answer = nodes[1].post("/v1/login", &login("bob", 2, 1, 1));
    assert_eq!(answer.status, 503);
    assert!(answer.header("retry-after").is_some());
    assert_eq!(answer.json()["code"], 7724);
    for _ in 0..5 {
        assert!(phone.block().unwrap().starts_with(':'), "the stream stays");
    }
    // It comes back empty: the last writes, and all others, are lost.
    let engine = Engine::on(port, "");
    log_in_when_it_is_back(&nodes[1], login("bob", 2, 1, 2));
    // The phone's session is known again once its node has reported that it holds it.
    let until = Instant::now() + Duration::from_secs(60);
    let key = format!("tim:{}:{{alice}}", process::APP);
    while engine.command(&format!("EXISTS {key}")) != ":1" {
        assert!(Instant::now() < until, "the session did not return");
        assert!(phone.block().unwrap().starts_with(':'));
    }
    let (_tablet, _) = nodes[1].log_in(&login("alice", 3, 1, 1));
    assert_eq!(phone.event().unwrap().0, "kicked");
    assert_eq!(
        nodes[0].refusal("/v1/resume", &resume(&session, 1, 1, 2)),
        (403, 6208)
    );
}

#[test]
fn what_the_engine_has_forgotten_to_be_ended_stays_ended() {
    let engine = Engine::start();
    let node = Server::node(&engine.url(), HEARTBEAT);
    let (_phone, session) = node.log_in(&login("alice", 1, 1, 1));
    let out = node.post(
        "/v1/logout",
        &json!({"session": session["session"], "seq": 2}),
    );
    assert_eq!(out.status, 200);
    // A fail-over that loses the last writes.
    let key = format!("tim:{}:{{alice}}", process::APP);
    engine.command(&format!("DEL {key}"));
    let until = Instant::now() + Duration::from_secs(60);
    while engine.command(&format!("EXISTS {key}")) != ":1" {
        assert!(Instant::now() < until, "the ending was not said again");
        std::thread::yield_now();
    }
    assert_eq!(
        node.refusal("/v1/resume", &resume(&session, 1, 1, 3)),
        (403, 6208)
    );
}

#[test]
fn a_clone_on_another_node_takes_the_stream_over_and_the_first_is_notified() {
    let store = database();
    let nodes = [(); 2].map(|()| Server::node(&store, ""));
    let (mut first, session) = nodes[0].log_in(&login("alice", 1, 1, 1));
    let mut clone = resume(&session, 1, 1, 1);
    clone["instance"] = instance(9).into();
    assert_eq!(nodes[1].post("/v1/resume", &clone).status, 200);
    let (name, kick) = first.event().unwrap();
    assert_eq!(
        (name.as_str(), &kick["cause"]),
        ("kicked", &json!("same_device"))
    );
    assert!((kick["time_ms"].as_i64().unwrap() / 1000 - now_s()).abs() <= 5);
}

#[test]
fn a_store_that_is_not_there_or_a_password_on_the_command_line_stops_the_start() {
    let output = refused("", &["--store", "redis://127.0.0.1:1"]);
    assert!(output.contains("the store cannot be reached"), "{output}");
    let output = refused("", &["--store", "redis://:hunter2@127.0.0.1:1"]);
    assert!(output.contains("TIM_SERVER_STORE_PASSWORD") && !output.contains("hunter2"));
    let output = refused("", &["--store", "postgres://127.0.0.1"]);
    assert!(output.contains("redis://HOST:PORT"), "{output}");
}

#[test]
fn a_session_that_was_renewed_after_its_ticket_ended_stays() {
    let server = Server::node(&database(), "heartbeat_ms = 400");
    let mut first = login("alice", 1, 1, 1);
    first["user_sig"] = process::ticket("alice", 1).into();
    let (mut stream, session) = server.log_in(&first);
    assert_eq!(stream.event().unwrap().0, "user_sig_expired");
    let mut renewal = resume(&session, 1, 1, 2);
    renewal["user_sig"] = process::ticket("alice", 3600).into();
    let (mut stream, session) = server.log_in_by(&renewal);
    // What has ended is repeated with each heartbeat.
    for _ in 0..4 {
        assert_eq!(stream.block().as_deref(), Some(": hb"));
    }
    assert_eq!(
        server.post("/v1/resume", &resume(&session, 1, 1, 3)).status,
        200
    );
}

#[test]
fn what_the_operator_decided_is_said_again_to_an_engine_that_lost_it() {
    let engine = Engine::start();
    let settings = format!("{HEARTBEAT}\n{}", process::admin::SETTINGS);
    let server = Server::node(&engine.url(), &settings);
    let import = |user: &str| {
        let import = json!({"UserID": user});
        let imported = server.reference("im_open_login_svc/account_import", &import);
        assert_eq!(imported["ErrorCode"], 0);
    };
    let users = ["banned", "kicked", "deleted"];
    users.iter().for_each(|user| import(user));
    let key = |user: &str| format!("tim:{}:{{{user}}}", process::APP);
    let before = users.map(|user| engine.command(&format!("COPY {} copy.{user}", key(user))));
    assert_eq!(before, [":1"; 3]);
    assert_eq!(server.own("PUT", "/v1/users/banned/ban", "{}").0, 200);
    server.reference("im_open_login_svc/kick", &json!({"UserID": "kicked"}));
    let delete = json!({"DeleteItem": [{"UserID": "deleted"}]});
    server.reference("im_open_login_svc/account_delete", &delete);
    for user in users {
        engine.command(&format!("COPY copy.{user} {} REPLACE", key(user)));
    }
    let until = Instant::now() + Duration::from_secs(30);
    let holds = || {
        let mut old = login("kicked", 1, 1, 1);
        old["user_sig"] = process::admin::ticket_made(10, "kicked").into();
        let check = json!({"CheckItem": [{"UserID": "deleted"}]});
        let checked = server.reference("im_open_login_svc/account_check", &check);
        server.user("banned")["ban"].is_object()
            && server.post("/v1/login", &old).status == 401
            && checked["ResultItem"][0]["AccountStatus"] == "NotImported"
    };
    while !holds() {
        assert!(Instant::now() < until, "it was not said again");
    }
}

#[test]
fn a_ban_that_no_replica_confirms_is_not_acknowledged_and_one_that_does_is() {
    let primary = Engine::start();
    let replica = primary.replica();
    let server = Server::node(&primary.url(), process::admin::SETTINGS);
    assert_eq!(server.own("PUT", "/v1/users/alice/ban", "{}").0, 200);
    assert!(
        replica.command("EXISTS tim:1400000001:{alice}") == ":1",
        "it has it already"
    );
    let stopped = replica.stopped();
    let (status, refusal) = server.own("PUT", "/v1/users/bob/ban", "{}");
    drop(stopped);
    assert_eq!(status, 503);
    let message = refusal["message"].as_str().unwrap();
    assert!(
        message.contains("no replica of the engine has confirmed it yet: repeat it"),
        "{message}"
    );
    while server.own("PUT", "/v1/users/bob/ban", "{}").0 != 200 {}
}
