//! The end of a client: begun by the app or by a fault of the library, over with the closed event, and
//! freed once.

use super::Client;
use crate::callback::in_callback;
use crate::session::Input;
use crate::sync::{lock, wait_while};
use std::time::Duration;

/// Who takes the client out of the registry once it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reaper {
    /// The network thread: the last destroy only began the closing.
    NetworkThread,
    /// A destroy that waits, or that will be called again.
    Destroy,
}

/// What came of a destroy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Destroyed {
    /// Nothing runs any more.
    Closed,
    /// Closing has begun.
    Closing,
}

impl Client {
    /// Begins the closing and, outside of callbacks, waits for its end as long as `limit`. A client that
    /// is closed already is freed by any call.
    pub(crate) fn destroy(&self, limit: Duration) -> Destroyed {
        let waits = !limit.is_zero() && !in_callback();
        let mut inner = lock(&self.inner);
        if inner.reaper.is_none() {
            self.registry.begin_closing(self.handle);
            self.step_caught(&mut inner, Input::Destroy);
            // Unless the step has broken the client, which closes it too.
            if inner.reaper.is_none() {
                self.delivery.closed();
            }
            self.host.wake();
        }
        inner.reaper = Some(if waits {
            Reaper::Destroy
        } else {
            Reaper::NetworkThread
        });
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

    /// The network thread's last words: every callback has run. Destroy returns, and the handle
    /// of a client that nobody waits for is freed.
    pub(crate) fn finish(&self) {
        let mut inner = lock(&self.inner);
        debug_assert!(inner.reaper.is_some() && !self.has_deliveries());
        inner.closed = true;
        let reaper = inner.reaper;
        drop(inner);
        self.closed.notify_all();
        if reaper == Some(Reaper::NetworkThread) {
            self.registry.remove(self.handle);
        }
    }
}
