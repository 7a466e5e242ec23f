//! Polling: the app takes completions and events on a thread of its own.

use super::{Delivery, Item, Mode, Notice, Reply};
use crate::callback::in_callback;
use crate::error;
use crate::host::PendingSignal;
use crate::sync::{lock, wait_while};
use std::time::Duration;

/// What a poll takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polled {
    /// A call has finished.
    Completion {
        /// 0, or a code of the table.
        code: i32,
        /// The number that was passed to the call.
        user_data: usize,
    },
    /// An event.
    Notice(Notice),
}

impl Delivery {
    /// Takes the next item, waiting up to `limit` for one; inside a callback it does not wait.
    pub(crate) fn poll(&self, limit: Duration) -> Result<Polled, i32> {
        if self.mode != Mode::Poll {
            return Err(error::ERR_WRONG_DELIVERY_MODE);
        }
        let mut state = lock(&self.state);
        if state.polling {
            return Err(error::ERR_ALREADY_POLLING);
        }
        if state.ended {
            return Err(error::ERR_NO_SUCH_CLIENT);
        }
        let may_wait = !in_callback();
        if may_wait && state.queue.is_empty() {
            state.polling = true;
            (state, _) = wait_while(&self.arrived, state, limit, |state| state.queue.is_empty());
            state.polling = false;
        }
        let mut taken = None;
        self.change_queue(&mut state, |state| {
            taken = state.queue.pop_front();
            match &taken {
                Some(Item::Completion(..)) => state.completions_queued -= 1,
                Some(Item::Notice(Notice::Closed)) => state.ended = true,
                _ => {}
            }
        });
        if taken.is_none()
            && let Some(signal) = &mut state.signal
        {
            // Windows may deliver late what was written to it.
            signal.set(false);
        }
        drop(state);
        match taken {
            Some(Item::Completion(Reply::Polled(user_data), code)) => {
                Ok(Polled::Completion { code, user_data })
            }
            Some(Item::Completion(Reply::Callback(_), _)) | None => {
                Err(if may_wait || limit.is_zero() {
                    error::ERR_TIMEOUT
                } else {
                    error::ERR_IN_CALLBACK
                })
            }
            Some(Item::Notice(notice)) => Ok(Polled::Notice(notice)),
        }
    }

    /// The descriptor that is readable while there is something to take.
    pub(crate) fn signal_fd(&self) -> Result<i32, i32> {
        if self.mode != Mode::Poll {
            return Err(error::ERR_WRONG_DELIVERY_MODE);
        }
        let mut state = lock(&self.state);
        let is_pending = !state.queue.is_empty();
        let signal = match &mut state.signal {
            Some(signal) => signal,
            none => none.insert(PendingSignal::new().map_err(|_| error::ERR_SYSTEM)?),
        };
        // Anew, even if it was set: a host that is gone may have read the byte.
        signal.set(false);
        signal.set(is_pending);
        Ok(signal.fd())
    }
}
