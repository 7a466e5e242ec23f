//! Logged in, and a renewal is in progress beside the stream.

use super::super::context::Context;
use super::super::failures::{silent, timed_out};
use super::super::input::{CallId, Failure, Input};
use super::super::verdict::Judged;
use super::super::{GRACE_MS, State};
use super::renewal::Renewal;
use super::stream::Stream;
use super::streaming::Streaming;
use super::{LoggedIn, LoginMeans, accepted, earliest};
use crate::error;
use crate::secret::Secret;
use tim_proto::bounds;
use tim_proto::code::{self, Class};
use tim_proto::wire::StreamEvent;

/// How long a renewal's answer may follow the end of the stream that it replaces.
const TAKEOVER_MS: u64 = 1_000;

#[derive(Clone, PartialEq, Eq, Hash)]
pub(in crate::session) struct Renewing {
    pub(in crate::session) session: LoggedIn,
    old: OldStream,
    renewal: Renewal,
    /// The request that carries the new ticket.
    seq: u64,
    since_ms: u64,
    /// A hint has joined the request.
    hinted: bool,
}

/// The stream that the renewal will replace.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum OldStream {
    Open(Stream),
    /// The server closes it when it accepts the renewal, and the close may arrive before the
    /// answer: until then there is no gap to report.
    Lost {
        until_ms: u64,
    },
}

impl Renewing {
    /// Sends the new ticket beside the stream.
    pub(super) fn begin(
        session: LoggedIn,
        stream: Stream,
        renewal: Renewal,
        cx: &mut Context,
    ) -> State {
        let number = cx.next_number();
        let seq = number.seq;
        let request = session.resume_request(number, Some(&renewal.ticket));
        cx.send(seq, request, renewal.deadline_ms);
        State::Renewing(Box::new(Renewing {
            session,
            old: OldStream::Open(stream),
            renewal,
            seq,
            since_ms: cx.now.ms,
            hinted: false,
        }))
    }

    #[cfg(test)]
    pub(in crate::session) fn has_stream(&self) -> bool {
        matches!(self.old, OldStream::Open(_))
    }

    pub(in crate::session) fn next_deadline(&self, cx: &Context) -> Option<u64> {
        let stream = match self.old {
            OldStream::Open(stream) => stream.silent_at(self.session.heartbeat_ms),
            OldStream::Lost { until_ms } => until_ms,
        };
        earliest([
            Some(stream),
            // The network ends the request at its deadline and says why.
            Some(self.renewal.deadline_ms.saturating_add(GRACE_MS)),
            self.hinted.then_some(cx.hint_joins_until(self.since_ms)),
            self.session.expiring_deadline(cx),
        ])
    }

    fn is_stream(&self, seq: u64) -> bool {
        matches!(self.old, OldStream::Open(stream) if stream.seq == seq)
    }

    /// One step.
    pub(in crate::session) fn handle(mut self: Box<Self>, input: Input, cx: &mut Context) -> State {
        match input {
            Input::Login {
                call,
                user_id,
                user_sig,
            } => match self.session.judge_login(call, &user_id, &user_sig, cx) {
                LoginMeans::Nothing => State::Renewing(self),
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
            Input::Destroy => State::destroyed(vec![self.renewal.call], cx),
            Input::NetworkChanged => {
                self.hinted = true;
                State::Renewing(self)
            }
            Input::Woke => self.probe(cx),
            Input::Answer { seq, answer } if seq == self.seq => {
                let judged = cx.judge(seq, answer);
                self.answered(judged, cx)
            }
            Input::Failed { seq, failure } if seq == self.seq => self.failed(&failure, None, cx),
            Input::Received { seq } => {
                if let OldStream::Open(stream) = &mut self.old
                    && stream.seq == seq
                {
                    stream.received(cx);
                }
                State::Renewing(self)
            }
            Input::Stream { seq, event } if self.is_stream(seq) => self.event(event, cx),
            Input::StreamLost { seq, failure } if self.is_stream(seq) => self.lost(&failure, cx),
            Input::Tick => self.tick(cx),
            // The request in progress will show whether the network works.
            Input::Foreground
            | Input::Answer { .. }
            | Input::Failed { .. }
            | Input::Stream { .. }
            | Input::StreamLost { .. } => State::Renewing(self),
        }
    }

    fn event(mut self: Box<Self>, event: StreamEvent, cx: &mut Context) -> State {
        match event {
            StreamEvent::Kicked(kick) => {
                let session = self.close(error::ERR_NOT_LOGGED_IN, cx);
                let code = error::ERR_KICKED_OFFLINE;
                session.end(Class::Ended, code, Some(kick), cx)
            }
            StreamEvent::UserSigExpired(end) => {
                let session = self.close(error::ERR_NOT_LOGGED_IN, cx);
                session.end(Class::NeedsTicket, end.code, None, cx)
            }
            StreamEvent::SessionEnded(end) => match code::class(end.code) {
                Some(class @ (Class::NeedsTicket | Class::Ended)) => {
                    let session = self.close(error::ERR_NOT_LOGGED_IN, cx);
                    session.end(class, end.code, None, cx)
                }
                // Not a code that ends a session: a resume shows what it means.
                _ => self.probe(cx),
            },
            // The app is waiting for its renewal, so it does not wait for the time of return.
            StreamEvent::GoingAway(_) => {
                self.close_stream(cx);
                cx.disconnected(error::OK);
                cx.abandon(self.seq);
                self.session.resume(Some(self.renewal), cx)
            }
            StreamEvent::Spread(spread) => {
                self.session.spread_ms = bounds::SPREAD_MS.clamp(spread.spread_ms);
                State::Renewing(self)
            }
            StreamEvent::Session(_) => State::Renewing(self),
        }
    }

    fn lost(mut self: Box<Self>, failure: &Failure, cx: &mut Context) -> State {
        if let OldStream::Open(stream) = self.old {
            self.session.forget_backoff_after(&stream, cx);
        }
        self.old = OldStream::Lost {
            until_ms: cx.after(TAKEOVER_MS),
        };
        cx.note(failure, None);
        State::Renewing(self)
    }

    fn answered(self: Box<Self>, judged: Judged, cx: &mut Context) -> State {
        match judged {
            Judged::Accepted(event) => {
                let Renewing {
                    mut session,
                    old,
                    renewal,
                    seq,
                    ..
                } = *self;
                if let OldStream::Open(stream) = old {
                    cx.abandon(stream.seq);
                    session.forget_backoff_after(&stream, cx);
                }
                session.ticket = renewal.ticket;
                cx.complete(renewal.call, error::OK);
                accepted(session, seq, event, cx)
            }
            Judged::Verdict {
                class: Class::NeedsTicket,
                failure,
                ..
            } => {
                cx.note(&failure, None);
                self.renewal.refused(failure.code, cx);
                match self.old {
                    OldStream::Open(stream) => State::Streaming(Box::new(Streaming {
                        session: self.session,
                        stream,
                    })),
                    // The session itself has not been answered yet.
                    OldStream::Lost { .. } => self.session.resume(None, cx),
                }
            }
            Judged::Verdict {
                class,
                failure,
                kick,
            } => {
                cx.note(&failure, None);
                let session = self.close(error::ERR_NOT_LOGGED_IN, cx);
                session.end(class, failure.code, kick, cx)
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
            Judged::LoggedOut => State::Renewing(self),
        }
    }

    /// The attempt failed. Beside a stream it was the only one; without a stream, the next resume
    /// is another attempt, until the deadline.
    fn failed(
        self: Box<Self>,
        failure: &Failure,
        retry_after_ms: Option<u64>,
        cx: &mut Context,
    ) -> State {
        let Renewing {
            mut session,
            old,
            mut renewal,
            ..
        } = *self;
        session.token_is_void |= failure.code == code::SESSION_TOKEN_INVALID;
        cx.note(failure, retry_after_ms);
        renewal.attempt_failed(failure);
        let stream = match old {
            OldStream::Open(stream) => stream,
            OldStream::Lost { .. } => {
                return session.attempt_failed(failure, retry_after_ms, Some(renewal), cx);
            }
        };
        renewal.ran_out(retry_after_ms, cx);
        State::Streaming(Box::new(Streaming { session, stream }))
    }

    fn tick(mut self: Box<Self>, cx: &mut Context) -> State {
        self.session.deliver_expiring(cx);
        let over = cx.is_past(self.renewal.deadline_ms.saturating_add(GRACE_MS));
        match self.old {
            _ if over => {
                cx.abandon(self.seq);
                self.failed(&timed_out(), None, cx)
            }
            _ if self.hinted && cx.is_past(cx.hint_joins_until(self.since_ms)) => {
                cx.hint_cut_off();
                self.probe(cx)
            }
            OldStream::Open(stream) if cx.is_past(stream.silent_at(self.session.heartbeat_ms)) => {
                cx.abandon(stream.seq);
                self.lost(&silent(), cx)
            }
            OldStream::Lost { until_ms } if cx.is_past(until_ms) => {
                cx.abandon(self.seq);
                self.session.resume(Some(self.renewal), cx)
            }
            _ => State::Renewing(self),
        }
    }

    /// A newer ticket replaces this one.
    fn renew(self: Box<Self>, call: CallId, ticket: Secret, cx: &mut Context) -> State {
        let Some(renewal) = Renewal::begin(call, ticket, cx) else {
            return State::Renewing(self);
        };
        cx.abandon(self.seq);
        self.renewal.end(error::ERR_SUPERSEDED, cx);
        match self.old {
            OldStream::Open(stream) => Renewing::begin(self.session, stream, renewal, cx),
            OldStream::Lost { .. } => self.session.resume(Some(renewal), cx),
        }
    }

    /// Checks at once whether the session is still reachable; the new ticket goes along.
    fn probe(self: Box<Self>, cx: &mut Context) -> State {
        self.close_stream(cx);
        cx.abandon(self.seq);
        self.session.resume(Some(self.renewal), cx)
    }

    fn close_stream(&self, cx: &mut Context) {
        if let OldStream::Open(stream) = self.old {
            cx.abandon(stream.seq);
        }
    }

    /// Closes the stream, and ends the renewal with `code`.
    fn close(self: Box<Self>, code: i32, cx: &mut Context) -> LoggedIn {
        cx.abandon(self.seq);
        self.close_stream(cx);
        self.renewal.end(code, cx);
        self.session
    }
}
