//! The server: its users' records, decided by the shipping rules. The code around them does what
//! `service.rs` does, without the signatures of tickets and tokens.

use crate::check::Count;
use crate::ledger::Ledger;
use crate::network::Id;
use crate::setup::{START_MS, Setup, USERS};
use crate::token::{Token, read_ticket};
use tim::session::{Answer, Refused, Request};
use tim_proto::code;
use tim_proto::wire::{
    Ending, Intent, Kick, LoginRequest, LogoutAnswer, Refusal, RequestNumber, ResumeRequest,
    SessionEvent,
};
use tim_server::user::{Login, Outcome, Push, Rules, Session, User, can_resume};

/// So long that silence never ends a stream by itself, in checks that are not about silence.
const NO_HEARTBEAT_MS: u64 = 1_000_000_000_000;
const HEARTBEAT_MS: u64 = 25_000;
/// How long a restart takes.
const RESTART_MS: i64 = 1_000;

/// The server.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Server {
    /// The records, by the user's index.
    pub users: [User; USERS.len()],
    /// Its clock, in ms of Unix time.
    pub now_ms: i64,
    /// Which keys sign its tokens.
    pub keys: u64,
    /// The store's bound on epochs: no assigned one reaches it.
    epochs_below: u64,
}

impl Default for Server {
    fn default() -> Server {
        Server {
            users: Default::default(),
            now_ms: START_MS,
            keys: 1,
            epochs_below: 0,
        }
    }
}

/// How far ahead the store keeps its bound.
const AHEAD_MS: u64 = 10_000;

/// The result of a request.
pub enum Reply {
    /// Accepted: this user's stream, which begins with this event.
    Stream(usize, SessionEvent),
    /// Anything else.
    Answer(Answer),
}

/// The observers of the server.
pub struct Watch<'a> {
    /// Judges what the server does.
    pub ledger: &'a mut Ledger,
    /// Counts it.
    pub count: &'a Count,
}

/// A refusal: the code, and who took the session over.
type Refusing = (i32, Option<Kick>);

impl Server {
    /// Handles a request. Returns its result; `pushes` go to streams.
    pub fn receive(
        &mut self,
        setup: &Setup,
        id: Id,
        request: &Request,
        watch: &mut Watch<'_>,
        pushes: &mut Vec<Push>,
    ) -> Reply {
        match request {
            Request::Login(request) => {
                for ending in &request.ends {
                    // The login does not depend on it: an ending that cannot be applied ends
                    // nothing.
                    let _ = self.end(ending, setup, watch, pushes);
                }
                let decided = self.login(setup, id, request, watch, pushes);
                self.answer(setup, &request.number(), decided)
            }
            Request::Resume(request) => {
                let decided = self.resume(setup, id, request, watch, pushes);
                self.answer(setup, &request.number(), decided)
            }
            Request::Logout(request) => {
                let seq = request.seq;
                // What the request does not name is not echoed.
                let instance = match &request.ends {
                    Ending::Session { .. } => String::new(),
                    Ending::Login { instance, .. } => instance.clone(),
                };
                Reply::Answer(match self.end(&request.ends, setup, watch, pushes) {
                    Ok(()) => Answer::LoggedOut(LogoutAnswer { code: 0, seq }),
                    Err((code, kick)) => refused(code, kick, instance, seq),
                })
            }
        }
    }

    fn login(
        &mut self,
        setup: &Setup,
        id: Id,
        request: &LoginRequest,
        watch: &mut Watch<'_>,
        pushes: &mut Vec<Push>,
    ) -> Result<(usize, Session), Refusing> {
        let (user, ends_ms) = self.check_ticket(&request.user_id, &request.user_sig)?;
        let number = request.number();
        let login = Login {
            device_id: &request.device_id,
            platform: request.platform,
            device_name: &request.device_name,
            number: &number,
            ends_ms,
            interactive: request.intent == Intent::Interactive,
            session_id: id.number(),
            stream: id.place(),
        };
        let before = self.tidied(user, &setup.rules);
        let outcome = self.users[user].login(&login, &setup.rules, self.now_ms, pushes);
        let highest = self.users[user].highest_epoch();
        if highest >= self.epochs_below {
            self.epochs_below = highest + AHEAD_MS;
        }
        let records = (&before, &self.users[user]);
        let Watch { ledger, count } = watch;
        ledger.login(id.client, user, &login, &outcome, records, count);
        accepted(&self.users[user], outcome).map(|session| (user, session))
    }

    fn resume(
        &mut self,
        setup: &Setup,
        id: Id,
        request: &ResumeRequest,
        watch: &mut Watch<'_>,
        pushes: &mut Vec<Push>,
    ) -> Result<(usize, Session), Refusing> {
        let token = self.check_token(&request.session)?;
        let user = token.user;
        let ends_ms = match &request.user_sig {
            Some(ticket) => self.check_ticket(USERS[user], ticket)?.1,
            None => token.ends_ms,
        };
        if !can_resume(token.ends_ms, request.user_sig.is_some(), self.now_ms) {
            return Err((code::USER_SIG_EXPIRED, None));
        }
        let before = self.tidied(user, &setup.rules);
        let number = request.number();
        let outcome = self.users[user].resume(
            token.claim(setup, ends_ms),
            &number,
            id.place(),
            &setup.rules,
            self.now_ms,
            pushes,
        );
        let records = (&before, &self.users[user]);
        let Watch { ledger, count } = watch;
        ledger.resume(&token, &number, &outcome, records, count);
        accepted(&self.users[user], outcome).map(|session| (user, session))
    }

    fn end(
        &mut self,
        ending: &Ending,
        setup: &Setup,
        watch: &mut Watch<'_>,
        pushes: &mut Vec<Push>,
    ) -> Result<(), Refusing> {
        match ending {
            Ending::Session { session } => {
                let token = self.check_token(session)?;
                let device = setup.devices[token.device].id;
                self.tidied(token.user, &setup.rules);
                let user = &mut self.users[token.user];
                let until_ms = token.latest_end_ms.max(token.ends_ms);
                user.log_out(token.session_id, device, token.epoch, until_ms, pushes);
                watch.ledger.ended(token.session_id);
            }
            Ending::Login {
                user_id,
                user_sig,
                device_id,
                instance,
                login_no,
                ..
            } => {
                let (user, _) = self.check_ticket(user_id, user_sig)?;
                let before = self.tidied(user, &setup.rules);
                self.users[user].end_login(device_id, instance, *login_no, self.now_ms, pushes);
                let records = (&before, &self.users[user]);
                watch.ledger.left(user, instance, *login_no, records);
            }
        }
        Ok(())
    }

    /// A new run starts with what is left of the records.
    pub fn restart(&mut self, kept: impl Fn(&User) -> User) {
        self.users = self.users.each_ref().map(kept);
        for user in &mut self.users {
            user.epochs_above(self.epochs_below);
        }
        self.now_ms += RESTART_MS;
    }

    /// The keys are gone, too.
    pub fn lose_keys(&mut self) {
        self.keys += 1;
        self.epochs_below = 0;
    }

    /// Nobody reads this stream any longer.
    pub fn stream_closed(&mut self, setup: &Setup, user: usize, id: Id) {
        self.tidied(user, &setup.rules);
        self.users[user].stream_closed(id.place(), self.now_ms);
    }

    /// Ends a stream if its ticket has expired. Returns whether it had.
    pub fn ticket_ends(&mut self, setup: &Setup, user: usize, id: Id) -> bool {
        self.tidied(user, &setup.rules);
        self.users[user].expire(id.place(), self.now_ms)
    }

    /// What precedes every decision over a record. Returns the record to decide over.
    fn tidied(&mut self, user: usize, rules: &Rules) -> User {
        let record = &mut self.users[user];
        record.tidy(self.now_ms);
        record.end_absent(rules, self.now_ms);
        record.clone()
    }

    fn check_ticket(&self, user_id: &str, ticket: &str) -> Result<(usize, i64), Refusing> {
        let (user, ends_ms) = read_ticket(ticket).ok_or((code::USER_SIG_UNREADABLE, None))?;
        if USERS[user] != user_id {
            return Err((code::USER_SIG_OTHER_USER, None));
        }
        if self.now_ms > ends_ms {
            return Err((code::USER_SIG_EXPIRED, None));
        }
        Ok((user, ends_ms))
    }

    fn check_token(&self, text: &str) -> Result<Token, Refusing> {
        Token::read(text)
            .filter(|token| token.keys == self.keys)
            .ok_or((code::SESSION_TOKEN_INVALID, None))
    }

    fn answer(
        &self,
        setup: &Setup,
        number: &RequestNumber,
        decided: Result<(usize, Session), Refusing>,
    ) -> Reply {
        let RequestNumber { instance, seq, .. } = number.clone();
        let (user, session) = match decided {
            Ok(decided) => decided,
            Err((code, kick)) => return Reply::Answer(refused(code, kick, instance, seq)),
        };
        let device = setup
            .devices
            .iter()
            .position(|d| *d.id == *session.device_id);
        let token = Token {
            keys: self.keys,
            user,
            device: device.unwrap_or(usize::MAX),
            session_id: session.session_id,
            epoch: session.epoch,
            ends_ms: session.ends_ms,
            latest_end_ms: session.latest_end_ms,
        };
        let first = SessionEvent {
            session: token.write(),
            epoch: session.epoch,
            server_time_ms: self.now_ms,
            heartbeat_ms: if setup.silence {
                HEARTBEAT_MS
            } else {
                NO_HEARTBEAT_MS
            },
            spread_ms: 0,
            user_sig_expires_ms: session.ends_ms,
            instance,
            seq,
        };
        Reply::Stream(user, first)
    }
}

fn accepted(user: &User, outcome: Outcome) -> Result<Session, Refusing> {
    let displaced = |kick| (code::KICKED_OFFLINE, kick);
    match outcome {
        Outcome::Accepted(session_id) => user.session(session_id).cloned().ok_or(displaced(None)),
        Outcome::Displaced(kick) => Err(displaced(kick)),
        Outcome::Ghost => Err((code::BAD_REQUEST, None)),
        Outcome::TooOften { .. } => Err((code::LOGIN_TOO_OFTEN, None)),
    }
}

fn refused(code: i32, kick: Option<Kick>, instance: String, seq: u64) -> Answer {
    Answer::Refused(Refused {
        // Only answers without the protocol's header are judged by it.
        http_status: 400,
        tim_protocol: true,
        refusal: Some(Refusal {
            code,
            message: String::new(),
            instance,
            seq,
            kick,
        }),
        retry_after_ms: None,
        address: String::new(),
    })
}
