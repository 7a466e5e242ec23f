//! What an observer of all requests and answers knows about tickets. No request carries a dead one:
//! neither an expired one, nor one that was refused and that the app has not passed again.

use super::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub(super) struct TicketsSeen {
    /// The ticket in each request, if the answer is about it.
    carried: BTreeMap<u64, Option<String>>,
    /// The ticket of the newest accepted login or renewal.
    held: Option<String>,
    /// The ends that the server named, in ms of its Unix time.
    ends: BTreeMap<String, i64>,
    refused: BTreeSet<String>,
    expired: BTreeSet<String>,
}

impl TicketsSeen {
    /// The app passes a ticket: it may try a refused one again.
    pub(super) fn given(&mut self, ticket: &str) {
        self.refused.remove(ticket);
    }

    /// The machine sends a request.
    pub(super) fn sent(&mut self, seq: u64, request: &Request, server_ms: i64) {
        let mut tickets = Vec::new();
        let about = match request {
            Request::Login(login) => {
                tickets.extend(login.ends.iter().filter_map(ticket_of));
                Some(login.user_sig.clone())
            }
            Request::Resume(resume) => resume.user_sig.clone(),
            Request::Logout(logout) => {
                tickets.extend(ticket_of(&logout.ends));
                None
            }
        };
        tickets.extend(about.clone());
        for ticket in tickets {
            let over = self.ends.get(&ticket).is_some_and(|end| server_ms > *end);
            assert!(!over, "{ticket} is sent after its end");
            assert!(!self.expired.contains(&ticket), "{ticket} has expired");
            assert!(!self.refused.contains(&ticket), "{ticket} was refused");
        }
        if !matches!(request, Request::Logout(_)) {
            self.carried.insert(seq, about);
        }
    }

    /// The machine processed the server's acceptance of this request.
    pub(super) fn accepted(&mut self, seq: u64, end_ms: i64) {
        let Some(carried) = self.carried.get(&seq) else {
            return;
        };
        if carried.is_some() {
            self.held.clone_from(carried);
        }
        self.ends
            .extend(self.held.clone().map(|held| (held, end_ms)));
    }

    /// The machine processed the server's refusal of this request.
    pub(super) fn refused(&mut self, seq: u64, code: i32) {
        let Some(carried) = self.carried.get(&seq) else {
            return;
        };
        let ticket = carried.clone().or_else(|| self.held.clone());
        match code::class(code) {
            _ if code == code::USER_SIG_EXPIRED => self.expired.extend(ticket),
            Some(code::Class::NeedsTicket) => self.refused.extend(ticket),
            _ => {}
        }
    }

    /// The stream reported it.
    pub(super) fn held_has_expired(&mut self) {
        self.expired.extend(self.held.clone());
    }
}

fn ticket_of(ending: &wire::Ending) -> Option<String> {
    match ending {
        wire::Ending::Login { user_sig, .. } => Some(user_sig.clone()),
        wire::Ending::Session { .. } => None,
    }
}
