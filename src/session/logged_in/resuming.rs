//! Logged in, and a resume is in progress: there is no stream.

use super::super::GRACE_MS;
use super::super::State;
use super::super::context::Context;
use super::super::failures::timed_out;
use super::super::input::{CallId, Failure, Input};
use super::super::verdict::Judged;
use super::renewal::Renewal;
use super::{LoggedIn, LoginMeans, accepted, earliest};
use crate::error;
use crate::secret::Secret;
use tim_proto::code::{self, Class};

#[derive(Clone, PartialEq, Eq, Hash)]
pub(in crate::session) struct Resuming {
    pub(in crate::session) session: LoggedIn,
    pub(super) seq: u64,
    pub(super) since_ms: u64,
    pub(super) deadline_ms: u64,
    /// A hint has joined this attempt.
    pub(super) hinted: bool,
    /// The renewal whose ticket the request carries.
    pub(super) renewal: Option<Renewal>,
}

impl Resuming {
    pub(in crate::session) fn next_deadline(&self, cx: &Context) -> Option<u64> {
        // The network ends the request at its deadline and says why.
        let request = self.deadline_ms.saturating_add(GRACE_MS);
        let hint = cx.hint_joins_until(self.since_ms);
        earliest([
            Some(request),
            self.hinted.then_some(hint),
            self.session.expiring_deadline(cx),
        ])
    }

    /// One step.
    pub(in crate::session) fn handle(mut self: Box<Self>, input: Input, cx: &mut Context) -> State {
        match input {
            Input::Login {
                call,
                user_id,
                user_sig,
            } => match self.session.judge_login(call, &user_id, &user_sig, cx) {
                LoginMeans::Nothing => State::Resuming(self),
                LoginMeans::Renewal => self.renew(call, user_sig, cx),
                LoginMeans::Switch => {
                    let session = self.close(error::ERR_SUPERSEDED, cx);
                    session.switch(call, user_id, user_sig, cx)
                }
            },
            Input::Logout { call } => {
                let session = self.close(error::ERR_NOT_LOGGED_IN, cx);
                session.log_out(call, cx)
            }
            Input::Renew { call, user_sig } => self.renew(call, user_sig, cx),
            Input::Destroy => {
                let renewal = self.renewal.map(|renewal| renewal.call);
                State::destroyed(renewal.into_iter().collect(), cx)
            }
            Input::NetworkChanged => {
                self.hinted = true;
                State::Resuming(self)
            }
            Input::Woke => self.begin_anew(cx),
            Input::Answer { seq, answer } if seq == self.seq => {
                let judged = cx.judge(seq, answer);
                self.answered(judged, cx)
            }
            Input::Failed { seq, failure } if seq == self.seq => self.failed(&failure, None, cx),
            Input::Tick => {
                self.session.deliver_expiring(cx);
                if cx.is_past(self.deadline_ms.saturating_add(GRACE_MS)) {
                    cx.abandon(self.seq);
                    return self.failed(&timed_out(), None, cx);
                }
                if self.hinted && cx.is_past(cx.hint_joins_until(self.since_ms)) {
                    cx.hint_cut_off();
                    return self.begin_anew(cx);
                }
                State::Resuming(self)
            }
            // The request in progress will show whether the network works.
            Input::Foreground
            | Input::Answer { .. }
            | Input::Failed { .. }
            | Input::Received { .. }
            | Input::Stream { .. }
            | Input::StreamLost { .. } => State::Resuming(self),
        }
    }

    fn answered(self: Box<Self>, judged: Judged, cx: &mut Context) -> State {
        match judged {
            Judged::Accepted(event) => {
                let Resuming {
                    mut session,
                    seq,
                    renewal,
                    ..
                } = *self;
                if let Some(renewal) = renewal {
                    session.ticket = renewal.ticket;
                    cx.complete(renewal.call, error::OK);
                }
                accepted(session, seq, event, cx)
            }
            Judged::Verdict {
                class,
                failure,
                kick,
            } => {
                cx.note(&failure, None);
                let Resuming {
                    session, renewal, ..
                } = *self;
                match renewal {
                    // This concerns the new ticket only: the session itself has not been answered
                    // yet.
                    Some(renewal) if class == Class::NeedsTicket => {
                        renewal.refused(failure.code, cx);
                        session.resume(None, cx)
                    }
                    renewal => {
                        if let Some(renewal) = renewal {
                            renewal.end(error::ERR_NOT_LOGGED_IN, cx);
                        }
                        session.end(class, failure.code, kick, cx)
                    }
                }
            }
            Judged::NotNow {
                failure,
                retry_after_ms,
            }
            | Judged::Trouble {
                failure,
                retry_after_ms,
            } => self.failed(&failure, retry_after_ms, cx),
            // An answer to a different kind of request.
            Judged::LoggedOut => State::Resuming(self),
        }
    }

    /// Network trouble, or a server that cannot answer now: the user stays logged in.
    fn failed(
        self: Box<Self>,
        failure: &Failure,
        retry_after_ms: Option<u64>,
        cx: &mut Context,
    ) -> State {
        let Resuming {
            mut session,
            mut renewal,
            ..
        } = *self;
        session.token_is_void |= failure.code == code::SESSION_TOKEN_INVALID;
        cx.note(failure, retry_after_ms);
        if let Some(renewal) = &mut renewal {
            renewal.attempt_failed(failure);
        }
        session.attempt_failed(failure, retry_after_ms, renewal, cx)
    }

    /// The request may be on a network that no longer exists.
    fn begin_anew(self: Box<Self>, cx: &mut Context) -> State {
        cx.abandon(self.seq);
        self.session.resume(self.renewal, cx)
    }

    /// A newer ticket replaces the one in progress.
    fn renew(self: Box<Self>, call: CallId, ticket: Secret, cx: &mut Context) -> State {
        let Some(renewal) = Renewal::begin(call, ticket, cx) else {
            return State::Resuming(self);
        };
        let session = self.close(error::ERR_SUPERSEDED, cx);
        session.resume(Some(renewal), cx)
    }

    /// Drops the request, and ends the renewal with `code`.
    fn close(self: Box<Self>, code: i32, cx: &mut Context) -> LoggedIn {
        if let Some(renewal) = self.renewal {
            renewal.end(code, cx);
        }
        cx.abandon(self.seq);
        self.session
    }
}
