//! A login is in progress: attempts and waits under one deadline.

use super::context::Context;
use super::endings::Endings;
use super::failures::{can_help, local, more_telling, timed_out};
use super::input::{CallId, Failure, Input};
use super::logged_in::{self, LoggedIn};
use super::verdict::Judged;
use super::{ConnectionStatus, Event, GRACE_MS, Request, State, logged_out};
use crate::error;
use crate::reconnect::Backoff;
use crate::secret::Secret;
use tim_proto::code::{self, Class};
use tim_proto::wire;

/// The upper bound of the first wait between the attempts of a login.
const RETRY_FIRST_MS: u64 = 200;
const RETRY_MAX_MS: u64 = 2_000;
/// An attempt that the deadline cut off sooner than this does not prove that the server is
/// unreachable.
const CUT_SHORT_MS: u64 = 1_000;

#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct LoggingIn {
    call: CallId,
    user_id: String,
    ticket: Secret,
    deadline_ms: u64,
    attempt: Attempt,
    backoff: Backoff,
    /// The most telling failure so far.
    most_telling: Option<Failure>,
    /// Endings of earlier logins, which every attempt carries.
    endings: Endings,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Attempt {
    Requested { seq: u64, since_ms: u64 },
    Waiting { until_ms: u64 },
}

impl LoggingIn {
    /// Begins a login; the previous state has been left.
    pub(super) fn begin(
        call: CallId,
        user_id: String,
        ticket: Secret,
        endings: Endings,
        cx: &mut Context,
    ) -> State {
        cx.login_no += 1;
        cx.drop_earlier_events();
        let login = Box::new(LoggingIn {
            call,
            user_id,
            ticket,
            deadline_ms: cx.after(cx.limits.login_timeout_ms),
            attempt: Attempt::Waiting {
                until_ms: cx.now.ms,
            },
            backoff: Backoff::new(RETRY_FIRST_MS, RETRY_MAX_MS),
            most_telling: None,
            endings,
        });
        login.attempt(cx)
    }

    pub(super) fn next_deadline(&self) -> u64 {
        let attempt = match self.attempt {
            Attempt::Requested { .. } => self.deadline_ms.saturating_add(GRACE_MS),
            Attempt::Waiting { until_ms } => until_ms,
        };
        let logout = self.endings.next_deadline();
        logout.map_or(attempt, |logout| attempt.min(logout))
    }

    #[cfg(test)]
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.attempt, Attempt::Waiting { .. })
    }

    fn is_request(&self, number: u64) -> bool {
        matches!(self.attempt, Attempt::Requested { seq, .. } if seq == number)
    }

    /// One step.
    pub(super) fn handle(mut self: Box<Self>, input: Input, cx: &mut Context) -> State {
        match input {
            Input::Login { call, user_id, .. } if user_id == self.user_id => {
                cx.complete(call, error::ERR_LOGIN_IN_PROGRESS);
                State::LoggingIn(self)
            }
            Input::Login { call, user_sig, .. } if cx.is_dead(&user_sig) => {
                cx.refuse_dead_ticket(call);
                State::LoggingIn(self)
            }
            Input::Login {
                call,
                user_id,
                user_sig,
            } => {
                let endings = self.leave(error::ERR_SUPERSEDED, cx);
                LoggingIn::begin(call, user_id, user_sig, endings, cx)
            }
            Input::Logout { call } => {
                let endings = self.leave(error::ERR_LOGGED_OUT_DURING_LOGIN, cx);
                cx.complete(call, error::OK);
                cx.disconnected(error::OK);
                logged_out::enter(endings, cx)
            }
            Input::Renew { call, .. } => {
                cx.complete(call, error::ERR_LOGIN_IN_PROGRESS);
                State::LoggingIn(self)
            }
            Input::Destroy => {
                let mut calls = self.endings.abandon();
                calls.push(self.call);
                State::destroyed(calls, cx)
            }
            Input::NetworkChanged | Input::Foreground => {
                if let Attempt::Waiting { until_ms } = &mut self.attempt {
                    *until_ms = cx.hint_cuts(*until_ms);
                }
                State::LoggingIn(self)
            }
            Input::Woke => {
                if let Attempt::Waiting { until_ms } = &mut self.attempt {
                    *until_ms = cx.now.ms;
                }
                State::LoggingIn(self)
            }
            Input::Answer { seq, answer } if self.is_request(seq) => {
                let judged = cx.judge(seq, answer);
                self.answered(seq, judged, cx)
            }
            Input::Failed { seq, failure } if self.is_request(seq) => {
                self.failed(failure, None, cx)
            }
            Input::Tick => self.tick(cx),
            Input::Answer { .. }
            | Input::Failed { .. }
            | Input::Received { .. }
            | Input::Stream { .. }
            | Input::StreamLost { .. } => State::LoggingIn(self),
        }
    }

    fn attempt(mut self: Box<Self>, cx: &mut Context) -> State {
        if cx.is_dead(&self.ticket) {
            return self.refused(&local(error::ERR_USER_SIG_EXPIRED_LOCALLY), cx);
        }
        self.endings.drop_dead(cx);
        let number = cx.next_number();
        let seq = number.seq;
        self.attempt = Attempt::Requested {
            seq,
            since_ms: cx.now.ms,
        };
        let request = wire::LoginRequest {
            sdk_app_id: cx.identity.sdk_app_id,
            user_id: self.user_id.clone(),
            user_sig: self.ticket.reveal().to_owned(),
            device_id: cx.identity.device_id.clone(),
            platform: cx.identity.platform,
            device_name: cx.identity.device_name.clone(),
            intent: wire::Intent::Interactive,
            instance: number.instance,
            login_no: number.login_no,
            seq,
            ends: self.endings.wire(),
        };
        cx.connection(ConnectionStatus::Connecting, error::OK);
        cx.send(seq, Request::Login(request), self.deadline_ms);
        State::LoggingIn(self)
    }

    fn answered(mut self: Box<Self>, seq: u64, judged: Judged, cx: &mut Context) -> State {
        match judged {
            Judged::Accepted(event) => {
                self.endings.delivered(cx);
                let LoggingIn {
                    call,
                    user_id,
                    ticket,
                    ..
                } = *self;
                let session = LoggedIn::new(user_id, ticket, cx);
                cx.complete(call, error::OK);
                logged_in::accepted(session, seq, event, cx)
            }
            Judged::Verdict {
                class,
                failure,
                kick,
            } => {
                self.endings.delivered(cx);
                if let Some(kick) = kick {
                    cx.kick = Some((cx.login_no, kick));
                }
                if class == Class::NeedsTicket {
                    cx.tickets.refused(&self.ticket, failure.code);
                }
                self.refused(&failure, cx)
            }
            Judged::NotNow {
                failure,
                retry_after_ms,
            } => {
                self.endings.delivered(cx);
                let left = self.deadline_ms.saturating_sub(cx.now.ms);
                let goes_on = matches!(failure.code, code::SERVER_TIMEOUT | code::SERVER_ERROR)
                    && retry_after_ms.is_none_or(|wait| wait <= left);
                match goes_on {
                    true => self.failed(failure, retry_after_ms, cx),
                    false => self.ended(&failure, retry_after_ms, cx),
                }
            }
            Judged::Trouble {
                failure,
                retry_after_ms,
            } => {
                // Only the server ends a login: a wait that does not fit is not its decision.
                let left = self.deadline_ms.saturating_sub(cx.now.ms);
                let fits = retry_after_ms.filter(|wait| *wait <= left);
                self.failed(failure, fits, cx)
            }
            // An answer to a different kind of request.
            Judged::LoggedOut => State::LoggingIn(self),
        }
    }

    /// An attempt failed.
    fn failed(
        mut self: Box<Self>,
        failure: Failure,
        retry_after_ms: Option<u64>,
        cx: &mut Context,
    ) -> State {
        let telling = match self.most_telling.take() {
            Some(best) if self.was_cut_short(&failure, cx) => best,
            best => more_telling(best, &failure),
        };
        if !can_help(failure.code) {
            return self.ended(&failure, retry_after_ms, cx);
        }
        if cx.is_past(self.deadline_ms) {
            return self.ended(&telling, retry_after_ms, cx);
        }
        self.most_telling = Some(telling);
        let wait = self.backoff.next_ms(&mut cx.jitter, retry_after_ms);
        self.attempt = Attempt::Waiting {
            until_ms: cx.after(wait).min(self.deadline_ms),
        };
        cx.note(&failure, retry_after_ms);
        cx.connection(ConnectionStatus::ConnectFailed, failure.code);
        State::LoggingIn(self)
    }

    /// The deadline left the attempt too little time for its failure to mean much.
    fn was_cut_short(&self, failure: &Failure, cx: &Context) -> bool {
        let unanswered = matches!(
            failure.code,
            error::ERR_CONNECT_TIMEOUT | error::ERR_NAME_NOT_FOUND
        );
        let lasted = match self.attempt {
            Attempt::Requested { since_ms, .. } => cx.now.ms.saturating_sub(since_ms),
            Attempt::Waiting { .. } => return false,
        };
        unanswered && cx.is_past(self.deadline_ms) && lasted < CUT_SHORT_MS
    }

    fn tick(mut self: Box<Self>, cx: &mut Context) -> State {
        self.endings.tick(cx);
        match self.attempt {
            Attempt::Waiting { until_ms } if cx.is_past(until_ms) => {
                if !cx.is_past(self.deadline_ms) {
                    return self.attempt(cx);
                }
                let failure = self.most_telling.take().unwrap_or_else(timed_out);
                self.ended(&failure, None, cx)
            }
            Attempt::Requested { seq, .. } if cx.is_past(self.next_deadline()) => {
                cx.abandon(seq);
                self.failed(timed_out(), None, cx)
            }
            _ => State::LoggingIn(self),
        }
    }

    /// The login is over: the server could not be reached or cannot decide now.
    fn ended(self, failure: &Failure, retry_after_ms: Option<u64>, cx: &mut Context) -> State {
        cx.note(failure, retry_after_ms);
        cx.complete(self.call, failure.code);
        cx.connection(ConnectionStatus::ConnectFailed, failure.code);
        logged_out::enter(self.endings, cx)
    }

    /// The login is over: the server has decided against it, or would.
    fn refused(self, failure: &Failure, cx: &mut Context) -> State {
        cx.note(failure, None);
        cx.complete(self.call, failure.code);
        if matches!(
            failure.code,
            error::ERR_USER_SIG_EXPIRED | error::ERR_USER_SIG_EXPIRED_LOCALLY
        ) {
            cx.event(Event::UserSigExpired { code: failure.code });
        }
        cx.disconnected(failure.code);
        logged_out::enter(self.endings, cx)
    }

    /// The app abandons the login: its call completes with `code`. The server must end it even if
    /// it was accepted or arrives late.
    fn leave(mut self, code: i32, cx: &mut Context) -> Endings {
        if let Attempt::Requested { seq, .. } = self.attempt {
            cx.abandon(seq);
        }
        let ending = wire::Ending::Login {
            sdk_app_id: cx.identity.sdk_app_id,
            user_id: self.user_id,
            user_sig: self.ticket.reveal().to_owned(),
            device_id: cx.identity.device_id.clone(),
            instance: cx.identity.instance.clone(),
            login_no: cx.login_no,
        };
        self.endings.add(ending, None, cx);
        cx.complete(self.call, code);
        self.endings
    }
}
