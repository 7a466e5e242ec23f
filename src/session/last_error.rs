//! The last failure, as `tim_get_last_error` reports it.

use super::input::Phase;

/// The last failure of a client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LastError {
    /// The login that it belongs to.
    pub login_id: u64,
    /// A code of the table.
    pub code: i32,
    /// How far the request got.
    pub phase: Phase,
    /// The cause in words, without secrets.
    pub cause: String,
    /// The address that was tried; empty if there was none.
    pub address: String,
    /// How long to wait before the next attempt; 0 if unspecified.
    pub retry_after_ms: u64,
}
