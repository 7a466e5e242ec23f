//! The host in tests of thread schedules: its clock stands still and its wake-up is a lock.

use crate::session::Now;
use crate::sync::{Condvar, Mutex, lock, wait};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// There are no descriptors here.
#[derive(Default)]
pub(crate) struct PendingSignal(bool);

impl PendingSignal {
    pub(crate) fn new() -> Result<PendingSignal, ()> {
        Ok(PendingSignal::default())
    }

    pub(crate) fn set(&mut self, pending: bool) {
        self.0 = pending;
    }

    pub(crate) fn fd(&self) -> i32 {
        -1
    }
}

#[derive(Default)]
pub(crate) struct Host {
    woken: Mutex<bool>,
    wake_up: Condvar,
}

impl Host {
    pub(crate) fn now(&self) -> Now {
        Now::default()
    }

    pub(crate) fn wake(&self) {
        *lock(&self.woken) = true;
        self.wake_up.notify_all();
    }

    pub(crate) fn join_thread(&self) {}

    /// Blocks the network thread until there is something to do.
    pub(crate) fn sleep(&self) {
        let mut woken = lock(&self.woken);
        while !*woken {
            woken = wait(&self.wake_up, woken, None);
        }
        *woken = false;
    }
}

pub(crate) fn run_app_code(code: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(code));
}
