//! What the login state machine is told: calls of the app, answers of the server, time.

use crate::secret::Secret;
use tim_proto::wire;

/// A call that the app made and that completes exactly once.
pub type CallId = u64;

/// The clocks, read together. None is a wall clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Now {
    /// Monotonic ms that stand still while the device sleeps and while the app's callbacks run:
    /// the clock of deadlines.
    pub ms: u64,
    /// Monotonic ms that run through both: the server's time is kept on them.
    pub boot_ms: u64,
    /// How many ms the device has slept since some moment in the past.
    pub slept_ms: u64,
}

/// One input.
#[derive(Clone, Debug)]
pub enum Input {
    /// The app called `tim_login`.
    Login {
        /// The call to complete.
        call: CallId,
        /// Who logs in; checked already.
        user_id: String,
        /// Their ticket; its form is checked already.
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
        /// The new ticket of the user who is logged in.
        user_sig: Secret,
    },
    /// The app called `tim_client_destroy`.
    Destroy,
    /// The app called `tim_notify`: the network changed, or the app came to the foreground.
    NetworkChanged,
    /// The device has slept. The machine finds that out from [`Now::slept_ms`] and takes this input
    /// by itself, before the one that it is given.
    Woke,
    /// A whole answer came to the request with this seq. A login's or resume's stream begins
    /// with `Answer::Session`; what follows on it comes as `Stream`.
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
    /// Bytes came on the stream that the request with this seq opened.
    Heard {
        /// The request.
        seq: u64,
    },
    /// An event came on the stream that the request with this seq opened.
    Stream {
        /// The request.
        seq: u64,
        /// The event; `Session` never comes this way.
        event: wire::StreamEvent,
    },
    /// The stream that the request with this seq opened has ended or broken.
    StreamLost {
        /// The request.
        seq: u64,
        /// Why.
        failure: Failure,
    },
    /// Time has passed: `Session::next_deadline` is reached.
    Tick,
}

/// An answer of whoever answered. Whether it decides anything is the state machine's judgement.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Accepted, with header `Tim-Protocol: 1` and a readable session event.
    Session(wire::SessionEvent),
    /// 200 to a logout, with the header.
    LoggedOut(wire::LogoutAnswer),
    /// Anything else.
    Refused(Refused),
}

/// An answer that is not an acceptance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Refused {
    /// The HTTP status.
    pub http_status: u16,
    /// The answer had header `Tim-Protocol: 1`.
    pub tim_protocol: bool,
    /// The body, where it is a refusal of the protocol.
    pub refusal: Option<wire::Refusal>,
    /// How long to wait, where the answer said so.
    pub retry_after_ms: Option<u64>,
    /// Where it came from, for `tim_get_last_error`.
    pub address: String,
}

/// Why a request or a stream ended without an answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Failure {
    /// A code of the table: 95xx, or 77xx for TLS, HTTP and proxies.
    pub code: i32,
    /// How far it came.
    pub phase: Phase,
    /// The cause in words, without secrets.
    pub cause: String,
    /// The address that was tried; empty where there was none.
    pub address: String,
}

/// How far a request came; later phases are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Nothing was sent: refused on this device.
    Local,
    /// Looking the name up.
    Resolve,
    /// Opening the connection.
    Connect,
    /// Asking the proxy.
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
