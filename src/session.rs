//! The login state machine: pure. It takes inputs and the time and returns actions; it does no
//! I/O, reads no clock and owns no thread.
//!
//! | state | means |
//! |---|---|
//! | logged out | nobody is logged in; endings of earlier logins may still have to be told |
//! | logging in | one login with one deadline; attempts and waits between them |
//! | logged in | the server accepted; whether there is a connection is another matter |
//!
//! Only three things end "logged in": a call of the app, a verdict of the server (`verdict.rs`),
//! and an event of the server's stream. No failure of the network does.
//!
//! Each state has its file: what a login does is in `logging_in.rs`, what a session does in
//! `logged_in.rs`, how endings reach the server in `endings.rs`.

mod action;
mod endings;
mod input;
mod last_error;
mod logged_in;
mod logging_in;
mod server_clock;
mod verdict;

pub use action::{Action, ConnectionStatus, Event, LoginStatus, Request};
pub use input::{Answer, CallId, Failure, Input, Now, Phase, Refused};
pub use last_error::LastError;

use crate::error;
use crate::reconnect::Jitter;
use crate::secret::Secret;
use endings::Endings;
use logged_in::LoggedIn;
use logging_in::LoggingIn;
use server_clock::ServerClock;
use tim_proto::{Platform, wire};

/// More sleep than this between two inputs is taken for a change of the network.
const SLEEP_MS: u64 = 2_000;
/// The network ends every request at the request's own deadline; if it does not, the machine does
/// so this much later.
const GRACE_MS: u64 = 1_000;

/// Who this client is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The app.
    pub sdk_app_id: u32,
    /// The device, as the app persists it.
    pub device_id: String,
    /// The device's platform.
    pub platform: Platform,
    /// What a person calls the device.
    pub device_name: String,
    /// 32 lower-case hexadecimal digits, random per client.
    pub instance: String,
}

/// How long things may take, in ms.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// A whole login.
    pub login_timeout_ms: u64,
    /// A logout or a renewal.
    pub request_timeout_ms: u64,
    /// The bound of the first wait before a reconnect.
    pub reconnect_first_ms: u64,
    /// The bound of every wait before a reconnect.
    pub reconnect_max_ms: u64,
    /// How many seconds before its end a ticket is told to expire.
    pub expiring_lead_s: Option<u32>,
}

/// The state machine of one client. It can be copied and compared, so that models can keep it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Session {
    identity: Identity,
    limits: Limits,
    jitter: Jitter,
    state: State,
    /// Ends of earlier logins that the server has not been told yet.
    endings: Endings,
    /// Counts the logins that began; the number of the newest is the login id.
    login_no: u64,
    /// Counts the requests.
    seq: u64,
    connection: ConnectionStatus,
    server_clock: Option<ServerClock>,
    /// The newest ticket whose end the server told, and that end in ms of Unix time; the least
    /// number once the server has said that it is over.
    known_end: Option<(Secret, i64)>,
    last_error: Option<LastError>,
    kick: Option<(u64, wire::Kick)>,
    last_now: Option<Now>,
    out: Vec<Action>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum State {
    LoggedOut,
    LoggingIn(Box<LoggingIn>),
    LoggedIn(Box<LoggedIn>),
    Destroyed,
}

impl Session {
    /// A client that nobody is logged in with. `seed` spreads its waits.
    pub fn new(identity: Identity, limits: Limits, seed: u64) -> Session {
        Session {
            identity,
            limits,
            jitter: Jitter::new(seed),
            state: State::LoggedOut,
            endings: Endings::default(),
            login_no: 0,
            seq: 0,
            connection: ConnectionStatus::Disconnected,
            server_clock: None,
            known_end: None,
            last_error: None,
            kick: None,
            last_now: None,
            out: Vec::new(),
        }
    }

    /// One step: what happened, and when. The actions are to be carried out in their order.
    pub fn handle(&mut self, input: Input, now: Now) -> Vec<Action> {
        let slept = self.last_now.is_some_and(|last| {
            let away = now.boot_ms.saturating_sub(last.boot_ms);
            away.saturating_sub(now.ms.saturating_sub(last.ms)) > SLEEP_MS
        });
        self.last_now = Some(now);
        if slept {
            self.network_changed(now);
        }
        match input {
            Input::Login {
                call,
                user_id,
                user_sig,
            } => self.login(call, user_id, user_sig, now),
            Input::Logout { call } => self.logout(call, now),
            Input::Renew { call, user_sig } => self.renew(call, user_sig, now),
            Input::Destroy => self.destroy(),
            Input::NetworkChanged => self.network_changed(now),
            Input::Answer { seq, answer } => self.answer(seq, answer, now),
            Input::Failed { seq, failure } => self.failed(seq, failure, now),
            Input::Heard { seq } => self.heard(seq, now),
            Input::Stream { seq, event } => self.stream_event(seq, event, now),
            Input::StreamLost { seq, failure } => self.stream_lost(seq, failure, now),
            Input::Tick => self.tick(now),
        }
        self.tell_endings(now);
        std::mem::take(&mut self.out)
    }

    /// When a tick is wanted, on [`Now::ms`].
    pub fn next_deadline(&self) -> Option<u64> {
        let state = match &self.state {
            State::LoggedOut | State::Destroyed => None,
            State::LoggingIn(login) => Some(login.next_deadline()),
            State::LoggedIn(session) => self.session_deadline(session),
        };
        let telling = matches!(self.state, State::LoggedOut);
        state
            .into_iter()
            .chain(self.endings.next_deadline(telling))
            .min()
    }

    /// Whether somebody is logged in.
    pub fn login_status(&self) -> LoginStatus {
        match self.state {
            State::LoggedOut | State::Destroyed => LoginStatus::LoggedOut,
            State::LoggingIn(_) => LoginStatus::LoggingIn,
            State::LoggedIn(_) => LoginStatus::LoggedIn,
        }
    }

    /// The connection to the server.
    pub fn connection_status(&self) -> ConnectionStatus {
        self.connection
    }

    /// The number of the newest login that began; 0 before the first.
    pub fn login_id(&self) -> u64 {
        self.login_no
    }

    /// The user who is logged in.
    pub fn login_user(&self) -> Option<&str> {
        match &self.state {
            State::LoggedIn(session) => Some(&session.user_id),
            _ => None,
        }
    }

    /// What last went wrong.
    pub fn last_error(&self) -> Option<&LastError> {
        self.last_error.as_ref()
    }

    /// Who took the last session over, and which login it was.
    pub fn kick_info(&self) -> Option<(u64, &wire::Kick)> {
        self.kick.as_ref().map(|(login_id, kick)| (*login_id, kick))
    }

    /// The server's Unix time in ms.
    pub fn server_time_ms(&self, now: Now) -> Option<i64> {
        self.server_clock.map(|clock| clock.now_ms(now))
    }

    // The calls of the app.

    fn login(&mut self, call: CallId, user_id: String, user_sig: Secret, now: Now) {
        if matches!(self.state, State::Destroyed) {
            return;
        }
        if let State::LoggingIn(login) = &self.state
            && login.user_id == user_id
        {
            return self.complete(call, error::ERR_LOGIN_IN_PROGRESS);
        }
        if self.is_known_to_have_expired(&user_sig, now) {
            self.note_local(error::ERR_USER_SIG_EXPIRED_LOCALLY);
            self.complete(call, error::ERR_USER_SIG_EXPIRED_LOCALLY);
            if matches!(self.state, State::LoggedOut) {
                self.event(Event::UserSigExpired {
                    code: error::ERR_USER_SIG_EXPIRED_LOCALLY,
                });
            }
            return;
        }
        match &self.state {
            State::LoggedIn(session) if session.user_id == user_id => {
                self.renew_session(call, user_sig, now);
            }
            State::LoggedIn(_) => {
                self.leave_session(error::ERR_SUPERSEDED, None, now);
                self.begin_login(call, user_id, user_sig, now);
            }
            State::LoggingIn(_) => {
                self.leave_login(error::ERR_SUPERSEDED, now);
                self.begin_login(call, user_id, user_sig, now);
            }
            State::LoggedOut => self.begin_login(call, user_id, user_sig, now),
            State::Destroyed => {}
        }
    }

    fn logout(&mut self, call: CallId, now: Now) {
        match &self.state {
            State::LoggedOut if self.endings.has_call() => {
                self.complete(call, error::ERR_LOGOUT_IN_PROGRESS);
            }
            State::LoggedOut => self.complete(call, error::OK),
            State::LoggingIn(_) => {
                self.leave_login(error::ERR_LOGGED_OUT_DURING_LOGIN, now);
                self.complete(call, error::OK);
                self.disconnected(error::OK);
            }
            State::LoggedIn(_) => {
                self.leave_session(error::ERR_NOT_LOGGED_IN, Some(call), now);
                self.disconnected(error::OK);
            }
            State::Destroyed => {}
        }
    }

    fn renew(&mut self, call: CallId, user_sig: Secret, now: Now) {
        match &self.state {
            State::LoggedIn(_) if self.is_known_to_have_expired(&user_sig, now) => {
                self.complete(call, error::ERR_USER_SIG_EXPIRED_LOCALLY);
            }
            State::LoggedIn(_) => self.renew_session(call, user_sig, now),
            State::LoggingIn(_) => self.complete(call, error::ERR_LOGIN_IN_PROGRESS),
            State::LoggedOut => self.complete(call, error::ERR_NOT_LOGGED_IN),
            State::Destroyed => {}
        }
    }

    /// Every call that is not finished completes, oldest first, and nothing follows.
    fn destroy(&mut self) {
        let mut calls = self.endings.abandon();
        match std::mem::replace(&mut self.state, State::Destroyed) {
            State::LoggedOut | State::Destroyed => {}
            State::LoggingIn(login) => calls.push(login.call),
            State::LoggedIn(session) => calls.extend(session.renewal.map(|renewal| renewal.call)),
        }
        calls.sort_unstable();
        for call in calls {
            self.complete(call, error::ERR_INTERRUPTED);
        }
        self.connection = ConnectionStatus::Disconnected;
    }

    // What the network tells, by state.

    fn answer(&mut self, seq: u64, answer: Answer, now: Now) {
        if self.endings.is_request(seq) {
            let judged = self.judge(seq, answer, now);
            self.ending_answered(judged, now);
        } else if matches!(&self.state, State::LoggingIn(login) if login.is_request(seq)) {
            let judged = self.judge(seq, answer, now);
            self.login_answered(seq, judged, now);
        } else if matches!(&self.state, State::LoggedIn(session) if session.is_request(seq)) {
            let judged = self.judge(seq, answer, now);
            self.session_answered(seq, judged, now);
        }
    }

    fn failed(&mut self, seq: u64, failure: Failure, now: Now) {
        if self.endings.is_request(seq) {
            self.ending_failed(failure, now);
        } else if matches!(&self.state, State::LoggingIn(login) if login.is_request(seq)) {
            self.login_failed(failure, None, now);
        } else if matches!(&self.state, State::LoggedIn(session) if session.is_request(seq)) {
            self.session_request_failed(seq, failure, None, now);
        }
    }

    fn network_changed(&mut self, now: Now) {
        match &mut self.state {
            State::LoggingIn(login) => login.hurry(now),
            State::LoggedIn(_) => self.probe(now),
            State::LoggedOut | State::Destroyed => {}
        }
        self.tick(now);
    }

    fn tick(&mut self, now: Now) {
        match &self.state {
            State::LoggingIn(_) => self.login_tick(now),
            State::LoggedIn(_) => self.session_tick(now),
            State::LoggedOut | State::Destroyed => {}
        }
        self.endings_tick(now);
    }

    // What every state does.

    fn complete(&mut self, call: CallId, code: i32) {
        self.out.push(Action::Complete { call, code });
    }

    fn event(&mut self, event: Event) {
        self.out.push(Action::Event {
            event,
            login_id: self.login_no,
        });
    }

    fn connection(&mut self, status: ConnectionStatus, code: i32) {
        self.connection = status;
        self.event(Event::Connection { status, code });
    }

    /// There is no connection any more; said once.
    fn disconnected(&mut self, code: i32) {
        if self.connection != ConnectionStatus::Disconnected {
            self.connection(ConnectionStatus::Disconnected, code);
        }
    }

    fn next_number(&mut self) -> wire::RequestNumber {
        self.seq += 1;
        wire::RequestNumber {
            instance: self.identity.instance.clone(),
            login_no: self.login_no,
            seq: self.seq,
        }
    }

    fn send(&mut self, seq: u64, request: Request, deadline_ms: u64) {
        self.out.push(Action::Send {
            seq,
            request,
            deadline_ms,
        });
    }

    fn note(&mut self, failure: &Failure, retry_after_ms: Option<u64>) {
        self.last_error = Some(LastError {
            login_id: self.login_no,
            code: failure.code,
            phase: failure.phase,
            cause: failure.cause.clone(),
            address: failure.address.clone(),
            retry_after_ms: retry_after_ms.unwrap_or(0),
        });
    }

    fn note_local(&mut self, code: i32) {
        let cause = error::message(code).to_string_lossy().into_owned();
        self.note(
            &Failure {
                code,
                phase: Phase::Local,
                cause,
                address: String::new(),
            },
            None,
        );
    }

    /// Whether the server told the end of this very ticket and its time has passed that end. The
    /// device's own clock never refuses a ticket.
    fn is_known_to_have_expired(&self, user_sig: &Secret, now: Now) -> bool {
        let server_now = self.server_time_ms(now);
        match (&self.known_end, server_now) {
            (Some((ticket, end_ms)), Some(server_now)) => {
                ticket == user_sig && server_now > *end_ms
            }
            _ => false,
        }
    }
}

#[cfg(all(test, not(tim_shuttle)))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
