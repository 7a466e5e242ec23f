//! A server that is killed in the middle of everything, again and again: everything it acknowledged
//! has happened, and still has after each restart.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "kills/client.rs"]
mod client;
mod process;

use client::Client;
use process::random::Random;
use process::{Server, admin};
use std::sync::mpsc::channel;
use std::thread::scope;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The clients of a server, each with users of its own.
const CLIENTS: usize = 8;
/// A round ends after this many acknowledged outcomes, or fewer.
const OUTCOMES_MAX: usize = 200;

/// A number of the environment.
fn given(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// Kills a server in each round, and then checks everything it has said.
fn kill_again_and_again(rounds: u64) {
    let begun = Instant::now();
    let seed = given("TIM_SEED").unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        since.as_micros() as u64
    });
    println!("again with TIM_SEED={seed}");
    let mut random = Random::new(seed);
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|name| Client::new(name, random.number()))
        .collect();
    let settings = format!("{}takeovers.max = 0", admin::SETTINGS);
    let mut server = Server::with(&settings);
    let mut outcomes = 0;
    for _ in 0..rounds {
        let moment = 1 + random.below(OUTCOMES_MAX);
        scope(|scope| {
            let (tell, received) = channel();
            for client in &mut clients {
                let (server, tell) = (&server, tell.clone());
                scope.spawn(move || client.lives(server, &tell));
            }
            drop(tell);
            assert_eq!(received.iter().take(moment).count(), moment);
            server.signal("KILL");
            outcomes += moment + received.iter().count();
        });
        server = server.after_a_kill_elsewhere();
        scope(|scope| {
            for client in &mut clients {
                let server = &server;
                scope.spawn(move || client.finds_what_was_acknowledged(server));
            }
        });
    }
    let mut users = 0;
    scope(|scope| {
        for client in &mut clients {
            users += client.users();
            let server = &server;
            scope.spawn(move || client.finds_everything(server));
        }
    });
    println!(
        "{rounds} kills, {outcomes} acknowledged outcomes of {users} users, {:.0?}",
        begun.elapsed()
    );
}

#[test]
fn what_was_acknowledged_is_true_after_a_kill_at_any_moment() {
    kill_again_and_again(3);
}

#[test]
#[ignore = "takes half a minute: make test-long"]
fn what_was_acknowledged_is_true_after_hundreds_of_kills() {
    kill_again_and_again(given("TIM_ROUNDS").unwrap_or(200));
}
