//! Endings of earlier logins that the server does not know about yet, and the logouts that wait for
//! them. They travel in logout requests while nobody is logged in, or with the next login.

use super::context::Context;
use super::input::{CallId, Failure};
use crate::error;
use crate::reconnect::Backoff;
use crate::secret::Secret;
use tim_proto::wire;

/// The bounds of the waits between the attempts to deliver one ending.
const RETRY_FIRST_MS: u64 = 200;
const RETRY_MAX_MS: u64 = 2_000;

/// The pending endings, oldest first.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Endings(Vec<Pending>);

#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Pending {
    pub(super) ending: wire::Ending,
    /// The logout that waits for it.
    pub(super) call: Option<CallId>,
    /// When it is given up. Set at once for a logout, otherwise by its first request.
    pub(super) deadline_ms: Option<u64>,
    pub(super) backoff: Backoff,
    /// The most telling failure so far.
    pub(super) most_telling: Option<Failure>,
}

impl Pending {
    /// The code of a logout that has run out of time.
    pub(super) fn ran_out(&self) -> i32 {
        let failure = self.most_telling.as_ref();
        failure.map_or(error::ERR_RESPONSE_TIMEOUT, |failure| failure.code)
    }

    /// Whether it names its login by a dead ticket: then there is nothing left to end.
    fn has_dead_ticket(&self, cx: &Context) -> bool {
        match &self.ending {
            wire::Ending::Session { .. } => false,
            wire::Ending::Login { user_sig, .. } => cx.is_dead(&Secret::new(user_sig.as_str())),
        }
    }
}

impl Endings {
    /// Whether a logout is waiting.
    pub(super) fn has_call(&self) -> bool {
        self.0.iter().any(|pending| pending.call.is_some())
    }

    pub(super) fn oldest(&mut self) -> Option<&mut Pending> {
        self.0.first_mut()
    }

    /// Adds an ending. Beyond what a request can carry, the oldest is dropped.
    pub(super) fn add(&mut self, ending: wire::Ending, call: Option<CallId>, cx: &mut Context) {
        if self.0.len() == wire::ENDS_MAX {
            let oldest = self.0.remove(0);
            if let Some(call) = oldest.call {
                cx.complete(call, oldest.ran_out());
            }
        }
        let deadline = cx.after(cx.limits.request_timeout_ms);
        self.0.push(Pending {
            ending,
            call,
            deadline_ms: call.map(|_| deadline),
            backoff: Backoff::new(RETRY_FIRST_MS, RETRY_MAX_MS),
            most_telling: None,
        });
    }

    /// Completes the oldest: delivered, or given up.
    pub(super) fn end_oldest(&mut self, code: i32, cx: &mut Context) {
        if let Some(call) = self.0.remove(0).call {
            cx.complete(call, code);
        }
    }

    /// Drops those with dead tickets.
    pub(super) fn drop_dead(&mut self, cx: &mut Context) {
        let (dead, alive): (Vec<_>, Vec<_>) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|pending| pending.has_dead_ticket(cx));
        self.0 = alive;
        for call in dead.into_iter().filter_map(|pending| pending.call) {
            cx.complete(call, error::OK);
        }
    }

    /// The endings in the form a login carries.
    pub(super) fn wire(&self) -> Vec<wire::Ending> {
        self.0
            .iter()
            .map(|pending| pending.ending.clone())
            .collect()
    }

    /// The server has processed the login that carried them.
    pub(super) fn delivered(&mut self, cx: &mut Context) {
        for call in self.abandon() {
            cx.complete(call, error::OK);
        }
    }

    /// Gives up on all of them. Returns the logouts that were waiting.
    pub(super) fn abandon(&mut self) -> Vec<CallId> {
        self.0
            .drain(..)
            .filter_map(|pending| pending.call)
            .collect()
    }

    /// The next deadline of a logout whose ending a login carries.
    pub(super) fn next_deadline(&self) -> Option<u64> {
        let waiting = self.0.iter().filter(|pending| pending.call.is_some());
        waiting.filter_map(|pending| pending.deadline_ms).min()
    }

    /// A logout whose ending a login carries keeps its own deadline.
    pub(super) fn tick(&mut self, cx: &mut Context) {
        for pending in &mut self.0 {
            let over = pending
                .deadline_ms
                .is_some_and(|deadline| cx.is_past(deadline));
            if over && let Some(call) = pending.call.take() {
                pending.deadline_ms = None;
                cx.complete(call, pending.ran_out());
            }
        }
    }
}
