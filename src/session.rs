//! The login state machine: pure. It takes inputs and the time and returns actions; it does no
//! I/O, reads no clock and owns no thread.

mod action;
mod input;
mod last_error;

pub use action::{Action, ConnectionStatus, Event, LoginStatus, Request};
pub use input::{Answer, CallId, Failure, Input, Now, Phase, Refused};
pub use last_error::LastError;
