//! The end of a client: begun by the app or by a bug in the library, finished by the closed event;
//! the client is freed exactly once.

use super::Client;
use crate::callback::{RUNNING_LIMIT, in_callback};
use crate::delivery::Mode;
use crate::session::Input;
use crate::sync::{lock, wait_while};
use std::time::Duration;

/// Who removes the client from the registry once it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reaper {
    /// The network thread: the last destroy only started the closing.
    NetworkThread,
    /// A destroy that is waiting or will be called again.
    Destroy,
    /// The poll that takes the closed event.
    Poll,
}

/// The result of a destroy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Destroyed {
    /// Closed: nothing runs any longer.
    Closed,
    /// Closing has begun.
    Closing,
}

impl Client {
    /// Starts closing and, outside callbacks, waits up to `limit` for it to finish. A client that
    /// is closed already is freed by any call.
    pub(crate) fn destroy(&self, limit: Duration) -> Destroyed {
        let polled = self.mode() == Mode::Poll;
        let waits = !limit.is_zero() && !in_callback() && !polled;
        let mut inner = lock(&self.inner);
        if inner.reaper.is_none() {
            self.registry.begin_closing(self.handle);
            self.step_caught(&mut inner, Input::Destroy);
            // Unless the step has panicked, which closes the client too.
            if inner.reaper.is_none() {
                self.delivery.closed();
            }
            self.host.wake();
        }
        inner.reaper = Some(match waits {
            _ if polled => Reaper::Poll,
            true => Reaper::Destroy,
            false => Reaper::NetworkThread,
        });
        if polled {
            return Destroyed::Closing;
        }
        let limit = if waits { limit } else { Duration::ZERO };
        let (inner, closed) = wait_while(&self.closed, inner, limit, |inner| !inner.closed);
        drop(inner);
        if closed {
            self.registry.remove(self.handle);
            Destroyed::Closed
        } else {
            Destroyed::Closing
        }
    }

    /// The closed event was taken: waits for the network thread, unless inside a callback, and
    /// frees the handle.
    pub(super) fn end_polling(&self) {
        if !in_callback() {
            let inner = lock(&self.inner);
            let (inner, closed) =
                wait_while(&self.closed, inner, RUNNING_LIMIT, |inner| !inner.closed);
            drop(inner);
            if closed {
                self.host.join_thread();
            }
        }
        self.registry.remove(self.handle);
    }

    /// Called last on the network thread, after every callback has run. Wakes a waiting destroy; if
    /// none waits, the handle is freed here.
    pub(crate) fn finish(&self) {
        let mut inner = lock(&self.inner);
        debug_assert!(inner.reaper.is_some());
        inner.closed = true;
        let reaper = inner.reaper;
        drop(inner);
        self.closed.notify_all();
        if reaper == Some(Reaper::NetworkThread) {
            self.registry.remove(self.handle);
        }
    }
}
