//! A session: its connection comes and goes, its ticket is renewed, and it ends by the app's
//! call or the server's word alone.

mod renewal;
mod stream;

use super::input::{CallId, Failure, Now, Phase};
use super::verdict::Judged;
use super::{Action, ConnectionStatus, Event, GRACE_MS, Limits, Request, Session, State};
use crate::error;
use crate::reconnect::Backoff;
use crate::secret::Secret;
use renewal::Renewal;
use tim_proto::code::{self, Class};
use tim_proto::wire;

/// How long before its end a ticket is told to expire, where the configuration does not say.
const EXPIRING_LEAD_S: u32 = 600;

#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct LoggedIn {
    pub(super) user_id: String,
    /// The ticket that the server accepted.
    ticket: Secret,
    token: Secret,
    heartbeat_ms: u64,
    spread_ms: u64,
    ticket_end_ms: i64,
    /// When `user_sig_expiring` is told, in ms of the server's Unix time; none once it was told.
    expiring_at_ms: Option<i64>,
    link: Link,
    backoff: Backoff,
    pub(super) renewal: Option<Renewal>,
    /// The server does not know the token any more: log in again with the held ticket.
    token_is_void: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Link {
    /// The stream that `seq` opened; something was last heard on it at `heard_ms`.
    Streaming { seq: u64, heard_ms: u64 },
    /// A resume is on its way.
    Requested { seq: u64, deadline_ms: u64 },
    /// The next resume is sent then.
    Waiting { until_ms: u64 },
}

impl LoggedIn {
    pub(super) fn new(
        user_id: String,
        ticket: Secret,
        seq: u64,
        event: wire::SessionEvent,
        limits: &Limits,
        now: Now,
    ) -> LoggedIn {
        let mut session = LoggedIn {
            user_id,
            ticket,
            token: Secret::new(""),
            heartbeat_ms: 0,
            spread_ms: 0,
            ticket_end_ms: 0,
            expiring_at_ms: None,
            link: Link::Waiting { until_ms: now.ms },
            backoff: Backoff::new(limits.reconnect_first_ms, limits.reconnect_max_ms),
            renewal: None,
            token_is_void: false,
        };
        session.accept(seq, event, limits, now);
        session
    }

    /// A login or resume was accepted: its stream is the session's from now on.
    fn accept(&mut self, seq: u64, event: wire::SessionEvent, limits: &Limits, now: Now) {
        self.token = Secret::new(event.session);
        self.heartbeat_ms = event.heartbeat_ms;
        self.spread_ms = event.spread_ms;
        if self.ticket_end_ms != event.user_sig_expires_ms {
            self.ticket_end_ms = event.user_sig_expires_ms;
            let lead_s = limits.expiring_lead_s.unwrap_or(EXPIRING_LEAD_S);
            let left = event
                .user_sig_expires_ms
                .saturating_sub(event.server_time_ms);
            // A short ticket is told to expire in its last tenth.
            let lead = (i64::from(lead_s) * 1000).min(left / 10);
            self.expiring_at_ms = Some(event.user_sig_expires_ms.saturating_sub(lead));
        }
        self.link = Link::Streaming {
            seq,
            heard_ms: now.ms,
        };
        self.backoff = Backoff::new(limits.reconnect_first_ms, limits.reconnect_max_ms);
        self.token_is_void = false;
    }

    /// The ticket and its end.
    pub(super) fn known_end(&self) -> (Secret, i64) {
        (self.ticket.clone(), self.ticket_end_ms)
    }

    pub(super) fn is_request(&self, number: u64) -> bool {
        matches!(self.link, Link::Requested { seq, .. } if seq == number)
            || self
                .renewal
                .as_ref()
                .is_some_and(|renewal| renewal.seq == Some(number))
    }

    /// For tests: what the connection is at, and whether a renewal is under way.
    #[cfg(test)]
    pub(super) fn link_and_renewal(&self) -> (&'static str, bool) {
        let link = match self.link {
            Link::Streaming { .. } => "streaming",
            Link::Requested { .. } => "requested",
            Link::Waiting { .. } => "waiting",
        };
        (link, self.renewal.is_some())
    }

    fn is_stream(&self, number: u64) -> bool {
        matches!(self.link, Link::Streaming { seq, .. } if seq == number)
    }

    /// Two heartbeats and a half without a byte: the stream is dead.
    fn silent_at(&self, heard_ms: u64) -> u64 {
        heard_ms.saturating_add(self.heartbeat_ms.saturating_mul(5) / 2)
    }
}

impl Session {
    pub(super) fn session_deadline(&self, session: &LoggedIn) -> Option<u64> {
        let link = match session.link {
            Link::Streaming { heard_ms, .. } => session.silent_at(heard_ms),
            Link::Requested { deadline_ms, .. } => deadline_ms.saturating_add(GRACE_MS),
            Link::Waiting { until_ms } => until_ms,
        };
        let renewal = session.renewal.as_ref().map(|renewal| match renewal.seq {
            // The network ends the request, and says why.
            Some(_) => renewal.deadline_ms.saturating_add(GRACE_MS),
            None => renewal.deadline_ms,
        });
        let expiring = match (session.expiring_at_ms, self.server_clock, self.last_now) {
            (Some(at), Some(clock), Some(now)) => Some(clock.when(at, now)),
            _ => None,
        };
        [Some(link), renewal, expiring].into_iter().flatten().min()
    }

    fn session_mut(&mut self) -> Option<&mut LoggedIn> {
        match &mut self.state {
            State::LoggedIn(session) => Some(session),
            _ => None,
        }
    }

    // Requests.

    /// Resumes the session, or logs in again where its token is void; a renewal's ticket goes along.
    fn resume(&mut self, now: Now) {
        let number = self.next_number();
        let seq = number.seq;
        let mut deadline_ms = now.ms.saturating_add(self.limits.login_timeout_ms);
        let State::LoggedIn(session) = &mut self.state else {
            return;
        };
        let mut renewing = None;
        if let Some(renewal) = &mut session.renewal {
            renewal.seq = Some(seq);
            deadline_ms = renewal.deadline_ms;
            renewing = Some(renewal.ticket.clone());
        }
        session.link = Link::Requested { seq, deadline_ms };
        let request = if session.token_is_void {
            let ticket = renewing.unwrap_or_else(|| session.ticket.clone());
            Request::Login(wire::LoginRequest {
                sdk_app_id: self.identity.sdk_app_id,
                user_id: session.user_id.clone(),
                user_sig: ticket.reveal().to_owned(),
                device_id: self.identity.device_id.clone(),
                platform: self.identity.platform,
                device_name: self.identity.device_name.clone(),
                intent: wire::Intent::Reconnect,
                instance: number.instance,
                login_no: number.login_no,
                seq,
                ends: Vec::new(),
            })
        } else {
            Request::Resume(wire::ResumeRequest {
                session: session.token.reveal().to_owned(),
                instance: number.instance,
                login_no: number.login_no,
                seq,
                user_sig: renewing.map(|ticket| ticket.reveal().to_owned()),
            })
        };
        self.connection(ConnectionStatus::Connecting, error::OK);
        self.send(seq, request, deadline_ms);
    }

    // Answers.

    pub(super) fn session_answered(&mut self, seq: u64, judged: Judged, now: Now) {
        match judged {
            Judged::Accepted(event) => self.resumed(seq, event, now),
            Judged::Verdict {
                class,
                failure,
                kick,
            } => self.refused(seq, class, &failure, kick, now),
            Judged::NotNow { failure, .. } if failure.code == code::SESSION_TOKEN_INVALID => {
                self.token_is_void(seq, failure, now);
            }
            Judged::NotNow {
                failure,
                retry_after_ms,
            }
            | Judged::Trouble {
                failure,
                retry_after_ms,
            } => self.session_request_failed(seq, failure, retry_after_ms, now),
            // An answer to another kind of request.
            Judged::LoggedOut => {}
        }
    }

    fn resumed(&mut self, seq: u64, event: wire::SessionEvent, now: Now) {
        let State::LoggedIn(session) = &mut self.state else {
            return;
        };
        if let Link::Streaming { seq: old, .. } = session.link {
            self.out.push(Action::Abandon { seq: old });
        }
        let renewal = session.renewal.take_if(|renewal| renewal.seq == Some(seq));
        let renewed = renewal.map(|renewal| {
            session.ticket = renewal.ticket;
            renewal.call
        });
        session.accept(seq, event, &self.limits, now);
        self.known_end = Some(session.known_end());
        if let Some(call) = renewed {
            self.complete(call, error::OK);
        }
        if self.connection != ConnectionStatus::Connected {
            self.connection(ConnectionStatus::Connected, error::OK);
        }
    }

    /// A verdict. About a renewal's new ticket, it ends the renewal alone.
    fn refused(
        &mut self,
        seq: u64,
        class: Class,
        failure: &Failure,
        kick: Option<wire::Kick>,
        now: Now,
    ) {
        self.note(failure, None);
        let renewing = self
            .session_mut()
            .and_then(|session| session.renewal.as_ref())
            .is_some_and(|renewal| renewal.seq == Some(seq));
        if renewing && class == Class::NeedsTicket {
            let call = self
                .session_mut()
                .and_then(|session| session.renewal.take())
                .map(|renewal| renewal.call);
            if let Some(call) = call {
                self.complete(call, failure.code);
            }
            // Without a stream the session itself has not been answered yet.
            if self
                .session_mut()
                .is_some_and(|s| !matches!(s.link, Link::Streaming { .. }))
            {
                self.resume(now);
            }
            return;
        }
        self.end_session(class, failure.code, kick);
    }

    fn token_is_void(&mut self, seq: u64, failure: Failure, now: Now) {
        let held = self.session_mut().map(|session| session.ticket.clone());
        let dead = held.is_some_and(|ticket| self.is_known_to_have_expired(&ticket, now));
        if let Some(session) = self.session_mut() {
            // A ticket that has expired is not sent again: the token stays the only hope.
            session.token_is_void = !dead || session.renewal.is_some();
        }
        self.session_request_failed(seq, failure, None, now);
    }

    /// Network trouble, or a server that cannot answer now: the user stays logged in.
    pub(super) fn session_request_failed(
        &mut self,
        seq: u64,
        failure: Failure,
        retry_after_ms: Option<u64>,
        now: Now,
    ) {
        self.note(&failure, retry_after_ms);
        let State::LoggedIn(session) = &mut self.state else {
            return;
        };
        let renewing = session.renewal.as_ref().is_some_and(|r| r.seq == Some(seq));
        let streaming = matches!(session.link, Link::Streaming { .. });
        if renewing {
            self.renewal_failed(&failure, retry_after_ms, streaming, now);
        }
        if streaming {
            return;
        }
        let State::LoggedIn(session) = &mut self.state else {
            return;
        };
        let wait = session.backoff.next_ms(&mut self.jitter, retry_after_ms);
        session.link = Link::Waiting {
            until_ms: now.ms.saturating_add(wait),
        };
        self.connection(ConnectionStatus::ConnectFailed, failure.code);
    }

    // Time.

    pub(super) fn session_tick(&mut self, now: Now) {
        self.tell_expiring(now);
        let Some(session) = self.session_mut() else {
            return;
        };
        if let Some(renewal) = &session.renewal {
            let grace = if renewal.seq.is_some() { GRACE_MS } else { 0 };
            if now.ms >= renewal.deadline_ms.saturating_add(grace) {
                self.renewal_ran_out(None);
            }
        }
        let Some(session) = self.session_mut() else {
            return;
        };
        let silent = Failure {
            code: error::ERR_RESPONSE_TIMEOUT,
            phase: Phase::Stream,
            cause: "nothing was heard from the server for two and a half heartbeats".to_owned(),
            address: String::new(),
        };
        match session.link {
            Link::Streaming { seq, heard_ms } if now.ms >= session.silent_at(heard_ms) => {
                self.out.push(Action::Abandon { seq });
                self.stream_lost(seq, silent, now);
            }
            Link::Requested { seq, deadline_ms }
                if now.ms >= deadline_ms.saturating_add(GRACE_MS) =>
            {
                self.out.push(Action::Abandon { seq });
                self.session_request_failed(seq, silent, None, now);
            }
            Link::Waiting { until_ms } if now.ms >= until_ms => {
                let unanswered = session.renewal.as_mut().and_then(|r| r.seq.take());
                self.out
                    .extend(unanswered.map(|seq| Action::Abandon { seq }));
                self.resume(now);
            }
            _ => {}
        }
    }

    fn tell_expiring(&mut self, now: Now) {
        let Some(server_now) = self.server_time_ms(now) else {
            return;
        };
        let Some(session) = self.session_mut() else {
            return;
        };
        let due = session
            .expiring_at_ms
            .take_if(|at| server_now >= *at)
            .is_some();
        let left = session.ticket_end_ms.saturating_sub(server_now);
        if due && left > 0 {
            self.event(Event::UserSigExpiring {
                seconds_left: left / 1000,
            });
        }
    }

    // Endings.

    /// The server has ended the session.
    fn end_session(&mut self, class: Class, code: i32, kick: Option<wire::Kick>) {
        let Some(session) = self.close_session(error::ERR_NOT_LOGGED_IN) else {
            return;
        };
        if code == error::ERR_USER_SIG_EXPIRED {
            // Its word counts, however far our picture of its clock is behind.
            self.known_end = Some((session.ticket.clone(), i64::MIN));
        }
        drop(session);
        if let Some(kick) = kick {
            self.kick = Some((self.login_no, kick));
        }
        self.event(if class == Class::NeedsTicket {
            Event::UserSigExpired { code }
        } else {
            Event::KickedOffline { code }
        });
        self.disconnected(error::OK);
    }

    /// The app leaves the session: by a logout with this call, or for another user. The server is
    /// to be told.
    pub(super) fn leave_session(&mut self, renewal_code: i32, logout: Option<CallId>, now: Now) {
        if let Some(session) = self.close_session(renewal_code) {
            let ending = wire::Ending::Session {
                session: session.token.reveal().to_owned(),
            };
            self.add_ending(ending, logout, now);
        }
    }

    fn close_session(&mut self, renewal_code: i32) -> Option<Box<LoggedIn>> {
        self.end_renewal(renewal_code);
        match std::mem::replace(&mut self.state, State::LoggedOut) {
            State::LoggedIn(session) => {
                if let Link::Streaming { seq, .. } | Link::Requested { seq, .. } = session.link {
                    self.out.push(Action::Abandon { seq });
                }
                Some(session)
            }
            other => {
                self.state = other;
                None
            }
        }
    }
}
