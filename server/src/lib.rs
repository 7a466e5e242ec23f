//! tim-server: the login service that libtim talks to.
//!
//! A request goes from `http` (the accept loop) through `routes` (bodies and answers) to `service`
//! (tickets, tokens, streams), which decides over the user's record (`user`, with the pure
//! `policy`) and has the `store` make the decision durable before answering. The operator's
//! requests arrive at `admin`, on their own listener, and take the same way.
//!
//! The program is `main.rs`; the library exists for it and for tests of the rules.

#![forbid(unsafe_code)]
#![allow(
    missing_docs,
    reason = "the library exists for this program and its tests only"
)]

pub mod admin;
mod admission;
mod arguments;
mod audit;
mod body;
pub mod calendar;
pub mod cli;
mod client_address;
mod clock;
mod config;
mod cors;
mod event;
mod faults;
mod figures;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod identity_file;
mod limits;
mod logs;
mod metrics;
mod metrics_listener;
mod open_files;
mod outbox;
mod place;
pub mod policy;
mod proxy_protocol;
mod recent_endings;
mod reconcile;
mod refused;
mod reload;
mod routes;
mod service;
mod service_manager;
mod settings;
mod sharded;
mod start;
mod store;
mod stream;
mod throttle;
mod tickets;
mod timer;
mod token;
pub mod user;
mod user_rate;
mod webhook;
