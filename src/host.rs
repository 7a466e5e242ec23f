//! What a client needs from the operating system: a clock, waiting and a thread.

use crate::clock::Clock;
use crate::os::{self, Poller, SignalMask};
use crate::panics;
use crate::session::Now;
use crate::sync::{Arc, Mutex, lock};
use std::cell::RefCell;
use std::io;
use std::thread::JoinHandle;

pub(crate) use crate::os::PendingSignal;

/// The system as one client sees it.
pub(crate) struct Host {
    /// What the network thread waits with.
    pub(crate) poller: Arc<Poller>,
    pub(crate) clock: Clock,
    /// The signal mask of the thread that created the client.
    signals: SignalMask,
    thread: Mutex<Option<JoinHandle<()>>>,
}

thread_local! {
    /// The host of the client whose network thread this is.
    static OF_THIS_THREAD: RefCell<Option<Arc<Host>>> = const { RefCell::new(None) };
}

impl Host {
    pub(crate) fn new() -> io::Result<Host> {
        Ok(Host {
            poller: Arc::new(Poller::new()?),
            clock: Clock::default(),
            signals: SignalMask::current(),
            thread: Mutex::new(None),
        })
    }

    pub(crate) fn now(&self) -> Now {
        self.clock.now()
    }

    /// Wakes the network thread: there is something to deliver or to do.
    pub(crate) fn wake(&self) {
        self.poller.wake();
    }

    /// Makes the calling thread this host's network thread.
    pub(crate) fn enter_thread(self: &Arc<Host>) {
        OF_THIS_THREAD.set(Some(self.clone()));
    }

    pub(crate) fn keep_thread(&self, thread: JoinHandle<()>) {
        *lock(&self.thread) = Some(thread);
    }

    /// Waits for the network thread, which has nothing left to do.
    pub(crate) fn join_thread(&self) {
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

/// Runs the app's code. On a network thread, the client's clock stands still meanwhile, and the
/// signal mask is the one of the thread that created the client, so that threads the app spawns
/// here inherit it.
pub(crate) fn run_app_code(code: impl FnOnce()) {
    let Some(host) = OF_THIS_THREAD.with_borrow(Option::clone) else {
        return panics::outside(code);
    };
    let process = os::process_id();
    host.clock
        .stopped(|| host.signals.during(|| panics::outside(code)));
    if os::process_id() != process {
        // The code forked and returned in the child, where this thread is the only one and has
        // nothing left to do.
        os::exit_child();
    }
}
