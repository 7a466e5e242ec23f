//! A node says again what it knows: after a store lost its last writes, records become whole again,
//! and a stream that was not told of its end learns it.

use super::endings::Ended;
use super::{Claim, Push, Pushed, Rules, StreamRef, User};
use std::sync::Arc;

/// A session whose stream a node holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub claim: Claim,
    pub instance: Arc<str>,
    pub login_no: u64,
    pub stream: StreamRef,
}

/// A session that has ended lately, as a node saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    device_id: Arc<str>,
    ended: Ended,
}

impl User {
    /// A node holds this stream. What is to be told to it, if it should not be there any more.
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
            self.floors.told(&claim.device_id);
            return Some(kick.map_or(Pushed::Closed, Pushed::Kicked));
        }
        let session = claim
            .clone()
            .into_session(held.instance.clone(), held.login_no, held.stream);
        self.restore(session, rules, now_ms, pushes)
            .err()
            .map(Pushed::Kicked)
    }

    /// The sessions of `before` that have ended since.
    pub fn gone_since(&self, before: &User) -> Vec<Gone> {
        let ended = before
            .sessions
            .iter()
            .filter(|old| self.session(old.session_id).is_none());
        ended
            .map(|old| Gone {
                device_id: old.device_id.clone(),
                ended: Ended {
                    epoch: old.epoch,
                    until_ms: old.ends_ms,
                    kick: self.floors.kick(&old.device_id),
                    told_at_login: false,
                },
            })
            .collect()
    }

    /// A node has seen this session end: it stays ended.
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
