//! The state machine in virtual time: each row of the plan, every state with every input, and
//! random histories.

mod documented;
mod endings;
mod histories;
mod living;
mod logging_in;
mod pairs;
mod renewals;
mod tickets;
mod tickets_seen;
mod waits;

use super::context::HINT_JOINS_MS;
use super::*;
use crate::secret::Secret;
use tim_proto::code;
use tim_proto::wire::{Kick, KickCause, SessionEvent, StreamEvent};

pub(super) const LOGIN_MS: u64 = 15_000;
pub(super) const REQUEST_MS: u64 = 5_000;
pub(super) const HEARTBEAT_MS: u64 = 25_000;
/// Server time at the start of every test, in ms.
pub(super) const SERVER_MS: i64 = 1_700_000_000_000;
/// How long a valid ticket lasts.
pub(super) const TICKET_MS: i64 = 86_400_000;

/// A state machine, its clocks, and the numbers of its calls.
pub(super) struct Machine {
    pub(super) session: Session,
    pub(super) now: Now,
    calls: CallId,
}

/// The actions of one input.
pub(super) struct Step(pub(super) Vec<Action>);

impl Machine {
    pub(super) fn new() -> Machine {
        Machine::with_seed(1)
    }

    pub(super) fn with_seed(seed: u64) -> Machine {
        let identity = Identity {
            sdk_app_id: 1,
            device_id: "phone".to_owned(),
            platform: Platform::Android,
            device_name: "a phone".to_owned(),
            instance: "0123456789abcdef0123456789abcdef".to_owned(),
        };
        let limits = Limits {
            login_timeout_ms: LOGIN_MS,
            request_timeout_ms: REQUEST_MS,
            reconnect_first_ms: 1_000,
            reconnect_max_ms: 60_000,
            expiring_lead_s: None,
        };
        Machine {
            session: Session::new(identity, limits, seed),
            now: Now {
                ms: 1_000,
                boot_ms: 5_000,
                slept_ms: 4_000,
            },
            calls: 0,
        }
    }

    /// Alice is logged in, and her stream is open. Returns the stream's seq.
    pub(super) fn logged_in() -> (Machine, u64) {
        let mut machine = Machine::new();
        let (_, step) = machine.login("alice");
        let seq = step.request();
        machine.accept(seq);
        (machine, seq)
    }

    pub(super) fn step(&mut self, input: Input) -> Step {
        Step(self.session.handle(input, self.now))
    }

    /// Lets time pass; the device is awake.
    pub(super) fn pass(&mut self, ms: u64) -> Step {
        self.now.ms += ms;
        self.now.boot_ms += ms;
        self.step(Input::Tick)
    }

    /// Time passes; the device sleeps.
    pub(super) fn sleep(&mut self, ms: u64) {
        self.now.boot_ms += ms;
        self.now.slept_ms += ms;
    }

    /// Time passes up to the next deadline.
    pub(super) fn pass_to_deadline(&mut self) -> Step {
        let deadline = self.session.next_deadline().unwrap();
        self.pass(deadline.saturating_sub(self.now.ms))
    }

    pub(super) fn call(&mut self) -> CallId {
        self.calls += 1;
        self.calls
    }

    pub(super) fn login(&mut self, user: &str) -> (CallId, Step) {
        self.login_with(user, &format!("ticket of {user}"))
    }

    pub(super) fn login_with(&mut self, user: &str, ticket: &str) -> (CallId, Step) {
        let call = self.call();
        let (user_id, user_sig) = (user.to_owned(), Secret::new(ticket));
        let step = self.step(Input::Login {
            call,
            user_id,
            user_sig,
        });
        (call, step)
    }

    pub(super) fn logout(&mut self) -> (CallId, Step) {
        let call = self.call();
        (call, self.step(Input::Logout { call }))
    }

    pub(super) fn renew(&mut self, ticket: &str) -> (CallId, Step) {
        let call = self.call();
        let user_sig = Secret::new(ticket);
        (call, self.step(Input::Renew { call, user_sig }))
    }

    /// The server's time, whether or not the machine knows it.
    pub(super) fn server_ms(&self) -> i64 {
        SERVER_MS + i64::try_from(self.now.boot_ms).unwrap()
    }

    /// The server's answer to an accepted request.
    pub(super) fn session_event(&self, seq: u64, ticket_ms: i64) -> SessionEvent {
        SessionEvent {
            session: format!("token {seq}"),
            epoch: 7,
            server_time_ms: self.server_ms(),
            heartbeat_ms: HEARTBEAT_MS,
            spread_ms: 2_000,
            user_sig_expires_ms: self.server_ms() + ticket_ms,
            instance: self.session.cx.identity.instance.clone(),
            seq,
        }
    }

    pub(super) fn accept(&mut self, seq: u64) -> Step {
        self.accept_for(seq, TICKET_MS)
    }

    pub(super) fn accept_for(&mut self, seq: u64, ticket_ms: i64) -> Step {
        let answer = Answer::Session(self.session_event(seq, ticket_ms));
        self.step(Input::Answer { seq, answer })
    }

    pub(super) fn logged_out(&mut self, seq: u64) -> Step {
        let answer = Answer::LoggedOut(wire::LogoutAnswer { code: 0, seq });
        self.step(Input::Answer { seq, answer })
    }

    pub(super) fn refuse(&mut self, seq: u64, code: i32) -> Step {
        self.refuse_with(seq, code, None, None)
    }

    pub(super) fn refuse_with(
        &mut self,
        seq: u64,
        code: i32,
        kick: Option<Kick>,
        retry_after_ms: Option<u64>,
    ) -> Step {
        let answer = Answer::Refused(Refused {
            http_status: 401,
            tim_protocol: true,
            refusal: Some(wire::Refusal {
                code,
                message: "no".to_owned(),
                instance: self.session.cx.identity.instance.clone(),
                seq,
                kick,
            }),
            retry_after_ms,
            address: "192.0.2.1:443".to_owned(),
        });
        self.step(Input::Answer { seq, answer })
    }

    /// An answer that is not from the server: only an HTTP status.
    pub(super) fn gateway(&mut self, seq: u64, http_status: u16) -> Step {
        self.gateway_with(seq, http_status, None)
    }

    pub(super) fn gateway_with(
        &mut self,
        seq: u64,
        http_status: u16,
        retry_after_ms: Option<u64>,
    ) -> Step {
        let answer = Answer::Refused(Refused {
            http_status,
            tim_protocol: false,
            refusal: None,
            retry_after_ms,
            address: String::new(),
        });
        self.step(Input::Answer { seq, answer })
    }

    pub(super) fn fail(&mut self, seq: u64, code: i32) -> Step {
        let failure = failure(code);
        self.step(Input::Failed { seq, failure })
    }

    pub(super) fn lose(&mut self, seq: u64) -> Step {
        let failure = failure(error::ERR_CONNECTION_RESET);
        self.step(Input::StreamLost { seq, failure })
    }

    pub(super) fn stream(&mut self, seq: u64, event: StreamEvent) -> Step {
        self.step(Input::Stream { seq, event })
    }

    /// The stream is lost and the first wait over: a resume is in progress. Returns its seq.
    pub(super) fn resuming(&mut self, stream: u64) -> u64 {
        self.lose(stream);
        self.pass_to_deadline().request()
    }

    /// The machine's current state, as `docs/login-states.md` names it.
    pub(super) fn state(&self) -> &'static str {
        match &self.session.state {
            State::LoggedOut => pairs::STATES[0].0,
            State::LoggingOut(_) => pairs::STATES[1].0,
            State::LoggingIn(login) if login.is_waiting() => pairs::STATES[3].0,
            State::LoggingIn(_) => pairs::STATES[2].0,
            State::Streaming(_) => pairs::STATES[4].0,
            State::Renewing(renewing) if renewing.has_stream() => pairs::STATES[5].0,
            State::Renewing(_) | State::Waiting(_) => pairs::STATES[7].0,
            State::Resuming(_) => pairs::STATES[6].0,
            State::Destroyed => pairs::STATES[8].0,
        }
    }

    pub(super) fn is(&self, status: LoginStatus, user: &str) {
        assert_eq!(self.session.login_status(), status);
        assert_eq!(self.session.login_user().unwrap_or_default(), user);
    }

    pub(super) fn last_code(&self) -> i32 {
        self.session.last_error().map_or(0, |last| last.code)
    }
}

impl Step {
    /// Every request, with its number.
    pub(super) fn requests(&self) -> Vec<(u64, &Request)> {
        let sent = |action| match action {
            &Action::Send {
                seq, ref request, ..
            } => Some((seq, request)),
            _ => None,
        };
        self.0.iter().filter_map(sent).collect()
    }

    /// The number of the only request.
    pub(super) fn request(&self) -> u64 {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "{:?}", self.0);
        requests[0].0
    }

    pub(super) fn resume(&self) -> &wire::ResumeRequest {
        match self.requests()[..] {
            [(_, Request::Resume(resume))] => resume,
            _ => panic!("expected a resume: {:?}", self.0),
        }
    }

    pub(super) fn login_request(&self) -> &wire::LoginRequest {
        match self.requests()[..] {
            [(_, Request::Login(login))] => login,
            _ => panic!("expected a login: {:?}", self.0),
        }
    }

    pub(super) fn logout_request(&self) -> &wire::LogoutRequest {
        match self.requests()[..] {
            [(_, Request::Logout(logout))] => logout,
            _ => panic!("expected a logout: {:?}", self.0),
        }
    }

    pub(super) fn completions(&self) -> Vec<(CallId, i32)> {
        let completed = |action: &Action| match action {
            Action::Complete { call, code } => Some((*call, *code)),
            _ => None,
        };
        self.0.iter().filter_map(completed).collect()
    }

    /// Events other than those of the connection.
    pub(super) fn events(&self) -> Vec<Event> {
        let delivered = |action: &Action| match action {
            Action::Event {
                event: Event::Connection { .. },
                ..
            } => None,
            Action::Event { event, .. } => Some(*event),
            _ => None,
        };
        self.0.iter().filter_map(delivered).collect()
    }

    pub(super) fn connection_events(&self) -> Vec<(ConnectionStatus, i32)> {
        let delivered = |action: &Action| match action {
            Action::Event {
                event: Event::Connection { status, code },
                ..
            } => Some((*status, *code)),
            _ => None,
        };
        self.0.iter().filter_map(delivered).collect()
    }

    pub(super) fn abandoned(&self) -> Vec<u64> {
        let dropped = |action: &Action| match action {
            Action::Abandon { seq } => Some(*seq),
            _ => None,
        };
        self.0.iter().filter_map(dropped).collect()
    }

    /// The input had no effect.
    pub(super) fn is_nothing(&self) {
        assert!(self.0.is_empty(), "{:?}", self.0);
    }
}

pub(super) fn failure(code: i32) -> Failure {
    Failure {
        code,
        phase: Phase::Connect,
        cause: "a test's failure".to_owned(),
        address: "192.0.2.1:443".to_owned(),
    }
}

pub(super) fn kick() -> Kick {
    Kick {
        cause: KickCause::OtherDevice,
        platform: Some(Platform::Iphone),
        device_name: "another phone".to_owned(),
        time_ms: SERVER_MS,
    }
}

pub(super) fn ended(code: i32) -> StreamEvent {
    StreamEvent::SessionEnded(wire::EndEvent {
        code,
        message: String::new(),
    })
}

pub(super) fn expired() -> StreamEvent {
    StreamEvent::UserSigExpired(wire::EndEvent {
        code: code::USER_SIG_EXPIRED,
        message: String::new(),
    })
}

pub(super) fn going_away(return_in_ms: u64) -> StreamEvent {
    StreamEvent::GoingAway(wire::GoingAwayEvent { return_in_ms })
}
