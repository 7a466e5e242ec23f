//! The background network thread, one per client: carries out what the state machine decides,
//! reports the results to it, and runs the app's callbacks.
//!
//! Every wait watches the socket, the wake-up and the next deadline at the same time. Callbacks run
//! even while a request is in progress; the request is dropped only once the state machine has
//! abandoned it.

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
use answer::{Outcome, address, is_type, not_ours, open_stream, refused, session_failure};
use std::sync::Arc;
use std::thread::JoinHandle;
use stream::{Received, Stream};
use tim_proto::wire;

/// How much of a refusal's body is read, at most.
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

/// The life of the thread. If the library's own code panics, the client closes as if destroyed, and
/// its calls complete.
fn run(client: &Arc<Client>, network: Network) {
    client.host.enter_thread();
    let agenda = network.agenda.clone();
    // Connections close before the last callbacks, after which nothing of this client is left.
    if let Err(panicked) = panics::caught(move || network.work()) {
        client.break_down(panicked);
    }
    // Again, for what a panic leaves behind: its log line, completions and the closed event.
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
    /// Works until the client is closing and every callback has run.
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

    /// Waits for the wake-up or for the next deadline.
    fn wait(&self) {
        let deadline = self.agenda.deadline_ms();
        if let Ok(ready) = self.agenda.poller().wait(&[], deadline) {
            self.agenda.notice(&ready);
        }
    }

    /// Sends a request and reports the result to the state machine.
    fn exchange(&self, exchange: Exchange) {
        let Exchange {
            seq,
            request,
            deadline_ms,
        } = exchange;
        log::debug!("request {seq}: {request:?}");
        // Bytes already read from a stream would not make its socket readable.
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
                let failure = session_failure(failure);
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
        // Serializing strings and numbers into memory cannot fail.
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
