//! The background network thread, one per client: carries out what the state machine decides,
//! tells it what came of it, and runs the app's callbacks.
//!
//! It never waits for anything but its socket, its wake-up and its next deadline at once. While a
//! request is under way, the wake-up still lets callbacks run; the request is dropped only when
//! the state machine has abandoned it.

mod agenda;
mod answer;
mod stream;

use crate::client::{Client, Task};
use crate::config::Config;
use crate::log;
use crate::os;
use crate::panics;
use crate::session::{Answer, Input, Request};
use crate::sync::Receiver;
use crate::transport::{self, Interrupt, Transport};
use agenda::{Agenda, Current, Exchange};
use answer::{Outcome, address, is_type, not_ours, open_stream, refused, told};
use std::sync::Arc;
use std::thread::JoinHandle;
use stream::{Received, Stream};
use tim_proto::wire;

/// The most of a refusal's body that is read.
const REFUSAL_MAX: usize = 64 * 1024;
/// Foreign runtimes run their callbacks on this stack.
const STACK_SIZE: usize = 1024 * 1024;

/// Starts the thread of a client.
pub(crate) fn start(
    client: Arc<Client>,
    tasks: Receiver<Task>,
    config: Config,
) -> Result<JoinHandle<()>, String> {
    let agenda = Arc::new(Agenda::new(client.clone(), tasks));
    let transport = Transport::new(config.endpoint(), agenda.clone())?;
    os::with_signals_blocked(|| {
        std::thread::Builder::new()
            .name("tim-network".into())
            .stack_size(STACK_SIZE)
            .spawn(move || run(&client, Network { agenda, transport }))
    })
    .map_err(|error| format!("no network thread: {error}"))
}

/// The life of the thread. After a panic of the library's own code the client is closed as if it had
/// been destroyed, and its calls are told.
fn run(client: &Arc<Client>, network: Network) {
    client.host.enter_thread();
    let agenda = network.agenda.clone();
    // Connections end before the last word: afterwards nothing of this client is left.
    if let Err(panicked) = panics::caught(move || network.work()) {
        client.break_down(panicked);
    }
    // Once more for what a panic has left: its log line, completions and the closed event.
    if let Err(panicked) = panics::caught(|| {
        agenda.close();
        agenda.catch_up();
    }) {
        client.break_down(panicked);
        let _ = panics::caught(|| while client.deliver_next() {});
    }
    drop(agenda);
    client.finish();
}

struct Network {
    agenda: Arc<Agenda>,
    transport: Transport,
}

impl Network {
    /// Until the client is closing and every callback has run.
    fn work(self) {
        loop {
            self.agenda.catch_up();
            if self.agenda.client.is_closing() {
                if self.agenda.client.has_deliveries() {
                    continue;
                }
                return;
            }
            if let Some(exchange) = self.agenda.next_exchange() {
                self.exchange(exchange);
            } else if let Some(stream) = self.agenda.next_stream() {
                self.read(stream);
            } else {
                self.wait();
            }
        }
    }

    /// Waits for the wake-up, which it takes back, or the next deadline.
    fn wait(&self) {
        let deadline = self.agenda.deadline_ms();
        let fds = self.agenda.wake_fds().map(|fd| (fd, os::Want::Read));
        let ready = os::wait_ready(&fds, deadline);
        if ready.is_ok_and(|ready| ready.contains(&true)) {
            self.agenda.take_wake_ups();
        }
    }

    /// Sends a request and tells the state machine what came of it.
    fn exchange(&self, exchange: Exchange) {
        let Exchange {
            seq,
            request,
            deadline_ms,
        } = exchange;
        log::debug!("request {seq}: {request:?}");
        // What has been read of streams already would not make their sockets readable.
        self.agenda.drain();
        self.agenda.begin(Current::Exchange { seq, deadline_ms });
        let outcome = self.transport_outcome(seq, &request);
        if !self.agenda.end() {
            log::debug!("request {seq}: abandoned");
            return;
        }
        let client = &self.agenda.client;
        match outcome {
            Ok(Outcome::Stream(session, stream, events)) => {
                log::info!(
                    "request {seq}: accepted by {}",
                    address(stream.response.peer)
                );
                let answer = Answer::Session(session);
                client.feed(Input::Answer { seq, answer });
                let received = Received {
                    events,
                    ..Received::default()
                };
                if self.agenda.tell(seq, received) {
                    self.agenda.keep_stream(*stream);
                }
            }
            Ok(Outcome::Answer(answer)) => {
                log::info!("request {seq}: {answer:?}");
                client.feed(Input::Answer { seq, answer });
            }
            Err(failure) => {
                let failure = told(failure);
                log::warning!("request {seq}: {} ({})", failure.cause, failure.code);
                client.feed(Input::Failed { seq, failure });
            }
        }
    }

    fn transport_outcome(
        &self,
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
        self.agenda.begin(Current::Stream { seq: stream.seq });
        let received = stream.read();
        if self.agenda.end() && self.agenda.tell(stream.seq, received) {
            self.agenda.keep_stream(stream);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
