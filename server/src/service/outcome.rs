//! Turns results of the store and the rules into refusals.

use crate::refused::Refused;
use crate::store::StoreError;
use crate::user::{Outcome, Session, User};
use tim_proto::code;

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
            code::KICKED_OFFLINE,
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
