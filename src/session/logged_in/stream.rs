//! The session's stream: what comes on it, how it is lost, and the resume that follows.

use super::super::input::{Failure, Now};
use super::super::{Action, Session};
use super::Link;
use crate::error;
use tim_proto::code::{self, Class};
use tim_proto::wire::StreamEvent;

/// How long a renewal's answer may come behind the end of the stream that it replaces.
const TAKEOVER_MS: u64 = 1_000;

impl Session {
    pub(in crate::session) fn heard(&mut self, seq: u64, now: Now) {
        if let Some(session) = self.session_mut()
            && session.is_stream(seq)
        {
            session.link = Link::Streaming {
                seq,
                heard_ms: now.ms,
            };
        }
    }

    pub(in crate::session) fn stream_event(&mut self, seq: u64, event: StreamEvent, now: Now) {
        if !self
            .session_mut()
            .is_some_and(|session| session.is_stream(seq))
        {
            return;
        }
        match event {
            StreamEvent::Kicked(kick) => {
                self.end_session(Class::Ended, error::ERR_KICKED_WHILE_OFFLINE, Some(kick));
            }
            StreamEvent::UserSigExpired(end) => {
                self.end_session(Class::NeedsTicket, end.code, None);
            }
            StreamEvent::SessionEnded(end) => match code::class(end.code) {
                Some(class @ (Class::NeedsTicket | Class::Ended)) => {
                    self.end_session(class, end.code, None);
                }
                // Not a code that ends a session: a resume finds out what is meant.
                _ => self.probe(now),
            },
            StreamEvent::GoingAway(away) => {
                self.out.push(Action::Abandon { seq });
                self.disconnected(error::OK);
                let wait = match self.session_mut() {
                    Some(session) => session.backoff.clone(),
                    None => return,
                }
                .next_ms(&mut self.jitter, Some(away.return_in_ms));
                self.wait_for_resume(wait, now);
            }
            StreamEvent::Spread(spread) => {
                if let Some(session) = self.session_mut() {
                    session.spread_ms = spread.spread_ms;
                }
            }
            StreamEvent::Session(_) => {}
        }
    }

    pub(in crate::session) fn stream_lost(&mut self, seq: u64, failure: Failure, now: Now) {
        let Some(session) = self.session_mut() else {
            return;
        };
        if !session.is_stream(seq) {
            return;
        }
        // The server closes the old stream once it has accepted a renewal, and that may be seen before
        // the answer: until that has had its time there is no gap to tell of.
        if session.renewal.as_ref().is_some_and(|r| r.seq.is_some()) {
            session.link = Link::Waiting {
                until_ms: now.ms.saturating_add(TAKEOVER_MS),
            };
            return self.note(&failure, None);
        }
        let spread = session.spread_ms;
        self.note(&failure, None);
        self.disconnected(failure.code);
        let wait = self.jitter.up_to(spread);
        self.wait_for_resume(wait, now);
    }

    /// There is no stream any more; a renewal beside it goes on as part of the resume.
    pub(super) fn wait_for_resume(&mut self, wait_ms: u64, now: Now) {
        let Some(session) = self.session_mut() else {
            return;
        };
        session.link = Link::Waiting {
            until_ms: now.ms.saturating_add(wait_ms),
        };
        let beside = session
            .renewal
            .as_mut()
            .and_then(|renewal| renewal.seq.take());
        if let Some(seq) = beside {
            self.out.push(Action::Abandon { seq });
            self.resume(now);
        }
    }

    /// The network may be another one: finds out at once.
    pub(in crate::session) fn probe(&mut self, now: Now) {
        let Some(session) = self.session_mut() else {
            return;
        };
        let beside = session
            .renewal
            .as_mut()
            .and_then(|renewal| renewal.seq.take());
        let link = match session.link {
            Link::Streaming { seq, .. } | Link::Requested { seq, .. } => Some(seq),
            Link::Waiting { .. } => None,
        };
        session.link = Link::Waiting { until_ms: now.ms };
        for seq in link
            .into_iter()
            .chain(beside.filter(|seq| Some(*seq) != link))
        {
            self.out.push(Action::Abandon { seq });
        }
        self.resume(now);
    }
}
