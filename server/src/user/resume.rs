//! Resumes a session by its token.

use super::{Outcome, Push, RENEWABLE_MS, Rules, Session, StreamRef, User};
use std::sync::Arc;
use tim_proto::Platform;
use tim_proto::wire::{Kick, RequestNumber};

/// A token's claim to its session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    pub session_id: u64,
    pub device_id: Arc<str>,
    pub platform: Platform,
    pub device_name: Arc<str>,
    pub epoch: u64,
    /// When the ticket expires: the token's own, or the one that renews it.
    pub ends_ms: i64,
    /// The latest expiry in any token of the session, as far as this one knows.
    pub latest_end_ms: i64,
    /// The fingerprint of the policy that decided the session's login; 0: unknown.
    pub policy: u32,
}

/// Whether a token whose ticket expires then can still be resumed, with or without a new ticket.
pub fn can_resume(ends_ms: i64, with_ticket: bool, now_ms: i64) -> bool {
    let longer = if with_ticket { RENEWABLE_MS } else { 0 };
    now_ms <= ends_ms.saturating_add(longer)
}

impl Claim {
    /// The content of a session's token.
    pub fn of(session: &Session) -> Claim {
        Claim {
            session_id: session.session_id,
            device_id: session.device_id.clone(),
            platform: session.platform,
            device_name: session.device_name.clone(),
            epoch: session.epoch,
            ends_ms: session.ends_ms,
            latest_end_ms: session.latest_end_ms,
            policy: session.policy,
        }
    }

    /// The session that a token describes, held by this client over this stream.
    pub(super) fn into_session(
        self,
        instance: Arc<str>,
        login_no: u64,
        stream: StreamRef,
    ) -> Session {
        Session {
            session_id: self.session_id,
            device_id: self.device_id,
            platform: self.platform,
            device_name: self.device_name,
            instance,
            login_no,
            epoch: self.epoch,
            ends_ms: self.ends_ms,
            latest_end_ms: self.latest_end_ms.max(self.ends_ms),
            policy: self.policy,
            stream: Some(stream),
            away_since_ms: None,
            from: None,
        }
    }
}

impl User {
    /// Resumes a session by its token. A session that is unknown, for instance after a restart, is
    /// re-created at its old epoch, unless it has ended or something newer has its place.
    pub fn resume(
        &mut self,
        claim: Claim,
        number: &RequestNumber,
        stream: StreamRef,
        rules: &Rules,
        now_ms: i64,
        pushes: &mut Vec<Push>,
    ) -> Outcome {
        let Some(seen) = self.numbers.see(&claim.device_id, number, now_ms) else {
            return Outcome::Ghost;
        };
        let instance = seen.instance.clone();
        if self.floors.is_dead(&claim.device_id, claim.epoch) {
            return self.is_displaced(&claim.device_id);
        }
        let known = self
            .sessions
            .iter_mut()
            .find(|session| session.session_id == claim.session_id);
        if let Some(known) = known {
            if let Some(to) = known.stream.replace(stream) {
                let what = known.replaced_by(&number.instance, now_ms);
                pushes.push(Push { to, what });
            }
            known.away_since_ms = None;
            known.instance = instance;
            known.login_no = number.login_no;
            known.ends_ms = claim.ends_ms;
            let latest_ms = claim.latest_end_ms.max(claim.ends_ms);
            known.latest_end_ms = known.latest_end_ms.max(latest_ms);
            self.came(claim.session_id, rules, now_ms);
            return Outcome::Accepted(claim.session_id);
        }
        let session = claim.into_session(instance, number.login_no, stream);
        match self.restore(session, rules, now_ms, pushes) {
            Ok(session_id) => {
                self.came(session_id, rules, now_ms);
                Outcome::Accepted(session_id)
            }
            Err(kick) => Outcome::Displaced(Some(kick)),
        }
    }

    /// Adds an unknown session at its old epoch. It displaces older ones, as its login did; the
    /// error names a newer one that has its place. Of two sessions, the login of the newer one
    /// decided: if that happened under another policy, both live.
    pub(super) fn restore(
        &mut self,
        session: Session,
        rules: &Rules,
        now_ms: i64,
        pushes: &mut Vec<Push>,
    ) -> Result<u64, Kick> {
        let is_own = |at: &usize| self.sessions[*at].device_id == session.device_id;
        let policy = rules.policy.print();
        let in_the_way: Vec<usize> = self
            .displaced(&rules.policy, &session.device_id, session.platform)
            .into_iter()
            .filter(|at| {
                let other = &self.sessions[*at];
                let newer = if other.epoch >= session.epoch {
                    other.policy
                } else {
                    session.policy
                };
                newer == 0 || newer == policy
            })
            .chain((0..self.sessions.len()).filter(is_own))
            .collect();
        let newer = in_the_way
            .iter()
            .map(|at| &self.sessions[*at])
            .find(|other| other.epoch >= session.epoch);
        if let Some(by) = newer {
            let then_ms = i64::try_from(by.epoch).unwrap_or(now_ms);
            return Err(by.kicks(&session, then_ms));
        }
        let victims: Vec<(u64, Kick)> = in_the_way
            .into_iter()
            .map(|at| &self.sessions[at])
            .map(|victim| (victim.session_id, session.kicks(victim, now_ms)))
            .collect();
        for (victim, kick) in victims {
            self.end(victim, Some(kick), rules.kicked_while_away_notice, pushes);
        }
        self.highest_epoch = self.highest_epoch.max(session.epoch);
        let session_id = session.session_id;
        self.sessions.push(session);
        Ok(session_id)
    }
}
