//! tim-server: the login service that libtim talks to.
//!
//! A request goes from `http` (the accept loop) through `routes` (bodies and answers) to `service`
//! (tickets, tokens, streams), which decides in a user's record (`user`, with the pure `policy`)
//! and makes durable in `store` what must survive, before it answers.

#![forbid(unsafe_code)]

mod cli;
mod clock;
mod config;
mod http;
mod identity_file;
mod policy;
mod routes;
mod service;
mod store;
mod stream;
mod timer;
mod token;
mod user;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("tim-server: {message}");
            ExitCode::FAILURE
        }
    }
}
