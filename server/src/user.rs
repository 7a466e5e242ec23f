//! A user's record: account, sessions, floors, and which requests were seen.
//!
//! The rules are pure: they take a record, a request and the time, change the record, and return
//! what is to be pushed to streams. The store (`store.rs`) compares and swaps whole records, so
//! that two nodes never decide over the same one, and makes them durable before the answer.

mod changes;
mod devices;
mod endings;
mod faults;
mod login;
mod operator;
mod presence;
mod reassert;
mod request_numbers;
mod resume;
mod takeovers;
mod tickets;

pub use changes::Change;
pub use devices::{Device, Devices};
pub use login::Login;
pub use operator::Profile;
pub use presence::Presence;
pub use reassert::{Decided, Gone, Held};
pub use resume::{Claim, can_resume};
pub use tickets::{Ban, Denied, Ticket};

use crate::calendar::{Day, TimeZone};
use crate::policy::Policy;
use endings::Floors;
use request_numbers::RequestNumbers;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use takeovers::Takeovers;
use tickets::Revoked;
use tim_proto::Platform;
use tim_proto::wire::{Kick, KickCause};

/// A session whose ticket has expired is forgotten this much later, even if its stream was not
/// ended before: the node that held it may be dead.
const TICKET_GRACE_MS: i64 = 60_000;

/// How long after its ticket's expiry a token restores its session if a new ticket comes with it.
/// What has ended must be remembered for as long.
const RENEWABLE_MS: i64 = 7 * 86_400_000;

/// The app's rules for its users' logins.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rules {
    /// Who may be logged in beside whom.
    pub policy: Policy,
    /// Whether the first login of a device that was kicked while away is refused once.
    pub kicked_while_away_notice: bool,
    /// After this many takeovers between the same two devices within
    /// [`Rules::takeovers_window_ms`], the next one must wait; 0: never.
    pub takeovers_max: u32,
    /// See [`Rules::takeovers_max`]. A pause of this length forgets them all.
    pub takeovers_window_ms: i64,
    /// How long the next takeover must wait.
    pub takeovers_wait_ms: i64,
    /// A session that nobody resumes for this long has ended.
    pub away_max_ms: i64,
    /// The time zone of the app's days.
    pub time_zone: TimeZone,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            policy: Policy::default(),
            kicked_while_away_notice: false,
            takeovers_max: 6,
            takeovers_window_ms: 60_000,
            takeovers_wait_ms: 10_000,
            away_max_ms: 7 * 86_400_000,
            time_zone: TimeZone::default(),
        }
    }
}

/// An account: the user has logged in once or was imported.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Account {
    pub registered_ms: i64,
    /// The same, as a day of the app.
    #[serde(default)]
    pub registered_day: Day,
    #[serde(default, skip_serializing_if = "is_default")]
    pub nick: String,
    #[serde(default, skip_serializing_if = "is_default")]
    pub face_url: String,
}

/// A stream and the node that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StreamRef {
    pub node: u64,
    pub stream_id: u64,
}

/// A session: what the server knows about one login.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Session {
    pub session_id: u64,
    pub device_id: Arc<str>,
    pub platform: Platform,
    pub device_name: Arc<str>,
    pub instance: Arc<str>,
    pub login_no: u64,
    pub epoch: u64,
    /// When the ticket expires, in ms of Unix time.
    pub ends_ms: i64,
    /// The latest expiry in any token of this session: a renewal may have brought a shorter ticket
    /// than the one before.
    #[serde(default, skip_serializing_if = "is_default")]
    pub latest_end_ms: i64,
    /// The fingerprint of the policy that decided its login; 0: unknown.
    #[serde(default, skip_serializing_if = "is_default")]
    pub policy: u32,
    /// Where its events go; `None` while nobody reads.
    pub stream: Option<StreamRef>,
    /// Since when nobody reads.
    #[serde(default)]
    pub away_since_ms: Option<i64>,
    /// Where its last connection came from, if the app's backend is to be informed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub from: Option<IpAddr>,
}

/// A user's record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct User {
    pub account: Option<Account>,
    #[serde(skip_serializing_if = "is_default")]
    pub sessions: Vec<Session>,
    #[serde(skip_serializing_if = "is_default")]
    pub devices: Devices,
    /// The latest day with an accepted login or resume. The store counts a day's users by it.
    pub active_day: Day,
    /// When the operator last decided something about the user.
    #[serde(skip_serializing_if = "is_default")]
    decided_ms: i64,
    #[serde(skip_serializing_if = "is_default")]
    ban: Option<Ban>,
    #[serde(skip_serializing_if = "is_default")]
    revoked: Option<Revoked>,
    /// The tickets of the current second that were used.
    #[serde(skip_serializing_if = "is_default")]
    fresh_tickets: Vec<Ticket>,
    #[serde(skip_serializing_if = "is_default")]
    highest_epoch: u64,
    #[serde(skip_serializing_if = "is_default")]
    floors: Floors,
    #[serde(skip_serializing_if = "is_default")]
    numbers: RequestNumbers,
    #[serde(skip_serializing_if = "is_default")]
    takeovers: Takeovers,
}

/// [`User::lasting`] in serialized form, without copying.
#[derive(PartialEq, Serialize)]
pub struct Lasting<'a> {
    account: &'a Option<Account>,
    devices: &'a Devices,
    active_day: Day,
    #[serde(skip_serializing_if = "is_default")]
    decided_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ban: &'a Option<Ban>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: &'a Option<Revoked>,
    floors: &'a Floors,
    highest_epoch: u64,
}

/// Empty fields are not written: most records have few, and every login is a write.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The result of a login or resume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The session with this id is the client's, and the given stream now belongs to it.
    Accepted(u64),
    /// Displaced meanwhile, by whom if that is still known.
    Displaced(Option<Kick>),
    /// Late or duplicate: it has no effect.
    Ghost,
    /// Two devices keep taking the session from each other: one must wait.
    TooOften { retry_after_ms: i64 },
}

/// A message for a stream, to be pushed once the new record is in force.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Push {
    pub to: StreamRef,
    pub what: Pushed,
}

/// What a stream is told; each of these ends it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Pushed {
    Kicked(Kick),
    /// Without an event: its client has another stream, or asked for the end.
    Closed,
    /// The operator ended the session, with this code.
    Ended(i32),
}

impl User {
    /// The part that survives a restart of a store that keeps sessions in memory: clients restore
    /// their sessions with their tokens.
    pub fn lasting(&self) -> User {
        User {
            account: self.account.clone(),
            devices: self.devices.clone(),
            active_day: self.active_day,
            decided_ms: self.decided_ms,
            ban: self.ban.clone(),
            revoked: self.revoked.clone(),
            floors: self.floors.clone(),
            highest_epoch: self.floors.highest(),
            ..User::default()
        }
    }

    /// The same, with the highest epoch of its sessions, for another store, which must not assign
    /// that epoch again.
    pub fn lasting_with_its_epoch(&self) -> User {
        User {
            highest_epoch: self.highest_epoch.max(self.floors.highest()),
            ..self.lasting()
        }
    }

    /// The same, for serializing.
    pub fn as_lasting(&self) -> Lasting<'_> {
        Lasting {
            account: &self.account,
            devices: &self.devices,
            active_day: self.active_day,
            decided_ms: self.decided_ms,
            ban: &self.ban,
            revoked: &self.revoked,
            floors: &self.floors,
            highest_epoch: self.floors.highest(),
        }
    }

    /// Whether [`User::lasting`] of both is equal.
    pub fn lasts_as(&self, other: &User) -> bool {
        self.as_lasting() == other.as_lasting()
    }

    /// Frees spare capacity: most users have one session on one device, and a list grows to room
    /// for four.
    pub fn shrink_to_fit(&mut self) {
        self.sessions.shrink_to_fit();
        self.devices.shrink_to_fit();
        self.numbers.shrink_to_fit();
        self.fresh_tickets.shrink_to_fit();
    }

    /// Whether there is an account, or a decision by the operator.
    pub fn is_worth_keeping(&self) -> bool {
        let decided = self.ban.is_some() || self.revoked.is_some() || self.floors.all_have_ended();
        self.account.is_some() || decided
    }

    /// The highest epoch assigned so far.
    pub fn highest_epoch(&self) -> u64 {
        self.highest_epoch
    }

    /// From now on every new epoch is above this one: the clock may have been set back since an
    /// earlier run assigned it.
    pub fn epochs_above(&mut self, epoch: u64) {
        self.highest_epoch = self.highest_epoch.max(epoch);
    }

    /// Forgets what has expired. Returns whether anything but [`User::lasting`] is left.
    pub fn tidy(&mut self, now_ms: i64) -> bool {
        self.sessions
            .retain(|session| session.ends_ms.saturating_add(TICKET_GRACE_MS) > now_ms);
        self.numbers.forget(now_ms);
        self.floors.forget(now_ms.saturating_sub(RENEWABLE_MS));
        self.forget_stale_tickets(now_ms);
        !(self.sessions.is_empty() && self.numbers.is_empty())
    }

    /// The session with this id.
    pub fn session(&self, session_id: u64) -> Option<&Session> {
        self.sessions.iter().find(|s| s.session_id == session_id)
    }

    /// Marks the streams of dead nodes as no longer read.
    pub fn nodes_died(&mut self, is_dead: impl Fn(u64) -> bool, now_ms: i64) {
        self.go_away(|stream| is_dead(stream.node), now_ms);
    }

    /// Marks this stream as no longer read. Returns the platform of the session that had it.
    pub fn stream_closed(&mut self, stream: StreamRef, now_ms: i64) -> Option<Platform> {
        let had_it = |session: &&Session| session.stream == Some(stream);
        let platform = self.sessions.iter().find(had_it)?.platform;
        self.go_away(|held| *held == stream, now_ms);
        Some(platform)
    }

    /// Records where the streams come from that sessions have gained since `before`.
    pub fn came_from(&mut self, from: Option<IpAddr>, before: &User) {
        for session in &mut self.sessions {
            let old = before.session(session.session_id);
            let had = old.and_then(|old| old.stream);
            if session.stream.is_some() && session.stream != had {
                session.from = from;
            }
        }
    }

    fn go_away(&mut self, is_closed: impl Fn(&StreamRef) -> bool, now_ms: i64) {
        for session in &mut self.sessions {
            if session.stream.take_if(|held| is_closed(held)).is_some() {
                session.away_since_ms = Some(now_ms);
            }
        }
    }

    /// Whether a session in the record has ended by time.
    pub fn has_due_sessions(&self, rules: &Rules, now_ms: i64) -> bool {
        self.due_ms(rules).is_some_and(|due_ms| due_ms <= now_ms)
    }

    /// When the next session ends by itself unless it is resumed.
    pub fn due_ms(&self, rules: &Rules) -> Option<i64> {
        let sessions = self.sessions.iter();
        sessions
            .filter_map(|session| session.ends_unless_back_ms(rules))
            .min()
    }

    /// Ends sessions that nobody has resumed for too long.
    pub fn end_absent(&mut self, rules: &Rules, now_ms: i64) {
        let is_absent = |session: &&Session| {
            let since = session.away_since_ms.filter(|_| session.stream.is_none());
            since.is_some_and(|since| now_ms.saturating_sub(since) > rules.away_max_ms)
        };
        let absent = self.sessions.iter().filter(is_absent);
        let absent: Vec<u64> = absent.map(|session| session.session_id).collect();
        for session_id in absent {
            self.end(session_id, None, false, &mut Vec::new());
        }
    }

    fn others(&self, device_id: &str) -> Vec<usize> {
        (0..self.sessions.len())
            .filter(|at| *self.sessions[*at].device_id != *device_id)
            .collect()
    }

    /// The indexes in `self.sessions` that the policy displaces for a login of `platform` from
    /// `device_id`; the device's own sessions are not among them.
    fn displaced(&self, policy: &Policy, device_id: &str, platform: Platform) -> Vec<usize> {
        let others = self.others(device_id);
        let platforms: Vec<_> = others
            .iter()
            .map(|at| (self.sessions[*at].platform, self.sessions[*at].epoch))
            .collect();
        policy
            .displaced(&platforms, platform)
            .into_iter()
            .map(|at| others[at])
            .collect()
    }
}

impl Session {
    /// What the reader of this session's stream is told when a client with this instance takes its
    /// place.
    fn replaced_by(&self, instance: &str, now_ms: i64) -> Pushed {
        if *self.instance == *instance {
            // It is the same client, which has moved on from that stream.
            Pushed::Closed
        } else {
            // Two holders of one token: the later one keeps it.
            Pushed::Kicked(self.kicks(self, now_ms))
        }
    }

    /// The kick of `victim` by this session.
    fn kicks(&self, victim: &Session, now_ms: i64) -> Kick {
        let (device_id, device_name) = (&self.device_id, &self.device_name);
        kick_by(device_id, self.platform, device_name, victim, now_ms)
    }
}

/// The kick of a session by a device.
fn kick_by(
    device_id: &str,
    platform: Platform,
    device_name: &str,
    victim: &Session,
    now_ms: i64,
) -> Kick {
    Kick {
        cause: if *victim.device_id == *device_id {
            KickCause::SameDevice
        } else {
            KickCause::OtherDevice
        },
        platform: Some(platform),
        device_name: device_name.to_owned(),
        time_ms: now_ms,
    }
}

#[cfg(test)]
mod tests;
