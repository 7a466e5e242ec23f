//! Who is online, in the reference system's terms.

use super::{Session, User};
use tim_proto::Platform;

/// How long a phone without a connection is still reachable by push notifications.
const PUSH_ONLINE_MS: i64 = 7 * 86_400_000;

/// Whether a session's device can be reached. The best comes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Presence {
    Offline,
    /// A phone or tablet that has lost its connection but is still logged in.
    PushOnline,
    Online,
}

impl Presence {
    pub fn name(self) -> &'static str {
        match self {
            Presence::Offline => "Offline",
            Presence::PushOnline => "PushOnline",
            Presence::Online => "Online",
        }
    }
}

impl Session {
    pub fn presence(&self, now_ms: i64) -> Presence {
        let is_mobile = matches!(
            self.platform,
            Platform::Android | Platform::Iphone | Platform::Ipad
        );
        let since_ms = self.away_since_ms.unwrap_or(now_ms);
        if self.stream.is_some() {
            Presence::Online
        } else if is_mobile && now_ms.saturating_sub(since_ms) < PUSH_ONLINE_MS {
            Presence::PushOnline
        } else {
            Presence::Offline
        }
    }
}

impl User {
    /// The platforms on which the user is logged in.
    pub fn presence(&self, now_ms: i64) -> Vec<(Platform, Presence)> {
        let sessions = self.sessions.iter();
        sessions
            .map(|session| (session.platform, session.presence(now_ms)))
            .collect()
    }
}
