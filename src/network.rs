//! The background network thread, one per client: carries out what the state machine decides,
//! tells it what came of it, and runs the app's callbacks.
//!
//! It never waits for anything but its socket, its wake-up and its next deadline at once. While a
//! request is under way, the wake-up still lets callbacks run; the request is dropped only when
//! the state machine has abandoned it.

use crate::config::Config;
use crate::core::{Core, Task};
use crate::error;
use crate::event_stream::{EventStream, Item};
use crate::host::OsHost;
use crate::log;
use crate::os;
use crate::session::{Answer, Failure, Input, Phase, Refused, Request};
use crate::transport::{self, Cause, Interrupt, Response, Transport};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use tim_proto::wire::{self, StreamEvent};

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
        self.core.host.wake_up.drain();
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

    fn attend(&self) -> bool {
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

/// An event stream that the server holds open.
struct Stream {
    seq: u64,
    response: Response,
    parser: EventStream,
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

    /// Waits for the wake-up or the next deadline.
    fn wait(&self) {
        let deadline = self.desk.deadline_ms();
        let _ = os::wait_ready(&[(self.desk.wake_fd(), os::Want::Read)], deadline);
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

/// What came of a request.
enum Outcome {
    /// An answer with an end.
    Answer(Answer),
    /// Accepted: the stream, and what came right behind its first event.
    Stream(
        wire::SessionEvent,
        Box<Stream>,
        VecDeque<Result<StreamEvent, String>>,
    ),
}

/// What came on a stream.
#[derive(Default)]
struct Heard {
    /// Bytes came; a heartbeat gives no event.
    anything: bool,
    events: VecDeque<Result<StreamEvent, String>>,
    /// Why reading has ended.
    end: Option<transport::Failure>,
}

impl Stream {
    /// Waits for bytes.
    fn read(&mut self) -> Heard {
        let mut heard = Heard::default();
        self.take(&mut heard, Response::read);
        heard
    }

    /// Takes all that is there.
    fn drain(&mut self) -> Heard {
        let mut heard = Heard::default();
        while heard.end.is_none() {
            self.take(&mut heard, Response::read_at_once);
        }
        heard
    }

    fn take(
        &mut self,
        heard: &mut Heard,
        read: fn(&mut Response, &mut [u8]) -> Result<usize, transport::Failure>,
    ) {
        let mut buffer = [0; 4096];
        let length = match read(&mut self.response, &mut buffer) {
            Ok(0) => {
                let closed = "the server closed the stream";
                heard.end = Some(self.response.failure(Cause::Reset, closed));
                return;
            }
            Ok(length) => length,
            Err(failure) => {
                heard.end = Some(failure);
                return;
            }
        };
        heard.anything = true;
        let events = &mut heard.events;
        self.parser.feed(&buffer[..length], &mut |item| match item {
            Item::Event { name, data } => match StreamEvent::parse(&name, &data) {
                Ok(Some(event)) => events.push_back(Ok(event)),
                // A name of a later version.
                Ok(None) => {}
                Err(e) => events.push_back(Err(format!("event {name} cannot be read: {e}"))),
            },
            Item::TooLong => events.push_back(Err("an event is too long".to_owned())),
            Item::Comment => {}
        });
    }
}

/// Reads a stream's first event, which says that the login or resume was accepted.
fn open_stream(seq: u64, response: Response) -> Result<Outcome, transport::Failure> {
    let mut stream = Stream {
        seq,
        response,
        parser: EventStream::default(),
    };
    let mut events = VecDeque::new();
    while events.is_empty() {
        let heard = stream.read();
        if let Some(failure) = heard.end {
            return Err(failure);
        }
        events = heard.events;
    }
    Ok(match events.pop_front() {
        Some(Ok(StreamEvent::Session(session))) => {
            Outcome::Stream(session, Box::new(stream), events)
        }
        _ => Outcome::Answer(not_ours(&stream.response)),
    })
}

/// An answer that is not an acceptance.
fn refused(mut response: Response) -> Result<Outcome, transport::Failure> {
    let mut answer = Refused {
        http_status: response.status,
        tim_protocol: response.protocol_header,
        refusal: None,
        retry_after_ms: response.retry_after_ms,
        address: address(response.peer),
    };
    if response.protocol_header && is_type(&response, "application/json") {
        let body = response.read_to_limit(REFUSAL_MAX)?;
        answer.refusal = serde_json::from_slice(&body).ok();
    }
    Ok(Outcome::Answer(Answer::Refused(answer)))
}

/// A 200 that says nothing of ours.
fn not_ours(response: &Response) -> Answer {
    Answer::Refused(Refused {
        http_status: response.status,
        tim_protocol: false,
        refusal: None,
        retry_after_ms: None,
        address: address(response.peer),
    })
}

fn is_type(response: &Response, media_type: &str) -> bool {
    let mut parts = response.content_type.split(';');
    parts
        .next()
        .is_some_and(|part| part.trim().eq_ignore_ascii_case(media_type))
}

fn address(peer: Option<SocketAddr>) -> String {
    peer.map_or_else(String::new, |peer| peer.to_string())
}

/// A failure of the transport, in the words of the state machine and the table of codes.
fn told(failure: transport::Failure) -> Failure {
    let code = match failure.cause {
        Cause::Interrupted => error::ERR_INTERRUPTED,
        Cause::Dns => error::ERR_NAME_NOT_FOUND,
        Cause::Refused => error::ERR_CONNECT_REFUSED,
        Cause::Unreachable => error::ERR_NETWORK_UNREACHABLE,
        Cause::ConnectTimeout => error::ERR_CONNECT_TIMEOUT,
        Cause::ResponseTimeout => error::ERR_RESPONSE_TIMEOUT,
        Cause::Reset => error::ERR_CONNECTION_RESET,
        Cause::NoSocketBuffers => error::ERR_NO_SOCKET,
        Cause::TlsHandshake => error::ERR_TLS,
        Cause::BadCertificate => error::ERR_CERTIFICATE,
        Cause::Proxy => error::ERR_PROXY,
        Cause::ProxyAuthRequired => error::ERR_PROXY_AUTH,
        Cause::PlaintextRefused => error::ERR_PLAINTEXT_REFUSED,
        Cause::NotHttp => error::ERR_NOT_TIM_SERVER,
    };
    let phase = match failure.phase {
        transport::Phase::Resolve => Phase::Resolve,
        transport::Phase::Connect => Phase::Connect,
        transport::Phase::Proxy => Phase::Proxy,
        transport::Phase::Tls => Phase::Tls,
        transport::Phase::Send => Phase::Send,
        transport::Phase::Response => Phase::Response,
        transport::Phase::Stream => Phase::Stream,
    };
    Failure {
        code,
        phase,
        cause: failure.text,
        address: address(failure.peer),
    }
}
