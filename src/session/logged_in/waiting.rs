//! Logged in, and waiting for the next resume: there is no stream.

use super::super::State;
use super::super::context::Context;
use super::super::input::{CallId, Input};
use super::renewal::Renewal;
use super::{LoggedIn, LoginMeans, earliest};
use crate::error;
use crate::secret::Secret;

#[derive(Clone, PartialEq, Eq, Hash)]
pub(in crate::session) struct Waiting {
    pub(in crate::session) session: LoggedIn,
    pub(super) until_ms: u64,
    /// A renewal that goes with the next resume.
    pub(super) renewal: Option<Renewal>,
}

impl Waiting {
    pub(in crate::session) fn next_deadline(&self, cx: &Context) -> Option<u64> {
        let renewal = self.renewal.as_ref().map(|renewal| renewal.deadline_ms);
        earliest([
            Some(self.until_ms),
            renewal,
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
                LoginMeans::Nothing => State::Waiting(self),
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
            Input::NetworkChanged | Input::Foreground => {
                self.until_ms = cx.hint_cuts(self.until_ms);
                State::Waiting(self)
            }
            Input::Woke => self.session.resume(self.renewal, cx),
            Input::Tick => {
                self.session.deliver_expiring(cx);
                let over = |renewal: &mut Renewal| cx.is_past(renewal.deadline_ms);
                if let Some(renewal) = self.renewal.take_if(over) {
                    renewal.ran_out(None, cx);
                }
                if !cx.is_past(self.until_ms) {
                    return State::Waiting(self);
                }
                self.session.resume(self.renewal, cx)
            }
            Input::Answer { .. }
            | Input::Failed { .. }
            | Input::Received { .. }
            | Input::Stream { .. }
            | Input::StreamLost { .. } => State::Waiting(self),
        }
    }

    /// A new ticket does not wait: it goes with an immediate resume.
    fn renew(self: Box<Self>, call: CallId, ticket: Secret, cx: &mut Context) -> State {
        let Some(renewal) = Renewal::begin(call, ticket, cx) else {
            return State::Waiting(self);
        };
        let session = self.close(error::ERR_SUPERSEDED, cx);
        session.resume(Some(renewal), cx)
    }

    /// Ends the renewal with `code`.
    fn close(self: Box<Self>, code: i32, cx: &mut Context) -> LoggedIn {
        if let Some(renewal) = self.renewal {
            renewal.end(code, cx);
        }
        self.session
    }
}
