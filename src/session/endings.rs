//! Ends of earlier logins, and how the server learns of them: by a logout request while nobody is
//! logged in, or riding along with the next login.

use super::input::{CallId, Failure, Now};
use super::logging_in::{can_help, more_telling};
use super::verdict::Judged;
use super::{Action, GRACE_MS, Request, Session, State};
use crate::error;
use crate::reconnect::Backoff;
use tim_proto::{code, wire};

/// The bounds of the waits between the attempts to tell one ending.
const RETRY_FIRST_MS: u64 = 200;
const RETRY_MAX_MS: u64 = 2_000;

/// The endings that the server does not know of, oldest first.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Endings {
    pending: Vec<Pending>,
    /// How the oldest is being told; none while a login carries them all.
    attempt: Option<Attempt>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Pending {
    ending: wire::Ending,
    /// The logout that waits for it.
    call: Option<CallId>,
    /// When telling is given up. Set for a logout at once, otherwise when telling begins.
    deadline_ms: Option<u64>,
    backoff: Backoff,
    /// The failure that tells most of those so far.
    most_telling: Option<Failure>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Attempt {
    Requested { seq: u64 },
    Waiting { until_ms: u64 },
}

impl Endings {
    /// Whether the server knows of every ending.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Whether a logout waits.
    pub(super) fn has_call(&self) -> bool {
        self.pending.iter().any(|pending| pending.call.is_some())
    }

    pub(super) fn is_request(&self, number: u64) -> bool {
        matches!(self.attempt, Some(Attempt::Requested { seq }) if seq == number)
    }

    /// `telling`: nobody is logged in, so that they are told by requests of their own.
    pub(super) fn next_deadline(&self, telling: bool) -> Option<u64> {
        match self.attempt.filter(|_| telling) {
            Some(Attempt::Waiting { until_ms }) => Some(until_ms),
            Some(Attempt::Requested { .. }) => {
                let deadline = self.pending.first()?.deadline_ms?;
                Some(deadline.saturating_add(GRACE_MS))
            }
            // They ride along; a logout that waits keeps its own deadline.
            None => {
                let calls = self.pending.iter().filter(|pending| pending.call.is_some());
                calls.filter_map(|pending| pending.deadline_ms).min()
            }
        }
    }

    /// From now on a login carries them. Gives the request that is not needed any more.
    pub(super) fn ride_along(&mut self) -> Option<u64> {
        match self.attempt.take() {
            Some(Attempt::Requested { seq }) => Some(seq),
            _ => None,
        }
    }

    pub(super) fn wire(&self) -> Vec<wire::Ending> {
        self.pending
            .iter()
            .map(|pending| pending.ending.clone())
            .collect()
    }

    /// Nothing will be told any more. Gives the calls that waited.
    pub(super) fn abandon(&mut self) -> Vec<CallId> {
        self.attempt = None;
        self.pending
            .drain(..)
            .filter_map(|pending| pending.call)
            .collect()
    }
}

impl Session {
    pub(super) fn add_ending(&mut self, ending: wire::Ending, call: Option<CallId>, now: Now) {
        if self.endings.pending.len() == wire::ENDS_MAX {
            let oldest = self.endings.pending.remove(0);
            if let Some(call) = oldest.call {
                let code = oldest
                    .most_telling
                    .map_or(error::ERR_RESPONSE_TIMEOUT, |f| f.code);
                self.complete(call, code);
            }
        }
        let deadline = now.ms.saturating_add(self.limits.request_timeout_ms);
        self.endings.pending.push(Pending {
            ending,
            call,
            deadline_ms: call.map(|_| deadline),
            backoff: Backoff::new(RETRY_FIRST_MS, RETRY_MAX_MS),
            most_telling: None,
        });
    }

    /// The server has seen the login that carried them.
    pub(super) fn endings_ridden(&mut self) {
        for call in self.endings.abandon() {
            self.complete(call, error::OK);
        }
    }

    /// While nobody is logged in, the oldest ending is told.
    pub(super) fn tell_endings(&mut self, now: Now) {
        let idle = matches!(self.state, State::LoggedOut) && self.endings.attempt.is_none();
        if idle && !self.endings.pending.is_empty() {
            self.attempt_ending(now);
        }
    }

    fn attempt_ending(&mut self, now: Now) {
        let limit = self.limits.request_timeout_ms;
        let Some(oldest) = self.endings.pending.first_mut() else {
            return;
        };
        let deadline_ms = *oldest
            .deadline_ms
            .get_or_insert(now.ms.saturating_add(limit));
        let ends = oldest.ending.clone();
        self.seq += 1;
        let seq = self.seq;
        self.endings.attempt = Some(Attempt::Requested { seq });
        self.send(
            seq,
            Request::Logout(wire::LogoutRequest { ends, seq }),
            deadline_ms,
        );
    }

    pub(super) fn ending_answered(&mut self, judged: Judged, now: Now) {
        match judged {
            // A verdict too: there is nothing left that could be ended.
            Judged::LoggedOut | Judged::Verdict { .. } => self.end_ending(error::OK),
            Judged::NotNow { failure, .. } if failure.code == code::SESSION_TOKEN_INVALID => {
                self.end_ending(error::OK);
            }
            Judged::NotNow {
                failure,
                retry_after_ms,
            }
            | Judged::Trouble {
                failure,
                retry_after_ms,
            } => self.retry_ending(failure, retry_after_ms, now),
            // An answer to another kind of request.
            Judged::Accepted(_) => {}
        }
    }

    pub(super) fn ending_failed(&mut self, failure: Failure, now: Now) {
        self.retry_ending(failure, None, now);
    }

    fn retry_ending(&mut self, failure: Failure, retry_after_ms: Option<u64>, now: Now) {
        let Some(oldest) = self.endings.pending.first_mut() else {
            return;
        };
        let deadline = oldest.deadline_ms.unwrap_or(now.ms);
        let wait = oldest.backoff.next_ms(&mut self.jitter, retry_after_ms);
        let until_ms = now.ms.saturating_add(wait).min(deadline);
        let helps =
            can_help(failure.code) || retry_after_ms.is_some_and(|ms| now.ms + ms < deadline);
        let telling = more_telling(oldest.most_telling.take(), &failure);
        oldest.most_telling = Some(telling.clone());
        self.note(&failure, retry_after_ms);
        if !helps {
            self.end_ending(failure.code);
        } else if now.ms >= deadline {
            self.note(&telling, retry_after_ms);
            self.end_ending(telling.code);
        } else {
            self.endings.attempt = Some(Attempt::Waiting { until_ms });
        }
    }

    /// The oldest ending is told, or given up.
    fn end_ending(&mut self, code: i32) {
        self.endings.attempt = None;
        let call = self.endings.pending.remove(0).call;
        if let Some(call) = call {
            self.complete(call, code);
        }
    }

    pub(super) fn endings_tick(&mut self, now: Now) {
        match self.endings.attempt {
            Some(Attempt::Waiting { until_ms }) if now.ms >= until_ms => {
                let oldest = self.endings.pending.first();
                let over = oldest.and_then(|oldest| {
                    let over = oldest
                        .deadline_ms
                        .is_some_and(|deadline| now.ms >= deadline);
                    over.then(|| oldest.most_telling.clone())
                });
                match over {
                    Some(Some(failure)) => {
                        self.note(&failure, None);
                        self.end_ending(failure.code);
                    }
                    Some(None) => self.end_ending(error::ERR_RESPONSE_TIMEOUT),
                    None => self.attempt_ending(now),
                }
            }
            Some(Attempt::Requested { seq }) => {
                let oldest = self.endings.pending.first();
                let over = oldest
                    .and_then(|oldest| oldest.deadline_ms)
                    .is_some_and(|deadline| now.ms >= deadline.saturating_add(GRACE_MS));
                if over {
                    self.out.push(Action::Abandon { seq });
                    self.end_ending(error::ERR_RESPONSE_TIMEOUT);
                }
            }
            _ => {}
        }
        // A logout whose ending rides along with a login keeps its own deadline.
        for at in 0..self.endings.pending.len() {
            let pending = &mut self.endings.pending[at];
            let over = pending
                .deadline_ms
                .is_some_and(|deadline| now.ms >= deadline);
            if over
                && self.endings.attempt.is_none()
                && let Some(call) = pending.call.take()
            {
                let code = pending
                    .most_telling
                    .as_ref()
                    .map_or(error::ERR_RESPONSE_TIMEOUT, |failure| failure.code);
                pending.deadline_ms = None;
                self.complete(call, code);
            }
        }
    }
}
