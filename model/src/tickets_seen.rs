//! What an observer of one client's requests and answers knows about its tickets.

use std::collections::{BTreeMap, BTreeSet};
use tim::session::{Answer, Input, Request};
use tim_proto::code::{self, Class};
use tim_proto::wire::{Ending, StreamEvent};

/// The tickets that were sent, and what the server said about them.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct TicketsSeen {
    /// The pending request and the ticket it carries. A client has one request at a time, besides
    /// its stream.
    newest: Option<(u64, Option<String>)>,
    /// The ticket of the newest accepted login or renewal.
    held: Option<String>,
    /// The end that the server named for each, in ms of its Unix time.
    ends: BTreeMap<String, i64>,
    /// The server's clock minus the client's, in ms.
    clock: Option<i64>,
    /// Refused, and not passed again.
    refused: BTreeSet<String>,
    expired: BTreeSet<String>,
}

impl TicketsSeen {
    /// The client processes this input when its clock shows `boot_ms`.
    pub fn take(&mut self, input: &Input, boot_ms: u64) {
        match input {
            Input::Login { user_sig, .. } | Input::Renew { user_sig, .. } => {
                self.refused.remove(user_sig.reveal());
            }
            Input::Answer { seq, answer } => self.answered(*seq, answer, boot_ms),
            Input::Stream {
                event: StreamEvent::UserSigExpired(_),
                ..
            } => self.expired.extend(self.held.clone()),
            _ => {}
        }
    }

    fn answered(&mut self, seq: u64, answer: &Answer, boot_ms: u64) {
        let Some((_, carried)) = self.newest.take_if(|(newest, _)| *newest == seq) else {
            return;
        };
        match answer {
            Answer::Session(event) => {
                self.held = carried.or(self.held.take());
                let held = self.held.clone();
                self.ends
                    .extend(held.map(|held| (held, event.user_sig_expires_ms)));
                self.clock = Some(event.server_time_ms - boot_ms.cast_signed());
            }
            Answer::Refused(refused) => {
                let Some(refusal) = &refused.refusal else {
                    return;
                };
                let ticket = carried.or_else(|| self.held.clone());
                match code::class(refusal.code) {
                    _ if refusal.code == code::USER_SIG_EXPIRED => self.expired.extend(ticket),
                    Some(Class::NeedsTicket) => self.refused.extend(ticket),
                    _ => {}
                }
            }
            Answer::LoggedOut(_) => {}
        }
    }

    /// The client sends this request when its clock shows `boot_ms`. Returns whether it carries a
    /// dead ticket.
    pub fn sends_dead(&mut self, seq: u64, request: &Request, boot_ms: u64) -> bool {
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
        let is_logout = matches!(request, Request::Logout(_));
        self.newest = (!is_logout).then_some((seq, about));
        let server_ms = self.clock.map(|clock| clock + boot_ms.cast_signed());
        let is_over = |ticket: &String| {
            let end = self.ends.get(ticket).zip(server_ms);
            end.is_some_and(|(end, now)| now > *end)
        };
        let dead = |ticket: &String| {
            self.refused.contains(ticket) || self.expired.contains(ticket) || is_over(ticket)
        };
        tickets.iter().any(dead)
    }
}

fn ticket_of(ending: &Ending) -> Option<String> {
    match ending {
        Ending::Login { user_sig, .. } => Some(user_sig.clone()),
        Ending::Session { .. } => None,
    }
}
