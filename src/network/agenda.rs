//! What a network thread has to do, and whether its current work is still wanted.

use super::answer::session_failure;
use super::stream::{Received, Stream};
use crate::client::{Client, Task};
use crate::error;
use crate::log;
use crate::os::{Poller, Ready, Socket};
use crate::session::{Failure, Input, Phase, Request};
use crate::sync::{Mutex, Receiver, lock};
use crate::transport::{Cause, Interrupt};
use std::collections::VecDeque;
use std::sync::Arc;

/// A request to send.
pub(super) struct Exchange {
    pub(super) seq: u64,
    pub(super) request: Request,
    pub(super) deadline_ms: u64,
}

/// The thread's current work, as the transport's waits see it.
#[derive(Clone, Copy)]
pub(super) enum Current {
    /// A request that ends at this deadline.
    Exchange { seq: u64, deadline_ms: u64 },
    /// Reading a stream.
    Stream { seq: u64 },
}

#[derive(Default)]
struct State {
    /// Also empty once the state machine has abandoned the work.
    current: Option<Current>,
    pending: VecDeque<Exchange>,
}

/// The network thread's view of its own work; the transport's waits consult it from inside.
pub(super) struct Agenda {
    pub(super) client: Arc<Client>,
    tasks: Receiver<Task>,
    state: Mutex<State>,
    /// The streams that are not being read right now, newest last. There are two only while a
    /// renewal replaces one with the other.
    streams: Mutex<Vec<Stream>>,
}

impl Agenda {
    pub(super) fn new(client: Arc<Client>, tasks: Receiver<Task>) -> Agenda {
        Agenda {
            client,
            tasks,
            state: Mutex::default(),
            streams: Mutex::default(),
        }
    }

    /// Runs every pending callback, ticks the state machine if its deadline has come, and collects
    /// new tasks.
    pub(super) fn catch_up(&self) {
        if let Some(place) = self.client.take_panic_place() {
            log::error!("libtim failed at {place}: this client is closed. Please report it.");
        }
        // Deliver first what preceded the tick: otherwise the event of the next attempt would
        // replace the one that says why the last attempt failed.
        while self.client.deliver_next() {}
        if let Some(deadline) = self.client.next_deadline()
            && deadline <= self.client.host.now().ms
        {
            self.client.feed(Input::Tick);
        }
        while self.client.deliver_next() {}
        while let Ok(task) = self.tasks.try_recv() {
            self.take(task);
        }
    }

    /// Tells the state machine if the system may have slept.
    pub(super) fn notice(&self, ready: &Ready) {
        if ready.slept {
            // It learns from its clocks whether that is so.
            self.client.feed(Input::Tick);
        }
    }

    fn take(&self, task: Task) {
        let mut state = lock(&self.state);
        match task {
            Task::Send {
                seq,
                request,
                deadline_ms,
            } => state.pending.push_back(Exchange {
                seq,
                request,
                deadline_ms,
            }),
            Task::Abandon { seq } => {
                state.pending.retain(|exchange| exchange.seq != seq);
                let current = state.current.map(|current| match current {
                    Current::Exchange { seq, .. } | Current::Stream { seq } => seq,
                });
                if current == Some(seq) {
                    state.current = None;
                }
                drop(state);
                self.close_stream(seq);
            }
        }
    }

    fn close_stream(&self, seq: u64) {
        let mut streams = lock(&self.streams);
        if let Some(at) = streams.iter().position(|stream| stream.seq == seq) {
            let closed = streams.remove(at);
            drop(streams);
            drop(closed);
        }
    }

    /// Drops all work: the client is closing.
    pub(super) fn close(&self) {
        lock(&self.state).pending.clear();
        let streams = std::mem::take(&mut *lock(&self.streams));
        drop(streams);
    }

    /// The next request to send.
    pub(super) fn next_exchange(&self) -> Option<Exchange> {
        lock(&self.state).pending.pop_front()
    }

    /// The next stream to read.
    pub(super) fn next_stream(&self) -> Option<Stream> {
        lock(&self.streams).pop()
    }

    pub(super) fn keep_stream(&self, stream: Stream) {
        lock(&self.streams).push(stream);
    }

    /// Marks the start of this work.
    pub(super) fn begin(&self, current: Current) {
        lock(&self.state).current = Some(current);
    }

    /// Marks its end. Returns whether it was wanted to the end.
    pub(super) fn end(&self) -> bool {
        lock(&self.state).current.take().is_some()
    }

    /// Whether the current work is still wanted.
    fn goes_on(&self) -> bool {
        if self.client.is_closing() {
            return false;
        }
        let state = lock(&self.state);
        match state.current {
            Some(Current::Exchange { deadline_ms, .. }) => self.client.host.now().ms < deadline_ms,
            Some(Current::Stream { .. }) => state.pending.is_empty(),
            None => false,
        }
    }

    /// Reports to the state machine what came on a stream. Returns whether the stream stays open.
    pub(super) fn tell(&self, seq: u64, received: Received) -> bool {
        let client = &self.client;
        let lost = |failure: Failure| {
            log::warning!("stream {seq}: {} ({})", failure.cause, failure.code);
            client.feed(Input::StreamLost { seq, failure });
            if let Some(deadline) = client.next_deadline() {
                let wait = deadline.saturating_sub(client.host.now().ms);
                log::info!("stream {seq}: next attempt in {wait} ms");
            }
            false
        };
        if received.bytes > 0 {
            client.feed(Input::Received { seq });
        }
        for event in received.events {
            match event {
                Ok(event) => {
                    log::info!("stream {seq}: {}", event.name());
                    client.feed(Input::Stream { seq, event });
                }
                Err(cause) => {
                    return lost(Failure {
                        code: error::ERR_NOT_TIM_SERVER,
                        phase: Phase::Stream,
                        cause,
                        address: String::new(),
                    });
                }
            }
        }
        match received.end {
            Some(failure) if failure.cause != Cause::Interrupted => lost(session_failure(failure)),
            _ => true,
        }
    }
}

impl Interrupt for Agenda {
    fn poller(&self) -> &Arc<Poller> {
        &self.client.host.poller
    }

    fn attend(&self, ready: &Ready) -> bool {
        self.notice(ready);
        self.catch_up();
        self.goes_on()
    }

    fn deadline_ms(&self) -> Option<u64> {
        let exchange = match lock(&self.state).current {
            Some(Current::Exchange { deadline_ms, .. }) => Some(deadline_ms),
            _ => None,
        };
        let tick = self.client.next_deadline();
        let first = exchange.into_iter().chain(tick).min()?;
        Some(self.client.host.clock.to_monotonic(first))
    }

    fn watched(&self) -> Vec<Arc<Socket>> {
        let streams = lock(&self.streams);
        streams.iter().filter_map(|s| s.response.socket()).collect()
    }

    fn drain(&self) {
        let streams = std::mem::take(&mut *lock(&self.streams));
        for mut stream in streams {
            let received = stream.drain();
            if self.tell(stream.seq, received) {
                self.keep_stream(stream);
            }
        }
    }
}
