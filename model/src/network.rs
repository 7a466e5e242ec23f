//! Messages in transit between clients and server.

use std::collections::BTreeMap;
use tim::session::{Answer, Request};
use tim_proto::wire::{Kick, SessionEvent};
use tim_server::user::StreamRef;

/// Identifies a request, its answer, and the stream that it opened.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    /// The client that sent it.
    pub client: usize,
    /// Its number.
    pub seq: u64,
    /// Whether it is the duplicate.
    pub copy: bool,
}

impl std::fmt::Debug for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let copy = if self.copy { ", copy" } else { "" };
        write!(f, "client {}, request {}{copy}", self.client, self.seq)
    }
}

impl Id {
    /// A number for the server's ids.
    pub fn number(self) -> u64 {
        self.client as u64 * 1000 + self.seq * 2 + u64::from(self.copy)
    }

    /// The place of the stream that it opens.
    pub fn place(self) -> StreamRef {
        StreamRef {
            node: 1,
            stream_id: self.number(),
        }
    }

    /// The request that opened the stream at this place.
    pub fn at(place: StreamRef) -> Id {
        let number = place.stream_id;
        Id {
            client: usize::try_from(number / 1000).unwrap_or(usize::MAX),
            seq: number % 1000 / 2,
            copy: number % 2 == 1,
        }
    }
}

/// Who is waiting at the client's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reader {
    /// The client.
    Waits,
    /// The client has dropped the request; an answer that is just arriving may still reach its
    /// state machine.
    Dropped,
    /// Nobody: the connection is broken, or this is a duplicate.
    Gone,
}

/// A request on its way to the server.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Sent {
    /// Its content.
    pub request: Request,
    /// How long its client waits for an answer.
    pub deadline_ms: u64,
    /// Who waits for it. If the client does, it arrives; otherwise it may.
    pub reader: Reader,
}

/// A stream that the server holds open.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Stream {
    /// The user whose stream it is.
    pub user: usize,
    /// The end of its ticket, as the server knows it.
    pub ends_ms: i64,
    /// Its first event, until it has reached the client.
    pub first: Option<SessionEvent>,
    /// Its last event, once sent.
    pub last: Option<Last>,
    /// Whether the client reads it; if not, the server will notice.
    pub is_read: bool,
}

/// How a stream ends.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Last {
    /// The session was taken over.
    Kicked(Kick),
    /// Without an event.
    Closed,
    /// The operator ended the session, with this code.
    Ended(i32),
    /// The ticket has ended.
    Expired,
    /// Nothing more arrives, not even a heartbeat: the client must notice.
    Silent,
}

/// Everything in transit.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Network {
    /// To the server.
    pub requests: BTreeMap<Id, Sent>,
    /// To waiting clients: answers that open no stream.
    pub answers: BTreeMap<Id, Answer>,
    /// Streams, from the moment of acceptance.
    pub streams: BTreeMap<Id, Stream>,
}

impl Network {
    /// Whether this client waits for an answer.
    pub fn is_asking(&self, client: usize) -> bool {
        let mut waiting = self.requests.iter().filter(|(_, sent)| sent.is_awaited());
        let mut opening = self.streams.iter().filter(|(_, stream)| stream.is_new());
        waiting.any(|(id, _)| id.client == client)
            || self.answers.keys().any(|id| id.client == client)
            || opening.any(|(id, _)| id.client == client)
    }

    /// Whether this client reads a stream.
    pub fn is_reading(&self, client: usize) -> bool {
        self.streams
            .iter()
            .any(|(id, stream)| id.client == client && stream.is_read)
    }

    /// Whether nothing is in transit that must arrive, and nothing remains to be noticed.
    pub fn is_quiet(&self) -> bool {
        let at_rest =
            |stream: &Stream| stream.is_read && stream.first.is_none() && stream.last.is_none();
        !self.requests.values().any(Sent::is_awaited)
            && self.answers.is_empty()
            && self.streams.values().all(at_rest)
    }
}

impl Sent {
    /// Whether its client waits for it.
    pub fn is_awaited(&self) -> bool {
        self.reader == Reader::Waits
    }
}

impl Stream {
    /// Whether its client still waits for its first event.
    fn is_new(&self) -> bool {
        self.is_read && self.first.is_some()
    }
}
