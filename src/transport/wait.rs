//! The one wait of the transport, and what it knows of the request that waits.

use super::Interrupt;
use super::failure::{Cause, Failure, Phase, of_ureq};
use crate::os::{self, Want};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Watches sockets together with the wake-up, and keeps how far the request has come.
pub(super) struct Waiter {
    interrupt: Arc<dyn Interrupt>,
    progress: Mutex<Progress>,
}

struct Progress {
    phase: Phase,
    peer: Option<SocketAddr>,
    /// What stopped the request, where it was one of our own sockets: ureq's error says less.
    stopped: Option<(Cause, String)>,
}

/// What stands in for the failure on its way through ureq. Of none of the kinds that ureq or
/// rustls would retry or take for an end of file.
#[derive(Debug)]
struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stopped")
    }
}

impl std::error::Error for Stopped {}

impl Waiter {
    pub(super) fn new(interrupt: Arc<dyn Interrupt>) -> Waiter {
        Waiter {
            interrupt,
            progress: Mutex::new(Progress {
                phase: Phase::Resolve,
                peer: None,
                stopped: None,
            }),
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new request begins.
    pub(super) fn begin(&self) {
        *self.progress() = Progress {
            phase: Phase::Resolve,
            peer: None,
            stopped: None,
        };
    }

    pub(super) fn reach(&self, phase: Phase) {
        self.progress().phase = phase;
    }

    pub(super) fn phase(&self) -> Phase {
        self.progress().phase
    }

    pub(super) fn set_peer(&self, peer: SocketAddr) {
        self.progress().peer = Some(peer);
    }

    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.progress().peer
    }

    /// Stops the request for this cause.
    pub(super) fn stop(&self, cause: Cause, text: impl Into<String>) -> ureq::Error {
        self.progress().stopped = Some((cause, text.into()));
        ureq::Error::Other(Box::new(Stopped))
    }

    /// Stops the request for an error of the system.
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

    /// Waits until one of `fds` is ready or `until_ms` has come (all false), and attends to the
    /// wake-up and the deadline in the meantime.
    pub(super) fn wait(
        &self,
        fds: &[(RawFd, Want)],
        until_ms: Option<u64>,
    ) -> Result<Vec<bool>, ureq::Error> {
        let mut watched = fds.to_vec();
        watched.push((self.interrupt.wake_fd(), Want::Read));
        loop {
            let deadline = self.interrupt.deadline_ms();
            let first = deadline.into_iter().chain(until_ms).min();
            let mut ready =
                os::wait_ready(&watched, first).map_err(|error| self.stop_io(&error))?;
            let woken = ready.pop() == Some(true);
            let past = |ms: Option<u64>| ms.is_some_and(|ms| ms <= os::monotonic_ms());
            if (woken || past(deadline)) && !self.interrupt.attend() {
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
