//! libtim: sign-in for instant messaging.
//!
//! A [`Client`] logs a user in with a ticket from your backend, keeps the session while the network
//! comes and goes, and reports what happens to it. It needs no async runtime, and its calls work
//! with every one.
//!
//! ```
//! # fn main() -> Result<(), tim::Error> {
//! let client = tim::Client::new(
//!     r#"{"server_url": "http://127.0.0.1:1", "sdk_app_id": 1400000001, "login_timeout_ms": 100}"#,
//! )?;
//! client.on_event(|event| println!("{event:?}"))?;
//! match client.login("alice", "a ticket").wait() {
//!     Ok(()) => println!("logged in"),
//!     Err(error) => println!("{error}"), // nobody listens on port 1
//! }
//! # Ok(())
//! # }
//! ```
//!
//! What the root exports, [`error`] and [`log`] are the public API. The other modules are public for
//! the tests and the model in this repository, and may change at any time.
//!
//! # Inside
//!
//! Everything flows one way: the C functions of [`ffi`](self), and the Rust API, check and
//! convert their arguments, then call [`client`]. A client holds the state machine ([`session`]), which turns inputs into
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

#[cfg(not(tim_shuttle))]
mod api;
mod callback;
#[doc(hidden)]
pub mod client;
#[doc(hidden)]
pub mod delivery;
pub mod error;
mod panics;
mod reconnect;
mod registry;
mod secret;
#[doc(hidden)]
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

#[cfg(not(tim_shuttle))]
#[doc(inline)]
pub use api::{Call, Client, ConnectionStatus, Error, Event, Hint, KickInfo, LoginStatus};
#[doc(hidden)]
pub use registry::Handle;
#[doc(hidden)]
pub use secret::Secret;
