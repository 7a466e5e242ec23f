//! A state of the whole system, what can happen in it, and what must hold in it.

use crate::client::Client;
use crate::kept::Kept;
use crate::ledger::{Ledger, Rule};
use crate::network::{Id, Network, Stream};
use crate::server::Server;
use crate::setup::{Budget, Setup, USERS};
use tim_server::user::User;

/// A state of the whole system.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct World {
    pub(crate) clients: Vec<Kept<Client>>,
    pub(crate) network: Kept<Network>,
    pub(crate) server: Kept<Server>,
    pub(crate) ledger: Kept<Ledger>,
    /// What may still happen.
    pub(crate) left: Budget,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// The app of this client logs this user in.
    Login { client: usize, user: usize },
    /// The app logs out.
    Logout { client: usize },
    /// The app renews its ticket.
    Renew { client: usize },
    /// The app destroys the client.
    Destroy { client: usize },
    /// The app says that the network changed.
    Probe { client: usize },
    /// The client reaches its next deadline.
    Deadline { client: usize },
    /// A request arrives and is decided.
    Arrives(Id),
    /// The connection breaks under a request, which may arrive nevertheless.
    Breaks(Id),
    /// The request takes longer than its client waits; it may arrive nevertheless.
    TimesOut(Id),
    /// The request is duplicated on the way.
    Copied(Id),
    /// The answer reaches the client.
    Answered(Id),
    /// The stream's last event reaches the client.
    LoggedOut(Id),
    /// The stream is cut.
    Cut(Id),
    /// The server notices that nobody reads the stream.
    Noticed(Id),
    /// The ticket of the stream's session has ended, by the server's clock.
    TicketEnds(Id),
    /// The server restarts and keeps what its store keeps.
    Restarts,
    /// The server restarts without its records.
    LosesRecords,
    /// The server restarts without records and keys.
    LosesStore,
    /// The server's clock steps by this many ms.
    ClockSteps(i64),
    /// The client's token is copied to another client with the same device id.
    Cloned { client: usize },
}

impl World {
    /// The beginning: nobody is logged in.
    pub fn new(setup: &Setup) -> World {
        let clients = 0..setup.devices.len();
        World {
            clients: clients
                .map(|at| Kept::new(Client::new(setup, at, at)))
                .collect(),
            network: Kept::new(Network::default()),
            server: Kept::new(Server::default()),
            ledger: Kept::new(Ledger::default()),
            left: setup.budget,
        }
    }

    /// Everything that can happen.
    pub fn can_happen(&self, setup: &Setup, all: &mut Vec<Happening>) {
        for (at, client) in self.clients.iter().enumerate() {
            if client.is_usable() {
                self.app_can(at, client, all);
                self.time_can(at, client, all);
            }
        }
        self.network_can(all);
        self.server_can(setup, all);
    }

    fn app_can(&self, client: usize, of: &Client, all: &mut Vec<Happening>) {
        let left = &self.left;
        let logins = left.logins.get(client).is_some_and(|logins| *logins > 0);
        if client == 0 && left.switches > 0 {
            all.extend((0..USERS.len()).map(|user| Happening::Login { client, user }));
        } else if of.is_logged_out() && logins {
            all.push(Happening::Login { client, user: 0 });
        }
        if left.logouts > 0 && !of.is_logged_out() {
            all.push(Happening::Logout { client });
        }
        if left.probes > 0 && !of.is_logged_out() {
            all.push(Happening::Probe { client });
        }
        if left.renewals > 0 && of.is_logged_in() {
            all.push(Happening::Renew { client });
        }
        if left.clones > 0 && of.is_logged_in() {
            all.push(Happening::Cloned { client });
        }
        if left.destroys > 0 {
            all.push(Happening::Destroy { client });
        }
    }

    /// A waiting client reaches its deadline without anything having gone wrong.
    fn time_can(&self, client: usize, of: &Client, all: &mut Vec<Happening>) {
        let late = self.left.timeouts > 0 && self.network.is_asking(client);
        if self.waits(client) || (late && of.has_deadline()) {
            all.push(Happening::Deadline { client });
        }
    }

    /// Whether the client waits for its next attempt and nothing else.
    pub(crate) fn waits(&self, client: usize) -> bool {
        let network = &self.network;
        let of = &self.clients[client];
        of.is_usable()
            && of.has_deadline()
            && !network.is_asking(client)
            && !network.is_reading(client)
    }

    fn network_can(&self, all: &mut Vec<Happening>) {
        let left = &self.left;
        for (id, sent) in &self.network.requests {
            all.push(Happening::Arrives(*id));
            if !sent.is_awaited() {
                continue;
            }
            if left.breaks > 0 {
                all.push(Happening::Breaks(*id));
            }
            // The client's own deadlines come first.
            let client = &self.clients[id.client];
            if left.timeouts > 0 && client.waits_until(sent.deadline_ms) {
                all.push(Happening::TimesOut(*id));
            }
            if left.copies > 0 {
                all.push(Happening::Copied(*id));
            }
        }
        all.extend(
            self.network
                .answers
                .keys()
                .copied()
                .map(Happening::Answered),
        );
        for (id, stream) in &self.network.streams {
            if !stream.is_read {
                all.push(Happening::Noticed(*id));
                continue;
            }
            if stream.first.is_some() {
                all.push(Happening::Answered(*id));
                continue;
            }
            if stream.last.is_some() {
                all.push(Happening::LoggedOut(*id));
            } else if self.ticket_has_ended(stream) {
                all.push(Happening::TicketEnds(*id));
            }
            if left.cuts > 0 {
                all.push(Happening::Cut(*id));
            }
        }
    }

    fn server_can(&self, setup: &Setup, all: &mut Vec<Happening>) {
        let left = &self.left;
        let restarts = [
            (left.restarts, Happening::Restarts),
            (left.lost_records, Happening::LosesRecords),
            (left.lost_stores, Happening::LosesStore),
        ];
        let possible = restarts.into_iter().filter(|(left, _)| *left > 0);
        all.extend(possible.map(|(_, restart)| restart));
        if left.clock_steps > 0 {
            all.extend(
                setup
                    .clock_steps
                    .iter()
                    .map(|ms| Happening::ClockSteps(*ms)),
            );
        }
    }

    fn ticket_has_ended(&self, stream: &Stream) -> bool {
        stream.last.is_none() && stream.ends_ms < self.server.now_ms
    }

    /// Whether nothing more happens unless an app acts or something goes wrong.
    pub fn is_quiet(&self) -> bool {
        let tickets_end = self
            .network
            .streams
            .values()
            .any(|stream| self.ticket_has_ended(stream));
        self.network.is_quiet() && !tickets_end && !(0..self.clients.len()).any(|at| self.waits(at))
    }

    /// What must hold in every state, in addition to what is judged when something happens.
    pub fn judge(&self, setup: &Setup) -> Option<Rule> {
        let ledger = &self.ledger;
        let sessions = |user: &User| user.sessions.len();
        let most = self.server.users.iter().map(sessions).max();
        if ledger.broken.is_some() {
            ledger.broken
        } else if most > Some(setup.allowed) {
            Some(Rule::PolicyHolds)
        } else if self.is_quiet() && !self.is_consistent(setup) {
            Some(Rule::QuietIsConsistent)
        } else {
            None
        }
    }

    fn is_consistent(&self, setup: &Setup) -> bool {
        let alive = || {
            self.clients
                .iter()
                .enumerate()
                .filter(|(_, c)| c.is_usable())
        };
        let each = alive().all(|(at, client)| {
            let streams = self.network.streams.iter();
            let own: Vec<_> = streams.filter(|(id, _)| id.client == at).collect();
            let has_place = |(id, stream): &(&Id, &Stream)| {
                let mut sessions = self.server.users[stream.user].sessions.iter();
                client.user() == Some(stream.user) && sessions.any(|s| s.stream == Some(id.place()))
            };
            let online = client.is_logged_in() && own.len() == 1 && own.iter().all(has_place);
            let offline = client.is_logged_out() && own.is_empty();
            !client.has_calls() && (online || offline)
        });
        let online = |user| alive().filter(|(_, c)| c.user() == Some(user)).count();
        each && (0..USERS.len()).all(|user| online(user) <= setup.allowed)
    }
}
