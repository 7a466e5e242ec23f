//! The table of error codes: number, name, message, and whether retrying can help.
//!
//! Where the reference system has a number for a meaning, libtim uses that number; 7700 to 7799 are
//! its own. Numbers are never reused. `include/tim.h` and `docs/errors.md` are generated from this
//! table.

use std::ffi::CStr;
use tim_proto::code as server;

/// One row of the table.
pub struct Entry {
    /// The number that functions return and callbacks carry.
    pub code: i32,
    /// The name of the constant in C.
    pub name: &'static CStr,
    /// What happened and what to do about it.
    pub message: &'static CStr,
    /// The same call may succeed later, unchanged.
    pub retryable: bool,
}

/// Declares each code once, as its constant and its row.
macro_rules! table {
    ($($constant:ident = $code:expr, $retryable:ident, $message:literal;)*) => {
        $(#[doc = concat!("`", stringify!($constant), "`: see its row in [`TABLE`].")]
        pub const $constant: i32 = $code;)*

        /// Every code, by number.
        pub const TABLE: &[Entry] = &[
            $(Entry {
                code: $constant,
                name: name(concat!("TIM_", stringify!($constant), "\0")),
                message: name(concat!($message, "\0")),
                retryable: table!(@ $retryable),
            },)*
        ];
    };
    (@ retry) => { true };
    (@ final) => { false };
}

/// A C string from text that ends with its NUL; anything else fails to compile.
const fn name(text: &'static str) -> &'static CStr {
    match CStr::from_bytes_with_nul(text.as_bytes()) {
        Ok(text) => text,
        Err(_) => panic!("a NUL inside a text of the table"),
    }
}

table! {
    OK = 0, final, "success";

    ERR_NOT_LOGGED_IN = 6014, final, "nobody is logged in: log in first";
    ERR_LOGGED_OUT_DURING_LOGIN = 6023, final, "a logout ended this login";
    ERR_USER_SIG_EXPIRED_LOCALLY = 6206, final, "the ticket has expired by the server's clock: log in with a new one";
    ERR_KICKED_OFFLINE = server::KICKED_OFFLINE, final, "another login of this user took this session over: log in again to take it back";
    ERR_TOO_MANY_CALLS = 6212, retry, "64 calls of this client are pending: wait for one to complete";
    ERR_INVALID_USER_ID = server::INVALID_USER_ID, final, "invalid user id: expected 1 to 32 bytes of UTF-8 without control characters such as line ends";
    ERR_INTERRUPTED = 7009, final, "the client was destroyed before the call completed";
    ERR_LOGIN_IN_PROGRESS = 7501, retry, "a login is in progress: wait for it to complete";
    ERR_LOGOUT_IN_PROGRESS = 7502, retry, "a logout is in progress: wait for it to complete";

    ERR_SUPERSEDED = 7700, final, "a later call replaced this one";
    ERR_IN_CALLBACK = 7701, final, "called inside a callback, so the call did not wait: it has taken effect, but a callback may still be running";
    ERR_BUSY = 7702, retry, "a callback is still running: the call has taken effect; call again to wait for the callback";
    ERR_CLOSING = 7703, final, "the client is being destroyed";
    ERR_FORKED = 7704, final, "this client belongs to the parent process: create a new one after fork";
    ERR_NO_SUCH_CLIENT = 7705, final, "no such client: the handle is invalid or its client was destroyed";
    ERR_DEVICE_IN_USE = 7706, final, "another client of this process has the same server_url, sdk_app_id and device_id: destroy it or use another device_id";
    ERR_WRONG_DELIVERY_MODE = 7707, final, "this does not fit the client's event_delivery: callbacks need \"callback\", polls and wake-ups need \"poll\"";
    ERR_TIMEOUT = 7708, retry, "nothing arrived in time";
    ERR_BUFFER_TOO_SMALL = 7709, final, "the buffer is too small: the required length was stored";
    ERR_INVALID_UTF8 = 7710, final, "a string is not valid UTF-8";
    ERR_NULL_ARGUMENT = 7711, final, "a required argument is NULL";
    ERR_PANIC = 7712, final, "internal error, a bug in libtim: please report it";
    ERR_TLS = 7713, retry, "the TLS handshake failed";
    ERR_CERTIFICATE = 7714, final, "the server's certificate was rejected: check its name, dates and authority, or set ca_file";
    ERR_HTTP = 7715, retry, "a gateway in front of the server returned an HTTP error";
    ERR_NOT_TIM_SERVER = 7716, final, "the response did not come from a tim-server: check server_url and whether this network requires a sign-in page";
    ERR_PROXY = 7717, retry, "the proxy could not connect to the server";
    ERR_PROXY_AUTH = 7718, final, "the proxy requires a user name and password: check the proxy key of the configuration";
    ERR_INVALID_CONFIG = 7719, final, "invalid configuration: the error text names the key";
    ERR_INVALID_ARGUMENT = 7720, final, "an argument is out of range";
    ERR_SERVER_TIME_UNKNOWN = 7721, retry, "the server's time is unknown before the first login";
    ERR_PLAINTEXT_REFUSED = 7722, final, "http:// is allowed only for this machine: use https:// or set allow_plaintext";
    ERR_TOO_MANY_CLIENTS = 7723, final, "this process has the maximum number of clients: destroy one first";
    ERR_SERVER_OVERLOADED = server::SERVER_OVERLOADED, retry, "the server is overloaded: try again after retry_after_ms, see tim_get_last_error";
    ERR_SYSTEM = 7725, retry, "the system is out of threads, sockets or memory";

    ERR_SESSION_TOKEN_INVALID = server::SESSION_TOKEN_INVALID, retry, "the session token is no longer valid";
    ERR_ALREADY_POLLING = 7727, retry, "another thread is polling this client: only one may at a time";
    ERR_NAME_IN_USE = 7728, final, "another client of this process has this name: adopt it with tim_client_find, or use another name";

    ERR_CONNECT_TIMEOUT = 9510, retry, "the connection timed out: check the address and firewalls";
    ERR_CONNECT_REFUSED = 9511, retry, "connection refused: check that tim-server is running and that the port is right";
    ERR_NETWORK_UNREACHABLE = 9512, retry, "the server is unreachable: check the network";
    ERR_NO_SOCKET = 9513, retry, "the system is out of sockets or buffers";
    ERR_CONNECTION_RESET = 9514, retry, "the connection was lost";
    ERR_NAME_NOT_FOUND = 9516, retry, "the server's name could not be resolved: check server_url and the network";
    ERR_RESPONSE_TIMEOUT = 9520, retry, "connected, but the server did not respond in time";

    ERR_USER_SIG_EXPIRED = server::USER_SIG_EXPIRED, final, "the ticket has expired: log in with a new one";
    ERR_USER_SIG_EMPTY = server::USER_SIG_EMPTY, final, "the ticket is empty: make one on your backend";
    ERR_USER_SIG_UNREADABLE = server::USER_SIG_UNREADABLE, final, "the ticket is malformed: check that it is complete and at most 4096 bytes long";
    ERR_USER_SIG_WRONG_KEY = server::USER_SIG_WRONG_KEY, final, "the ticket was not signed with this app's key, or was altered: check the key that your backend uses";
    ERR_USER_SIG_OTHER_USER = server::USER_SIG_OTHER_USER, final, "the ticket belongs to another user: make one for this user id";
    ERR_USER_SIG_OTHER_APP = server::USER_SIG_OTHER_APP, final, "the ticket belongs to another app: check sdk_app_id and the key that your backend uses";
    ERR_APP_KEY_NOT_FOUND = server::APP_KEY_NOT_FOUND, final, "the server has no key for this app: its operator must add one";
    ERR_APP_NOT_FOUND = server::APP_NOT_FOUND, final, "the server does not know this app: check sdk_app_id";
    ERR_TOO_MANY_FAILURES = server::TOO_MANY_FAILURES, retry, "too many tickets were refused: check how your backend makes them and try again later";
    ERR_BANNED = server::BANNED, final, "the account is banned";
    ERR_USER_SIG_REVOKED = server::USER_SIG_REVOKED, final, "the ticket was revoked: log in with a new one";
    ERR_ACCOUNT_NOT_FOUND = server::ACCOUNT_NOT_FOUND, final, "the account does not exist";
    ERR_LOGIN_TOO_OFTEN = server::LOGIN_TOO_OFTEN, retry, "too many logins: try again after retry_after_ms, see tim_get_last_error";
    ERR_SERVER_TIMEOUT = server::SERVER_TIMEOUT, retry, "a time limit inside the server has passed";
    ERR_BAD_REQUEST = server::BAD_REQUEST, final, "the server does not understand this version of libtim";
    ERR_SERVER_ERROR = server::SERVER_ERROR, retry, "internal error of the server: try again";
}

/// The row of a code, if it has one.
pub fn entry(code: i32) -> Option<&'static Entry> {
    TABLE
        .binary_search_by_key(&code, |entry| entry.code)
        .ok()
        .map(|at| &TABLE[at])
}

/// The static text of a code; "unknown code" for a number outside the table.
pub fn message(code: i32) -> &'static CStr {
    entry(code).map_or(c"unknown code", |entry| entry.message)
}

/// The name of a code; "TIM_ERR_UNKNOWN" for a number outside the table.
pub fn name_of(code: i32) -> &'static CStr {
    entry(code).map_or(c"TIM_ERR_UNKNOWN", |entry| entry.name)
}

/// Whether the same call may succeed later, unchanged.
pub fn is_retryable(code: i32) -> bool {
    entry(code).is_some_and(|entry| entry.retryable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_has_no_number_twice() {
        assert!(TABLE.windows(2).all(|pair| pair[0].code < pair[1].code));
    }

    #[test]
    fn every_code_of_the_server_has_a_row_and_a_fitting_retryable() {
        for code in 0..=100_000 {
            let Some(class) = server::class(code) else {
                continue;
            };
            let entry = entry(code).unwrap_or_else(|| panic!("{code} has no row"));
            assert_eq!(
                entry.retryable,
                class == server::Class::Retry,
                "{:?}",
                entry.name
            );
        }
    }

    #[test]
    fn an_unknown_code_has_texts_too() {
        assert_eq!(message(1), c"unknown code");
        assert_eq!(name_of(1), c"TIM_ERR_UNKNOWN");
        assert!(!is_retryable(1));
    }
}
