//! What all states share: who this client is, its numbers and clocks, and the actions of one step.

use super::action::{Action, ConnectionStatus, Event, Request};
use super::failures::local;
use super::input::{CallId, Failure, Now};
use super::last_error::LastError;
use super::server_clock::ServerClock;
use super::tickets::Tickets;
use super::{Identity, Limits};
use crate::error;
use crate::reconnect::Jitter;
use crate::secret::Secret;
use tim_proto::wire;

/// A hint joins an attempt younger than this: the next attempt begins only if that one has no
/// answer by then.
pub(super) const HINT_JOINS_MS: u64 = 2_000;
/// That time doubles with each attempt that a hint cut off, up to this many times, so that an app
/// that hints in a loop cannot keep a slow server from answering.
const HINT_DOUBLES_MAX: u32 = 3;

/// What a state reads and writes besides itself.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Context {
    pub(super) identity: Identity,
    pub(super) limits: Limits,
    pub(super) jitter: Jitter,
    /// The time of this step; between steps, the time of the last one.
    pub(super) now: Now,
    /// Counts the logins; the newest number is the login id.
    pub(super) login_no: u64,
    /// Counts the requests.
    seq: u64,
    pub(super) connection: ConnectionStatus,
    pub(super) server_clock: Option<ServerClock>,
    pub(super) tickets: Tickets,
    pub(super) last_error: Option<LastError>,
    pub(super) kick: Option<(u64, wire::Kick)>,
    /// When the last wait cut short by a hint ended or will end, on [`Now::ms`].
    hinted_ms: Option<u64>,
    /// How many attempts hints have cut off since the last accepted one.
    hint_cut_offs: u32,
    out: Vec<Action>,
}

impl Context {
    pub(super) fn new(identity: Identity, limits: Limits, seed: u64) -> Context {
        Context {
            identity,
            limits,
            jitter: Jitter::new(seed),
            now: Now::default(),
            login_no: 0,
            seq: 0,
            connection: ConnectionStatus::Disconnected,
            server_clock: None,
            tickets: Tickets::default(),
            last_error: None,
            kick: None,
            hinted_ms: None,
            hint_cut_offs: 0,
            out: Vec::new(),
        }
    }

    /// The actions of this step, in order.
    pub(super) fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.out)
    }

    // Actions.

    pub(super) fn complete(&mut self, call: CallId, code: i32) {
        self.out.push(Action::Complete { call, code });
    }

    pub(super) fn event(&mut self, event: Event) {
        self.out.push(Action::Event {
            event,
            login_id: self.login_no,
        });
    }

    pub(super) fn connection(&mut self, status: ConnectionStatus, code: i32) {
        self.connection = status;
        self.event(Event::Connection { status, code });
    }

    /// There is no connection any longer. Delivered once.
    pub(super) fn disconnected(&mut self, code: i32) {
        if self.connection != ConnectionStatus::Disconnected {
            self.connection(ConnectionStatus::Disconnected, code);
        }
    }

    /// There is a connection. Delivered once.
    pub(super) fn connected(&mut self) {
        self.hint_cut_offs = 0;
        if self.connection != ConnectionStatus::Connected {
            self.connection(ConnectionStatus::Connected, error::OK);
        }
    }

    pub(super) fn send(&mut self, seq: u64, request: Request, deadline_ms: u64) {
        self.out.push(Action::Send {
            seq,
            request,
            deadline_ms,
        });
    }

    pub(super) fn abandon(&mut self, seq: u64) {
        self.out.push(Action::Abandon { seq });
    }

    pub(super) fn drop_earlier_events(&mut self) {
        self.out.push(Action::DropEarlierEvents);
    }

    // Numbers and time.

    pub(super) fn next_number(&mut self) -> wire::RequestNumber {
        self.seq += 1;
        wire::RequestNumber {
            instance: self.identity.instance.clone(),
            login_no: self.login_no,
            seq: self.seq,
        }
    }

    /// The moment `ms` from now, on [`Now::ms`].
    pub(super) fn after(&self, ms: u64) -> u64 {
        self.now.ms.saturating_add(ms)
    }

    /// Whether the moment `ms` has come.
    pub(super) fn is_past(&self, ms: u64) -> bool {
        self.now.ms >= ms
    }

    /// Until when a hint joins an attempt that began at that time.
    pub(super) fn hint_joins_until(&self, began_ms: u64) -> u64 {
        let doubles = self.hint_cut_offs.min(HINT_DOUBLES_MAX);
        began_ms.saturating_add(HINT_JOINS_MS << doubles)
    }

    /// Records that a hint has cut an attempt off.
    pub(super) fn hint_cut_off(&mut self) {
        self.hint_cut_offs = self.hint_cut_offs.saturating_add(1);
    }

    /// The end of a wait that a hint cuts short: now, or some time after the last hint that did so,
    /// so that an app that hints in a loop does not make the client connect in one.
    pub(super) fn hint_cuts(&mut self, until_ms: u64) -> u64 {
        let earliest = match self.hinted_ms {
            Some(hinted) => hinted.saturating_add(HINT_JOINS_MS).max(self.now.ms),
            None => self.now.ms,
        };
        if earliest < until_ms {
            self.hinted_ms = Some(earliest);
        }
        earliest.min(until_ms)
    }

    // Tickets.

    /// Whether this very ticket must not be sent: the server has refused it, or it has expired by
    /// the server's clock. The device's own clock never makes a ticket dead.
    pub(super) fn is_dead(&self, ticket: &Secret) -> bool {
        let server_now = self.server_clock.map(|clock| clock.now_ms(self.now));
        self.tickets.is_dead(ticket, server_now)
    }

    // Failures.

    pub(super) fn note(&mut self, failure: &Failure, retry_after_ms: Option<u64>) {
        self.last_error = Some(LastError {
            login_id: self.login_no,
            code: failure.code,
            phase: failure.phase,
            cause: failure.cause.clone(),
            address: failure.address.clone(),
            retry_after_ms: retry_after_ms.unwrap_or(0),
        });
    }

    /// Completes a call whose ticket is known to be dead, without sending anything.
    pub(super) fn refuse_dead_ticket(&mut self, call: CallId) {
        self.note(&local(error::ERR_USER_SIG_EXPIRED_LOCALLY), None);
        self.complete(call, error::ERR_USER_SIG_EXPIRED_LOCALLY);
    }
}
