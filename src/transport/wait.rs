//! The transport's only wait, and what it knows about the waiting request.

use super::Interrupt;
use super::failure::{Cause, Failure, Phase, of_ureq};
use crate::os::{self, Poller, Ready, Socket, Want};
use crate::sync::{Mutex, MutexGuard, lock};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

/// Watches sockets together with the wake-up, and records how far its request has got.
pub(super) struct Waiter {
    interrupt: Arc<dyn Interrupt>,
    progress: Mutex<Progress>,
    /// Reads and writes do not wait.
    at_once: AtomicBool,
    /// Bytes read since the deadline, wake-up and streams were last checked, see [`UNSEEN_MAX`].
    unseen: AtomicUsize,
}

/// The most that is read before deadline, wake-up and streams are checked again, in bytes: a peer
/// that sends faster than we read must not starve them.
const UNSEEN_MAX: usize = 64 * 1024;
/// The cost of a read on top of its bytes, so that many small reads also reach the limit.
const READ_COST: usize = 4 * 1024;

/// The waiter of the request in progress. A connection keeps the one it was opened with, so that an
/// open stream and a later request do not affect each other.
pub(super) struct Waiters {
    interrupt: Arc<dyn Interrupt>,
    newest: Mutex<Arc<Waiter>>,
}

impl Waiters {
    pub(super) fn new(interrupt: Arc<dyn Interrupt>) -> Waiters {
        Waiters {
            newest: Mutex::new(Arc::new(Waiter::new(interrupt.clone()))),
            interrupt,
        }
    }

    pub(super) fn newest(&self) -> Arc<Waiter> {
        lock(&self.newest).clone()
    }

    /// A new request begins.
    pub(super) fn begin(&self) -> Arc<Waiter> {
        let waiter = Arc::new(Waiter::new(self.interrupt.clone()));
        *lock(&self.newest) = waiter.clone();
        waiter
    }
}

impl fmt::Debug for Waiters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiters").finish_non_exhaustive()
    }
}

struct Progress {
    phase: Phase,
    peer: Option<SocketAddr>,
    /// The connection: dead before there is one and once it is closed.
    socket: Weak<Socket>,
    /// What stopped the request, if it was one of our own sockets: ureq's error says less.
    stopped: Option<(Cause, String)>,
}

/// Stands in for the failure on its way through ureq. Not of a kind that ureq or rustls would retry
/// or mistake for an end of file.
#[derive(Debug)]
struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stopped")
    }
}

impl std::error::Error for Stopped {}

impl Waiter {
    fn new(interrupt: Arc<dyn Interrupt>) -> Waiter {
        Waiter {
            interrupt,
            progress: Mutex::new(Progress {
                phase: Phase::Resolve,
                peer: None,
                socket: Weak::new(),
                stopped: None,
            }),
            at_once: AtomicBool::new(false),
            unseen: AtomicUsize::new(0),
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        lock(&self.progress)
    }

    pub(super) fn reach(&self, phase: Phase) {
        #[cfg(test)]
        crate::panics::provoked::here(&format!("{phase:?}"));
        self.progress().phase = phase;
    }

    pub(super) fn phase(&self) -> Phase {
        self.progress().phase
    }

    pub(super) fn set_peer(&self, peer: SocketAddr) {
        self.progress().peer = Some(peer);
    }

    pub(super) fn poller(&self) -> &Arc<Poller> {
        self.interrupt.poller()
    }

    pub(super) fn set_socket(&self, socket: &Arc<Socket>) {
        self.progress().socket = Arc::downgrade(socket);
    }

    pub(super) fn socket(&self) -> Option<Arc<Socket>> {
        self.progress().socket.upgrade()
    }

    /// Turns non-waiting mode on or off: when on, nothing is waited for, and at most [`UNSEEN_MAX`]
    /// is read.
    pub(super) fn set_at_once(&self, at_once: bool) {
        self.unseen.store(0, Ordering::Relaxed);
        self.at_once.store(at_once, Ordering::Relaxed);
    }

    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.progress().peer
    }

    /// Stops the request with this cause.
    pub(super) fn stop(&self, cause: Cause, text: impl Into<String>) -> ureq::Error {
        self.progress().stopped = Some((cause, text.into()));
        ureq::Error::Other(Box::new(Stopped))
    }

    /// Stops the request with a system error.
    pub(super) fn stop_io(&self, error: &io::Error) -> ureq::Error {
        self.stop(Cause::of_io(error), error.to_string())
    }

    /// The failure that ureq's `error` stands for.
    pub(super) fn failure(&self, error: ureq::Error) -> Failure {
        let mut progress = self.progress();
        let (cause, text) = match progress.stopped.take() {
            Some(stopped) => stopped,
            None => of_ureq(&error, progress.phase),
        };
        Failure {
            cause,
            phase: progress.phase,
            text,
            peer: progress.peer,
        }
    }

    /// Called before a read: checks deadline, wake-up and streams if enough has been read since the
    /// last check. On an error, reading stops; every byte taken from the socket has been passed on.
    pub(super) fn before_read(&self) -> Result<(), ureq::Error> {
        if self.unseen.load(Ordering::Relaxed) >= UNSEEN_MAX {
            self.wait(&[], Some(os::monotonic_ms()))?;
        }
        Ok(())
    }

    /// Counts what was read.
    pub(super) fn have_read(&self, bytes: usize) {
        self.unseen.fetch_add(bytes + READ_COST, Ordering::Relaxed);
    }

    /// Waits until one of `sockets` is ready or `until_ms` has come (all false), and meanwhile
    /// handles the wake-up and the deadline.
    pub(super) fn wait(
        &self,
        sockets: &[(&Socket, Want)],
        until_ms: Option<u64>,
    ) -> Result<Vec<bool>, ureq::Error> {
        loop {
            let ready = self.wait_once(sockets, until_ms)?;
            if ready.contains(&true) || is_past(until_ms) {
                return Ok(ready);
            }
        }
    }

    /// Waits until `is_done`, which is followed by a wake-up, and meanwhile handles the others and
    /// the deadline.
    pub(super) fn wait_until(&self, is_done: impl Fn() -> bool) -> Result<(), ureq::Error> {
        while !is_done() {
            self.wait_once(&[], None)?;
        }
        Ok(())
    }

    fn wait_once(
        &self,
        sockets: &[(&Socket, Want)],
        until_ms: Option<u64>,
    ) -> Result<Vec<bool>, ureq::Error> {
        self.unseen.store(0, Ordering::Relaxed);
        if self.at_once.load(Ordering::Relaxed) {
            return Err(self.stop(Cause::Interrupted, "nothing there"));
        }
        let deadline = self.interrupt.deadline_ms();
        let ready = self
            .watch(sockets, deadline.into_iter().chain(until_ms).min())
            .map_err(|error| self.stop_io(&error))?;
        // Streams first, so that a kick is not late and no stream is mistaken for silent.
        let others = ready.sockets[sockets.len()..].contains(&true);
        if others {
            self.interrupt.drain();
        }
        let due = ready.woken || ready.slept || others || is_past(deadline);
        if due && !self.interrupt.attend(&ready) {
            return Err(if is_past(self.interrupt.deadline_ms()) {
                let (cause, text) = Cause::of_timeout(self.phase());
                self.stop(cause, text)
            } else {
                self.stop(Cause::Interrupted, "interrupted")
            });
        }
        let mut ready = ready.sockets;
        ready.truncate(sockets.len());
        Ok(ready)
    }

    /// Waits for `sockets` and, behind them, the open streams.
    fn watch(&self, sockets: &[(&Socket, Want)], until_ms: Option<u64>) -> io::Result<Ready> {
        let streams = self.interrupt.watched();
        let mut watched = sockets.to_vec();
        watched.extend(streams.iter().map(|socket| (&**socket, Want::Read)));
        self.poller().wait(&watched, until_ms)
    }
}

fn is_past(ms: Option<u64>) -> bool {
    ms.is_some_and(|ms| ms <= os::monotonic_ms())
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter").finish_non_exhaustive()
    }
}
