//! The inputs of the login state machine: calls by the app, answers from the server, and time.

use crate::secret::Secret;
use tim_proto::wire;

/// A call by the app that completes exactly once.
pub type CallId = u64;

/// The clocks, read together. None of them is a wall clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Now {
    /// Monotonic ms that stand still while the device sleeps and while the app's callbacks run;
    /// deadlines use this clock.
    pub ms: u64,
    /// Monotonic ms that never stand still; the server's time is kept on this clock.
    pub boot_ms: u64,
    /// How many ms the device has slept since some fixed moment.
    pub slept_ms: u64,
}

/// One input.
#[derive(Clone, Debug)]
pub enum Input {
    /// The app called `tim_login`.
    Login {
        /// The call to complete.
        call: CallId,
        /// The user to log in; already checked.
        user_id: String,
        /// Their ticket; its form is already checked.
        user_sig: Secret,
    },
    /// The app called `tim_logout`.
    Logout {
        /// The call to complete.
        call: CallId,
    },
    /// The app called `tim_renew_user_sig`.
    Renew {
        /// The call to complete.
        call: CallId,
        /// The new ticket of the logged-in user.
        user_sig: Secret,
    },
    /// The app called `tim_client_destroy`.
    Destroy,
    /// The app called `tim_notify`: the device changed networks.
    NetworkChanged,
    /// The app called `tim_notify`: the app came to the foreground.
    Foreground,
    /// The device has slept. The machine detects that from [`Now::slept_ms`] and processes this
    /// input by itself, before the one it was given.
    Woke,
    /// A complete answer to the request with this seq. The stream of a login or resume begins with
    /// `Answer::Session`; later events on it come as `Stream`.
    Answer {
        /// The request that was answered.
        seq: u64,
        /// What it said.
        answer: Answer,
    },
    /// The request with this seq ended without an answer.
    Failed {
        /// The request.
        seq: u64,
        /// Why.
        failure: Failure,
    },
    /// Bytes arrived on the stream that the request with this seq opened.
    Received {
        /// The request.
        seq: u64,
    },
    /// An event arrived on the stream that the request with this seq opened.
    Stream {
        /// The request.
        seq: u64,
        /// The event; `Session` never comes this way.
        event: wire::StreamEvent,
    },
    /// The stream that the request with this seq opened has ended or failed.
    StreamLost {
        /// The request.
        seq: u64,
        /// Why.
        failure: Failure,
    },
    /// Time has passed: `Session::next_deadline` has come.
    Tick,
}

/// An answer from whoever answered. The state machine judges whether it decides anything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Accepted, with header `Tim-Protocol: 1` and a readable session event.
    Session(wire::SessionEvent),
    /// 200 to a logout, with the header.
    LoggedOut(wire::LogoutAnswer),
    /// Any other answer.
    Refused(Refused),
}

/// An answer that is not an acceptance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Refused {
    /// The HTTP status.
    pub http_status: u16,
    /// The answer had header `Tim-Protocol: 1`.
    pub tim_protocol: bool,
    /// The body, if it is a refusal of the protocol.
    pub refusal: Option<wire::Refusal>,
    /// How long to wait, if the answer says so.
    pub retry_after_ms: Option<u64>,
    /// Where it came from, for `tim_get_last_error`.
    pub address: String,
}

/// Why a request or a stream ended without an answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Failure {
    /// A code of the table: 95xx, or 77xx for TLS, HTTP and proxies.
    pub code: i32,
    /// How far it got.
    pub phase: Phase,
    /// The cause in words, without secrets.
    pub cause: String,
    /// The address that was tried; empty if there was none.
    pub address: String,
}

/// How far a request got; later phases compare greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Nothing was sent: refused on this device.
    Local,
    /// Looking the name up.
    Resolve,
    /// Opening the connection.
    Connect,
    /// The CONNECT request to the proxy.
    Proxy,
    /// The TLS handshake.
    Tls,
    /// Sending the request.
    Send,
    /// Waiting for the answer.
    Response,
    /// Reading the event stream.
    Stream,
}

impl Phase {
    /// The phase's name in `tim_get_last_error`.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Local => "local",
            Phase::Resolve => "resolve",
            Phase::Connect => "connect",
            Phase::Proxy => "proxy",
            Phase::Tls => "tls",
            Phase::Send => "send",
            Phase::Response => "response",
            Phase::Stream => "stream",
        }
    }
}
