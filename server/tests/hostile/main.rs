//! Input that no honest client sends, against a real server: it refuses or closes, stays up, keeps
//! its memory bounded, and honest clients log in meanwhile.

#![allow(clippy::unwrap_used, reason = "tests")]

mod bodies;
mod half_open;
mod large;
mod malformed;
mod other_listeners;
mod pipelined;
#[path = "../process/mod.rs"]
mod process;
mod slow;
mod talk;
mod tickets;
mod unread;
mod victim;
