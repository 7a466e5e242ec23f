//! An engine watched by sentinels: nodes follow it from one machine to the next.

#![allow(clippy::unwrap_used, reason = "tests")]

mod process;

use process::engine::{Engine, free_port};
use process::{Answer, Server, login, resume};
use redis::cmd;
use serde_json::Value;
use std::time::{Duration, Instant};

const PASSWORD: &str = "sentinel-password";
const BANNED: (u16, i64) = (403, 70051);

/// An engine with a replica, the sentinel of both, and two nodes over them.
struct Watched {
    primary: Engine,
    replica: Engine,
    sentinel: redis::Connection,
    nodes: [Server; 2],
    _password: tempfile::TempDir,
    _sentinel: Engine,
}

impl Watched {
    fn start() -> Watched {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("password");
        std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
        let primary = Engine::start();
        let replica = primary.replica();
        let sentinel = primary.sentinel(PASSWORD);
        let url = format!("redis://:{PASSWORD}@127.0.0.1:{}", sentinel.port);
        let mut connection = redis::Client::open(url).unwrap().get_connection().unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let info: String = cmd("INFO").arg("sentinel").query(&mut connection).unwrap();
            if info.contains("status=ok") && info.contains("slaves=1") {
                break;
            }
            assert!(Instant::now() < until, "the sentinel does not watch");
        }
        // The first sentinel in the list does not exist.
        let store = format!(
            "redis-sentinel://127.0.0.1:{},127.0.0.1:{}/main/3",
            free_port(),
            sentinel.port
        );
        let settings = format!(
            "heartbeat_ms = 400\ntakeovers.max = 0\nsentinel_password_file = \"{}\"\n{}",
            file.display(),
            process::admin::SETTINGS
        );
        let nodes = [(); 2].map(|()| Server::node(&store, &settings));
        Watched {
            primary,
            replica,
            sentinel: connection,
            nodes,
            _password: directory,
            _sentinel: sentinel,
        }
    }

    /// One user is logged in at the first node, another is banned.
    fn lives(&self) -> (Answer, Value) {
        let alice = self.nodes[0].log_in(&login("alice", 1, 1, 1));
        self.nodes[1].log_in(&login("bob", 1, 1, 1));
        assert_eq!(self.nodes[0].own("PUT", "/v1/users/bob/ban", "{}").0, 200);
        alice
    }

    /// After the replica has taken over: the ban holds, the session lives, and a kick reaches the
    /// other node.
    fn goes_on(&self, (mut phone, session): (Answer, Value)) {
        for node in &self.nodes {
            let answer = repeated(|seq| node.refusal("/v1/login", &login("bob", 2, 1, seq)));
            assert_eq!(answer, BANNED);
        }
        let answer = repeated(|seq| {
            let mut answer = self.nodes[0].post("/v1/resume", &resume(&session, 1, 1, seq));
            let status = answer.status;
            if status == 200 {
                answer.session();
                phone = answer;
            }
            (status, 0)
        });
        assert_eq!(answer, (200, 0));
        self.nodes[1].log_in(&login("alice", 2, 1, 1));
        assert_eq!(phone.event().unwrap().0, "kicked");
        assert_eq!(
            self.replica.info("replication").lines().nth(1),
            Some("role:master")
        );
    }
}

/// Repeats a request while the engine is unavailable.
fn repeated(mut ask: impl FnMut(u64) -> (u16, i64)) -> (u16, i64) {
    let until = Instant::now() + Duration::from_secs(60);
    for seq in 10.. {
        let answer = ask(seq);
        if answer.0 != 503 {
            return answer;
        }
        assert!(Instant::now() < until, "it does not heal");
    }
    unreachable!()
}

#[test]
fn nodes_go_to_the_replica_when_the_engine_has_died() {
    let watched = Watched::start();
    let alice = watched.lives();
    let Watched { primary, .. } = &watched;
    let _stands_still = primary.stopped();
    watched.goes_on(alice);
}

#[test]
fn nodes_leave_an_engine_that_has_become_a_replica() {
    let mut watched = Watched::start();
    let alice = watched.lives();
    let mut failover = cmd("SENTINEL");
    failover.arg("FAILOVER").arg("main");
    let until = Instant::now() + Duration::from_secs(60);
    // Refused until the sentinel knows enough about the replica.
    while failover.query::<()>(&mut watched.sentinel).is_err() {
        assert!(Instant::now() < until, "the sentinel does not fail over");
    }
    // Its connections are closed while it changes sides.
    let role = |engine: &Engine| -> redis::RedisResult<String> {
        let mut connection = redis::Client::open(engine.url())?.get_connection()?;
        cmd("INFO").arg("replication").query(&mut connection)
    };
    while !role(&watched.primary).is_ok_and(|info| info.contains("role:slave")) {
        assert!(Instant::now() < until, "the sentinel does not fail over");
    }
    watched.goes_on(alice);
}
