//! How failures are ranked: whether another attempt can help, and which of several is the most
//! telling.

use super::input::{Failure, Phase};
use crate::error;

/// A failure on this device, with the message from the table.
pub(super) fn local(code: i32) -> Failure {
    Failure {
        code,
        phase: Phase::Local,
        cause: error::message(code).to_string_lossy().into_owned(),
        address: String::new(),
    }
}

/// A request that reached its deadline.
pub(super) fn timed_out() -> Failure {
    Failure {
        code: error::ERR_RESPONSE_TIMEOUT,
        phase: Phase::Response,
        cause: "no answer within the time limit".to_owned(),
        address: String::new(),
    }
}

/// A stream without a byte for two and a half heartbeats.
pub(super) fn silent() -> Failure {
    Failure {
        code: error::ERR_RESPONSE_TIMEOUT,
        phase: Phase::Stream,
        cause: "the server was silent for two and a half heartbeats".to_owned(),
        address: String::new(),
    }
}

/// Whether another attempt can help.
pub(super) fn can_help(code: i32) -> bool {
    matches!(
        code,
        error::ERR_NAME_NOT_FOUND
            | error::ERR_NETWORK_UNREACHABLE
            | error::ERR_CONNECT_REFUSED
            | error::ERR_CONNECT_TIMEOUT
            | error::ERR_RESPONSE_TIMEOUT
            | error::ERR_CONNECTION_RESET
            | error::ERR_TLS
            | error::ERR_PROXY
            | error::ERR_HTTP
            | error::ERR_SERVER_ERROR
            | error::ERR_SERVER_TIMEOUT
    )
}

/// The more telling of the best failure so far and the newest; of equals, the newest.
pub(super) fn more_telling(best: Option<Failure>, newest: &Failure) -> Failure {
    match best {
        Some(best) if rank(best.code) > rank(newest.code) => best,
        _ => newest.clone(),
    }
}

/// Ranks the failures of a call that ran out of time: the one that got furthest is the most
/// telling.
fn rank(code: i32) -> u8 {
    match code {
        error::ERR_NAME_NOT_FOUND => 0,
        error::ERR_NETWORK_UNREACHABLE => 1,
        error::ERR_CONNECT_REFUSED => 2,
        error::ERR_CONNECT_TIMEOUT => 3,
        error::ERR_PROXY => 4,
        error::ERR_RESPONSE_TIMEOUT => 5,
        error::ERR_CONNECTION_RESET => 6,
        error::ERR_TLS => 7,
        _ => 8,
    }
}
