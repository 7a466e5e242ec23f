//! Logged in, and the stream is open.

use super::super::State;
use super::super::context::Context;
use super::super::failures::silent;
use super::super::input::{CallId, Failure, Input};
use super::renewal::Renewal;
use super::renewing::Renewing;
use super::stream::Stream;
use super::{LoggedIn, LoginMeans, earliest};
use crate::error;
use crate::secret::Secret;
use tim_proto::bounds;
use tim_proto::code::{self, Class};
use tim_proto::wire::StreamEvent;

#[derive(Clone, PartialEq, Eq, Hash)]
pub(in crate::session) struct Streaming {
    pub(in crate::session) session: LoggedIn,
    pub(super) stream: Stream,
}

impl Streaming {
    pub(in crate::session) fn next_deadline(&self, cx: &Context) -> Option<u64> {
        let silent = self.stream.silent_at(self.session.heartbeat_ms);
        earliest([Some(silent), self.session.expiring_deadline(cx)])
    }

    /// One step.
    pub(in crate::session) fn handle(mut self: Box<Self>, input: Input, cx: &mut Context) -> State {
        match input {
            Input::Login {
                call,
                user_id,
                user_sig,
            } => match self.session.judge_login(call, &user_id, &user_sig, cx) {
                LoginMeans::Nothing => State::Streaming(self),
                LoginMeans::Renewal => self.renew(call, user_sig, cx),
                LoginMeans::Switch => self.close(cx).switch(call, user_id, user_sig, cx),
            },
            Input::Logout { call } => self.close(cx).log_out(call, cx),
            Input::Renew { call, user_sig } => self.renew(call, user_sig, cx),
            Input::Destroy => State::destroyed(Vec::new(), cx),
            Input::NetworkChanged if self.stream.answers_hint(cx) => State::Streaming(self),
            Input::Foreground if self.stream.is_fresh(self.session.heartbeat_ms, cx) => {
                State::Streaming(self)
            }
            Input::NetworkChanged | Input::Foreground | Input::Woke => self.probe(cx),
            Input::Received { seq } if seq == self.stream.seq => {
                self.stream.received(cx);
                State::Streaming(self)
            }
            Input::Stream { seq, event } if seq == self.stream.seq => self.event(event, cx),
            Input::StreamLost { seq, failure } if seq == self.stream.seq => self.lost(&failure, cx),
            Input::Tick => {
                self.session.deliver_expiring(cx);
                if !cx.is_past(self.stream.silent_at(self.session.heartbeat_ms)) {
                    return State::Streaming(self);
                }
                cx.abandon(self.stream.seq);
                self.lost(&silent(), cx)
            }
            Input::Answer { .. }
            | Input::Failed { .. }
            | Input::Received { .. }
            | Input::Stream { .. }
            | Input::StreamLost { .. } => State::Streaming(self),
        }
    }

    fn event(mut self: Box<Self>, event: StreamEvent, cx: &mut Context) -> State {
        match event {
            StreamEvent::Kicked(kick) => {
                let code = error::ERR_KICKED_OFFLINE;
                self.close(cx).end(Class::Ended, code, Some(kick), cx)
            }
            StreamEvent::UserSigExpired(end) => {
                self.close(cx).end(Class::NeedsTicket, end.code, None, cx)
            }
            StreamEvent::SessionEnded(end) => match code::class(end.code) {
                Some(class @ (Class::NeedsTicket | Class::Ended)) => {
                    self.close(cx).end(class, end.code, None, cx)
                }
                // Not a code that ends a session: a resume shows what it means.
                _ => self.probe(cx),
            },
            StreamEvent::GoingAway(away) => {
                let stream = self.stream;
                let mut session = self.close(cx);
                cx.disconnected(error::OK);
                session.forget_backoff_after(&stream, cx);
                let requested = bounds::RETURN_IN_MS.clamp(away.return_in_ms);
                let wait = session.backoff.next_ms(&mut cx.jitter, Some(requested));
                session.wait(wait, None, cx)
            }
            StreamEvent::Spread(spread) => {
                self.session.spread_ms = bounds::SPREAD_MS.clamp(spread.spread_ms);
                State::Streaming(self)
            }
            StreamEvent::Session(_) => State::Streaming(self),
        }
    }

    fn lost(self, failure: &Failure, cx: &mut Context) -> State {
        let Streaming {
            mut session,
            stream,
        } = self;
        cx.note(failure, None);
        cx.disconnected(failure.code);
        let wait = session.wait_after(&stream, cx);
        session.wait(wait, None, cx)
    }

    /// Make before break: the stream stays open until the server has accepted the ticket.
    fn renew(self: Box<Self>, call: CallId, ticket: Secret, cx: &mut Context) -> State {
        match Renewal::begin(call, ticket, cx) {
            None => State::Streaming(self),
            Some(renewal) => Renewing::begin(self.session, self.stream, renewal, cx),
        }
    }

    /// Checks at once whether the session is still reachable.
    fn probe(self, cx: &mut Context) -> State {
        self.close(cx).resume(None, cx)
    }

    /// Closes the stream.
    fn close(self, cx: &mut Context) -> LoggedIn {
        cx.abandon(self.stream.seq);
        self.session
    }
}
