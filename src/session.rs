//! The login state machine. It is pure: it takes inputs and the time and returns actions. It does
//! no I/O, reads no clock and owns no thread.
//!
//! Each state is a type. Its file has one `match` over all inputs, which returns the next state.
//!
//!
//! state
//! meaning
//!
//! |---|---|
//! | `logged_out.rs` | nobody is logged in |
//!
//! `logging_out.rs`
//! nobody is logged in; endings are being delivered to the server
//!
//! | `logging_in.rs` | one login with one deadline; attempts and waits between them |
//!
//! `logged_in/`
//! the server accepted; one state for each condition of the connection
//!
//!
//! Only three things end "logged in": a call by the app, a verdict of the server (`verdict.rs`),
//! and an event on the server's stream. A network failure never does.
//!
//! What all states share is in `context.rs`; how failures are ranked, in `failures.rs`; how endings
//! reach the server, in `endings.rs`.

mod action;
mod context;
mod endings;
mod failures;
mod input;
mod last_error;
mod logged_in;
mod logged_out;
mod logging_in;
mod logging_out;
mod server_clock;
mod tickets;
mod verdict;

pub use action::{Action, ConnectionStatus, Event, LoginStatus, Request};
pub use input::{Answer, CallId, Failure, Input, Now, Phase, Refused};
pub use last_error::LastError;

use crate::error;
use context::Context;
use logged_in::{Renewing, Resuming, Streaming, Waiting};
use logging_in::LoggingIn;
use logging_out::LoggingOut;
use tim_proto::{Platform, wire};

/// A sleep longer than this between two inputs counts as a change of network.
const SLEEP_MS: u64 = 2_000;
/// The network ends every request at the request's own deadline. If it does not, the machine does,
/// this much later.
const GRACE_MS: u64 = 1_000;

/// Who this client is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The app.
    pub sdk_app_id: u32,
    /// The device, as the app persists it.
    pub device_id: String,
    /// The device's platform.
    pub platform: Platform,
    /// The device's name, for people.
    pub device_name: String,
    /// 32 lower-case hexadecimal digits, random per client.
    pub instance: String,
}

/// Time limits, in ms.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// A whole login.
    pub login_timeout_ms: u64,
    /// A logout or a renewal, as a whole.
    pub request_timeout_ms: u64,
    /// The upper bound of the first wait before a reconnect.
    pub reconnect_first_ms: u64,
    /// The upper bound of every wait before a reconnect.
    pub reconnect_max_ms: u64,
    /// How many seconds before its end a ticket is reported as expiring.
    pub expiring_lead_s: Option<u32>,
}

/// The state machine of one client. It can be cloned and compared, so that the model can store it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Session {
    state: State,
    cx: Context,
    /// Whether there has been an input.
    began: bool,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum State {
    LoggedOut,
    LoggingOut(Box<LoggingOut>),
    LoggingIn(Box<LoggingIn>),
    Streaming(Box<Streaming>),
    Renewing(Box<Renewing>),
    Resuming(Box<Resuming>),
    Waiting(Box<Waiting>),
    Destroyed,
}

impl State {
    /// The client is destroyed: its unfinished calls complete, oldest first, and nothing follows.
    fn destroyed(mut calls: Vec<CallId>, cx: &mut Context) -> State {
        calls.sort_unstable();
        for call in calls {
            cx.complete(call, error::ERR_INTERRUPTED);
        }
        cx.connection = ConnectionStatus::Disconnected;
        State::Destroyed
    }
}

impl Session {
    /// A client with nobody logged in. `seed` spreads its waits.
    pub fn new(identity: Identity, limits: Limits, seed: u64) -> Session {
        Session {
            state: State::LoggedOut,
            cx: Context::new(identity, limits, seed),
            began: false,
        }
    }

    /// One step: what happened, and when. The caller carries the actions out in order.
    pub fn handle(&mut self, input: Input, now: Now) -> Vec<Action> {
        let slept_ms = now.slept_ms.saturating_sub(self.cx.now.slept_ms);
        let slept = std::mem::replace(&mut self.began, true) && slept_ms > SLEEP_MS;
        self.cx.now = now;
        if slept {
            self.step(Input::Woke);
            self.step(Input::Tick);
        }
        if let Input::Login { user_sig, .. } | Input::Renew { user_sig, .. } = &input {
            self.cx.tickets.given(user_sig);
        }
        let hurries = matches!(
            input,
            Input::NetworkChanged | Input::Foreground | Input::Woke
        );
        self.step(input);
        if hurries {
            self.step(Input::Tick);
        }
        self.cx.take_actions()
    }

    fn step(&mut self, input: Input) {
        let cx = &mut self.cx;
        self.state = match std::mem::replace(&mut self.state, State::Destroyed) {
            State::LoggedOut => logged_out::handle(input, cx),
            State::LoggingOut(state) => state.handle(input, cx),
            State::LoggingIn(state) => state.handle(input, cx),
            State::Streaming(state) => state.handle(input, cx),
            State::Renewing(state) => state.handle(input, cx),
            State::Resuming(state) => state.handle(input, cx),
            State::Waiting(state) => state.handle(input, cx),
            State::Destroyed => State::Destroyed,
        };
    }

    /// When the next tick is needed, on [`Now::ms`].
    pub fn next_deadline(&self) -> Option<u64> {
        match &self.state {
            State::LoggedOut | State::Destroyed => None,
            State::LoggingOut(state) => Some(state.next_deadline()),
            State::LoggingIn(state) => Some(state.next_deadline()),
            State::Streaming(state) => state.next_deadline(&self.cx),
            State::Renewing(state) => state.next_deadline(&self.cx),
            State::Resuming(state) => state.next_deadline(&self.cx),
            State::Waiting(state) => state.next_deadline(&self.cx),
        }
    }

    /// Whether somebody is logged in.
    pub fn login_status(&self) -> LoginStatus {
        match self.state {
            State::LoggedOut | State::LoggingOut(_) | State::Destroyed => LoginStatus::LoggedOut,
            State::LoggingIn(_) => LoginStatus::LoggingIn,
            State::Streaming(_) | State::Renewing(_) | State::Resuming(_) | State::Waiting(_) => {
                LoginStatus::LoggedIn
            }
        }
    }

    /// The connection to the server.
    pub fn connection_status(&self) -> ConnectionStatus {
        self.cx.connection
    }

    /// The number of the newest login; 0 before the first.
    pub fn login_id(&self) -> u64 {
        self.cx.login_no
    }

    /// The logged-in user.
    pub fn login_user(&self) -> Option<&str> {
        let session = match &self.state {
            State::LoggedOut | State::LoggingOut(_) | State::LoggingIn(_) | State::Destroyed => {
                return None;
            }
            State::Streaming(state) => &state.session,
            State::Renewing(state) => &state.session,
            State::Resuming(state) => &state.session,
            State::Waiting(state) => &state.session,
        };
        Some(&session.user_id)
    }

    /// What last went wrong.
    pub fn last_error(&self) -> Option<&LastError> {
        self.cx.last_error.as_ref()
    }

    /// Who took the last session over, and which login that was.
    pub fn kick_info(&self) -> Option<(u64, &wire::Kick)> {
        let kick = self.cx.kick.as_ref();
        kick.map(|(login_id, kick)| (*login_id, kick))
    }

    /// The server's Unix time in ms.
    pub fn server_time_ms(&self, now: Now) -> Option<i64> {
        self.cx.server_clock.map(|clock| clock.now_ms(now))
    }
}

#[cfg(all(test, not(tim_shuttle)))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
