//! A login on its way: attempts and waits under one deadline.

use super::input::{CallId, Failure, Now, Phase};
use super::logged_in::LoggedIn;
use super::verdict::Judged;
use super::{Action, ConnectionStatus, Event, GRACE_MS, Request, Session, State};
use crate::error;
use crate::reconnect::Backoff;
use crate::secret::Secret;
use tim_proto::code;
use tim_proto::wire;

/// The bounds of the waits between the attempts of a login.
const RETRY_FIRST_MS: u64 = 200;
const RETRY_MAX_MS: u64 = 2_000;
/// An attempt that the deadline cut off sooner than this does not say that nobody answers.
const CUT_SHORT_MS: u64 = 1_000;

#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct LoggingIn {
    pub(super) call: CallId,
    pub(super) user_id: String,
    pub(super) ticket: Secret,
    deadline_ms: u64,
    attempt: Attempt,
    backoff: Backoff,
    /// The failure that tells most of those so far.
    most_telling: Option<Failure>,
    /// A request has been sent: the server may have accepted it.
    sent: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Attempt {
    Requested { seq: u64, since_ms: u64 },
    Waiting { until_ms: u64 },
}

impl LoggingIn {
    pub(super) fn is_request(&self, number: u64) -> bool {
        matches!(self.attempt, Attempt::Requested { seq, .. } if seq == number)
    }

    pub(super) fn next_deadline(&self) -> u64 {
        match self.attempt {
            Attempt::Requested { .. } => self.deadline_ms.saturating_add(GRACE_MS),
            Attempt::Waiting { until_ms } => until_ms,
        }
    }

    #[cfg(test)]
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.attempt, Attempt::Waiting { .. })
    }

    /// The deadline left the attempt too little time for its failure to say much.
    fn was_cut_short(&self, failure: &Failure, now: Now) -> bool {
        let unanswered = matches!(
            failure.code,
            error::ERR_CONNECT_TIMEOUT | error::ERR_NAME_NOT_FOUND
        );
        let lasted = match self.attempt {
            Attempt::Requested { since_ms, .. } => now.ms.saturating_sub(since_ms),
            Attempt::Waiting { .. } => return false,
        };
        unanswered && now.ms >= self.deadline_ms && lasted < CUT_SHORT_MS
    }

    /// Cuts a wait short.
    pub(super) fn hurry(&mut self, now: Now) {
        if let Attempt::Waiting { until_ms } = &mut self.attempt {
            *until_ms = now.ms;
        }
    }
}

impl Session {
    /// Begins a login; whatever was before has been left.
    pub(super) fn begin_login(&mut self, call: CallId, user_id: String, ticket: Secret, now: Now) {
        self.login_no += 1;
        self.out.push(Action::DropEarlierEvents);
        if let Some(seq) = self.endings.ride_along() {
            self.out.push(Action::Abandon { seq });
        }
        self.state = State::LoggingIn(Box::new(LoggingIn {
            call,
            user_id,
            ticket,
            deadline_ms: now.ms.saturating_add(self.limits.login_timeout_ms),
            attempt: Attempt::Waiting { until_ms: now.ms },
            backoff: Backoff::new(RETRY_FIRST_MS, RETRY_MAX_MS),
            most_telling: None,
            sent: false,
        }));
        self.attempt_login(now);
    }

    fn attempt_login(&mut self, now: Now) {
        let number = self.next_number();
        let seq = number.seq;
        let State::LoggingIn(login) = &mut self.state else {
            return;
        };
        login.attempt = Attempt::Requested {
            seq,
            since_ms: now.ms,
        };
        login.sent = true;
        let deadline_ms = login.deadline_ms;
        let request = wire::LoginRequest {
            sdk_app_id: self.identity.sdk_app_id,
            user_id: login.user_id.clone(),
            user_sig: login.ticket.reveal().to_owned(),
            device_id: self.identity.device_id.clone(),
            platform: self.identity.platform,
            device_name: self.identity.device_name.clone(),
            intent: wire::Intent::Interactive,
            instance: number.instance,
            login_no: number.login_no,
            seq,
            ends: self.endings.wire(),
        };
        self.connection(ConnectionStatus::Connecting, error::OK);
        self.send(seq, Request::Login(request), deadline_ms);
    }

    pub(super) fn login_answered(&mut self, seq: u64, judged: Judged, now: Now) {
        match judged {
            Judged::Accepted(event) => self.login_accepted(seq, event, now),
            Judged::Verdict { failure, kick, .. } => {
                self.endings_ridden();
                if let Some(kick) = kick {
                    self.kick = Some((self.login_no, kick));
                }
                self.refuse_login(failure);
            }
            Judged::NotNow {
                failure,
                retry_after_ms,
            } => {
                self.endings_ridden();
                match failure.code {
                    code::SERVER_TIMEOUT | code::SERVER_ERROR => {
                        self.login_failed(failure, retry_after_ms, now);
                    }
                    _ => self.end_login(failure, retry_after_ms),
                }
            }
            Judged::Trouble {
                failure,
                retry_after_ms,
            } => self.login_failed(failure, retry_after_ms, now),
            // An answer to another kind of request.
            Judged::LoggedOut => {}
        }
    }

    fn login_accepted(&mut self, seq: u64, event: wire::SessionEvent, now: Now) {
        self.endings_ridden();
        let State::LoggingIn(login) = std::mem::replace(&mut self.state, State::LoggedOut) else {
            return;
        };
        let LoggingIn {
            call,
            user_id,
            ticket,
            ..
        } = *login;
        let session = LoggedIn::new(user_id, ticket, seq, event, &self.limits, now);
        self.known_end = Some(session.known_end());
        self.state = State::LoggedIn(Box::new(session));
        self.complete(call, error::OK);
        self.connection(ConnectionStatus::Connected, error::OK);
    }

    /// An attempt came to nothing.
    pub(super) fn login_failed(&mut self, failure: Failure, retry_after_ms: Option<u64>, now: Now) {
        let State::LoggingIn(login) = &mut self.state else {
            return;
        };
        let helps = can_help(failure.code);
        let best = login.most_telling.take();
        let telling = match best {
            Some(best) if login.was_cut_short(&failure, now) => best,
            best => more_telling(best, &failure),
        };
        login.most_telling = Some(telling.clone());
        let left = login.deadline_ms.saturating_sub(now.ms);
        if !helps || retry_after_ms.is_some_and(|wait| wait > left) {
            return self.end_login(failure, retry_after_ms);
        }
        if left == 0 {
            return self.end_login(telling, retry_after_ms);
        }
        let wait = login.backoff.next_ms(&mut self.jitter, retry_after_ms);
        login.attempt = Attempt::Waiting {
            until_ms: now.ms.saturating_add(wait).min(login.deadline_ms),
        };
        self.note(&failure, retry_after_ms);
        self.connection(ConnectionStatus::ConnectFailed, failure.code);
    }

    pub(super) fn login_tick(&mut self, now: Now) {
        let State::LoggingIn(login) = &self.state else {
            return;
        };
        match login.attempt {
            Attempt::Waiting { until_ms } if now.ms >= login.deadline_ms && now.ms >= until_ms => {
                let failure = login.most_telling.clone().unwrap_or_else(timed_out);
                self.end_login(failure, None);
            }
            Attempt::Waiting { until_ms } if now.ms >= until_ms => self.attempt_login(now),
            Attempt::Requested { seq, .. } if now.ms >= login.next_deadline() => {
                self.out.push(Action::Abandon { seq });
                self.login_failed(timed_out(), None, now);
            }
            _ => {}
        }
    }

    /// The login is over: the server could not be asked, or cannot decide now.
    fn end_login(&mut self, failure: Failure, retry_after_ms: Option<u64>) {
        let State::LoggingIn(login) = std::mem::replace(&mut self.state, State::LoggedOut) else {
            return;
        };
        self.note(&failure, retry_after_ms);
        self.complete(login.call, failure.code);
        self.connection(ConnectionStatus::ConnectFailed, failure.code);
    }

    /// The login is over: the server was asked and has decided against it.
    fn refuse_login(&mut self, failure: Failure) {
        let State::LoggingIn(login) = std::mem::replace(&mut self.state, State::LoggedOut) else {
            return;
        };
        self.note(&failure, None);
        self.complete(login.call, failure.code);
        if failure.code == error::ERR_USER_SIG_EXPIRED {
            self.event(Event::UserSigExpired { code: failure.code });
        }
        self.disconnected(failure.code);
    }

    /// The app leaves the login: its call completes with `code`. The server is to end it even if
    /// it was accepted, or comes late.
    pub(super) fn leave_login(&mut self, code: i32, now: Now) {
        let State::LoggingIn(login) = std::mem::replace(&mut self.state, State::LoggedOut) else {
            return;
        };
        if let Attempt::Requested { seq, .. } = login.attempt {
            self.out.push(Action::Abandon { seq });
        }
        if login.sent {
            let ending = wire::Ending::Login {
                sdk_app_id: self.identity.sdk_app_id,
                user_id: login.user_id,
                user_sig: login.ticket.reveal().to_owned(),
                device_id: self.identity.device_id.clone(),
                instance: self.identity.instance.clone(),
                login_no: self.login_no,
            };
            self.add_ending(ending, None, now);
        }
        self.complete(login.call, code);
    }
}

fn timed_out() -> Failure {
    Failure {
        code: error::ERR_RESPONSE_TIMEOUT,
        phase: Phase::Response,
        cause: "no answer within the time limit".to_owned(),
        address: String::new(),
    }
}

/// Whether another attempt can help.
pub(super) fn can_help(code: i32) -> bool {
    matches!(
        code,
        error::ERR_NAME_NOT_FOUND
            | error::ERR_NETWORK_UNREACHABLE
            | error::ERR_CONNECT_REFUSED
            | error::ERR_CONNECT_TIMEOUT
            | error::ERR_RESPONSE_TIMEOUT
            | error::ERR_CONNECTION_RESET
            | error::ERR_TLS
            | error::ERR_PROXY
            | error::ERR_HTTP
            | error::ERR_SERVER_ERROR
            | error::ERR_SERVER_TIMEOUT
    )
}

/// The one that tells more of the best failure so far and the newest; of equals the newest.
pub(super) fn more_telling(best: Option<Failure>, newest: &Failure) -> Failure {
    match best {
        Some(best) if rank(best.code) > rank(newest.code) => best,
        _ => newest.clone(),
    }
}

/// Which of the failures of a call that ran out tells most: the one that came furthest.
fn rank(code: i32) -> u8 {
    match code {
        error::ERR_NAME_NOT_FOUND => 0,
        error::ERR_NETWORK_UNREACHABLE => 1,
        error::ERR_CONNECT_REFUSED => 2,
        error::ERR_CONNECT_TIMEOUT => 3,
        error::ERR_PROXY => 4,
        error::ERR_RESPONSE_TIMEOUT => 5,
        error::ERR_CONNECTION_RESET => 6,
        error::ERR_TLS => 7,
        _ => 8,
    }
}
