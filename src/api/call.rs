//! A call of the Rust API that may be waited for or awaited.

use super::Error;
use crate::callback::in_callback;
use crate::delivery::Completion;
use crate::error;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// A call that is in progress. It completes once, within its time limit, even if the client is
/// dropped; dropping the `Call` does not cancel it.
///
/// Wait for it with [`Call::wait`], or await it: it is a future that needs no runtime.
#[derive(Debug)]
#[must_use = "whether the call succeeded is only known once it has completed"]
pub struct Call {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    completed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    result: Option<Result<(), Error>>,
    waker: Option<Waker>,
}

impl Shared {
    /// Nothing that panics runs under the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn complete(&self, code: i32) {
        let mut state = self.lock();
        state.result = Some(match code {
            error::OK => Ok(()),
            code => Err(Error::of(code)),
        });
        let waker = state.waker.take();
        drop(state);
        self.completed.notify_all();
        // The app's code, so without the lock.
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Call {
    /// Makes a call. If it is rejected, it has completed at once.
    pub(super) fn start(make: impl FnOnce(Completion) -> Result<(), i32>) -> Call {
        let shared = Arc::new(Shared::default());
        let completing = shared.clone();
        if let Err(code) = make(Box::new(move |code| completing.complete(code))) {
            shared.complete(code);
        }
        Call { shared }
    }

    /// Blocks until the call has completed.
    ///
    /// Inside a handler it does not block, since the completion waits for the handler: it fails
    /// with [`ERR_IN_CALLBACK`](error::ERR_IN_CALLBACK) and the call goes on.
    pub fn wait(self) -> Result<(), Error> {
        let mut state = self.shared.lock();
        loop {
            if let Some(result) = state.result.take() {
                return result;
            }
            if in_callback() {
                return Err(Error::of(error::ERR_IN_CALLBACK));
            }
            let waited = self.shared.completed.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Future for Call {
    type Output = Result<(), Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.shared.lock();
        match &state.result {
            Some(result) => Poll::Ready(result.clone()),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}
