//! The protocol's messages (docs/protocol.md), as the library and the server write and read them.
//!
//! Both sides ignore unknown fields, so that either can be updated first. Types that hold a ticket
//! or a token do not implement `Debug`, which keeps secrets out of logs.

use crate::Platform;
use serde::{Deserialize, Serialize};

/// The header that both sides send, and its value for this version of the protocol.
pub const PROTOCOL_HEADER: &str = "tim-protocol";
/// The value of [`PROTOCOL_HEADER`].
pub const PROTOCOL_VERSION: &str = "1";
/// The path of a login.
pub const LOGIN_PATH: &str = "/v1/login";
/// The path of a resume.
pub const RESUME_PATH: &str = "/v1/resume";
/// The path of a logout.
pub const LOGOUT_PATH: &str = "/v1/logout";
/// The largest request body, in bytes; the server answers 413 to a larger one.
pub const BODY_MAX: usize = 16 * 1024;
/// The most earlier logins that one login may end.
pub const ENDS_MAX: usize = 4;

/// What caused a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    /// A call by the app: this login takes over from other devices.
    Interactive,
    /// The library reconnected by itself: it displaces nobody.
    Reconnect,
}

/// Numbers a request, so that one that arrives late or twice has no effect.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestNumber {
    /// 32 lower-case hexadecimal digits, random per client handle.
    pub instance: String,
    /// Counts the app's logins; stays the same over a login's retries and its session's life.
    pub login_no: u64,
    /// Counts this instance's requests.
    pub seq: u64,
}

/// The body of `POST /v1/login`.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LoginRequest {
    /// The app.
    pub sdk_app_id: u32,
    /// The user who logs in.
    pub user_id: String,
    /// Their ticket.
    pub user_sig: String,
    /// The device, as the app persists it.
    pub device_id: String,
    /// The device's platform.
    pub platform: Platform,
    /// The device's name, for people.
    #[serde(default)]
    pub device_name: String,
    /// What caused this login.
    pub intent: Intent,
    /// The client handle that sends this; see [`RequestNumber`].
    pub instance: String,
    /// The login's number.
    pub login_no: u64,
    /// The request's number.
    pub seq: u64,
    /// Earlier logins of this client, to be ended by this request whatever its own result.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ends: Vec<Ending>,
}

impl LoginRequest {
    /// The numbers of this request.
    pub fn number(&self) -> RequestNumber {
        RequestNumber {
            instance: self.instance.clone(),
            login_no: self.login_no,
            seq: self.seq,
        }
    }
}

/// A login to end.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Ending {
    /// By the token of its session.
    Session {
        /// The session token.
        session: String,
    },
    /// By its number, if no token was received: also ends a login that has not arrived yet.
    Login {
        /// The app.
        sdk_app_id: u32,
        /// The user of that login.
        user_id: String,
        /// The ticket of that login.
        user_sig: String,
        /// The device of that login.
        device_id: String,
        /// The client that sent it.
        instance: String,
        /// The login's number.
        login_no: u64,
    },
}

/// The body of `POST /v1/resume`. With `user_sig`, it is a renewal.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ResumeRequest {
    /// The session token.
    pub session: String,
    /// The client handle that sends this; see [`RequestNumber`].
    pub instance: String,
    /// The login's number.
    pub login_no: u64,
    /// The request's number.
    pub seq: u64,
    /// A new ticket for the same user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_sig: Option<String>,
}

impl ResumeRequest {
    /// The numbers of this request.
    pub fn number(&self) -> RequestNumber {
        RequestNumber {
            instance: self.instance.clone(),
            login_no: self.login_no,
            seq: self.seq,
        }
    }
}

/// The body of `POST /v1/logout`.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LogoutRequest {
    /// The login to end.
    #[serde(flatten)]
    pub ends: Ending,
    /// The number of this request, echoed in the answer.
    pub seq: u64,
}

/// The answer 200 to a logout.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LogoutAnswer {
    /// Always 0.
    pub code: i32,
    /// The request's seq.
    pub seq: u64,
}

/// The body of every refusal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Refusal {
    /// One of [`crate::code`].
    pub code: i32,
    /// What happened, for people.
    pub message: String,
    /// The request's instance; empty if the request could not be read.
    #[serde(default)]
    pub instance: String,
    /// The request's seq; 0 if the request could not be read.
    #[serde(default)]
    pub seq: u64,
    /// Who took the session over, with 6208.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kick: Option<Kick>,
}

/// Why a session was taken over, and by whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Kick {
    /// What took the session over.
    pub cause: KickCause,
    /// The platform of the device that took it over.
    pub platform: Option<Platform>,
    /// The name of that device.
    #[serde(default)]
    pub device_name: String,
    /// When, in ms of Unix time.
    pub time_ms: i64,
}

/// What took a session over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KickCause {
    /// A login of the same user on another device.
    OtherDevice,
    /// Another login or resume with the same device id.
    SameDevice,
    /// The operator.
    Operator,
    /// A cause unknown to this version.
    #[serde(other)]
    Unknown,
}

/// The first event of a stream: the login or resume was accepted.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SessionEvent {
    /// The session token; a resume may replace it.
    pub session: String,
    /// Orders a user's logins: in ms of Unix time, or above that if clocks stood still.
    pub epoch: u64,
    /// The server's Unix time in ms.
    pub server_time_ms: i64,
    /// How often an idle stream carries a heartbeat, in ms.
    pub heartbeat_ms: u64,
    /// The period over which the first reconnects are to be spread, in ms.
    pub spread_ms: u64,
    /// The end of the ticket, in ms of Unix time.
    pub user_sig_expires_ms: i64,
    /// The request's instance.
    pub instance: String,
    /// The request's seq.
    pub seq: u64,
}

/// The end of a stream, with a code: `user_sig_expired` and `session_ended`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EndEvent {
    /// One of [`crate::code`].
    pub code: i32,
    /// What happened, for people.
    #[serde(default)]
    pub message: String,
}

/// The server is about to close the stream; the session remains.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GoingAwayEvent {
    /// When this client should come back, in ms from now.
    pub return_in_ms: u64,
}

/// The server's load has changed, and with it the period over which reconnects are to be spread.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SpreadEvent {
    /// The period over which the first reconnects are to be spread, in ms.
    pub spread_ms: u64,
}

/// One event of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum StreamEvent {
    /// Accepted: the stream's first event.
    Session(SessionEvent),
    /// Taken over by another login.
    Kicked(Kick),
    /// The ticket has ended.
    UserSigExpired(EndEvent),
    /// The session is over.
    SessionEnded(EndEvent),
    /// The server is about to close the stream.
    GoingAway(GoingAwayEvent),
    /// The period for reconnects has changed.
    Spread(SpreadEvent),
}

impl StreamEvent {
    /// The event's name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            StreamEvent::Session(_) => "session",
            StreamEvent::Kicked(_) => "kicked",
            StreamEvent::UserSigExpired(_) => "user_sig_expired",
            StreamEvent::SessionEnded(_) => "session_ended",
            StreamEvent::GoingAway(_) => "going_away",
            StreamEvent::Spread(_) => "spread",
        }
    }

    /// The event as written on the stream.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Enough to avoid growing. A server that shuts down has an event for every stream at once.
        let mut bytes = Vec::with_capacity(match self {
            StreamEvent::Session(_) => 768,
            _ => 64,
        });
        bytes.extend_from_slice(b"event: ");
        bytes.extend_from_slice(self.name().as_bytes());
        bytes.extend_from_slice(b"\ndata: ");
        let written = match self {
            StreamEvent::Session(e) => serde_json::to_writer(&mut bytes, e),
            StreamEvent::Kicked(e) => serde_json::to_writer(&mut bytes, e),
            StreamEvent::UserSigExpired(e) | StreamEvent::SessionEnded(e) => {
                serde_json::to_writer(&mut bytes, e)
            }
            StreamEvent::GoingAway(e) => serde_json::to_writer(&mut bytes, e),
            StreamEvent::Spread(e) => serde_json::to_writer(&mut bytes, e),
        };
        debug_assert!(
            written.is_ok(),
            "strings and numbers are JSON, and memory takes them"
        );
        bytes.extend_from_slice(b"\n\n");
        bytes
    }

    /// The event with that name and data; `Ok(None)` for a name unknown to this version.
    pub fn parse(name: &str, data: &str) -> Result<Option<StreamEvent>, serde_json::Error> {
        Ok(Some(match name {
            "session" => StreamEvent::Session(serde_json::from_str(data)?),
            "kicked" => StreamEvent::Kicked(serde_json::from_str(data)?),
            "user_sig_expired" => StreamEvent::UserSigExpired(serde_json::from_str(data)?),
            "session_ended" => StreamEvent::SessionEnded(serde_json::from_str(data)?),
            "going_away" => StreamEvent::GoingAway(serde_json::from_str(data)?),
            "spread" => StreamEvent::Spread(serde_json::from_str(data)?),
            _ => return Ok(None),
        }))
    }
}

/// Leaves the token out, so that a session event may be printed.
impl std::fmt::Debug for SessionEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionEvent")
            .field("epoch", &self.epoch)
            .field("server_time_ms", &self.server_time_ms)
            .field("seq", &self.seq)
            .finish_non_exhaustive()
    }
}
