//! Sessions that nobody reads, where the app's backend is told who goes: each is looked at when its
//! time is over, so that the backend hears of it although nobody asks for that user.
//!
//! In memory alone: after a restart, the next request that concerns the user finds it out.

use crate::user::{Rules, Session};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The sessions that went away at this node, by their ids.
#[derive(Default)]
pub struct Absent(Mutex<HashMap<u64, Away>>);

struct Away {
    user_id: String,
    /// Where the connection came from that was the last.
    from: Option<IpAddr>,
    /// When the session ends if nobody comes back.
    due_ms: i64,
}

impl Absent {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Away>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a user's sessions as they are now. `from` is where the request came from that made them so.
    pub fn note(&self, user_id: &str, from: Option<IpAddr>, sessions: &[Session], rules: &Rules) {
        let mut all = self.lock();
        for session in sessions {
            let Some(due_ms) = session.ends_unless_back_ms(rules) else {
                all.remove(&session.session_id);
                continue;
            };
            let away = all.entry(session.session_id).or_insert_with(|| Away {
                user_id: user_id.to_owned(),
                from,
                due_ms,
            });
            away.due_ms = due_ms;
        }
    }

    /// A session is not there any more. Gives where its last connection came from.
    pub fn forget(&self, session_id: u64) -> Option<IpAddr> {
        self.lock().remove(&session_id)?.from
    }

    /// The sessions whose time is over, with their users.
    pub fn due(&self, now_ms: i64) -> Vec<(u64, String)> {
        let all = self.lock();
        let due = all.iter().filter(|(_, away)| away.due_ms <= now_ms);
        due.map(|(session_id, away)| (*session_id, away.user_id.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user::StreamRef;
    use tim_proto::Platform;

    const DAY_MS: i64 = 86_400_000;

    fn session(session_id: u64, away_since_ms: Option<i64>) -> Session {
        Session {
            session_id,
            device_id: "phone".into(),
            platform: Platform::Android,
            device_name: "".into(),
            instance: "".into(),
            login_no: 1,
            epoch: 1,
            ends_ms: 30 * DAY_MS,
            stream: away_since_ms.is_none().then_some(StreamRef {
                node: 1,
                stream_id: 1,
            }),
            away_since_ms,
        }
    }

    fn due(absent: &Absent, now_ms: i64) -> Vec<u64> {
        absent.due(now_ms).iter().map(|(id, _)| *id).collect()
    }

    #[test]
    fn a_session_is_due_when_its_absence_or_its_ticket_ends_and_never_while_it_is_read() {
        let (absent, rules) = (Absent::default(), Rules::default());
        let ends_first = Session {
            ends_ms: DAY_MS,
            ..session(2, Some(0))
        };
        let sessions = [session(1, Some(0)), ends_first, session(3, None)];
        absent.note("alice", None, &sessions, &rules);
        assert!(due(&absent, DAY_MS).is_empty(), "it is still let in");
        assert_eq!(due(&absent, DAY_MS + 60_000), [2]);
        assert_eq!(due(&absent, 7 * DAY_MS), [2]);
        let mut all = due(&absent, 7 * DAY_MS + 1);
        all.sort_unstable();
        assert_eq!(all, [1, 2]);
    }

    #[test]
    fn who_is_back_is_not_waited_for_and_the_last_address_is_kept() {
        let (absent, rules) = (Absent::default(), Rules::default());
        let (first, later) = ("10.0.0.1".parse().ok(), "10.0.0.2".parse().ok());
        absent.note("alice", first, &[session(1, Some(0))], &rules);
        absent.note("alice", later, &[session(1, Some(0))], &rules);
        assert_eq!(absent.forget(1), first);
        absent.note("alice", first, &[session(1, Some(0))], &rules);
        absent.note("alice", later, &[session(1, None)], &rules);
        assert!(absent.due(i64::MAX).is_empty());
    }
}
