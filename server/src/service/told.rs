//! What the app's backend is told of decisions: who came, who went, who did not come back.

use super::Service;
use crate::absent::Absent;
use crate::user::{Change, Session, User};
use crate::webhook::{Event, Webhook};
use std::net::IpAddr;

/// Where the backend is told, and what it will have to be told when nobody asks.
pub(super) struct Watched {
    webhook: Webhook,
    absent: Absent,
}

/// What a decision means to somebody who watches.
pub(super) struct Seen {
    changes: Vec<Change>,
    /// Sessions that nobody came back to, or whose node died.
    timed_out: Vec<Session>,
    /// Sessions that are not there any more.
    gone: Vec<u64>,
    /// Those that are.
    sessions: Vec<Session>,
}

impl Seen {
    /// `before` is the record as it was, `tidied` without what time has made void, `user` as it was
    /// decided.
    pub(super) fn of(before: &User, tidied: &User, user: &User) -> Seen {
        let has_come = |session: &Session| {
            let now = user.session(session.session_id);
            now.is_some_and(|now| now.stream.is_some())
        };
        let gone = before.sessions.iter().map(|session| session.session_id);
        Seen {
            changes: user.changes_since(tidied),
            timed_out: tidied
                .timed_out_since(before)
                // Who is back has never been away, for those who watch.
                .filter(|session| !has_come(session))
                .cloned()
                .collect(),
            gone: gone.filter(|id| user.session(*id).is_none()).collect(),
            sessions: user.sessions.clone(),
        }
    }
}

impl Service {
    /// Tells the app's backend who comes and goes.
    #[must_use]
    pub fn with_webhook(self, webhook: Option<Webhook>) -> Service {
        let watched = webhook.map(|webhook| Watched {
            webhook,
            absent: Absent::default(),
        });
        Service { watched, ..self }
    }

    /// Lets the app's backend know what was decided for a request from that address.
    pub(super) fn report(&self, user_id: &str, from: Option<IpAddr>, seen: Seen, time_ms: i64) {
        let Some(Watched { webhook, absent }) = &self.watched else {
            return;
        };
        let tell = |change, from| {
            webhook.tell(Event {
                user_id: user_id.to_owned(),
                change,
                from,
                time_ms,
            });
        };
        for session in &seen.timed_out {
            let last_seen = absent.forget(session.session_id);
            tell(Change::TimedOut(session.platform), last_seen);
        }
        for session_id in seen.gone {
            absent.forget(session_id);
        }
        for change in seen.changes {
            tell(change, from);
        }
        absent.note(user_id, from, &seen.sessions, &self.settings.get().rules);
    }

    /// Ends the sessions that nobody came back to until then, where somebody is to be told of it.
    pub(super) async fn end_absent(&self, now_ms: i64) {
        let Some(Watched { absent, .. }) = &self.watched else {
            return;
        };
        for (session_id, user_id) in absent.due(now_ms) {
            let there = self.look(&user_id, |user, _| user.session(session_id).cloned());
            // Where the store is away, the next turn does it.
            if let Ok(there) = there.await {
                let rules = &self.settings.get().rules;
                match there {
                    Some(session) => absent.note(&user_id, None, &[session], rules),
                    None => drop(absent.forget(session_id)),
                }
            }
        }
    }
}
