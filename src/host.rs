//! What a client's core needs of the operating system: its clock, its wake-up, its thread.

use crate::clock::Clock;
use crate::core::Host;
use crate::os::WakeUp;
use crate::session::Now;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

/// The host of every client outside of tests.
pub(crate) struct OsHost {
    pub(crate) wake_up: WakeUp,
    pub(crate) clock: Clock,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl OsHost {
    pub(crate) fn new() -> io::Result<OsHost> {
        Ok(OsHost {
            wake_up: WakeUp::new()?,
            clock: Clock::default(),
            thread: Mutex::new(None),
        })
    }

    pub(crate) fn keep_thread(&self, thread: JoinHandle<()>) {
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
    }

    /// Waits for the network thread, which has said its last words.
    pub(crate) fn join_thread(&self) {
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Host for OsHost {
    fn now(&self) -> Now {
        self.clock.now()
    }

    fn wake(&self) {
        self.wake_up.wake();
    }
}
