//! The other connections to an engine: a cluster of three, and TLS with a password.

#![allow(clippy::unwrap_used, reason = "tests")]

mod process;

use process::engine::{Engine, free_port};
use process::{Server, login, resume};
use serde_json::json;
use std::time::{Duration, Instant};

/// Three engines that share the slots of a cluster.
fn cluster() -> [Engine; 3] {
    let engines = [(); 3].map(|()| {
        Engine::with(
            "--cluster-enabled yes --cluster-require-full-coverage no --cluster-node-timeout 1000",
        )
    });
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
    // A key in each engine's slots, requested from each engine: found here or redirected, but not
    // down.
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
    // Both have reported their counts to the engine before they answered.
    let (_, figures) = nodes[0].own("GET", "/v1/figures?days=1", "");
    assert_eq!(figures["days"][0]["logins"], 24);
    assert_eq!(figures["accounts"], 12);
}

/// Otherwise a kick on another node would wait for a heartbeat, ten minutes here.
#[test]
fn pushes_come_by_any_engine_of_a_cluster_that_lives() {
    let [first, second, third] = cluster();
    let store = format!(
        "redis-cluster://127.0.0.1:{},127.0.0.1:{}",
        first.port, second.port
    );
    let settings = "heartbeat_ms = 600000\ntakeovers.max = 0";
    let nodes = [(); 2].map(|()| Server::node(&store, settings));
    // A node listens to all of them soon after its start.
    let until = Instant::now() + Duration::from_secs(60);
    let channels = |engine: &Engine| engine.command("PUBSUB CHANNELS tim:*:node:*");
    while [&first, &second, &third]
        .iter()
        .any(|engine| channels(engine) != "*2")
    {
        assert!(Instant::now() < until, "the nodes do not listen");
    }
    let slot_of = |user: &String| -> u16 {
        let slot = second.command(&format!("CLUSTER KEYSLOT {user}"));
        slot.trim_start_matches(':').parse().unwrap()
    };
    let elsewhere = (0..).map(|number| format!("user{number}"));
    let elsewhere = elsewhere.filter(|user| slot_of(user) > 5460).take(4);
    let phones: Vec<_> = elsewhere
        .map(|user| {
            let (phone, _) = nodes[0].log_in(&login(&user, 1, 1, 1));
            (user, phone)
        })
        .collect();
    first.kill();
    for (user, mut phone) in phones {
        let mut tablet = login(&user, 2, 1, 1);
        while nodes[1].post("/v1/login", &tablet).status != 200 {
            assert!(Instant::now() < until, "the cluster does not go on");
            tablet["seq"] = (tablet["seq"].as_u64().unwrap() + 1).into();
        }
        assert_eq!(phone.event().unwrap().0, "kicked", "{user}");
    }
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
