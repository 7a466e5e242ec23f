//! What the login state machine decides: requests to send, completions and events to deliver.

use super::input::CallId;
use tim_proto::wire;

/// One decision. The caller carries them out in the order given.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Send this request. Its result comes back as `Input::Answer` or `Input::Failed` with the same
    /// seq, no later than `deadline_ms` (on `Now::ms`).
    Send {
        /// The request's number.
        seq: u64,
        /// What to send.
        request: Request,
        /// When to give up.
        deadline_ms: u64,
    },
    /// Drop the request with this seq, or close the stream that it opened. No input with this
    /// seq has any effect afterwards.
    Abandon {
        /// The request.
        seq: u64,
    },
    /// The app's call has finished with this code.
    Complete {
        /// The call.
        call: CallId,
        /// 0 or a code of the table.
        code: i32,
    },
    /// Deliver an event to the app.
    Event {
        /// What happened.
        event: Event,
        /// The login that it belongs to.
        login_id: u64,
    },
    /// A new login has begun: undelivered events of earlier logins are dropped.
    DropEarlierEvents,
}

/// A request to the server.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Request {
    /// `POST /v1/login`.
    Login(wire::LoginRequest),
    /// `POST /v1/resume`.
    Resume(wire::ResumeRequest),
    /// `POST /v1/logout`.
    Logout(wire::LogoutRequest),
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Request::Login(_) => "Login",
            Request::Resume(_) => "Resume",
            Request::Logout(_) => "Logout",
        })
    }
}

/// What is delivered to the app besides completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The connection to the server changed; code 0, or the cause.
    Connection {
        /// The new status.
        status: ConnectionStatus,
        /// 0, or the cause.
        code: i32,
    },
    /// Another login took this session over, or the server ended it.
    KickedOffline {
        /// Why.
        code: i32,
    },
    /// The ticket expires soon.
    UserSigExpiring {
        /// Seconds until then, by the server's clock.
        seconds_left: i64,
    },
    /// The ticket has expired, was refused or was revoked.
    UserSigExpired {
        /// Why.
        code: i32,
    },
}

/// Whether somebody is logged in. The numbers are those of the C API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum LoginStatus {
    /// The server accepted the login, and nothing has ended it since.
    LoggedIn = 1,
    /// A login is in progress.
    LoggingIn = 2,
    /// Nobody is logged in.
    LoggedOut = 3,
}

/// The connection to the server. The numbers are those of the C API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ConnectionStatus {
    /// The event stream is open.
    Connected = 1,
    /// There is no stream, and none is being opened.
    Disconnected = 2,
    /// A stream is being opened.
    Connecting = 3,
    /// The last attempt failed; another follows if somebody is logged in or logging in.
    ConnectFailed = 4,
}
