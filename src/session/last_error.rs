//! What `tim_get_last_error` tells.

use super::input::Phase;

/// The last failure of a client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LastError {
    /// The login that it belongs to.
    pub login_id: u64,
    /// A code of the table.
    pub code: i32,
    /// How far the request came.
    pub phase: Phase,
    /// The cause in words, without secrets.
    pub cause: String,
    /// The address that was tried; empty where there was none.
    pub address: String,
    /// How long to wait before the next try; 0 where nobody said.
    pub retry_after_ms: u64,
}
