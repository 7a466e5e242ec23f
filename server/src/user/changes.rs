//! What a decision means to an observer of who is online.

use super::{Rules, Session, TICKET_GRACE_MS, User};
use serde::{Deserialize, Serialize};
use tim_proto::Platform;
use tim_proto::wire::KickCause;

/// What happened to a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// A login or resume on this platform, which displaced devices of those platforms.
    Came(Platform, Vec<Platform>),
    /// A session has ended; without a platform, the operator ended it.
    Left(Option<Platform>),
    /// A connection was lost; the session remains.
    Lost(Platform),
    /// A connection died with its node, or nobody resumed the session, which has ended.
    TimedOut(Platform),
}

impl Session {
    /// When it ends by itself unless it is resumed; `None` while it is read.
    pub fn ends_unless_back_ms(&self, rules: &Rules) -> Option<i64> {
        let since = self.away_since_ms.filter(|_| self.stream.is_none())?;
        let absent = since.saturating_add(rules.away_max_ms).saturating_add(1);
        Some(absent.min(self.ends_ms.saturating_add(TICKET_GRACE_MS)))
    }
}

impl User {
    /// What time alone has changed in the record since: sessions that have ended, and sessions that
    /// nobody reads any longer.
    pub fn timed_out_since<'a>(&self, before: &'a User) -> impl Iterator<Item = &'a Session> {
        before.sessions.iter().filter(|old| {
            let now = self.session(old.session_id);
            now.is_none_or(|now| old.stream.is_some() && now.stream.is_none())
        })
    }

    /// What has changed since the record was `before`.
    pub fn changes_since(&self, before: &User) -> Vec<Change> {
        let gone: Vec<&Session> = before
            .sessions
            .iter()
            .filter(|old| self.session(old.session_id).is_none())
            .collect();
        let stream_before = |session: &Session| {
            let old = before.session(session.session_id)?;
            old.stream
        };
        let mut changes = Vec::new();
        for session in &self.sessions {
            match (stream_before(session), session.stream) {
                (old, Some(new)) if old != Some(new) => {
                    let others = gone.iter().filter(|old| old.device_id != session.device_id);
                    let kicked = others.map(|old| old.platform).collect();
                    changes.push(Change::Came(session.platform, kicked));
                }
                (Some(_), None) => changes.push(Change::Lost(session.platform)),
                _ => {}
            }
        }
        if changes
            .iter()
            .any(|change| matches!(change, Change::Came(..)))
        {
            return changes;
        }
        let all_at_once = self.floors.differ_in_all_ended(&before.floors);
        for old in gone {
            let kick = self.floors.kick(&old.device_id);
            let by_operator =
                all_at_once || kick.is_some_and(|kick| kick.cause == KickCause::Operator);
            let left = Change::Left((!by_operator).then_some(old.platform));
            // The operator's action concerns the user and is reported once.
            if !(by_operator && changes.contains(&left)) {
                changes.push(left);
            }
        }
        changes
    }
}
