//! A node repeats what it knows: after a store has lost its last writes, records become complete
//! again, and a stream that missed its end is ended.

use super::endings::{AllEnded, Ended};
use super::tickets::Revoked;
use super::{Account, Ban, Claim, Devices, Push, Pushed, Rules, StreamRef, User};
use std::sync::Arc;

/// A session whose stream a node holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub claim: Claim,
    pub instance: Arc<str>,
    pub login_no: u64,
    pub stream: StreamRef,
}

/// A recently ended session, as a node saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    device_id: Arc<str>,
    ended: Ended,
}

/// An operator's decision about a user, as a node saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    at_ms: i64,
    ban: Option<Ban>,
    revoked: Option<Revoked>,
    all_ended: Option<AllEnded>,
    /// The account was removed.
    is_deleted: bool,
}

impl User {
    /// What the operator has decided since `before`.
    pub fn decided_since(&self, before: &User) -> Option<Decided> {
        (self.decided_ms > before.decided_ms).then(|| Decided {
            at_ms: self.decided_ms,
            ban: self.ban.clone(),
            revoked: self.revoked.clone(),
            all_ended: self.floors.all_ended.clone(),
            is_deleted: self.account.is_none() && before.account.is_some(),
        })
    }

    /// Applies the operator's decision, unless there is a later one.
    pub fn stays_decided(&mut self, decided: &Decided, pushes: &mut Vec<Push>) {
        if self.decided_ms >= decided.at_ms {
            return;
        }
        self.decided_ms = decided.at_ms;
        self.ban.clone_from(&decided.ban);
        self.revoked.clone_from(&decided.revoked);
        let is_older = |account: &Account| account.registered_ms <= decided.at_ms;
        if decided.is_deleted && self.account.as_ref().is_some_and(is_older) {
            self.account = None;
            self.devices = Devices::default();
        }
        if let Some(ended) = &decided.all_ended {
            self.end_all_below(ended.epoch, ended.code, pushes);
        }
    }

    /// Ends every session up to an epoch, known or unknown.
    pub fn end_all_below(&mut self, epoch: u64, code: i32, pushes: &mut Vec<Push>) {
        let is_new = self
            .floors
            .all_ended
            .as_ref()
            .is_none_or(|ended| ended.epoch < epoch);
        if is_new {
            self.floors.end_all(epoch, code);
        }
        self.highest_epoch = self.highest_epoch.max(epoch);
        self.sessions.retain(|session| {
            let lives = session.epoch > epoch;
            if let (false, Some(to)) = (lives, session.stream) {
                let what = Pushed::Ended(code);
                pushes.push(Push { to, what });
            }
            lives
        });
    }

    /// A node holds this stream. Returns what to push to it if it should not exist.
    pub fn holds(
        &mut self,
        held: &Held,
        rules: &Rules,
        now_ms: i64,
        pushes: &mut Vec<Push>,
    ) -> Option<Pushed> {
        let claim = &held.claim;
        let known = self
            .sessions
            .iter_mut()
            .find(|session| session.session_id == claim.session_id);
        if let Some(known) = known {
            return match known.stream {
                Some(stream) if stream == held.stream => None,
                None if known.instance == held.instance => {
                    known.stream = Some(held.stream);
                    known.away_since_ms = None;
                    None
                }
                _ => Some(known.replaced_by(&held.instance, now_ms)),
            };
        }
        if let Some(code) = self.floors.all_ended_with(claim.epoch) {
            return Some(Pushed::Ended(code));
        }
        if self.floors.is_dead(&claim.device_id, claim.epoch) {
            let kick = self.floors.kick(&claim.device_id);
            self.floors.notice_delivered(&claim.device_id);
            return Some(kick.map_or(Pushed::Closed, Pushed::Kicked));
        }
        let session = claim
            .clone()
            .into_session(held.instance.clone(), held.login_no, held.stream);
        self.restore(session, rules, now_ms, pushes)
            .err()
            .map(Pushed::Kicked)
    }

    /// The sessions of `before` that have ended since and cannot come back: an expired ticket alone
    /// ends nothing that a new one could not renew.
    pub fn gone_since(&self, before: &User) -> Vec<Gone> {
        let ended = before.sessions.iter().filter(|old| {
            self.session(old.session_id).is_none() && self.floors.is_dead(&old.device_id, old.epoch)
        });
        ended
            .map(|old| Gone {
                device_id: old.device_id.clone(),
                ended: Ended {
                    epoch: old.epoch,
                    until_ms: old.latest_end_ms.max(old.ends_ms),
                    kick: self.floors.kick(&old.device_id),
                    reported_at_login: false,
                },
            })
            .collect()
    }

    /// A node saw this session end: it stays ended.
    pub fn stays_gone(&mut self, gone: &Gone, pushes: &mut Vec<Push>) {
        let epoch = gone.ended.epoch;
        if self.floors.is_dead(&gone.device_id, epoch) {
            return;
        }
        let back = self
            .sessions
            .iter()
            .find(|session| session.device_id == gone.device_id && session.epoch == epoch);
        if let Some(session_id) = back.map(|session| session.session_id) {
            self.end(session_id, gone.ended.kick.clone(), false, pushes);
        }
        self.raise_floor(gone.device_id.clone(), gone.ended.clone());
    }
}
