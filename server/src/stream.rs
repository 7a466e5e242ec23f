//! Event streams: the streams that this node holds, and the response body of each.

use crate::outbox::{Message, Outbox};
use crate::sharded::Sharded;
use crate::timer::Timer;
use crate::user::{Held, Pushed};
use bytes::Bytes;
use hyper::body::{Body, Frame};
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;
use tim_proto::code;
use tim_proto::wire::{EndEvent, SpreadEvent, StreamEvent};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// A comment, which only shows that the stream is alive. One follows the first event as a separate
/// chunk, because proxies may hold a chunk back until the next one arrives.
const HEARTBEAT: &[u8] = b": hb\n\n";
/// At this rate of reconnects the server is comfortable: it spreads its clients' return over as
/// long as that takes.
const EASY_RECONNECTS_PER_S: u64 = 2_000;
const SPREAD_MAX_MS: u64 = 60_000;
/// A stream gets a new period if its own is off by this much and by a quarter.
const SPREAD_STEP_MS: u64 = 50;

/// Ends a body early: fault injection cut its connection.
#[derive(Debug)]
pub struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("fault injection cut the connection")
    }
}

impl std::error::Error for Cut {}

/// A stream of this node, from the sending side.
struct Entry {
    outbox: Outbox,
    /// Who holds it; `None` before it has begun, and if the store is not shared.
    held: Option<Arc<HeldBy>>,
    /// The session's; 0 before the stream has begun.
    epoch: u64,
}

/// The user and the session that hold a stream.
pub struct HeldBy {
    pub user_id: String,
    pub held: Held,
}

/// The streams that this node holds.
#[derive(Default)]
pub struct Streams {
    entries: Sharded<HashMap<u64, Entry>>,
    last_id: AtomicU64,
    open: AtomicU64,
}

/// Receives what happens to a stream.
pub trait Owner: Send + Sync + 'static {
    /// The ticket's time has come.
    fn expired(&self, stream_id: u64);
    /// The stream is no longer read.
    fn closed(&self, stream_id: u64);
}

impl Streams {
    /// Opens a stream that can be sent to at once but sends nothing before [`StreamBody::begin`].
    pub fn open<O: Owner>(self: &Arc<Self>, owner: O) -> StreamBody<O> {
        let stream_id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let (outbox, received) = unbounded_channel();
        let entry = Entry {
            outbox,
            held: None,
            epoch: 0,
        };
        self.entries.of(stream_id).insert(stream_id, entry);
        StreamBody {
            stream_id,
            streams: self.clone(),
            first: [const { None }; 2],
            announced_spread_ms: 0,
            messages: received,
            stage: Stage::Opening,
            owner,
        }
    }

    /// Sends a stream what the store decided. If it is not here, it has closed already.
    pub fn push(&self, stream_id: u64, what: Pushed) {
        match what {
            Pushed::Kicked(kick) => self.last(stream_id, &StreamEvent::Kicked(kick)),
            Pushed::Closed => self.end(stream_id, None),
            Pushed::Ended(code::USER_SIG_EXPIRED) => self.last(stream_id, &user_sig_expired()),
            Pushed::Ended(code) => {
                let message = match code {
                    code::USER_SIG_REVOKED => "the ticket was revoked",
                    code::BANNED => "the account is banned",
                    code::ACCOUNT_NOT_FOUND => "the account was deleted",
                    _ => "the operator ended the session",
                };
                let message = message.to_owned();
                let event = StreamEvent::SessionEnded(EndEvent { code, message });
                self.last(stream_id, &event);
            }
        }
    }

    /// Sends an event and ends the stream.
    pub fn last(&self, stream_id: u64, event: &StreamEvent) {
        self.end(stream_id, Some(event.to_bytes().into()));
    }

    fn end(&self, stream_id: u64, event: Option<Bytes>) {
        let Some(entry) = self.entries.of(stream_id).remove(&stream_id) else {
            return;
        };
        // Its reader may be gone.
        for message in event
            .map(|text| Message::Event(Box::new(text)))
            .into_iter()
            .chain([Message::End])
        {
            let _ = entry.outbox.send(message);
        }
    }

    /// Ends the streams of sessions up to this epoch: everybody was signed out.
    pub fn end_below(&self, epoch: u64) {
        let is_below = |entry: &Entry| (1..=epoch).contains(&entry.epoch);
        for entries in self.entries.iter() {
            let ended = entries.iter().filter(|(_, entry)| is_below(entry));
            let ended: Vec<u64> = ended.map(|(stream_id, _)| *stream_id).collect();
            drop(entries);
            for stream_id in ended {
                self.push(stream_id, Pushed::Ended(code::USER_SIG_REVOKED));
            }
        }
    }

    /// Cuts a stream's connection, and returns whether it was here. Its session remains.
    pub fn cut(&self, stream_id: u64) -> bool {
        let entries = self.entries.of(stream_id);
        let entry = entries.get(&stream_id);
        entry.is_some_and(|entry| entry.outbox.send(Message::Cut).is_ok())
    }

    /// Cuts the connections of all streams, and returns how many.
    pub fn cut_all(&self) -> usize {
        let cut = |entries: MutexGuard<'_, HashMap<u64, Entry>>| {
            let sent = entries
                .values()
                .map(|entry| entry.outbox.send(Message::Cut));
            sent.filter(Result::is_ok).count()
        };
        self.entries.iter().map(cut).sum()
    }

    /// Whether a stream is held here.
    pub fn has(&self, stream_id: u64) -> bool {
        self.entries.of(stream_id).contains_key(&stream_id)
    }

    /// One of `parts` parts of all held streams.
    pub fn held(&self, part: u64, parts: u64) -> Vec<Arc<HeldBy>> {
        let mut held = Vec::new();
        for entries in self.entries.iter() {
            let ours = entries
                .iter()
                .filter(|(stream_id, _)| **stream_id % parts == part);
            held.extend(ours.filter_map(|(_, entry)| entry.held.clone()));
        }
        held
    }

    /// How many streams have begun and not ended.
    pub fn count(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    /// The period over which the clients of these streams should come back.
    pub fn spread_ms(&self) -> u64 {
        (self.count() * 1000 / EASY_RECONNECTS_PER_S).min(SPREAD_MAX_MS)
    }

    /// Ends every stream with its own event, given the stream's position.
    pub fn end_all(&self, event: impl Fn(u64) -> StreamEvent) {
        let mut place = 0;
        for mut entries in self.entries.iter() {
            let ended = std::mem::take(&mut *entries);
            drop(entries);
            for entry in ended.into_values() {
                let text = Box::new(event(place).to_bytes().into());
                let _ = entry.outbox.send(Message::Event(text));
                let _ = entry.outbox.send(Message::End);
                place += 1;
            }
        }
    }
}

/// The event for a stream whose ticket has expired.
pub fn user_sig_expired() -> StreamEvent {
    StreamEvent::UserSigExpired(EndEvent {
        code: code::USER_SIG_EXPIRED,
        message: "the ticket has expired".to_owned(),
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The login or resume is being decided.
    Opening,
    /// It was refused.
    Refused,
    Open,
    Ended,
}

/// The body of a stream. Its owner learns when it is dropped, wherever that happens: the connection
/// may end while the login is being decided.
pub struct StreamBody<O: Owner> {
    pub stream_id: u64,
    streams: Arc<Streams>,
    /// Sent before everything else.
    first: [Option<Bytes>; 2],
    /// The period for reconnects that its client knows.
    announced_spread_ms: u64,
    messages: UnboundedReceiver<Message>,
    stage: Stage,
    owner: O,
}

impl<O: Owner> StreamBody<O> {
    /// The login or resume was accepted: the stream starts with this event, stays alive by
    /// heartbeats, and expires after that time.
    pub fn begin(
        &mut self,
        first: &StreamEvent,
        heartbeat: Duration,
        expires_in: Duration,
        timer: &Timer,
        held: Option<Arc<HeldBy>>,
    ) {
        let flush = Bytes::from_static(HEARTBEAT);
        self.first = [Some(first.to_bytes().into()), Some(flush)];
        if let StreamEvent::Session(session) = first {
            self.announced_spread_ms = session.spread_ms;
        }
        self.stage = Stage::Open;
        self.streams.open.fetch_add(1, Ordering::Relaxed);
        let mut entries = self.streams.entries.of(self.stream_id);
        // If it is missing, the end is in the outbox already.
        if let Some(entry) = entries.get_mut(&self.stream_id) {
            entry.held = held;
            if let StreamEvent::Session(session) = first {
                entry.epoch = session.epoch;
            }
            timer.add(self.stream_id, heartbeat, expires_in, entry.outbox.clone());
        }
    }

    /// The heartbeat: announces a changed period for reconnects, if there is one. Otherwise the
    /// clients that came first would all come back first.
    fn heartbeat(&mut self) -> Bytes {
        let spread_ms = self.streams.spread_ms();
        let off = spread_ms.abs_diff(self.announced_spread_ms);
        if off < SPREAD_STEP_MS || off * 4 <= spread_ms.max(self.announced_spread_ms) {
            return Bytes::from_static(HEARTBEAT);
        }
        self.announced_spread_ms = spread_ms;
        let event = StreamEvent::Spread(SpreadEvent { spread_ms });
        event.to_bytes().into()
    }

    /// The owner of the stream.
    pub fn owner_mut(&mut self) -> &mut O {
        &mut self.owner
    }

    /// The login or resume was refused: no session has this stream.
    pub fn refuse(mut self) {
        self.stage = Stage::Refused;
    }
}

impl<O: Owner + Unpin> Body for StreamBody<O> {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if let Some(first) = self.first.iter_mut().find_map(Option::take) {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        loop {
            let text = match self.messages.poll_recv(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Message::Event(text))) => *text,
                Poll::Ready(Some(Message::Heartbeat)) => self.heartbeat(),
                Poll::Ready(Some(Message::Expiry)) => {
                    self.owner.expired(self.stream_id);
                    continue;
                }
                Poll::Ready(Some(Message::End) | None) => return Poll::Ready(None),
                Poll::Ready(Some(Message::Cut)) => return Poll::Ready(Some(Err(Cut))),
            };
            return Poll::Ready(Some(Ok(Frame::data(text))));
        }
    }
}

impl<O: Owner> Drop for StreamBody<O> {
    fn drop(&mut self) {
        self.streams
            .entries
            .of(self.stream_id)
            .remove(&self.stream_id);
        if self.stage == Stage::Open {
            self.streams.open.fetch_sub(1, Ordering::Relaxed);
        }
        if self.stage != Stage::Refused {
            self.stage = Stage::Ended;
            self.owner.closed(self.stream_id);
        }
    }
}
