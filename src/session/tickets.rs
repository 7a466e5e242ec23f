//! What the server has said about tickets. No request carries a dead one: neither an expired one,
//! nor one that was refused and that the app has not passed again.

use crate::error;
use crate::secret::Secret;

/// How many tickets are remembered; the newest stay.
const REMEMBERED_MAX: usize = 8;

/// The tickets that the server has judged, newest last.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Tickets(Vec<Known>);

#[derive(Clone, PartialEq, Eq, Hash)]
struct Known {
    ticket: Secret,
    /// When it ends, in ms of the server's Unix time.
    end_ms: Option<i64>,
    /// The server said that it has expired, however far our estimate of its clock lags behind.
    expired: bool,
    /// It was refused. The app may pass it again: the cause may have been fixed.
    refused: bool,
}

impl Tickets {
    /// The server accepted the ticket and named its end, in ms of its Unix time.
    pub(super) fn accepted(&mut self, ticket: &Secret, end_ms: i64) {
        let known = self.newest(ticket);
        known.end_ms = Some(end_ms);
        known.refused = false;
    }

    /// The server has refused the ticket with this code.
    pub(super) fn refused(&mut self, ticket: &Secret, code: i32) {
        let known = self.newest(ticket);
        known.refused = true;
        known.expired |= code == error::ERR_USER_SIG_EXPIRED;
    }

    /// The app passes the ticket, perhaps again.
    pub(super) fn given(&mut self, ticket: &Secret) {
        if let Some(known) = self.0.iter_mut().find(|known| known.ticket == *ticket) {
            known.refused = false;
        }
    }

    /// The entry of a ticket, moved to the newest place.
    fn newest(&mut self, ticket: &Secret) -> &mut Known {
        let at = self.0.iter().position(|known| known.ticket == *ticket);
        let known = match at {
            Some(at) => self.0.remove(at),
            None => Known {
                ticket: ticket.clone(),
                end_ms: None,
                expired: false,
                refused: false,
            },
        };
        if self.0.len() == REMEMBERED_MAX {
            self.0.remove(0);
        }
        self.0.push_mut(known)
    }

    /// Whether the ticket must not be sent, given the server's time.
    pub(super) fn is_dead(&self, ticket: &Secret, server_now_ms: Option<i64>) -> bool {
        let known = self.0.iter().find(|known| known.ticket == *ticket);
        known.is_some_and(|known| {
            let over = known
                .end_ms
                .zip(server_now_ms)
                .is_some_and(|(end, now)| now > end);
            known.refused || known.expired || over
        })
    }
}
