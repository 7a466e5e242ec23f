//! Tickets and session tokens as plain text: the model is not about who signed them.

use crate::setup::{Setup, USERS};
use tim_server::user::Claim;

/// A ticket of this user with this end.
pub fn ticket(user: usize, ends_ms: i64) -> String {
    format!("{user} {ends_ms}")
}

/// The content of a ticket: its user and its end.
pub fn read_ticket(text: &str) -> Option<(usize, i64)> {
    let (user, ends_ms) = text.split_once(' ')?;
    Some((user.parse().ok()?, ends_ms.parse().ok()?))
}

/// The content of a session token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    /// Which of the server's keys signed it.
    pub keys: u64,
    /// The user's index.
    pub user: usize,
    /// The device's index.
    pub device: usize,
    /// The session.
    pub session_id: u64,
    /// Its epoch.
    pub epoch: u64,
    /// The end of its ticket.
    pub ends_ms: i64,
    /// The latest end in any token of the session.
    pub latest_end_ms: i64,
}

impl Token {
    /// The token as a client keeps it.
    pub fn write(&self) -> String {
        let Token {
            keys,
            user,
            device,
            session_id,
            epoch,
            ends_ms,
            latest_end_ms,
        } = self;
        format!("{keys} {user} {device} {session_id} {epoch} {ends_ms} {latest_end_ms}")
    }

    /// Reads a token.
    pub fn read(text: &str) -> Option<Token> {
        let mut parts = text.split(' ').map(|part| part.parse::<u64>().ok());
        let mut next = || parts.next().flatten();
        Some(Token {
            keys: next()?,
            user: usize::try_from(next()?)
                .ok()
                .filter(|at| *at < USERS.len())?,
            device: usize::try_from(next()?).ok()?,
            session_id: next()?,
            epoch: next()?,
            ends_ms: i64::try_from(next()?).ok()?,
            latest_end_ms: i64::try_from(next()?).ok()?,
        })
    }

    /// The claim for the server's rules.
    pub fn claim(&self, setup: &Setup, ends_ms: i64) -> Claim {
        let device = &setup.devices[self.device];
        Claim {
            session_id: self.session_id,
            device_id: device.id.into(),
            platform: device.platform,
            device_name: device.id.into(),
            epoch: self.epoch,
            ends_ms,
            latest_end_ms: self.latest_end_ms.max(self.ends_ms),
            // Each setup has one policy.
            policy: 0,
        }
    }
}
