//! A model of the whole system: clients, a network that fails, a server that restarts, clocks that
//! step, and clones. Every order of what can happen is tried, within a budget.
//!
//! The modelled code is the shipping code: a client is `tim::session::Session`, and a user's record
//! is `tim_server::user::User` with its policy. The model only carries messages between them, as
//! the network and `service.rs` do, and lets things go wrong.
//!
//!
//! file
//! its job
//!
//! |---|---|
//! | `setup.rs` | what a check is about: devices, rules, budgets |
//!
//! `world.rs`
//! a state of the whole system, and what can happen in it
//!
//!
//! `happen.rs`
//! the effect of each happening
//!
//! | `client.rs` | a state machine and its app |
//!
//! `server.rs`
//! the records and the code around them
//!
//!
//! `network.rs`
//! messages in transit
//!
//! | `ledger.rs` | what must hold, and the history that it is judged by |
//!
//! `check.rs`
//! visits every state of a check and reports what it found
//!
//! | `kept.rs`, `token.rs` | states that share their parts; tokens as text |

#![forbid(unsafe_code)]

mod check;
mod client;
mod happen;
mod kept;
mod ledger;
mod network;
mod server;
mod setup;
mod tickets_seen;
mod token;
mod world;

pub use check::{Seen, run};
pub use ledger::Rule;
pub use setup::{Budget, Device, Setup};
