//! libtim: sign-in for instant messaging.
//!
//! # Overview
//!
//! Everything flows one way: the C functions of [`ffi`](self) check and convert their arguments,
//! then call [`client`]. A client holds the state machine ([`session`]), which turns inputs into
//! actions, and a network thread, which carries the actions out and feeds the results back.
//!
//! ```text
//! caller -> ffi -> client -> session                  (input, now) -> actions
//!                   |  ^
//!             tasks v  | inputs
//!                  network -> transport -> sockets
//!                   |
//!                   v
//!                  delivery -> callback -> the app's code
//! ```
//!
//! Every rule of login lives in `session`, which does no I/O, reads no clock and owns no thread.
//! The rules of callbacks (once, in order, barriers) live in `delivery`; those of handles in
//! `registry`; of closing in `client`; of a forked child in `fork`; of the library's own bugs in
//! `panics`. Only `ffi` and `os` contain `unsafe`.

#![deny(unsafe_code)]
#![cfg_attr(
    tim_shuttle,
    allow(dead_code, reason = "a client is tried without its network")
)]

mod callback;
pub mod client;
pub mod delivery;
pub mod error;
mod panics;
mod reconnect;
mod registry;
mod secret;
pub mod session;
mod sync;
pub mod version;

#[cfg(not(tim_shuttle))]
mod clock;
#[cfg(not(tim_shuttle))]
mod config;
#[cfg(not(tim_shuttle))]
mod event_stream;
#[cfg(not(tim_shuttle))]
#[allow(unsafe_code, reason = "the C boundary")]
mod ffi;
#[cfg(not(tim_shuttle))]
mod fork;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(not(tim_shuttle))]
mod host;
#[cfg(tim_shuttle)]
#[path = "host/schedules.rs"]
mod host;
#[cfg(not(tim_shuttle))]
pub mod log;
#[cfg(not(tim_shuttle))]
mod network;
#[cfg(not(tim_shuttle))]
#[allow(unsafe_code, reason = "the one place of system calls")]
mod os;
#[cfg(not(tim_shuttle))]
mod transport;

pub use registry::Handle;
pub use secret::Secret;
