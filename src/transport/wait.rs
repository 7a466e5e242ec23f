//! The transport's only wait, and what it knows about the waiting request.

use super::Interrupt;
use super::failure::{Cause, Failure, Phase, of_ureq};
use crate::os::{self, Want};
use crate::sync::{Mutex, MutexGuard, lock};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};

/// Watches sockets together with the wake-up, and records how far its request has got.
pub(super) struct Waiter {
    interrupt: Arc<dyn Interrupt>,
    progress: Mutex<Progress>,
    /// The connection's descriptor; -1 before there is one.
    fd: AtomicI32,
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
                stopped: None,
            }),
            fd: AtomicI32::new(-1),
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

    pub(super) fn set_fd(&self, fd: RawFd) {
        self.fd.store(fd, Ordering::Relaxed);
    }

    pub(super) fn fd(&self) -> RawFd {
        self.fd.load(Ordering::Relaxed)
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

    /// Waits until one of `fds` is ready or `until_ms` has come (all false), and meanwhile handles
    /// the wake-up and the deadline.
    pub(super) fn wait(
        &self,
        fds: &[(RawFd, Want)],
        until_ms: Option<u64>,
    ) -> Result<Vec<bool>, ureq::Error> {
        let at_once = self.at_once.load(Ordering::Relaxed);
        self.unseen.store(0, Ordering::Relaxed);
        loop {
            let mut watched = fds.to_vec();
            let wake_fds = self.interrupt.wake_fds().map(|fd| (fd, Want::Read));
            watched.extend(wake_fds);
            if !at_once {
                let others = self.interrupt.watched();
                watched.extend(others.into_iter().map(|fd| (fd, Want::Read)));
            }
            let deadline = self.interrupt.deadline_ms();
            let first = match at_once {
                true => Some(0),
                false => deadline.into_iter().chain(until_ms).min(),
            };
            let mut ready =
                os::wait_ready(&watched, first).map_err(|error| self.stop_io(&error))?;
            let others = ready.split_off(fds.len() + wake_fds.len()).contains(&true);
            let woken = ready.split_off(fds.len()).contains(&true);
            if at_once {
                return match ready.contains(&true) {
                    true => Ok(ready),
                    false => Err(self.stop(Cause::Interrupted, "nothing there")),
                };
            }
            // Streams first, so that a kick is not late and no stream is mistaken for silent.
            if others {
                self.interrupt.drain();
            }
            let past = |ms: Option<u64>| ms.is_some_and(|ms| ms <= os::monotonic_ms());
            if (woken || others || past(deadline)) && !self.interrupt.attend(woken) {
                return Err(if past(self.interrupt.deadline_ms()) {
                    let (cause, text) = Cause::of_timeout(self.phase());
                    self.stop(cause, text)
                } else {
                    self.stop(Cause::Interrupted, "interrupted")
                });
            }
            if ready.contains(&true) || past(until_ms) {
                return Ok(ready);
            }
        }
    }
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter").finish_non_exhaustive()
    }
}
