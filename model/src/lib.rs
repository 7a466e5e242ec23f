//! A model of the whole: clients, a network that fails, a server that restarts, clocks that step,
//! and clones; every order of what can happen to them is tried, within a budget.
//!
//! What is modelled is what ships. A client is `tim::session::Session`, a user's record is
//! `tim_server::user::User` with its policy; the model only carries messages between them, as the
//! network and `service.rs` do, and lets things go wrong.
//!
//! | file | its one job |
//! |---|---|
//! | `setup.rs` | what a check is about: devices, rules, budgets |
//! | `world.rs` | a state of everything, and what can happen in it |
//! | `happen.rs` | what comes of what happens |
//! | `client.rs` | a state machine and its app |
//! | `server.rs` | the records and what stands around them |
//! | `network.rs` | what is on its way |
//! | `ledger.rs` | what must hold, and the history that it is judged by |
//! | `check.rs` | visits every state of a check and tells what it found |
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
