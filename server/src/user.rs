//! One user's record: sessions, floors, and which requests were seen. Its rules are pure; the
//! caller holds the user's lock, makes the returned writes durable, and only then answers.

use crate::policy::Policy;
use crate::store::{Floor, Write};
use crate::stream::Mailbox;
use std::collections::HashMap;
use tim_proto::Platform;
use tim_proto::wire::{Kick, KickCause, RequestNumber};

/// How long a client's request numbers are remembered.
const SEEN_MS: i64 = 600_000;
/// How many clients' numbers are remembered per user, the newest.
const SEEN_MAX: usize = 64;

/// A session: what the server knows of one login.
pub struct Session {
    pub session_id: u64,
    pub device_id: String,
    pub platform: Platform,
    pub device_name: String,
    pub instance: String,
    pub login_no: u64,
    pub epoch: u64,
    /// The end of the ticket, in ms of Unix time.
    pub ends_ms: i64,
    /// Where its events go; none while nobody reads.
    pub mailbox: Option<Mailbox>,
}

/// What was seen of one client handle.
struct Seen {
    device_id: String,
    instance: String,
    number: (u64, u64),
    /// The highest login number that was accepted.
    accepted: Option<u64>,
    /// Logins up to this number have ended, also those that have not arrived yet.
    ended: u64,
    at_ms: i64,
}

/// A user's record.
#[derive(Default)]
pub struct User {
    pub sessions: Vec<Session>,
    highest_epoch: u64,
    /// Per device: the highest epoch that has ended, until when, and who took it over.
    floors: HashMap<String, (u64, i64, Option<Kick>)>,
    seen: Vec<Seen>,
}

/// A login that has passed the ticket checks.
pub struct Login<'a> {
    pub device_id: &'a str,
    pub platform: Platform,
    pub device_name: &'a str,
    pub number: &'a RequestNumber,
    pub ends_ms: i64,
    pub interactive: bool,
}

/// What became of a login or resume.
pub enum Outcome {
    /// The session with this id is the client's.
    Accepted(u64),
    /// Displaced since, by whom if that is still known.
    Displaced(Option<Kick>),
    /// Late or doubled: it has no effect.
    Ghost,
}

/// What follows from a step: to be made durable, and then to be told.
#[derive(Default)]
pub struct Effects {
    pub writes: Vec<Write>,
    pub kicked: Vec<(Mailbox, Kick)>,
    /// Streams that end without a word: their client has another one.
    pub closed: Vec<Mailbox>,
}

impl User {
    /// Takes a floor from the store.
    pub fn restore(&mut self, floor: Floor) {
        self.highest_epoch = self.highest_epoch.max(floor.epoch);
        self.floors
            .insert(floor.device_id, (floor.epoch, floor.until_ms, None));
    }

    /// An interactive login takes a new epoch and displaces whom the policy says; a login with
    /// intent reconnect takes a free place or none.
    pub fn login(
        &mut self,
        user_id: &str,
        login: &Login<'_>,
        policy: &Policy,
        session_id: u64,
        now_ms: i64,
        effects: &mut Effects,
    ) -> Outcome {
        let number = login.number;
        let Some(seen) = self.see(login.device_id, number, now_ms) else {
            return Outcome::Ghost;
        };
        if number.login_no <= seen.ended {
            return Outcome::Ghost;
        }
        let retry = seen.accepted == Some(number.login_no);
        if retry || !login.interactive {
            let mine = |s: &Session| s.instance == number.instance && s.login_no == number.login_no;
            if let Some(session) = self.sessions.iter_mut().find(|session| mine(session)) {
                session.ends_ms = login.ends_ms;
                return Outcome::Accepted(session.session_id);
            }
            if retry {
                return Outcome::Displaced(self.kick_of(login.device_id));
            }
        }
        let others = self.others(login.device_id);
        let platforms: Vec<_> = others.iter().map(|at| self.place(*at)).collect();
        let displaced = policy.displaced(&platforms, login.platform);
        let same_device = self.sessions.len() > others.len();
        if !login.interactive && (!displaced.is_empty() || same_device) {
            return Outcome::Displaced(self.kick_of(login.device_id));
        }
        let victims: Vec<u64> = displaced
            .into_iter()
            .map(|at| self.sessions[others[at]].session_id)
            .collect();
        let kick = |cause| Kick {
            cause,
            platform: Some(login.platform),
            device_name: login.device_name.to_owned(),
            time_ms: now_ms,
        };
        for victim in victims {
            self.end(user_id, victim, Some(kick(KickCause::OtherDevice)), effects);
        }
        while let Some(session) = self
            .sessions
            .iter()
            .find(|s| s.device_id == login.device_id)
        {
            let (old, ours) = (session.session_id, session.instance == number.instance);
            // A client's own older login needs no notice: it asked for this one.
            let notice = (!ours).then(|| kick(KickCause::SameDevice));
            self.end(user_id, old, notice, effects);
        }
        let clock = u64::try_from(now_ms).unwrap_or(0);
        self.highest_epoch = clock.max(self.highest_epoch + 1);
        if let Some(seen) = self.seen_of(login.device_id, &number.instance) {
            seen.accepted = Some(number.login_no);
        }
        self.sessions.push(Session {
            session_id,
            device_id: login.device_id.to_owned(),
            platform: login.platform,
            device_name: login.device_name.to_owned(),
            instance: number.instance.clone(),
            login_no: number.login_no,
            epoch: self.highest_epoch,
            ends_ms: login.ends_ms,
            mailbox: None,
        });
        Outcome::Accepted(session_id)
    }

    /// A token's holder comes back. `session` is what the token says; unknown after a restart, it
    /// is created again at its old epoch, unless it has ended or something newer has its place.
    pub fn resume(
        &mut self,
        user_id: &str,
        session: Session,
        number: &RequestNumber,
        policy: &Policy,
        now_ms: i64,
        effects: &mut Effects,
    ) -> Outcome {
        let Some(seen) = self.see(&session.device_id, number, now_ms) else {
            return Outcome::Ghost;
        };
        if number.login_no <= seen.ended {
            return Outcome::Ghost;
        }
        let floor = self.floors.get(&session.device_id);
        if floor.is_some_and(|(epoch, ..)| session.epoch <= *epoch) {
            return Outcome::Displaced(self.kick_of(&session.device_id));
        }
        let known = |s: &&mut Session| s.session_id == session.session_id;
        if let Some(known) = self.sessions.iter_mut().find(known) {
            if known.instance != number.instance
                && let Some(mailbox) = known.mailbox.take()
            {
                // Two holders of one token: the one who came last has it.
                effects.kicked.push((mailbox, self_takeover(known, now_ms)));
            }
            known.instance.clone_from(&number.instance);
            known.login_no = number.login_no;
            known.ends_ms = session.ends_ms;
            return Outcome::Accepted(session.session_id);
        }
        let others = self.others(&session.device_id);
        let platforms: Vec<_> = others.iter().map(|at| self.place(*at)).collect();
        let displaced: Vec<usize> = policy
            .displaced(&platforms, session.platform)
            .into_iter()
            .map(|at| others[at])
            .collect();
        let same = (0..self.sessions.len()).filter(|at| !others.contains(at));
        let in_the_way: Vec<usize> = displaced.into_iter().chain(same).collect();
        let newer = |at: &usize| self.sessions[*at].epoch > session.epoch;
        if let Some(at) = in_the_way.iter().find(|at| newer(at)) {
            let by = &self.sessions[*at];
            return Outcome::Displaced(Some(Kick {
                cause: cause(by, &session),
                platform: Some(by.platform),
                device_name: by.device_name.clone(),
                time_ms: i64::try_from(by.epoch).unwrap_or(now_ms),
            }));
        }
        let victims: Vec<(u64, Kick)> = in_the_way
            .into_iter()
            .map(|at| {
                let victim = &self.sessions[at];
                let kick = Kick {
                    cause: cause(&session, victim),
                    platform: Some(session.platform),
                    device_name: session.device_name.clone(),
                    time_ms: now_ms,
                };
                (victim.session_id, kick)
            })
            .collect();
        for (victim, kick) in victims {
            self.end(user_id, victim, Some(kick), effects);
        }
        self.highest_epoch = self.highest_epoch.max(session.epoch);
        let session_id = session.session_id;
        self.sessions.push(session);
        Outcome::Accepted(session_id)
    }

    /// Ends a session: it cannot come back. With `kick`, whoever reads its stream is told.
    pub fn end(
        &mut self,
        user_id: &str,
        session_id: u64,
        kick: Option<Kick>,
        effects: &mut Effects,
    ) {
        let Some(at) = self
            .sessions
            .iter()
            .position(|s| s.session_id == session_id)
        else {
            return;
        };
        let session = self.sessions.remove(at);
        self.raise_floor(
            user_id,
            &session.device_id,
            session.epoch,
            session.ends_ms,
            kick.clone(),
            effects,
        );
        match (session.mailbox, kick) {
            (Some(mailbox), Some(kick)) => effects.kicked.push((mailbox, kick)),
            (Some(mailbox), None) => effects.closed.push(mailbox),
            (None, _) => {}
        }
    }

    /// Makes sure that no session of this device with this epoch or an older one comes back.
    pub fn raise_floor(
        &mut self,
        user_id: &str,
        device_id: &str,
        epoch: u64,
        until_ms: i64,
        kick: Option<Kick>,
        effects: &mut Effects,
    ) {
        let floor = self.floors.entry(device_id.to_owned()).or_default();
        if epoch >= floor.0 {
            *floor = (epoch, floor.1.max(until_ms), kick);
            effects.writes.push(Write::Floor(Floor {
                user_id: user_id.to_owned(),
                device_id: device_id.to_owned(),
                epoch,
                until_ms: floor.1,
            }));
        }
    }

    /// Ends a client's logins up to this number, also those that have not arrived yet.
    pub fn end_login(
        &mut self,
        user_id: &str,
        device_id: &str,
        instance: &str,
        login_no: u64,
        now_ms: i64,
        effects: &mut Effects,
    ) {
        let number = RequestNumber {
            instance: instance.to_owned(),
            login_no: 0,
            seq: 0,
        };
        if self.seen_of(device_id, instance).is_none() {
            self.remember(device_id, &number, now_ms);
        }
        if let Some(seen) = self.seen_of(device_id, instance) {
            seen.ended = seen.ended.max(login_no);
            seen.at_ms = now_ms;
        }
        let ended: Vec<u64> = self
            .sessions
            .iter()
            .filter(|s| {
                s.device_id == device_id && s.instance == instance && s.login_no <= login_no
            })
            .map(|session| session.session_id)
            .collect();
        for session_id in ended {
            self.end(user_id, session_id, None, effects);
        }
    }

    /// Whether nothing is left to remember.
    pub fn is_empty(&mut self, now_ms: i64) -> bool {
        self.forget(now_ms);
        self.floors.retain(|_, (_, until_ms, _)| *until_ms > now_ms);
        self.sessions.is_empty() && self.floors.is_empty() && self.seen.is_empty()
    }

    fn others(&self, device_id: &str) -> Vec<usize> {
        (0..self.sessions.len())
            .filter(|at| self.sessions[*at].device_id != device_id)
            .collect()
    }

    fn place(&self, at: usize) -> (Platform, u64) {
        (self.sessions[at].platform, self.sessions[at].epoch)
    }

    fn kick_of(&self, device_id: &str) -> Option<Kick> {
        self.floors.get(device_id)?.2.clone()
    }

    fn seen_of(&mut self, device_id: &str, instance: &str) -> Option<&mut Seen> {
        self.seen
            .iter_mut()
            .find(|seen| seen.device_id == device_id && seen.instance == instance)
    }

    /// Notes a request's numbers; none where it is late or doubled.
    fn see(&mut self, device_id: &str, number: &RequestNumber, now_ms: i64) -> Option<&Seen> {
        self.forget(now_ms);
        match self.seen_of(device_id, &number.instance) {
            None => self.remember(device_id, number, now_ms),
            Some(seen) => {
                let (login_no, seq) = seen.number;
                if number.login_no < login_no || number.seq <= seq {
                    return None;
                }
                seen.number = (number.login_no, number.seq);
                seen.at_ms = now_ms;
            }
        }
        self.seen_of(device_id, &number.instance).map(|seen| &*seen)
    }

    fn remember(&mut self, device_id: &str, number: &RequestNumber, now_ms: i64) {
        if self.seen.len() == SEEN_MAX
            && let Some(oldest) = (0..SEEN_MAX).min_by_key(|at| self.seen[*at].at_ms)
        {
            self.seen.swap_remove(oldest);
        }
        self.seen.push(Seen {
            device_id: device_id.to_owned(),
            instance: number.instance.clone(),
            number: (number.login_no, number.seq),
            accepted: None,
            ended: 0,
            at_ms: now_ms,
        });
    }

    fn forget(&mut self, now_ms: i64) {
        self.seen
            .retain(|seen| now_ms.saturating_sub(seen.at_ms) < SEEN_MS);
    }
}

fn cause(by: &Session, victim: &Session) -> KickCause {
    if by.device_id == victim.device_id {
        KickCause::SameDevice
    } else {
        KickCause::OtherDevice
    }
}

fn self_takeover(session: &Session, now_ms: i64) -> Kick {
    Kick {
        cause: KickCause::SameDevice,
        platform: Some(session.platform),
        device_name: session.device_name.clone(),
        time_ms: now_ms,
    }
}
