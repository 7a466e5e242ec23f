//! The effect of each happening: messages carried, clocks moved, records lost.

use crate::check::{Count, Seen};
use crate::client::{self, Client, Wish};
use crate::kept::Kept;
use crate::ledger::{Notes, Rule};
use crate::network::{Id, Last, Network, Reader, Sent, Stream};
use crate::server::{Reply, Server, Watch};
use crate::setup::Setup;
use crate::world::{Happening, World};
use tim::error;
use tim::session::{Answer, Input};
use tim_proto::code;
use tim_proto::wire::{EndEvent, StreamEvent};
use tim_server::user::{Push, Pushed, User};

impl World {
    /// Applies a happening.
    pub fn happen(&mut self, setup: &Setup, what: Happening, count: &Count) {
        self.pay(what);
        let mut stage = Stage {
            world: self,
            setup,
            count,
        };
        stage.play(what);
    }

    /// Deducts it from the budget.
    fn pay(&mut self, what: Happening) {
        let is_waiting = matches!(what, Happening::Deadline { client } if self.waits(client));
        let left = &mut self.left;
        let from = match what {
            Happening::Login { client: 0, .. } if left.switches > 0 => &mut left.switches,
            Happening::Login { client, .. } => &mut left.logins[client],
            Happening::Logout { .. } => &mut left.logouts,
            Happening::Renew { .. } => &mut left.renewals,
            Happening::Destroy { .. } => &mut left.destroys,
            Happening::Probe { .. } => &mut left.probes,
            Happening::Cloned { .. } => &mut left.clones,
            Happening::Deadline { .. } if is_waiting => return,
            Happening::Deadline { .. } | Happening::TimesOut(_) => &mut left.timeouts,
            Happening::Breaks(_) => &mut left.breaks,
            Happening::Copied(_) => &mut left.copies,
            Happening::Cut(_) => &mut left.cuts,
            Happening::Restarts => &mut left.restarts,
            Happening::LosesRecords => &mut left.lost_records,
            Happening::LosesStore => &mut left.lost_stores,
            Happening::ClockSteps(_) => &mut left.clock_steps,
            Happening::Arrives(_)
            | Happening::Answered(_)
            | Happening::LoggedOut(_)
            | Happening::Noticed(_)
            | Happening::TicketEnds(_) => return,
        };
        *from -= 1;
    }
}

/// A state while it is being changed.
struct Stage<'a> {
    world: &'a mut World,
    setup: &'a Setup,
    count: &'a Count,
}

impl Stage<'_> {
    fn play(&mut self, what: Happening) {
        let setup = self.setup;
        match what {
            Happening::Login { client, user } => self.call(client, |of| of.login(setup, user)),
            Happening::Logout { client } => self.call(client, Client::logout),
            Happening::Renew { client } => self.call(client, |of| of.renew(setup)),
            Happening::Destroy { client } => {
                self.call(client, Client::destroy);
                self.hang_up(client);
            }
            // A hint that joins no attempt, or the end of a sleep.
            Happening::Probe { client } => self.feed(client, Input::Woke),
            Happening::Deadline { client } => self.call(client, Client::reach_deadline),
            Happening::Cloned { client } => {
                let at = self.world.clients.len();
                let now_ms = self.world.server.now_ms;
                let clone = self.world.clients[client].cloned(setup, at, now_ms);
                self.world.clients.extend(clone.map(Kept::new));
                if let Some(session_id) = self.world.clients[client].session_id() {
                    let ledger = &mut self.world.ledger;
                    ledger.edit(|ledger| ledger.cloned(session_id));
                }
            }
            Happening::Arrives(id) => self.arrive(id),
            Happening::Breaks(id) => {
                self.let_go(id, Reader::Gone);
                self.feed(
                    id.client,
                    client::failed(id.seq, error::ERR_CONNECTION_RESET),
                );
            }
            Happening::TimesOut(id) => {
                let deadline_ms = self.let_go(id, Reader::Gone);
                self.world.clients[id.client].edit(|of| of.pass_to(deadline_ms));
                self.feed(
                    id.client,
                    client::failed(id.seq, error::ERR_RESPONSE_TIMEOUT),
                );
            }
            Happening::Copied(id) => self.network(|network| {
                let copy = network.requests.get(&id).cloned().map(|sent| Sent {
                    reader: Reader::Gone,
                    ..sent
                });
                let id = Id { copy: true, ..id };
                network.requests.extend(copy.map(|copy| (id, copy)));
            }),
            Happening::Answered(id) => self.answer(id),
            Happening::LoggedOut(id) => self.tell_last(id),
            Happening::Cut(id) => self.cut(id),
            Happening::Noticed(id) => self.notice(id),
            Happening::TicketEnds(id) => self.end_ticket(id),
            Happening::Restarts => {
                let held = self.held();
                let ledger = &mut self.world.ledger;
                ledger.edit(|l| l.restarted(|id| held.contains(&id)));
                self.restart(User::lasting);
            }
            Happening::LosesRecords => self.lose(false),
            Happening::LosesStore => {
                self.world.server.edit(Server::lose_keys);
                self.lose(true);
            }
            Happening::ClockSteps(ms) => self.world.server.edit(|server| server.now_ms += ms),
        }
    }

    fn network<R>(&mut self, change: impl FnOnce(&mut Network) -> R) -> R {
        self.world.network.edit(change)
    }

    // Clients.

    fn call(&mut self, client: usize, call: impl FnOnce(&mut Client) -> Input) {
        let input = self.world.clients[client].edit(call);
        self.feed(client, input);
    }

    fn feed(&mut self, client: usize, input: Input) {
        let mut notes = Notes::default();
        let wishes = self.world.clients[client].edit(|of| of.handle(input, &mut notes));
        let mut late = Vec::new();
        for wish in wishes {
            match wish {
                Wish::Send {
                    seq,
                    request,
                    deadline_ms,
                } => {
                    notes.holds(Rule::ComesToRest, seq <= self.setup.requests_max);
                    let sent = Sent {
                        request,
                        deadline_ms,
                        reader: Reader::Waits,
                    };
                    let id = id(client, seq);
                    self.network(|network| network.requests.insert(id, sent));
                }
                Wish::Drop(seq) => late.extend(self.drop_request(id(client, seq))),
            }
        }
        self.note(client, notes);
        for input in late {
            self.feed_late(client, input);
        }
    }

    /// The client has dropped a request just as its answer arrived.
    fn feed_late(&mut self, client: usize, input: Input) {
        let mut notes = Notes::default();
        self.world.clients[client].edit(|of| of.handle_late(input, &mut notes));
        self.count.saw(Seen::LateAnswer);
        self.note(client, notes);
    }

    fn note(&mut self, client: usize, notes: Notes) {
        if notes != Notes::default() {
            if notes.kicked {
                self.count.saw(Seen::Kick);
            }
            let session_id = self.world.clients[client].session_id();
            let ledger = &mut self.world.ledger;
            ledger.edit(|ledger| ledger.note(&notes, client, session_id));
        }
    }

    /// Nobody waits for this request any longer. Returns its deadline.
    fn let_go(&mut self, id: Id, reader: Reader) -> u64 {
        self.network(|network| match network.requests.get_mut(&id) {
            Some(sent) => {
                sent.reader = reader;
                sent.deadline_ms
            }
            None => 0,
        })
    }

    /// The client drops a request or stream. Returns the answer that was just arriving.
    fn drop_request(&mut self, id: Id) -> Option<Input> {
        self.let_go(id, Reader::Dropped);
        let seq = id.seq;
        if let Some(answer) = self.network(|network| network.answers.remove(&id)) {
            return Some(Input::Answer { seq, answer });
        }
        let stream = self.close(id)?;
        match (stream.first, stream.last) {
            (Some(first), _) => Some(Input::Answer {
                seq,
                answer: Answer::Session(first),
            }),
            (None, Some(last)) => Some(logged_out(seq, last)),
            (None, None) => None,
        }
    }

    /// The client and all its sockets are gone.
    fn hang_up(&mut self, client: usize) {
        let streams = self.network(|network| {
            for (id, sent) in &mut network.requests {
                if id.client == client {
                    sent.reader = Reader::Gone;
                }
            }
            network.answers.retain(|id, _| id.client != client);
            let own = network.streams.keys().filter(|id| id.client == client);
            own.copied().collect::<Vec<_>>()
        });
        for id in streams {
            self.close(id);
        }
    }

    /// The client's end of a stream closes; the server will notice. Returns the stream as it was.
    fn close(&mut self, id: Id) -> Option<Stream> {
        let late = self.setup.late_notice;
        let stream = self.network(|network| {
            let stream = network.streams.get_mut(&id)?;
            Some(std::mem::replace(
                stream,
                Stream {
                    is_read: false,
                    ..stream.clone()
                },
            ))
        })?;
        if !late {
            self.notice(id);
        }
        Some(stream)
    }

    // The network.

    fn answer(&mut self, id: Id) {
        let seq = id.seq;
        let answer = self.network(|network| {
            let opens = |stream: &mut Stream| stream.first.take().map(Answer::Session);
            let answer = network.answers.remove(&id);
            answer.or_else(|| network.streams.get_mut(&id).and_then(opens))
        });
        if let Some(answer) = answer {
            self.feed(id.client, Input::Answer { seq, answer });
        }
    }

    fn tell_last(&mut self, id: Id) {
        let last = self.network(|network| {
            let stream = network.streams.get_mut(&id)?;
            stream.last.clone()
        });
        match last {
            // For the server, the stream still exists.
            Some(Last::Silent) => {
                self.close(id);
            }
            _ => {
                self.network(|network| network.streams.remove(&id));
            }
        }
        if let Some(last) = last {
            self.feed(id.client, logged_out(id.seq, last));
        }
    }

    fn cut(&mut self, id: Id) {
        if self.setup.silence {
            self.call(id.client, Client::reach_deadline);
        } else {
            self.close(id);
            self.feed(id.client, client::cut(id.seq));
        }
    }

    // The server.

    fn arrive(&mut self, id: Id) {
        let Some(sent) = self.network(|network| network.requests.remove(&id)) else {
            return;
        };
        let mut pushes = Vec::new();
        let (setup, count) = (self.setup, self.count);
        let World { server, ledger, .. } = &mut *self.world;
        let reply = server.edit(|server| {
            ledger.edit(|ledger| {
                let mut watch = Watch { ledger, count };
                server.receive(setup, id, &sent.request, &mut watch, &mut pushes)
            })
        });
        let answer = match reply {
            Reply::Answer(answer) => answer,
            Reply::Stream(user, first) => {
                let stream = Stream {
                    user,
                    ends_ms: first.user_sig_expires_ms,
                    first: Some(first.clone()),
                    last: None,
                    is_read: true,
                };
                self.network(|network| network.streams.insert(id, stream));
                if !sent.is_awaited() {
                    self.close(id);
                }
                Answer::Session(first)
            }
        };
        self.push(pushes);
        let is_stream = matches!(answer, Answer::Session(_));
        match sent.reader {
            Reader::Waits if !is_stream => {
                self.network(|network| network.answers.insert(id, answer));
            }
            Reader::Waits | Reader::Gone => {}
            Reader::Dropped => {
                let seq = id.seq;
                self.feed_late(id.client, Input::Answer { seq, answer });
            }
        }
        let times = self.world.clients.len() as u8 + setup.budget.cuts + setup.budget.breaks;
        let fights = self.world.ledger.takeovers() > times;
        if fights {
            let mut notes = Notes::default();
            notes.breaks(Rule::ClonesDoNotFight);
            self.note(id.client, notes);
        }
    }

    fn push(&mut self, pushes: Vec<Push>) {
        if pushes.is_empty() {
            return;
        }
        self.network(|network| {
            for push in pushes {
                let Some(stream) = network.streams.get_mut(&Id::at(push.to)) else {
                    continue;
                };
                stream.last.get_or_insert(match push.what {
                    Pushed::Kicked(kick) => Last::Kicked(kick),
                    Pushed::Closed => Last::Closed,
                    Pushed::Ended(code) => Last::Ended(code),
                });
            }
        });
    }

    fn notice(&mut self, id: Id) {
        let stream = self.network(|network| network.streams.remove(&id));
        if let Some(stream) = stream {
            let (setup, server) = (self.setup, &mut self.world.server);
            server.edit(|server| server.stream_closed(setup, stream.user, id));
        }
    }

    fn end_ticket(&mut self, id: Id) {
        let Some(user) = self.world.network.streams.get(&id).map(|s| s.user) else {
            return;
        };
        let (setup, server) = (self.setup, &mut self.world.server);
        let ended = server.edit(|server| server.ticket_ends(setup, user, id));
        self.network(|network| {
            if let Some(stream) = network.streams.get_mut(&id) {
                let last = if ended { Last::Expired } else { Last::Silent };
                stream.last.get_or_insert(last);
            }
        });
    }

    /// The sessions whose tokens clients hold.
    fn held(&self) -> Vec<u64> {
        let clients = self.world.clients.iter();
        let holding = clients.filter(|client| client.is_logged_in());
        holding.filter_map(|client| client.session_id()).collect()
    }

    fn lose(&mut self, keys: bool) {
        let held = self.held();
        let ledger = &mut self.world.ledger;
        ledger.edit(|ledger| ledger.lost(keys, |id| held.contains(&id)));
        self.restart(|_| User::default());
    }

    /// Every connection ends with the server's process, and what was on its way with it.
    fn restart(&mut self, kept: impl Fn(&User) -> User) {
        self.world.server.edit(|server| server.restart(kept));
        let Network {
            requests,
            answers,
            streams,
        } = self.network(std::mem::take);
        let awaited = requests.iter().filter(|(_, sent)| sent.is_awaited());
        let asking = awaited.map(|(id, _)| *id).chain(answers.into_keys());
        let read = streams.into_iter().filter(|(_, stream)| stream.is_read);
        let (new, open): (Vec<_>, Vec<_>) = read.partition(|(_, stream)| stream.first.is_some());
        for id in asking.chain(new.into_iter().map(|(id, _)| id)) {
            self.feed(
                id.client,
                client::failed(id.seq, error::ERR_CONNECTION_RESET),
            );
        }
        for (id, _) in open {
            self.feed(id.client, client::cut(id.seq));
        }
    }
}

fn id(client: usize, seq: u64) -> Id {
    Id {
        client,
        seq,
        copy: false,
    }
}

/// The input that a stream's end causes at its client.
fn logged_out(seq: u64, last: Last) -> Input {
    let event = match last {
        Last::Kicked(kick) => StreamEvent::Kicked(kick),
        Last::Expired => StreamEvent::UserSigExpired(EndEvent {
            code: code::USER_SIG_EXPIRED,
            message: String::new(),
        }),
        Last::Ended(code) => StreamEvent::SessionEnded(EndEvent {
            code,
            message: String::new(),
        }),
        Last::Closed | Last::Silent => return client::cut(seq),
    };
    Input::Stream { seq, event }
}
