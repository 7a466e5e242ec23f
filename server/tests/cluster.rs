//! The other ways to an engine: a cluster of three, and TLS with a password.

#![allow(clippy::unwrap_used, reason = "tests")]

mod process;

use process::engine::{Engine, free_port};
use process::{Server, login, resume};
use serde_json::json;
use std::time::{Duration, Instant};

/// Three engines that share the slots of a cluster.
fn cluster() -> [Engine; 3] {
    let engines = [(); 3].map(|()| Engine::with("--cluster-enabled yes"));
    let slots = ["0 5460", "5461 10922", "10923 16383"];
    for (engine, slots) in engines.iter().zip(slots) {
        assert_eq!(
            engine.command(&format!("CLUSTER ADDSLOTSRANGE {slots}")),
            "+OK"
        );
        let meet = format!("CLUSTER MEET 127.0.0.1 {}", engines[0].port);
        assert_eq!(engine.command(&meet), "+OK");
    }
    let until = Instant::now() + Duration::from_secs(60);
    // A key of each engine's slots, asked of each engine: here, or moved, but not down.
    let knows_all = |engine: &Engine| {
        let replies =
            ["a", "b", "c", "d", "e", "f"].map(|key| engine.command(&format!("GET {key}")));
        replies.iter().all(|reply| !reply.contains("CLUSTERDOWN"))
    };
    while !engines.iter().all(knows_all) {
        assert!(Instant::now() < until, "the cluster did not come together");
        std::thread::yield_now();
    }
    engines
}

#[test]
fn nodes_share_a_cluster() {
    let engines = cluster();
    let hosts: Vec<_> = engines
        .iter()
        .map(|engine| format!("127.0.0.1:{}", engine.port))
        .collect();
    let store = format!("redis-cluster://{}", hosts.join(","));
    let nodes = [(); 2].map(|()| Server::node(&store, process::admin::SETTINGS));
    // Users whose slots are on different engines.
    for at in 0..12 {
        let user = format!("user {at}");
        let (mut phone, session) = nodes[0].log_in(&login(&user, 1, 1, 1));
        nodes[1].log_in(&login(&user, 2, 1, 1));
        assert_eq!(phone.event().unwrap().0, "kicked", "{user}");
        assert_eq!(
            nodes[1].refusal("/v1/resume", &resume(&session, 1, 1, 2)),
            (403, 6208)
        );
    }
    for node in &nodes {
        let (_, figures) = node.own("GET", "/v1/figures?days=1", "");
        let today = &figures["days"][0];
        assert_eq!(
            (&today["active"], &today["registered"]),
            (&json!(12), &json!(12))
        );
    }
    // Both have told the engine what they counted, before they answered.
    let (_, figures) = nodes[0].own("GET", "/v1/figures?days=1", "");
    assert_eq!(figures["days"][0]["logins"], 24);
    assert_eq!(figures["accounts"], 12);
}

#[test]
fn an_engine_is_reached_over_tls_with_a_password_of_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(path("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(path("key.pem"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(path("password"), "hunter2/+=\n").unwrap();
    let tls_port = free_port();
    let _engine = Engine::with(&format!(
        "--tls-port {tls_port} --tls-cert-file {cert} --tls-key-file {key} \
         --tls-ca-cert-file {cert} --tls-auth-clients no --requirepass hunter2/+=",
        cert = path("cert.pem").display(),
        key = path("key.pem").display(),
    ));
    let settings = |password: &str| {
        format!(
            "store = \"rediss://localhost:{tls_port}/0\"\nstore_password_file = \"{}\"",
            path(password).display()
        )
    };
    let cert = path("cert.pem");
    let nodes = [(); 2].map(|()| Server::trusting(&settings("password"), Some(&cert)));
    let (mut phone, _) = nodes[0].log_in(&login("alice", 1, 1, 1));
    nodes[1].log_in(&login("alice", 2, 1, 1));
    assert_eq!(phone.event().unwrap().0, "kicked");
}
