//! An engine that dies, again and again, while its replica takes over: acknowledged bans hold, and
//! nobody is signed out by accident.

#![allow(clippy::unwrap_used, reason = "tests")]

mod process;

use process::engine::{Engine, free_port};
use process::{Answer, Server, login, posted, resume, ticket};
use serde_json::Value;
use std::io::Write;
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::scope;
use std::time::{Duration, Instant};

const CLIENTS: usize = 4;
/// In each round the engine dies after this many acknowledged outcomes.
const OUTCOMES: usize = 40;
const BANNED: i64 = 70051;

/// A logged-in user: the stream, and the session's newest token.
struct LoggedIn {
    user_id: String,
    stream: Answer,
    session: Value,
    seq: u64,
}

/// What the clients have at the end of a round.
#[derive(Default)]
struct Acknowledged {
    logged_in: Vec<LoggedIn>,
    banned: Vec<String>,
}

/// The stream and first event of an accepted request; `None` if the engine is unavailable.
fn accepted(server: &Server, path: &str, body: &Value) -> Option<(Answer, Value)> {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    stream
        .write_all(posted(path, &body.to_string()).as_bytes())
        .unwrap();
    let mut answer = Answer::read(stream);
    match answer.status {
        200 => {
            let session = answer.session();
            Some((answer, session))
        }
        503 => None,
        other => panic!("{other}: {}", answer.json()),
    }
}

/// Logs users in, renews some and bans others until the engine is dead.
fn lives(server: &Server, name: &str, dead: &AtomicBool, all: &Mutex<Acknowledged>) {
    for number in 0.. {
        if dead.load(Ordering::SeqCst) {
            return;
        }
        let user_id = format!("{name}.{number}");
        let Some((stream, session)) = accepted(server, "/v1/login", &login(&user_id, 1, 1, 1))
        else {
            continue;
        };
        let mut user = LoggedIn {
            user_id,
            stream,
            session,
            seq: 2,
        };
        match number % 3 {
            0 => {
                let path = format!("/v1/users/{}/ban", user.user_id);
                if server.own("PUT", &path, "{}").0 == 200 {
                    all.lock().unwrap().banned.push(user.user_id);
                }
                // Otherwise it may or may not have happened.
                continue;
            }
            1 => {
                let mut renewal = resume(&user.session, 1, 1, user.seq);
                renewal["user_sig"] = ticket(&user.user_id, 7200).into();
                user.seq += 1;
                if let Some((stream, session)) = accepted(server, "/v1/resume", &renewal) {
                    (user.stream, user.session) = (stream, session);
                } else {
                    continue;
                }
            }
            _ => {}
        }
        all.lock().unwrap().logged_in.push(user);
    }
}

/// Repeats a request while the engine is unavailable.
fn when_it_is_back(server: &Server, mut ask: impl FnMut() -> (u16, i64)) -> (u16, i64) {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = ask();
        if answer.0 != 503 {
            return answer;
        }
        assert!(Instant::now() < until, "{} does not heal", server.address);
    }
}

fn fail_over_again_and_again(rounds: usize) {
    let port = free_port();
    let mut primary = Engine::on(port, "");
    let settings = format!(
        "heartbeat_ms = 400\ntakeovers.max = 0\n{}",
        process::admin::SETTINGS
    );
    let server = Server::node(&primary.url(), &settings);
    let mut outcomes = 0;
    for round in 0..rounds {
        let replica = primary.replica();
        let (dead, all) = (AtomicBool::new(false), Mutex::<Acknowledged>::default());
        scope(|scope| {
            for client in 0..CLIENTS {
                let (server, dead, all) = (&server, &dead, &all);
                let name = format!("user.{round}.{client}");
                scope.spawn(move || lives(server, &name, dead, all));
            }
            let enough = || {
                let all = all.lock().unwrap();
                all.logged_in.len() + all.banned.len() >= OUTCOMES
            };
            while !enough() {
                std::thread::yield_now();
            }
            primary.kill();
            dead.store(true, Ordering::SeqCst);
        });
        primary = Engine::in_place_of(port, replica);
        let Acknowledged { logged_in, banned } = all.into_inner().unwrap();
        outcomes += logged_in.len() + banned.len();
        for user_id in banned {
            let mut seq = 100;
            let answer = when_it_is_back(&server, || {
                seq += 1;
                server.refusal("/v1/login", &login(&user_id, 2, 1, seq))
            });
            assert_eq!(answer, (403, BANNED), "{user_id} in round {round}");
        }
        for mut user in logged_in {
            // Repeated with the node's heartbeats, even if the engine has lost it.
            assert_eq!(
                user.stream.block().as_deref(),
                Some(": hb"),
                "{}",
                user.user_id
            );
            let mut status = 0;
            when_it_is_back(&server, || {
                let again = resume(&user.session, 1, 1, user.seq);
                user.seq += 1;
                status = server.post("/v1/resume", &again).status;
                (status, 0)
            });
            assert_eq!(status, 200, "{} in round {round}", user.user_id);
        }
    }
    println!("{rounds} fail-overs, {outcomes} acknowledged outcomes");
}

#[test]
fn bans_hold_and_nobody_is_signed_out_over_fail_overs() {
    fail_over_again_and_again(3);
}

#[test]
#[ignore = "takes minutes: make test-long"]
fn bans_hold_and_nobody_is_signed_out_over_hundreds_of_fail_overs() {
    fail_over_again_and_again(200);
}
