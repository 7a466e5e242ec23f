//! The host in tests of thread schedules: its clock stands still and its wake-up is a lock.

use crate::session::Now;
use crate::sync::{Condvar, Mutex, lock, wait};
use std::panic::{AssertUnwindSafe, catch_unwind};

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
