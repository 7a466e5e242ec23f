//! A ticket that is to replace the session's, and the call that waits for it.

use super::super::context::Context;
use super::super::failures::more_telling;
use super::super::input::{CallId, Failure};
use crate::error;
use crate::secret::Secret;

/// A ticket that the server has not accepted yet.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Renewal {
    pub(super) call: CallId,
    pub(super) ticket: Secret,
    pub(super) deadline_ms: u64,
    /// The most telling failure so far.
    most_telling: Option<Failure>,
}

impl Renewal {
    /// Starts with a new ticket for the logged-in user. If it is dead, the call completes and there
    /// is no renewal.
    pub(super) fn begin(call: CallId, ticket: Secret, cx: &mut Context) -> Option<Renewal> {
        if cx.is_dead(&ticket) {
            cx.complete(call, error::ERR_USER_SIG_EXPIRED_LOCALLY);
            return None;
        }
        Some(Renewal {
            call,
            ticket,
            deadline_ms: cx.after(cx.limits.request_timeout_ms),
            most_telling: None,
        })
    }

    /// Completes if the ticket has died since it was passed.
    pub(super) fn unless_dead(self, cx: &mut Context) -> Option<Renewal> {
        if cx.is_dead(&self.ticket) {
            self.end(error::ERR_USER_SIG_EXPIRED_LOCALLY, cx);
            return None;
        }
        Some(self)
    }

    /// Completes with `code`.
    pub(super) fn end(self, code: i32, cx: &mut Context) {
        cx.complete(self.call, code);
    }

    /// The server refused the ticket: that ends the renewal but not the session.
    pub(super) fn refused(self, code: i32, cx: &mut Context) {
        cx.tickets.refused(&self.ticket, code);
        self.end(code, cx);
    }

    /// An attempt failed.
    pub(super) fn attempt_failed(&mut self, failure: &Failure) {
        self.most_telling = Some(more_telling(self.most_telling.take(), failure));
    }

    /// Completes with the most telling failure: no time is left, or no attempt.
    pub(super) fn ran_out(self, retry_after_ms: Option<u64>, cx: &mut Context) {
        if let Some(failure) = &self.most_telling {
            cx.note(failure, retry_after_ms);
        }
        let failure = self.most_telling.as_ref();
        let code = failure.map_or(error::ERR_RESPONSE_TIMEOUT, |failure| failure.code);
        self.end(code, cx);
    }
}
