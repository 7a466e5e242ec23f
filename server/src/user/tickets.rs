//! Which tickets a user may log in with: none from before the operator's kick, and none while the
//! user is banned.
//!
//! Tickets state their time in whole seconds. Of those issued in the second of the kick, the ones
//! used before it are void and the others are valid, so that a ticket made right afterwards works.

use super::User;
use serde::{Deserialize, Serialize};

/// How many tickets of the current second are remembered per user; the newest stay.
const FRESH_MAX: usize = 64;

/// A verified ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ticket {
    /// When it was issued, in seconds of Unix time.
    pub issued_s: i64,
    /// Distinguishes it from others.
    pub print: u64,
}

/// A kick: tickets issued before are void.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Revoked {
    not_before_s: i64,
    /// Not older, but used before the kick.
    used: Vec<Ticket>,
}

/// The user may not log in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ban {
    /// Until when, in ms of Unix time; `None`: until it is lifted.
    pub until_ms: Option<i64>,
    /// For people, including the user.
    pub reason: String,
}

/// Why a verified ticket, or a token, is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The ticket was issued before a kick.
    Revoked,
    Banned(Ban),
    /// The session was ended together with all others, with this code.
    Ended(i32),
}

impl User {
    /// Whether the user may log in with this ticket. It counts as used from here on.
    pub fn admit(&mut self, ticket: Ticket, now_ms: i64) -> Result<(), Denied> {
        if let Some(revoked) = &self.revoked
            && (ticket.issued_s < revoked.not_before_s || revoked.used.contains(&ticket))
        {
            return Err(Denied::Revoked);
        }
        let now_s = now_ms.div_euclid(1000);
        self.forget_stale_tickets(now_ms);
        if ticket.issued_s >= now_s && !self.fresh_tickets.contains(&ticket) {
            if self.fresh_tickets.len() == FRESH_MAX {
                self.fresh_tickets.remove(0);
            }
            self.fresh_tickets.push(ticket);
        }
        self.ban(now_ms).cloned().map_or(Ok(()), |ban| {
            let banned = Denied::Banned(ban);
            Err(banned)
        })
    }

    /// Whether the user may resume a session of this epoch.
    pub fn admit_session(&self, epoch: u64, now_ms: i64) -> Result<(), Denied> {
        if let Some(ban) = self.ban(now_ms) {
            return Err(Denied::Banned(ban.clone()));
        }
        let ended = self.floors.all_ended_with(epoch);
        ended.map_or(Ok(()), |code| Err(Denied::Ended(code)))
    }

    /// The ban in force.
    pub fn ban(&self, now_ms: i64) -> Option<&Ban> {
        let in_force = |ban: &&Ban| ban.until_ms.is_none_or(|until| now_ms < until);
        self.ban.as_ref().filter(in_force)
    }

    /// Voids every ticket issued or used so far.
    pub(super) fn revoke_tickets(&mut self, now_ms: i64) {
        let not_before_s = now_ms.div_euclid(1000);
        let earlier = self.revoked.take().map(|revoked| revoked.used);
        let mut used: Vec<Ticket> = earlier.unwrap_or_default();
        used.append(&mut self.fresh_tickets);
        used.retain(|ticket| ticket.issued_s >= not_before_s);
        self.revoked = Some(Revoked { not_before_s, used });
    }

    /// A kick in this second or later voids them by their time alone.
    pub(super) fn forget_stale_tickets(&mut self, now_ms: i64) {
        let now_s = now_ms.div_euclid(1000);
        self.fresh_tickets.retain(|used| used.issued_s >= now_s);
    }
}
