//! Codes that the server sends, and what each class of them means for a session.
//!
//! Numbers are those of the reference system where it has one for the same meaning.

/// What a client does about an answer from the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Keep the state and try again, after the time that the server requests.
    Retry,
    /// This ticket is dead: only a new one helps.
    NeedsTicket,
    /// The server has ended the session.
    Ended,
    /// The operator must change something: keep the state, try again, and report it.
    Configuration,
}

/// Another login of this user took the session over.
pub const KICKED_OFFLINE: i32 = 6208;
/// The user id is empty, too long or has control characters.
pub const INVALID_USER_ID: i32 = 7003;
/// The ticket has expired.
pub const USER_SIG_EXPIRED: i32 = 70001;
/// The ticket is empty.
pub const USER_SIG_EMPTY: i32 = 70002;
/// The ticket cannot be read: truncated, or not a ticket.
pub const USER_SIG_UNREADABLE: i32 = 70003;
/// The ticket's signature does not match this app's key.
pub const USER_SIG_WRONG_KEY: i32 = 70009;
/// The ticket was made for another user.
pub const USER_SIG_OTHER_USER: i32 = 70013;
/// The ticket was made for another app.
pub const USER_SIG_OTHER_APP: i32 = 70014;
/// The server has no key for this app.
pub const APP_KEY_NOT_FOUND: i32 = 70016;
/// The server does not know this app.
pub const APP_NOT_FOUND: i32 = 70020;
/// Too many tickets were refused; the client must wait.
pub const TOO_MANY_FAILURES: i32 = 70050;
/// The account is banned.
pub const BANNED: i32 = 70051;
/// The ticket was revoked.
pub const USER_SIG_REVOKED: i32 = 70052;
/// The account does not exist.
pub const ACCOUNT_NOT_FOUND: i32 = 70107;
/// Too many logins; the client must wait.
pub const LOGIN_TOO_OFTEN: i32 = 70114;
/// A time limit on the server was reached.
pub const SERVER_TIMEOUT: i32 = 70169;
/// The request does not follow the protocol.
pub const BAD_REQUEST: i32 = 70402;
/// The server failed.
pub const SERVER_ERROR: i32 = 70500;
/// The session token is not valid: log in again.
pub const SESSION_TOKEN_INVALID: i32 = 7726;
/// The server is overloaded (HTTP 503).
pub const SERVER_OVERLOADED: i32 = 7724;

/// The class of a server code; `None` for an unknown code, which decides nothing.
pub fn class(code: i32) -> Option<Class> {
    match code {
        TOO_MANY_FAILURES | LOGIN_TOO_OFTEN | SERVER_TIMEOUT | SERVER_ERROR | SERVER_OVERLOADED => {
            Some(Class::Retry)
        }
        USER_SIG_EXPIRED | USER_SIG_UNREADABLE | USER_SIG_WRONG_KEY | USER_SIG_OTHER_USER
        | USER_SIG_OTHER_APP | USER_SIG_REVOKED => Some(Class::NeedsTicket),
        KICKED_OFFLINE | BANNED | ACCOUNT_NOT_FOUND => Some(Class::Ended),
        APP_KEY_NOT_FOUND | APP_NOT_FOUND => Some(Class::Configuration),
        _ => None,
    }
}
