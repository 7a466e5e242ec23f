//! Which tickets a user may come in with: not those from before the operator's kick, and none while
//! the user is banned.
//!
//! Tickets say when they were made in whole seconds. Of those made in the kick's own second, the
//! ones that were used before it are void and the others are good: a ticket made right after works.

use super::User;
use serde::{Deserialize, Serialize};

/// How many tickets of the current second are remembered per user, the newest.
const FRESH_MAX: usize = 64;

/// A ticket that verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ticket {
    /// When it was made, in seconds of Unix time.
    pub issued_s: i64,
    /// Tells it from others.
    pub print: u64,
}

/// A kick: what was made before it is void.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Revoked {
    not_before_s: i64,
    /// Not older, but used before the kick.
    used: Vec<Ticket>,
}

/// The user may not log in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ban {
    /// Until then, in ms of Unix time; none: until it is lifted.
    pub until_ms: Option<i64>,
    /// For people, the user among them.
    pub reason: String,
}

/// Why a ticket that verifies, or a token, does not let its user in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The ticket is from before a kick.
    Revoked,
    Banned(Ban),
    /// The session was ended together with all others, with this code.
    Ended(i32),
}

impl User {
    /// Whether the user may come in with this ticket. It counts as used from here on.
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

    /// Whether the user may come back to a session of this epoch.
    pub fn admit_session(&self, epoch: u64, now_ms: i64) -> Result<(), Denied> {
        if let Some(ban) = self.ban(now_ms) {
            return Err(Denied::Banned(ban.clone()));
        }
        let ended = self.floors.all_ended_with(epoch);
        ended.map_or(Ok(()), |code| Err(Denied::Ended(code)))
    }

    /// The ban that is in force.
    pub fn ban(&self, now_ms: i64) -> Option<&Ban> {
        let in_force = |ban: &&Ban| ban.until_ms.is_none_or(|until| now_ms < until);
        self.ban.as_ref().filter(in_force)
    }

    /// Voids every ticket that was made or used until now.
    pub(super) fn revoke_tickets(&mut self, now_ms: i64) {
        let not_before_s = now_ms.div_euclid(1000);
        let earlier = self.revoked.take().map(|revoked| revoked.used);
        let mut used: Vec<Ticket> = earlier.unwrap_or_default();
        used.append(&mut self.fresh_tickets);
        used.retain(|ticket| ticket.issued_s >= not_before_s);
        self.revoked = Some(Revoked { not_before_s, used });
    }

    /// A kick in this second or a later one voids them by their time alone.
    pub(super) fn forget_stale_tickets(&mut self, now_ms: i64) {
        let now_s = now_ms.div_euclid(1000);
        self.fresh_tickets.retain(|used| used.issued_s >= now_s);
    }
}
