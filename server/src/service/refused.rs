//! Why a request is refused.

use crate::store::StoreError;
use crate::user::{Outcome, Session, User};
use tim_proto::code;
use tim_proto::wire::Kick;

/// A refusal: the code, what to tell people, and who took the session over.
pub struct Refused {
    pub code: i32,
    pub message: String,
    pub kick: Option<Kick>,
    /// How long to wait, where the server knows it.
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

    /// A ticket whose time has passed.
    pub fn user_sig_expired() -> Refused {
        Refused::new(code::USER_SIG_EXPIRED, "the ticket has expired")
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Refused {
        match error {
            StoreError::Unavailable(_) => {
                tracing::debug!("{error}");
                Refused::new(code::SERVER_OVERLOADED, "the server's store is away")
            }
            StoreError::Unconfirmed(_) => {
                tracing::warn!("{error}");
                Refused::new(code::SERVER_OVERLOADED, error.to_string())
            }
            StoreError::Failed(_) => {
                tracing::error!("{error}");
                Refused::new(
                    code::SERVER_ERROR,
                    "the server could not write to its store",
                )
            }
        }
    }
}

/// The session of an accepted outcome.
pub(super) fn accepted(user: &User, outcome: Outcome) -> Result<Session, Refused> {
    let displaced = |kick| Refused {
        kick,
        ..Refused::new(
            code::KICKED_WHILE_OFFLINE,
            "the session was taken over or has ended",
        )
    };
    match outcome {
        Outcome::Accepted(session_id) => user
            .session(session_id)
            .cloned()
            .ok_or_else(|| displaced(None)),
        Outcome::Displaced(kick) => Err(displaced(kick)),
        Outcome::Ghost => Err(Refused::new(
            code::BAD_REQUEST,
            "a later request of this client has been seen: this one has no effect",
        )),
        Outcome::TooOften { retry_after_ms } => Err(Refused {
            retry_after_ms: Some(retry_after_ms),
            ..Refused::new(
                code::LOGIN_TOO_OFTEN,
                "two devices take this session from each other again and again",
            )
        }),
    }
}
