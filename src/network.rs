//! The background network thread, one per client: carries out what the state machine decides,
//! tells it what came of it, and runs the app's callbacks.
//!
//! It never waits for anything but its socket, its wake-up and its next deadline at once. While a
//! request is under way, the wake-up still lets callbacks run; the request is dropped only when
//! the state machine has abandoned it.

mod answer;
mod stream;

use crate::config::Config;
use crate::core::{Core, Task};
use crate::error;
use crate::host::OsHost;
use crate::log;
use crate::os;
use crate::session::{Answer, Failure, Input, Phase, Request};
use crate::transport::{self, Cause, Interrupt, Transport};
use answer::{Outcome, address, is_type, not_ours, open_stream, refused, told};
use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use stream::{Heard, Stream};
use tim_proto::wire;

/// The most of a refusal's body that is read.
const REFUSAL_MAX: usize = 64 * 1024;
/// Foreign runtimes run their callbacks on this stack.
const STACK_SIZE: usize = 1024 * 1024;

/// Starts the thread of a client.
pub(crate) fn start(core: Arc<Core<OsHost>>, config: Config) -> Result<JoinHandle<()>, String> {
    let desk = Arc::new(Desk {
        core,
        state: Mutex::new(DeskState::default()),
        streams: Mutex::default(),
    });
    let transport = Transport::new(config.endpoint(), desk.clone())?;
    os::with_signals_blocked(|| {
        std::thread::Builder::new()
            .name("tim-network".into())
            .stack_size(STACK_SIZE)
            .spawn(move || Network { desk, transport }.run())
    })
    .map_err(|error| format!("no network thread: {error}"))
}

/// What the thread is doing, as the transport's waits see it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// A request that ends at this deadline.
    Exchange { seq: u64, deadline_ms: u64 },
    /// Reading a stream.
    Stream,
}

#[derive(Default)]
struct DeskState {
    doing: Option<Doing>,
    tasks: VecDeque<Task>,
}

/// Where a blocked wait of the transport finds out whether to go on.
struct Desk {
    core: Arc<Core<OsHost>>,
    state: Mutex<DeskState>,
    /// The streams that nobody is reading at the moment, the newest last. There are two only while
    /// a renewal takes over.
    streams: Mutex<Vec<Stream>>,
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, DeskState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs every callback that is due, ticks the state machine if its time has come, and fetches
    /// what there is to do.
    fn attend(&self) {
        let clock = &self.core.host.clock;
        // First what was before the tick: the next attempt would take the place of the event that
        // says why the last one failed.
        self.deliver();
        if let Some(deadline) = self.core.next_deadline()
            && deadline <= clock.now().ms
        {
            self.core.feed(Input::Tick);
        }
        self.deliver();
        let tasks = self.core.take_tasks();
        self.state().tasks.extend(tasks);
    }

    fn deliver(&self) {
        while self.core.has_deliveries() {
            self.core.host.clock.stopped(|| self.core.deliver_next());
        }
    }

    fn streams(&self) -> MutexGuard<'_, Vec<Stream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the state machine what came on a stream, and whether the stream lives on.
    fn tell(&self, seq: u64, heard: Heard) -> bool {
        let lost = |failure: Failure| {
            log::info!("stream {seq}: {} ({})", failure.cause, failure.code);
            self.core.feed(Input::StreamLost { seq, failure });
            if let Some(deadline) = self.core.next_deadline() {
                let wait = deadline.saturating_sub(self.core.host.clock.now().ms);
                log::info!("stream {seq}: next attempt in {wait} ms");
            }
            false
        };
        if heard.anything {
            self.core.feed(Input::Heard { seq });
        }
        for event in heard.events {
            match event {
                Ok(event) => {
                    log::info!("stream {seq}: {}", event.name());
                    self.core.feed(Input::Stream { seq, event });
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
        match heard.end {
            Some(failure) if failure.cause != Cause::Interrupted => lost(told(failure)),
            _ => true,
        }
    }

    /// Whether what the thread is doing is still wanted.
    fn goes_on(&self) -> bool {
        let state = self.state();
        if self.core.is_closing() {
            return false;
        }
        match state.doing {
            Some(Doing::Exchange { seq, deadline_ms }) => {
                self.core.host.clock.now().ms < deadline_ms
                    && !state.tasks.iter().any(|task| is_abandon(task, seq))
            }
            Some(Doing::Stream) | None => state.tasks.is_empty(),
        }
    }
}

fn is_abandon(task: &Task, of: u64) -> bool {
    matches!(task, Task::Abandon { seq } if *seq == of)
}

impl Interrupt for Desk {
    fn wake_fd(&self) -> RawFd {
        self.core.host.wake_up.fd()
    }

    fn attend(&self, woken: bool) -> bool {
        if woken {
            self.core.host.wake_up.drain();
        }
        Desk::attend(self);
        self.goes_on()
    }

    fn deadline_ms(&self) -> Option<u64> {
        let exchange = match self.state().doing {
            Some(Doing::Exchange { deadline_ms, .. }) => Some(deadline_ms),
            _ => None,
        };
        let tick = self.core.next_deadline();
        let first = exchange.into_iter().chain(tick).min()?;
        Some(self.core.host.clock.to_monotonic(first))
    }

    fn watched(&self) -> Vec<RawFd> {
        self.streams().iter().map(|s| s.response.fd()).collect()
    }

    fn drain(&self) {
        let streams = std::mem::take(&mut *self.streams());
        for mut stream in streams {
            let heard = stream.drain();
            if self.tell(stream.seq, heard) {
                self.streams().push(stream);
            }
        }
    }
}

struct Network {
    desk: Arc<Desk>,
    transport: Transport,
}

impl Network {
    fn run(mut self) {
        loop {
            self.desk.attend();
            if self.desk.core.is_closing() {
                if self.desk.core.has_deliveries() {
                    continue;
                }
                break;
            }
            let task = self.desk.state().tasks.pop_front();
            match task {
                Some(Task::Abandon { seq }) => self.desk.streams().retain(|s| s.seq != seq),
                Some(Task::Send {
                    seq,
                    request,
                    deadline_ms,
                }) => {
                    let given_up = self.desk.state().tasks.iter().any(|t| is_abandon(t, seq));
                    if !given_up {
                        self.exchange(seq, request, deadline_ms);
                    }
                }
                None => match self.next_stream() {
                    Some(stream) => self.read(stream),
                    None => self.wait(),
                },
            }
        }
        // Connections end before the last word: afterwards nothing of this client is left.
        self.desk.streams().clear();
        let core = self.desk.core.clone();
        drop(self);
        core.finish();
    }

    /// Waits for the wake-up, which it takes back, or the next deadline.
    fn wait(&self) {
        let deadline = self.desk.deadline_ms();
        let ready = os::wait_ready(&[(self.desk.wake_fd(), os::Want::Read)], deadline);
        if ready.is_ok_and(|ready| ready.contains(&true)) {
            self.desk.core.host.wake_up.drain();
        }
    }

    fn next_stream(&self) -> Option<Stream> {
        self.desk.streams().pop()
    }

    fn doing(&self, doing: Option<Doing>) {
        self.desk.state().doing = doing;
    }

    /// Sends a request and tells the state machine what came of it.
    fn exchange(&mut self, seq: u64, request: Request, deadline_ms: u64) {
        log::debug!("request {seq}: {request:?}");
        // What has been read of streams already would not make their sockets readable.
        self.desk.drain();
        self.doing(Some(Doing::Exchange { seq, deadline_ms }));
        let outcome = self.transport_outcome(seq, &request);
        self.doing(None);
        let core = &self.desk.core;
        match outcome {
            Ok(Outcome::Stream(session, stream, events)) => {
                log::info!(
                    "request {seq}: accepted by {}",
                    address(stream.response.peer)
                );
                let answer = Answer::Session(session);
                core.feed(Input::Answer { seq, answer });
                let heard = Heard {
                    events,
                    ..Heard::default()
                };
                if self.desk.tell(seq, heard) {
                    self.desk.streams().push(*stream);
                }
            }
            Ok(Outcome::Answer(answer)) => {
                log::info!("request {seq}: {answer:?}");
                core.feed(Input::Answer { seq, answer });
            }
            Err(failure) => {
                let failure = told(failure);
                log::info!("request {seq}: {} ({})", failure.cause, failure.code);
                core.feed(Input::Failed { seq, failure });
            }
        }
    }

    fn transport_outcome(
        &mut self,
        seq: u64,
        request: &Request,
    ) -> Result<Outcome, transport::Failure> {
        let (path, body) = match request {
            Request::Login(body) => (wire::LOGIN_PATH, serde_json::to_vec(body)),
            Request::Resume(body) => (wire::RESUME_PATH, serde_json::to_vec(body)),
            Request::Logout(body) => (wire::LOGOUT_PATH, serde_json::to_vec(body)),
        };
        // Strings and numbers only: writing them as JSON into memory cannot fail.
        let mut response = self.transport.post(path, &body.unwrap_or_default())?;
        let accepted = response.status == 200 && response.protocol_header;
        match request {
            Request::Logout(_) if accepted => {
                let body = response.read_to_limit(REFUSAL_MAX)?;
                Ok(Outcome::Answer(match serde_json::from_slice(&body) {
                    Ok(answer) => Answer::LoggedOut(answer),
                    Err(_) => not_ours(&response),
                }))
            }
            Request::Login(_) | Request::Resume(_)
                if accepted && is_type(&response, "text/event-stream") =>
            {
                open_stream(seq, response)
            }
            _ => refused(response),
        }
    }

    /// Reads a stream until there is something else to do.
    fn read(&self, mut stream: Stream) {
        self.doing(Some(Doing::Stream));
        let heard = stream.read();
        self.doing(None);
        if self.desk.tell(stream.seq, heard) {
            self.desk.streams().push(stream);
        }
    }
}
