//! The server accepted a login. Its connection comes and goes, its ticket is renewed, and only a
//! call by the app or the server's word ends it. This file holds what the four states share.
//!
//!
//! state
//! meaning
//!
//! |---|---|
//! | [`Streaming`] | the stream is open |
//! | [`Renewing`] | a renewal is in progress beside the stream |
//! | [`Resuming`] | there is no stream; a resume is in progress |
//!
//! [`Waiting`]
//! there is no stream; the next resume is scheduled
//!

mod renewal;
mod renewing;
mod resuming;
mod stream;
mod streaming;
mod waiting;

pub(super) use renewing::Renewing;
pub(super) use resuming::Resuming;
pub(super) use streaming::Streaming;
pub(super) use waiting::Waiting;

use super::context::Context;
use super::endings::Endings;
use super::input::{CallId, Failure};
use super::logging_in::LoggingIn;
use super::{ConnectionStatus, Event, Request, State, logged_out};
use crate::error;
use crate::reconnect::Backoff;
use crate::secret::Secret;
use renewal::Renewal;
use stream::Stream;
use tim_proto::bounds;
use tim_proto::code::Class;
use tim_proto::wire;

/// How long before its end a ticket is reported as expiring, unless configured.
const EXPIRING_LEAD_S: u32 = 600;

/// What stays the same while the connection comes and goes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct LoggedIn {
    pub(super) user_id: String,
    /// The ticket that the server accepted.
    ticket: Secret,
    token: Secret,
    /// The server no longer knows the token: log in again with the stored ticket.
    token_is_void: bool,
    heartbeat_ms: u64,
    spread_ms: u64,
    ticket_end_ms: i64,
    /// When `user_sig_expiring` is due, in ms of the server's Unix time; none once delivered.
    expiring_at_ms: Option<i64>,
    backoff: Backoff,
}

/// The login or resume `seq` was accepted: its stream becomes the session's.
pub(super) fn accepted(
    mut session: LoggedIn,
    seq: u64,
    event: wire::SessionEvent,
    cx: &mut Context,
) -> State {
    session.take_over(event, cx);
    cx.connected();
    State::Streaming(Box::new(Streaming {
        session,
        stream: Stream::new(seq, cx),
    }))
}

impl LoggedIn {
    /// For a login that is being accepted; [`accepted`] follows.
    pub(super) fn new(user_id: String, ticket: Secret, cx: &Context) -> LoggedIn {
        LoggedIn {
            user_id,
            ticket,
            token: Secret::new(""),
            token_is_void: false,
            heartbeat_ms: 0,
            spread_ms: 0,
            ticket_end_ms: 0,
            expiring_at_ms: None,
            backoff: Backoff::new(cx.limits.reconnect_first_ms, cx.limits.reconnect_max_ms),
        }
    }

    /// Takes over what the server says about the session.
    fn take_over(&mut self, event: wire::SessionEvent, cx: &mut Context) {
        self.token = Secret::new(event.session);
        self.token_is_void = false;
        self.heartbeat_ms = bounds::HEARTBEAT_MS.clamp(event.heartbeat_ms);
        self.spread_ms = bounds::SPREAD_MS.clamp(event.spread_ms);
        if self.ticket_end_ms != event.user_sig_expires_ms {
            self.ticket_end_ms = event.user_sig_expires_ms;
            let lead_s = cx.limits.expiring_lead_s.unwrap_or(EXPIRING_LEAD_S);
            let left = event
                .user_sig_expires_ms
                .saturating_sub(event.server_time_ms);
            // A short ticket is reported as expiring in the last tenth of its life.
            let lead = (i64::from(lead_s) * 1000).min(left / 10);
            self.expiring_at_ms = Some(event.user_sig_expires_ms.saturating_sub(lead));
        }
        cx.tickets.accepted(&self.ticket, self.ticket_end_ms);
    }

    // Requests.

    /// Resumes the session, or logs in again if its token is void. The ticket of a renewal goes
    /// along.
    fn resume(self, renewal: Option<Renewal>, cx: &mut Context) -> State {
        let renewal = renewal.and_then(|renewal| renewal.unless_dead(cx));
        let number = cx.next_number();
        let seq = number.seq;
        let deadline_ms = match &renewal {
            Some(renewal) => renewal.deadline_ms,
            None => cx.after(cx.limits.login_timeout_ms),
        };
        let new_ticket = renewal.as_ref().map(|renewal| &renewal.ticket);
        let ticket = new_ticket.unwrap_or(&self.ticket);
        // A dead ticket is not sent again: the token, void or not, is the only hope.
        let request = if self.token_is_void && !cx.is_dead(ticket) {
            Request::Login(wire::LoginRequest {
                sdk_app_id: cx.identity.sdk_app_id,
                user_id: self.user_id.clone(),
                user_sig: ticket.reveal().to_owned(),
                device_id: cx.identity.device_id.clone(),
                platform: cx.identity.platform,
                device_name: cx.identity.device_name.clone(),
                intent: wire::Intent::Reconnect,
                instance: number.instance,
                login_no: number.login_no,
                seq,
                ends: Vec::new(),
            })
        } else {
            self.resume_request(number, new_ticket)
        };
        cx.connection(ConnectionStatus::Connecting, error::OK);
        cx.send(seq, request, deadline_ms);
        State::Resuming(Box::new(Resuming {
            session: self,
            seq,
            since_ms: cx.now.ms,
            deadline_ms,
            hinted: false,
            renewal,
        }))
    }

    fn resume_request(&self, number: wire::RequestNumber, new_ticket: Option<&Secret>) -> Request {
        Request::Resume(wire::ResumeRequest {
            session: self.token.reveal().to_owned(),
            instance: number.instance,
            login_no: number.login_no,
            seq: number.seq,
            user_sig: new_ticket.map(|ticket| ticket.reveal().to_owned()),
        })
    }

    /// There is no stream; the next resume follows after `wait_ms`.
    fn wait(self, wait_ms: u64, renewal: Option<Renewal>, cx: &Context) -> State {
        State::Waiting(Box::new(Waiting {
            session: self,
            until_ms: cx.after(wait_ms),
            renewal,
        }))
    }

    /// A resume failed: the user stays logged in, and another attempt follows.
    fn attempt_failed(
        mut self,
        failure: &Failure,
        retry_after_ms: Option<u64>,
        mut renewal: Option<Renewal>,
        cx: &mut Context,
    ) -> State {
        if let Some(over) = renewal.take_if(|renewal| cx.is_past(renewal.deadline_ms)) {
            over.ran_out(retry_after_ms, cx);
        }
        let wait = self.backoff.next_ms(&mut cx.jitter, retry_after_ms);
        cx.connection(ConnectionStatus::ConnectFailed, failure.code);
        self.wait(wait, renewal, cx)
    }

    /// How long to wait after losing a stream: a random time within what the server allows. If the
    /// previous stream was lost early too, at least the back-off.
    fn wait_after(&mut self, stream: &Stream, cx: &mut Context) -> u64 {
        let spread = cx.jitter.up_to(self.spread_ms);
        self.forget_backoff_after(stream, cx);
        if stream.has_lived(self.heartbeat_ms, cx) {
            return spread;
        }
        let first = self.backoff.is_fresh();
        let own = self.backoff.next_ms(&mut cx.jitter, None);
        if first { spread } else { spread.max(own) }
    }

    /// A stream that has lived counts as a success: the back-off starts over.
    fn forget_backoff_after(&mut self, stream: &Stream, cx: &Context) {
        if stream.has_lived(self.heartbeat_ms, cx) {
            self.backoff.forget();
        }
    }

    // The app's calls.

    /// A login while somebody is logged in: a renewal if it is the same user, otherwise a switch.
    /// Completes the call if the ticket is dead.
    fn judge_login(
        &self,
        call: CallId,
        user_id: &str,
        user_sig: &Secret,
        cx: &mut Context,
    ) -> LoginMeans {
        if cx.is_dead(user_sig) {
            cx.refuse_dead_ticket(call);
            LoginMeans::Nothing
        } else if self.user_id == user_id {
            LoginMeans::Renewal
        } else {
            LoginMeans::Switch
        }
    }

    /// The app replaces the session with another user's. Its stream or request is closed already.
    fn switch(self, call: CallId, user_id: String, user_sig: Secret, cx: &mut Context) -> State {
        let endings = self.left(None, cx);
        LoggingIn::begin(call, user_id, user_sig, endings, cx)
    }

    /// The app logs out. Its stream or request is closed already.
    fn log_out(self, call: CallId, cx: &mut Context) -> State {
        let endings = self.left(Some(call), cx);
        cx.disconnected(error::OK);
        logged_out::enter(endings, cx)
    }

    fn left(self, logout: Option<CallId>, cx: &mut Context) -> Endings {
        let mut endings = Endings::default();
        let ending = wire::Ending::Session {
            session: self.token.reveal().to_owned(),
        };
        endings.add(ending, logout, cx);
        endings
    }

    // The server's word.

    /// The server has ended the session. Its stream or request is closed already.
    fn end(self, class: Class, code: i32, kick: Option<wire::Kick>, cx: &mut Context) -> State {
        if class == Class::NeedsTicket {
            cx.tickets.refused(&self.ticket, code);
        }
        if let Some(kick) = kick {
            cx.kick = Some((cx.login_no, kick));
        }
        cx.event(if class == Class::NeedsTicket {
            Event::UserSigExpired { code }
        } else {
            Event::KickedOffline { code }
        });
        cx.disconnected(error::OK);
        State::LoggedOut
    }

    // Time.

    /// When `user_sig_expiring` is due, on `Now::ms`.
    fn expiring_deadline(&self, cx: &Context) -> Option<u64> {
        let (at, clock) = (self.expiring_at_ms?, cx.server_clock?);
        Some(clock.when(at, cx.now))
    }

    fn deliver_expiring(&mut self, cx: &mut Context) {
        let Some(server_now) = cx.server_clock.map(|clock| clock.now_ms(cx.now)) else {
            return;
        };
        let due = self
            .expiring_at_ms
            .take_if(|at| server_now >= *at)
            .is_some();
        let left = self.ticket_end_ms.saturating_sub(server_now);
        if due && left > 0 {
            cx.event(Event::UserSigExpiring {
                seconds_left: left / 1000,
            });
        }
    }
}

/// What a login means while somebody is logged in.
enum LoginMeans {
    /// It was refused locally.
    Nothing,
    Renewal,
    Switch,
}

/// The earliest of several deadlines.
fn earliest(deadlines: impl IntoIterator<Item = Option<u64>>) -> Option<u64> {
    deadlines.into_iter().flatten().min()
}
