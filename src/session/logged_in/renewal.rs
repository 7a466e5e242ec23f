//! A ticket that takes the place of the session's: the app's call, its attempts, and how it ends.

use super::super::input::{CallId, Failure, Now};
use super::super::logging_in::more_telling;
use super::super::{Action, Request, Session};
use super::Link;
use crate::error;
use crate::secret::Secret;
use tim_proto::wire;

/// A ticket that the server has not accepted yet.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(in crate::session) struct Renewal {
    pub(in crate::session) call: CallId,
    pub(super) ticket: Secret,
    pub(super) deadline_ms: u64,
    /// The request that carries it.
    pub(super) seq: Option<u64>,
    /// The failure that tells most of those so far.
    pub(super) most_telling: Option<Failure>,
}

impl Session {
    /// A new ticket for the user who is logged in.
    pub(in crate::session) fn renew_session(&mut self, call: CallId, ticket: Secret, now: Now) {
        self.end_renewal(error::ERR_SUPERSEDED);
        let deadline_ms = now.ms.saturating_add(self.limits.request_timeout_ms);
        let Some(session) = self.session_mut() else {
            return;
        };
        session.renewal = Some(Renewal {
            call,
            ticket: ticket.clone(),
            deadline_ms,
            seq: None,
            most_telling: None,
        });
        match session.link {
            // Make before break: the stream stays until the server has accepted the ticket.
            Link::Streaming { .. } => {
                let token = session.token.reveal().to_owned();
                let number = self.next_number();
                let seq = number.seq;
                if let Some(renewal) = self.session_mut().and_then(|s| s.renewal.as_mut()) {
                    renewal.seq = Some(seq);
                }
                let request = wire::ResumeRequest {
                    session: token,
                    instance: number.instance,
                    login_no: number.login_no,
                    seq,
                    user_sig: Some(ticket.reveal().to_owned()),
                };
                self.send(seq, Request::Resume(request), deadline_ms);
            }
            Link::Requested { seq, .. } => {
                self.out.push(Action::Abandon { seq });
                self.resume(now);
            }
            Link::Waiting { .. } => self.resume(now),
        }
    }

    /// The renewal, if there is one, is over with `code`; its request, if it has one of its own and
    /// not the resume's, is dropped.
    pub(super) fn end_renewal(&mut self, code: i32) {
        let Some(session) = self.session_mut() else {
            return;
        };
        let resume = match session.link {
            Link::Requested { seq, .. } => Some(seq),
            Link::Streaming { .. } | Link::Waiting { .. } => None,
        };
        if let Some(renewal) = session.renewal.take() {
            if let Some(seq) = renewal.seq.filter(|seq| resume != Some(*seq)) {
                self.out.push(Action::Abandon { seq });
            }
            self.complete(renewal.call, code);
        }
    }

    /// An attempt to renew came to nothing. Beside a stream it was the only one; without, the next
    /// resume is another, until the deadline.
    pub(super) fn renewal_failed(
        &mut self,
        failure: &Failure,
        retry_after_ms: Option<u64>,
        streaming: bool,
        now: Now,
    ) {
        let Some(renewal) = self.session_mut().and_then(|s| s.renewal.as_mut()) else {
            return;
        };
        let telling = more_telling(renewal.most_telling.take(), failure);
        renewal.most_telling = Some(telling);
        renewal.seq = None;
        if streaming || now.ms >= renewal.deadline_ms {
            self.renewal_ran_out(retry_after_ms);
        }
    }

    /// The renewal completes with what went wrong most tellingly.
    pub(super) fn renewal_ran_out(&mut self, retry_after_ms: Option<u64>) {
        let failure = self
            .session_mut()
            .and_then(|session| session.renewal.as_mut())
            .and_then(|renewal| renewal.most_telling.take());
        if let Some(failure) = &failure {
            self.note(failure, retry_after_ms);
        }
        self.end_renewal(failure.map_or(error::ERR_RESPONSE_TIMEOUT, |failure| failure.code));
    }
}
