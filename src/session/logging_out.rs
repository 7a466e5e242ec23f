//! Nobody is logged in, and the oldest pending ending is being delivered to the server.

use super::context::Context;
use super::endings::Endings;
use super::failures::{can_help, more_telling, timed_out};
use super::input::{Failure, Input};
use super::logging_in::LoggingIn;
use super::verdict::Judged;
use super::{GRACE_MS, Request, State, logged_out};
use crate::error;
use tim_proto::{code, wire};

#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct LoggingOut {
    /// Never empty between steps.
    endings: Endings,
    attempt: Attempt,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Attempt {
    Requested { seq: u64, deadline_ms: u64 },
    Waiting { until_ms: u64, deadline_ms: u64 },
}

impl LoggingOut {
    /// Delivers the endings one by one, oldest first.
    pub(super) fn begin(mut endings: Endings, cx: &mut Context) -> State {
        endings.drop_dead(cx);
        let limit_ms = cx.limits.request_timeout_ms;
        let Some(oldest) = endings.oldest() else {
            return State::LoggedOut;
        };
        let deadline_ms = *oldest.deadline_ms.get_or_insert(cx.after(limit_ms));
        let ends = oldest.ending.clone();
        let seq = cx.next_number().seq;
        cx.send(
            seq,
            Request::Logout(wire::LogoutRequest { ends, seq }),
            deadline_ms,
        );
        State::LoggingOut(Box::new(LoggingOut {
            endings,
            attempt: Attempt::Requested { seq, deadline_ms },
        }))
    }

    pub(super) fn next_deadline(&self) -> u64 {
        match self.attempt {
            // The network ends the request at its deadline and says why.
            Attempt::Requested { deadline_ms, .. } => deadline_ms.saturating_add(GRACE_MS),
            Attempt::Waiting { until_ms, .. } => until_ms,
        }
    }

    fn is_request(&self, number: u64) -> bool {
        matches!(self.attempt, Attempt::Requested { seq, .. } if seq == number)
    }

    /// One step.
    pub(super) fn handle(mut self: Box<Self>, input: Input, cx: &mut Context) -> State {
        match input {
            Input::Login {
                call,
                user_id,
                user_sig,
            } => {
                if logged_out::refuses(call, &user_sig, cx) {
                    return State::LoggingOut(self);
                }
                // From here on, the login carries them.
                if let Attempt::Requested { seq, .. } = self.attempt {
                    cx.abandon(seq);
                }
                LoggingIn::begin(call, user_id, user_sig, self.endings, cx)
            }
            Input::Logout { call } => {
                let code = match self.endings.has_call() {
                    true => error::ERR_LOGOUT_IN_PROGRESS,
                    false => error::OK,
                };
                cx.complete(call, code);
                State::LoggingOut(self)
            }
            Input::Renew { call, .. } => {
                cx.complete(call, error::ERR_NOT_LOGGED_IN);
                State::LoggingOut(self)
            }
            Input::Destroy => State::destroyed(self.endings.abandon(), cx),
            Input::Answer { seq, answer } if self.is_request(seq) => {
                match cx.judge_logout(seq, answer) {
                    // A verdict, too, means that nothing is left to end.
                    Judged::LoggedOut | Judged::Verdict { .. } => self.next(error::OK, cx),
                    Judged::NotNow { failure, .. }
                        if failure.code == code::SESSION_TOKEN_INVALID =>
                    {
                        self.next(error::OK, cx)
                    }
                    Judged::NotNow {
                        failure,
                        retry_after_ms,
                    }
                    | Judged::Trouble {
                        failure,
                        retry_after_ms,
                    } => self.failed(failure, retry_after_ms, cx),
                    // An answer to a different kind of request.
                    Judged::Accepted(_) => State::LoggingOut(self),
                }
            }
            Input::Failed { seq, failure } if self.is_request(seq) => {
                self.failed(failure, None, cx)
            }
            Input::Tick => self.tick(cx),
            Input::NetworkChanged
            | Input::Foreground
            | Input::Woke
            | Input::Answer { .. }
            | Input::Failed { .. }
            | Input::Received { .. }
            | Input::Stream { .. }
            | Input::StreamLost { .. } => State::LoggingOut(self),
        }
    }

    /// The oldest has finished with `code`; the next one follows.
    fn next(mut self, code: i32, cx: &mut Context) -> State {
        self.endings.end_oldest(code, cx);
        LoggingOut::begin(self.endings, cx)
    }

    fn failed(
        mut self: Box<Self>,
        failure: Failure,
        retry_after_ms: Option<u64>,
        cx: &mut Context,
    ) -> State {
        let (Attempt::Requested { deadline_ms, .. } | Attempt::Waiting { deadline_ms, .. }) =
            self.attempt;
        let Some(oldest) = self.endings.oldest() else {
            return State::LoggedOut;
        };
        let wait = oldest.backoff.next_ms(&mut cx.jitter, retry_after_ms);
        let fits = retry_after_ms.is_some_and(|ms| cx.after(ms) < deadline_ms);
        let telling = more_telling(oldest.most_telling.take(), &failure);
        oldest.most_telling = Some(telling.clone());
        cx.note(&failure, retry_after_ms);
        if !can_help(failure.code) && !fits {
            return self.next(failure.code, cx);
        }
        if cx.is_past(deadline_ms) {
            cx.note(&telling, retry_after_ms);
            return self.next(telling.code, cx);
        }
        self.attempt = Attempt::Waiting {
            until_ms: cx.after(wait).min(deadline_ms),
            deadline_ms,
        };
        State::LoggingOut(self)
    }

    fn tick(mut self: Box<Self>, cx: &mut Context) -> State {
        match self.attempt {
            Attempt::Waiting {
                until_ms,
                deadline_ms,
            } if cx.is_past(until_ms) => {
                if !cx.is_past(deadline_ms) {
                    return LoggingOut::begin(self.endings, cx);
                }
                let failure = self.endings.oldest().and_then(|o| o.most_telling.clone());
                let failure = failure.unwrap_or_else(timed_out);
                cx.note(&failure, None);
                self.next(failure.code, cx)
            }
            Attempt::Requested { seq, deadline_ms }
                if cx.is_past(deadline_ms.saturating_add(GRACE_MS)) =>
            {
                cx.abandon(seq);
                self.next(error::ERR_RESPONSE_TIMEOUT, cx)
            }
            _ => State::LoggingOut(self),
        }
    }
}
