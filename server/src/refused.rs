//! Refusals of requests.

use tim_proto::code;
use tim_proto::wire::Kick;

/// A refusal: the code, the message, and who took the session over.
pub struct Refused {
    pub code: i32,
    pub message: String,
    pub kick: Option<Kick>,
    /// How long to wait, if the server knows.
    pub retry_after_ms: Option<i64>,
}

impl Refused {
    pub fn new(code: i32, message: impl Into<String>) -> Refused {
        Refused {
            code,
            message: message.into(),
            kick: None,
            retry_after_ms: None,
        }
    }

    /// The refusal of an expired ticket.
    pub fn user_sig_expired() -> Refused {
        Refused::new(code::USER_SIG_EXPIRED, "the ticket has expired")
    }
}
