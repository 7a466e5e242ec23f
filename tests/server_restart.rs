//! A server is killed under five hundred clients and restarted: all come back, spread over the
//! period that the server announced.

#![allow(clippy::unwrap_used, reason = "tests")]

mod recorder;
mod tim_server;

use recorder::Recorder;
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use tim::client::Client;
use tim::error::OK;
use tim::log::{self, Level};
use tim_server::{APP, TimServer, begin_login, client_of, user_sig};

const CLIENTS: u64 = 500;
/// The server's rate: 2,000 come back per second.
const SPREAD_MS: u64 = CLIENTS / 2;

/// Records how many ms each client that has lost its stream waits.
fn waits() -> Receiver<u64> {
    let (tell, waits) = channel();
    let tell = Mutex::new(tell);
    let keep = move |_, line: &str| {
        if let Some((_, wait)) = line.split_once("next attempt in ") {
            let wait = wait.strip_suffix(" ms").unwrap().parse().unwrap();
            _ = tell.lock().unwrap().send(wait);
        }
    };
    log::set_callback(Some(Arc::new(keep)), Some(Level::Info));
    waits
}

struct User {
    name: String,
    client: Arc<Client>,
    recorder: Arc<Recorder>,
    login: Receiver<i32>,
}

fn user(number: u64, server: &TimServer) -> User {
    let name = format!("user {number}");
    let client = client_of(&server.url, APP, "");
    User {
        recorder: Recorder::by(&client),
        login: begin_login(&client, &name),
        client,
        name,
    }
}

/// Waits until every stream has had a heartbeat since all were open, so that even the last one has
/// had two. It carries the period for reconnects, which was shorter for those who came early.
fn all_have_heard(server: &TimServer) {
    let body = json!({
        "sdk_app_id": APP,
        "user_id": "watcher",
        "user_sig": user_sig("watcher"),
        "device_id": "watcher",
        "platform": "linux",
        "intent": "interactive",
        "instance": "0".repeat(32),
        "login_no": 1,
        "seq": 1,
    });
    let (body, mut stream) = (
        body.to_string(),
        TcpStream::connect(server.address()).unwrap(),
    );
    let length = body.len();
    write!(
        stream,
        "POST /v1/login HTTP/1.1\r\nHost: tim\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let lines = BufReader::new(stream).lines().map(Result::unwrap);
    assert_eq!(lines.filter(|line| line == ": hb").take(2).count(), 2);
}

/// All come back, and no tenth of the period holds more than a fifth of them. The wait that each
/// client chose is taken from its log rather than from the clock: five hundred clients in one
/// process, on a few processors, notice the loss and wake up when the system lets them, tens of ms
/// apart.
#[test]
fn five_hundred_clients_return_after_a_kill_spread_and_nobody_is_signed_out() {
    let server = TimServer::configured("heartbeat_ms = 1500\n");
    let users: Vec<User> = (0..CLIENTS).map(|number| user(number, &server)).collect();
    for user in &users {
        assert_eq!(user.login.recv().unwrap(), OK, "{}", user.name);
        user.recorder.connected(0);
    }
    all_have_heard(&server);
    let seen: Vec<usize> = users.iter().map(|user| user.recorder.len()).collect();
    let waits = waits();
    let _server = server.kill_and_start_again();

    for (user, seen) in users.iter().zip(seen) {
        user.recorder.connected(seen);
        user.recorder.nobody_was_signed_out();
        let now = (user.client.login_user(), user.client.login_id());
        assert_eq!(now, (user.name.clone(), 1), "resumed, not logged in again");
    }
    let mut tenths = [0; 10];
    for wait in waits.try_iter() {
        tenths[usize::try_from(wait * 10 / (SPREAD_MS + 1)).unwrap()] += 1;
    }
    // Not with a macro, whose output the test runner captures.
    writeln!(std::io::stdout(), "attempts in each tenth: {tenths:?}").unwrap();
    assert_eq!(tenths.iter().sum::<u64>(), CLIENTS);
    assert!(tenths.iter().all(|count| *count <= CLIENTS / 5));
}
