//! A server is killed under five hundred clients and starts again: everybody comes back, spread over
//! the time that the server gave.

#![allow(clippy::unwrap_used, reason = "tests")]

mod tim_server;
mod told;

use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use tim::client::Client;
use tim::error::OK;
use tim::log::{self, Level};
use tim_server::{APP, TimServer, begin_login, client_of, user_sig};
use told::Told;

const CLIENTS: u64 = 500;
/// The server's: 2,000 come back in a second.
const SPREAD_MS: u64 = CLIENTS / 2;

/// From now on, how many ms each client waits that has lost its stream.
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
    told: Arc<Told>,
    login: Receiver<i32>,
}

fn user(number: u64, server: &TimServer) -> User {
    let name = format!("user {number}");
    let client = client_of(&server.url, APP, "");
    User {
        told: Told::by(&client),
        login: begin_login(&client, &name),
        client,
        name,
    }
}

/// Waits until every stream has had a heartbeat since all were there: a last one has had two. With
/// it a stream is told the time to come back in, which was less for those who came early.
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

/// All come back, and none of the tenths of the time that they are to come back in holds more than
/// a fifth of them. The wait that each client chose is taken from its log, and not from the clock:
/// five hundred clients in one process, on a few processors, notice the loss and wake up as the
/// system lets them, tens of ms apart.
#[test]
fn five_hundred_clients_return_after_a_kill_spread_and_nobody_is_signed_out() {
    let server = TimServer::configured("heartbeat_ms = 1500\n");
    let users: Vec<User> = (0..CLIENTS).map(|number| user(number, &server)).collect();
    for user in &users {
        assert_eq!(user.login.recv().unwrap(), OK, "{}", user.name);
        user.told.connected(0);
    }
    all_have_heard(&server);
    let seen: Vec<usize> = users.iter().map(|user| user.told.len()).collect();
    let waits = waits();
    let _server = server.kill_and_start_again();

    for (user, seen) in users.iter().zip(seen) {
        user.told.connected(seen);
        user.told.nobody_was_signed_out();
        let now = (user.client.login_user(), user.client.login_id());
        assert_eq!(now, (user.name.clone(), 1), "resumed, not logged in again");
    }
    let mut tenths = [0; 10];
    for wait in waits.try_iter() {
        tenths[usize::try_from(wait * 10 / (SPREAD_MS + 1)).unwrap()] += 1;
    }
    // Not by a macro, whose output the test's runner keeps to itself.
    writeln!(std::io::stdout(), "attempts in each tenth: {tenths:?}").unwrap();
    assert_eq!(tenths.iter().sum::<u64>(), CLIENTS);
    assert!(tenths.iter().all(|count| *count <= CLIENTS / 5));
}
