//! `ctests/torture.c` against servers that do everything a server should not. `TIM_SEED` replays
//! one run; `TIM_CALLS` sets its length.

#![allow(clippy::unwrap_used, reason = "tests")]

mod c_program;
mod hostile_server;
mod tim_server;

use c_program::{How, assert_passed, command, compile};
use hostile_server::HostileServer;
use tim_server::{APP, user_sig};

fn torture(seed: u64, calls: u64, how: How) {
    let directory = tempfile::tempdir().unwrap();
    let program = compile("torture", how, directory.path());
    let server = HostileServer::start(seed);
    let output = command(&program, how)
        .env("TIM_TEST_SERVER_URL", &server.url)
        // Nobody listens on port 1.
        .env("TIM_TEST_CLOSED_URL", "http://127.0.0.1:1")
        .env("TIM_TEST_APP_ID", APP.to_string())
        .env("TIM_TEST_SIG_ALICE", user_sig("alice"))
        .env("TIM_SEED", seed.to_string())
        .env("TIM_CALLS", calls.to_string())
        .output()
        .unwrap();
    println!("{}", String::from_utf8_lossy(&output.stdout).trim_end());
    assert_passed(
        &format!("torture with TIM_SEED={seed} TIM_CALLS={calls}"),
        &output,
    );
}

fn given(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}: expected a number")),
    )
}

/// One run for each number of threads, or the one of `TIM_SEED`.
fn runs(calls: u64, how: How) {
    let calls = given("TIM_CALLS").unwrap_or(calls / 8);
    match given("TIM_SEED") {
        Some(seed) => torture(seed, calls, how),
        None => (0..8).for_each(|seed| torture(seed, calls, how)),
    }
}

#[test]
fn fifty_thousand_random_calls_are_answered_as_the_header_says() {
    runs(50_000, How::Shared);
}

#[test]
fn random_calls_touch_no_memory_that_is_not_theirs() {
    runs(8_000, How::Sanitized);
}

#[test]
#[ignore = "takes minutes: make test-long"]
fn a_million_random_calls_are_answered_as_the_header_says() {
    runs(1_000_000, How::Shared);
}
