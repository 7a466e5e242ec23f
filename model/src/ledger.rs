//! What must hold, and the history needed to judge it: that of an observer of the whole system, who
//! knows more than any client or the server.

use crate::check::{Count, Seen};
use crate::token::Token;
use std::collections::{BTreeMap, BTreeSet};
use tim_proto::wire::RequestNumber;
use tim_server::user::{Login, Outcome, Session, User};

/// What must hold at every moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Only the first acceptance of a login by an app displaces anybody. A resume, a retry, a
    /// duplicate and a login with intent reconnect displace nobody.
    OnlyNewLoginsDisplace,
    /// A login that was accepted once gets the same session with the same epoch again, or is
    /// refused.
    RetryKeepsSession,
    /// A later login has a greater epoch.
    EpochsGrow,
    /// What was logged out or displaced does not come back.
    EndedStaysEnded,
    /// A login that its app has abandoned, as the server knows, is not accepted afterwards.
    LeftStaysLeft,
    /// Holders of one token take the session from each other once per clone, and once more for each
    /// time that one of them was cut off. They do not fight.
    ClonesDoNotFight,
    /// A kicked client was displaced, or its session is held by a clone.
    OnlyDisplacedAreKicked,
    /// A client that was kicked, or whose ticket has expired, sends no request before its app logs
    /// in.
    KickIsTerminal,
    /// Every accepted call completes exactly once.
    CompletesOnce,
    /// Every accepted call completes within its limit.
    CompletesInTime,
    /// A client that is logging in, is logged in, or has a pending call has a next deadline.
    WayOut,
    /// Only a call by the app, a verdict or an event of the stream signs a user out.
    NoFalseSignOut,
    /// The logged-in user is the one that the server accepted.
    LoggedInAsAnswered,
    /// An answer to a request that was dropped has no effect.
    LateHasNoEffect,
    /// No request carries a ticket that has expired, or that was refused and that its app has not
    /// passed again.
    DeadTicketsStay,
    /// A record has no more sessions than the policy allows.
    PolicyHolds,
    /// No client keeps going by itself forever.
    ComesToRest,
    /// Once all is quiet, every client is either logged in with a stream that its session on the
    /// server also has, or logged out; no call is unfinished, and no more sessions are online than
    /// the policy allows.
    QuietIsConsistent,
    /// A logout completes with success or with the code of a network failure.
    LogoutSucceeds,
}

/// A client's login: its index and number.
type LoginOf = (usize, u64);

/// The relevant history.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Ledger {
    /// The first rule that was broken.
    pub broken: Option<Rule>,
    /// The sessions that logins got: id and epoch.
    accepted: BTreeMap<LoginOf, (u64, u64)>,
    /// Sessions that were logged out or displaced.
    ended: BTreeSet<u64>,
    /// Sessions that an accepted interactive login displaced.
    displaced: BTreeSet<u64>,
    /// Sessions that a clone has the token of.
    cloned: BTreeSet<u64>,
    /// How often a session's holder changed.
    takeovers: u8,
    /// Logins that the server knows to be abandoned, by user, instance and number.
    left: BTreeSet<(usize, String, u64)>,
    /// The records were lost in a restart.
    records_lost: bool,
    /// Clients that returned with their ticket after the keys were lost and found their place
    /// taken.
    place_taken: BTreeSet<usize>,
    keys_lost: bool,
}

/// Observations during one step of a client.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// The first rule that was broken.
    broken: Option<Rule>,
    /// The app was told that the session was taken over.
    pub kicked: bool,
}

impl Notes {
    /// Records that this rule does not hold.
    pub fn breaks(&mut self, rule: Rule) {
        self.broken.get_or_insert(rule);
    }

    /// Records whether this rule holds.
    pub fn holds(&mut self, rule: Rule, holds: bool) {
        if !holds {
            self.breaks(rule);
        }
    }
}

impl Ledger {
    fn holds(&mut self, rule: Rule, holds: bool) {
        if !holds {
            self.broken.get_or_insert(rule);
        }
    }

    /// Records the observations of this client, which holds this session.
    pub fn note(&mut self, notes: &Notes, client: usize, session_id: Option<u64>) {
        self.broken = self.broken.or(notes.broken);
        if notes.kicked {
            self.kicked(client, session_id);
        }
    }

    /// The server has decided a login.
    pub fn login(
        &mut self,
        client: usize,
        user: usize,
        login: &Login<'_>,
        outcome: &Outcome,
        (before, after): (&User, &User),
        count: &Count,
    ) {
        let gone = gone(before, after);
        let number = login.number;
        let of = (client, number.login_no);
        let Outcome::Accepted(session_id) = *outcome else {
            self.holds(Rule::OnlyNewLoginsDisplace, gone.is_empty());
            if !login.interactive {
                self.place_taken.insert(client);
            }
            count.saw(match outcome {
                Outcome::Ghost => Seen::GhostLogin,
                _ if login.interactive => Seen::LoginDisplaced,
                _ => Seen::ReLoginFoundItsPlaceTaken,
            });
            return;
        };
        let epoch = after.session(session_id).map_or(0, |s| s.epoch);
        let is_left = |(of, instance, no): &(usize, String, u64)| {
            *of == user && *instance == number.instance && number.login_no <= *no
        };
        self.holds(Rule::LeftStaysLeft, !self.left.iter().any(is_left));
        let first = self.accepted.get(&of).copied();
        if !login.interactive {
            count.saw(Seen::ReLogin);
            self.holds(Rule::OnlyNewLoginsDisplace, gone.is_empty());
        } else if let Some(first) = first {
            count.saw(Seen::Retry);
            self.holds(Rule::OnlyNewLoginsDisplace, gone.is_empty());
            self.holds(Rule::RetryKeepsSession, first == (session_id, epoch));
        } else {
            let newest = before.sessions.iter().map(|session| session.epoch).max();
            self.holds(Rule::EpochsGrow, newest < Some(epoch));
            if !gone.is_empty() {
                count.saw(Seen::Displacement);
            }
            self.displaced.extend(&gone);
        }
        self.accepted.insert(of, (session_id, epoch));
        self.ended.extend(&gone);
    }

    /// The server has decided a resume.
    pub fn resume(
        &mut self,
        token: &Token,
        number: &RequestNumber,
        outcome: &Outcome,
        (before, after): (&User, &User),
        count: &Count,
    ) {
        let gone = gone(before, after);
        // Lost records no longer say who was displaced: the newer login displaces it again.
        let again = |id: &u64| {
            self.records_lost
                && before
                    .session(*id)
                    .is_some_and(|victim| victim.epoch < token.epoch)
        };
        let all = gone.iter().all(again);
        self.holds(Rule::OnlyNewLoginsDisplace, all);
        self.displaced.extend(&gone);
        self.ended.extend(&gone);
        let Outcome::Accepted(session_id) = *outcome else {
            count.saw(match outcome {
                Outcome::Ghost => Seen::GhostResume,
                _ => Seen::ResumeDisplaced,
            });
            let is_unknown = before.session(token.session_id).is_none();
            let newer = |session: &Session| session.epoch >= token.epoch;
            if is_unknown && before.sessions.iter().any(newer) {
                // That login displaced this session while the server did not know of it.
                self.displaced.insert(token.session_id);
            }
            return;
        };
        count.saw(if before.session(session_id).is_some() {
            Seen::Resume
        } else {
            Seen::Recreated
        });
        let epoch = after.session(session_id).map(|session| session.epoch);
        self.holds(Rule::RetryKeepsSession, epoch == Some(token.epoch));
        let is_ended = self.ended.contains(&session_id) && !self.records_lost;
        self.holds(Rule::EndedStaysEnded, !is_ended);
        let held_by_other = before
            .session(session_id)
            .is_some_and(|session| *session.instance != *number.instance);
        if held_by_other {
            count.saw(Seen::Takeover);
            self.takeovers += 1;
        }
    }

    /// Another client now has the token of this session.
    pub fn cloned(&mut self, session_id: u64) {
        self.cloned.insert(session_id);
    }

    /// A session was logged out.
    pub fn ended(&mut self, session_id: u64) {
        self.ended.insert(session_id);
    }

    /// The server has learned that an app abandoned a login.
    pub fn left(
        &mut self,
        user: usize,
        instance: &str,
        login_no: u64,
        (before, after): (&User, &User),
    ) {
        self.left.insert((user, instance.to_owned(), login_no));
        self.ended.extend(gone(before, after));
    }

    fn kicked(&mut self, client: usize, session_id: Option<u64>) {
        let known = |ids: &BTreeSet<u64>| session_id.is_some_and(|id| ids.contains(&id));
        // Another holder of its token has taken the session or logged it out.
        let by_clone = known(&self.cloned) && (self.takeovers > 0 || known(&self.ended));
        let taken = self.keys_lost && self.place_taken.contains(&client);
        let holds = known(&self.displaced) || by_clone || taken;
        self.holds(Rule::OnlyDisplacedAreKicked, holds);
    }

    /// How often holders of one token took its session from each other.
    pub fn takeovers(&self) -> u8 {
        self.takeovers
    }

    /// The server has restarted and kept what the store keeps.
    pub fn restarted(&mut self, is_held: impl Fn(u64) -> bool) {
        // A login whose answer was lost, and whose session nobody has ended, is forgotten with the
        // session: its retry is its first acceptance.
        let ended = &self.ended;
        self.accepted
            .retain(|_, (session_id, _)| ended.contains(session_id) || is_held(*session_id));
    }

    /// The server has restarted without its records; perhaps without its keys.
    pub fn lost(&mut self, keys: bool, is_held: impl Fn(u64) -> bool) {
        self.records_lost = true;
        self.keys_lost |= keys;
        self.accepted
            .retain(|_, (session_id, _)| is_held(*session_id));
    }
}

/// The sessions that no longer exist.
fn gone(before: &User, after: &User) -> Vec<u64> {
    let ids = before.sessions.iter().map(|session| session.session_id);
    ids.filter(|id| after.session(*id).is_none()).collect()
}
