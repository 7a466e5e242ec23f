//! A client: the shipping state machine, its app, and what was delivered to the app.
//!
//! Each client has its own clock, which moves only when one of its deadlines is reached. That may
//! happen at any moment as seen by the others: no two clients need to agree on how fast time
//! passes.

use crate::ledger::{Notes, Rule};
use crate::setup::{Setup, USERS};
use crate::tickets_seen::TicketsSeen;
use crate::token::{Token, ticket};
use tim::Secret;
use tim::error;
use tim::session::{
    Action, Answer, CallId, Event, Failure, Identity, Input, Limits, LoginStatus, Now, Phase,
    Request, Session,
};
use tim_proto::code::{self, Class};
use tim_proto::wire::{SessionEvent, StreamEvent};

const LOGIN_MS: u64 = 15_000;
const REQUEST_MS: u64 = 5_000;
/// How far a machine may exceed a limit when the network does not end a request by itself.
const GRACE_MS: u64 = 1_000;
/// No wait of a client takes longer, except for the end of a ticket.
const HORIZON_MS: u64 = 3_600_000;

/// A client.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Client {
    /// Its device's index.
    device: usize,
    session: Session,
    now: Now,
    /// The unfinished calls, and when each must have finished.
    calls: Vec<(CallId, u64)>,
    /// The unfinished logouts among them.
    logouts: Vec<CallId>,
    last_call: CallId,
    /// Kicked or expired, and the app has not logged in since.
    over: bool,
    destroyed: bool,
    /// The token of its newest session.
    token: Option<Token>,
    /// How many tickets its app has fetched after the first.
    tickets: i64,
    seen: TicketsSeen,
}

/// What a client asks of the network.
pub enum Wish {
    /// A request is to be sent.
    Send {
        /// Its number.
        seq: u64,
        /// What it says.
        request: Request,
        /// How long to wait for an answer.
        deadline_ms: u64,
    },
    /// A request or stream is dropped.
    Drop(u64),
}

impl Client {
    /// The client of this device, with this index.
    pub fn new(setup: &Setup, client: usize, device: usize) -> Client {
        let of = setup.devices[device];
        let identity = Identity {
            sdk_app_id: 1,
            device_id: of.id.to_owned(),
            platform: of.platform,
            device_name: of.id.to_owned(),
            instance: format!("{client:032x}"),
        };
        let limits = Limits {
            login_timeout_ms: LOGIN_MS,
            request_timeout_ms: REQUEST_MS,
            // Every wait is a moment of its own, whatever its length.
            reconnect_first_ms: 0,
            reconnect_max_ms: 0,
            expiring_lead_s: None,
        };
        Client {
            device,
            session: Session::new(identity, limits, 1),
            now: Now::default(),
            calls: Vec::new(),
            logouts: Vec::new(),
            last_call: 0,
            over: false,
            destroyed: false,
            token: None,
            tickets: 0,
            seen: TicketsSeen::default(),
        }
    }

    /// A client with this one's device and token, about to take the session over.
    pub fn cloned(&self, setup: &Setup, client: usize, server_time_ms: i64) -> Option<Client> {
        let token = self.token.filter(|_| self.is_logged_in())?;
        let mut clone = Client::new(setup, client, self.device);
        let mut notes = Notes::default();
        let login = clone.login(setup, token.user);
        clone.handle(login, &mut notes);
        let stolen = Answer::Session(SessionEvent {
            session: token.write(),
            epoch: token.epoch,
            server_time_ms,
            heartbeat_ms: HORIZON_MS,
            spread_ms: 0,
            user_sig_expires_ms: token.ends_ms,
            instance: format!("{client:032x}"),
            seq: 1,
        });
        clone.handle(
            Input::Answer {
                seq: 1,
                answer: stolen,
            },
            &mut notes,
        );
        clone.handle(cut(1), &mut notes);
        Some(clone)
    }

    /// Whether somebody is logged in.
    pub fn is_logged_in(&self) -> bool {
        self.session.login_status() == LoginStatus::LoggedIn
    }

    /// Whether nobody is logged in or logging in.
    pub fn is_logged_out(&self) -> bool {
        self.session.login_status() == LoginStatus::LoggedOut
    }

    /// Whether the app can still call.
    pub fn is_usable(&self) -> bool {
        !self.destroyed
    }

    /// The user who is logged in.
    pub fn user(&self) -> Option<usize> {
        let user = self.session.login_user()?;
        USERS.iter().position(|known| *known == user)
    }

    /// The session that is held.
    pub fn session_id(&self) -> Option<u64> {
        self.token.map(|token| token.session_id)
    }

    /// Whether a call is pending.
    pub fn has_calls(&self) -> bool {
        !self.calls.is_empty()
    }

    /// Whether it will act by itself in the near future.
    pub fn has_deadline(&self) -> bool {
        let near = self.now.ms + HORIZON_MS;
        self.session.next_deadline().is_some_and(|at| at <= near)
    }

    /// Whether it has no deadline of its own before then.
    pub fn waits_until(&self, ms: u64) -> bool {
        self.session.next_deadline().is_none_or(|at| at >= ms)
    }

    // The app's calls.

    /// The app logs this user in.
    pub fn login(&mut self, setup: &Setup, user: usize) -> Input {
        let call = self.call(LOGIN_MS);
        self.over = false;
        Input::Login {
            call,
            user_id: USERS[user].to_owned(),
            user_sig: Secret::new(self.ticket(setup, user)),
        }
    }

    /// The app logs out.
    pub fn logout(&mut self) -> Input {
        let call = self.call(REQUEST_MS);
        self.logouts.push(call);
        Input::Logout { call }
    }

    /// The app renews the ticket.
    pub fn renew(&mut self, setup: &Setup) -> Input {
        self.tickets += 1;
        let call = self.call(REQUEST_MS);
        let user = self.user().unwrap_or(0);
        Input::Renew {
            call,
            user_sig: Secret::new(self.ticket(setup, user)),
        }
    }

    /// The app destroys the client.
    pub fn destroy(&mut self) -> Input {
        self.destroyed = true;
        Input::Destroy
    }

    fn ticket(&self, setup: &Setup, user: usize) -> String {
        ticket(user, setup.ticket_end_ms(self.tickets))
    }

    fn call(&mut self, limit_ms: u64) -> CallId {
        self.last_call += 1;
        self.calls
            .push((self.last_call, self.now.ms + limit_ms + GRACE_MS));
        self.last_call
    }

    // Input from the network.

    /// The next deadline is reached.
    pub fn reach_deadline(&mut self) -> Input {
        self.pass_to(self.session.next_deadline().unwrap_or(self.now.ms));
        Input::Tick
    }

    /// Time passes until then.
    pub fn pass_to(&mut self, ms: u64) {
        let passed = ms.saturating_sub(self.now.ms);
        self.now.ms += passed;
        self.now.boot_ms += passed;
    }

    /// One step of the state machine. Returns what it asks for, and judges what it does.
    pub fn handle(&mut self, input: Input, notes: &mut Notes) -> Vec<Wish> {
        let was_in = self.is_logged_in();
        let may_sign_out = may_sign_out(&input);
        let answered = match &input {
            Input::Answer {
                answer: Answer::Session(event),
                ..
            } => Token::read(&event.session),
            _ => None,
        };
        self.seen.take(&input, self.now.boot_ms);
        let actions = self.session.handle(input, self.now);
        if let Some(token) = answered {
            self.token = Some(token);
            notes.holds(Rule::LoggedInAsAnswered, self.user() == Some(token.user));
        }
        let mut wishes = Vec::new();
        for action in actions {
            match action {
                Action::Send {
                    seq,
                    request,
                    deadline_ms,
                } => {
                    let telling = matches!(request, Request::Logout(_));
                    notes.holds(Rule::KickIsTerminal, telling || !self.over);
                    let dead = self.seen.sends_dead(seq, &request, self.now.boot_ms);
                    notes.holds(Rule::DeadTicketsStay, !dead);
                    wishes.push(Wish::Send {
                        seq,
                        request,
                        deadline_ms,
                    });
                }
                Action::Abandon { seq } => wishes.push(Wish::Drop(seq)),
                Action::Complete { call, code } => self.complete(call, code, notes),
                Action::Event { event, .. } => {
                    self.over |= is_over(event);
                    notes.kicked |= matches!(event, Event::KickedOffline { .. });
                    // The app fetches another ticket.
                    self.tickets += i64::from(matches!(event, Event::UserSigExpired { .. }));
                }
                Action::DropEarlierEvents => {}
            }
        }
        let signed_out = was_in && !self.is_logged_in();
        notes.holds(Rule::NoFalseSignOut, may_sign_out || !signed_out);
        let late = self.calls.iter().any(|(_, until)| *until < self.now.ms);
        notes.holds(Rule::CompletesInTime, !late);
        let waits = self.has_calls() || !self.is_logged_out();
        let has_way = self.session.next_deadline().is_some();
        notes.holds(Rule::WayOut, has_way || !waits);
        wishes
    }

    fn complete(&mut self, call: CallId, code: i32, notes: &mut Notes) {
        let at = self.calls.iter().position(|(open, _)| *open == call);
        match at {
            Some(at) => drop(self.calls.remove(at)),
            None => notes.breaks(Rule::CompletesOnce),
        }
        if let Some(at) = self.logouts.iter().position(|open| *open == call) {
            self.logouts.remove(at);
            let known = [
                error::OK,
                error::ERR_CONNECTION_RESET,
                error::ERR_RESPONSE_TIMEOUT,
                error::ERR_LOGOUT_IN_PROGRESS,
                error::ERR_INTERRUPTED,
            ];
            notes.holds(Rule::LogoutSucceeds, known.contains(&code));
        }
    }

    /// Delivers the answer to a dropped request, which must change nothing.
    pub fn handle_late(&mut self, input: Input, notes: &mut Notes) {
        let before = self.session.clone();
        let actions = self.session.handle(input, self.now);
        let nothing = actions.is_empty() && self.session == before;
        notes.holds(Rule::LateHasNoEffect, nothing);
    }
}

/// The request's connection broke, or took too long.
pub fn failed(seq: u64, code: i32) -> Input {
    Input::Failed {
        seq,
        failure: failure(code, Phase::Response),
    }
}

/// The stream was cut.
pub fn cut(seq: u64) -> Input {
    Input::StreamLost {
        seq,
        failure: failure(error::ERR_CONNECTION_RESET, Phase::Stream),
    }
}

fn failure(code: i32, phase: Phase) -> Failure {
    Failure {
        code,
        phase,
        cause: String::new(),
        address: String::new(),
    }
}

/// Whether the event tells the app that the server ended its login.
fn is_over(event: Event) -> bool {
    matches!(
        event,
        Event::KickedOffline { .. } | Event::UserSigExpired { .. }
    )
}

fn may_sign_out(input: &Input) -> bool {
    let ends = |code| matches!(code::class(code), Some(Class::NeedsTicket | Class::Ended));
    match input {
        Input::Login { .. } | Input::Logout { .. } | Input::Destroy => true,
        Input::Answer {
            answer: Answer::Refused(refused),
            ..
        } => refused.refusal.as_ref().is_some_and(|r| ends(r.code)),
        Input::Stream { event, .. } => match event {
            StreamEvent::Kicked(_) | StreamEvent::UserSigExpired(_) => true,
            StreamEvent::SessionEnded(end) => ends(end.code),
            _ => false,
        },
        _ => false,
    }
}
