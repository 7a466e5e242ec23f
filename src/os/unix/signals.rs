//! Which signals reach the library's threads and the app's code that runs on them.

/// Signals raised by a fault of the thread itself. If blocked, they would end the process without
/// the app's handler: crash reporters, and runtimes that turn faults into exceptions, would never
/// see them.
const FAULTS: &[libc::c_int] = &[
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGTRAP,
    libc::SIGSYS,
    libc::SIGABRT,
];

/// Signals with which garbage collectors stop the threads that run their code: left as the app has
/// them, as are the real-time signals.
#[cfg(not(target_vendor = "apple"))]
const COLLECTORS: &[libc::c_int] = &[libc::SIGPWR, libc::SIGXCPU, libc::SIGUSR1, libc::SIGUSR2];
#[cfg(target_vendor = "apple")]
const COLLECTORS: &[libc::c_int] = &[libc::SIGXCPU, libc::SIGUSR1, libc::SIGUSR2];

/// The set of signals that a thread blocks.
#[derive(Clone, Copy)]
pub(crate) struct SignalMask(libc::sigset_t);

impl SignalMask {
    /// The calling thread's.
    pub(crate) fn current() -> SignalMask {
        // SAFETY: all-zero is room for a sigset_t.
        let mut mask: libc::sigset_t = unsafe { std::mem::zeroed() };
        // SAFETY: no mask is set, and `mask` is ours and gets the present one.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::null(), &mut mask) };
        SignalMask(mask)
    }

    /// The mask for a thread of the library that is started by a thread with this mask: it blocks
    /// everything but faults and the collectors' signals that are open in this mask.
    fn of_a_library_thread(self) -> SignalMask {
        // SAFETY: all-zero is room for a sigset_t, which sigfillset makes valid.
        let mut mask: libc::sigset_t = unsafe { std::mem::zeroed() };
        // SAFETY: `mask` is ours, and the numbers are those of signals.
        unsafe {
            libc::sigfillset(&mut mask);
            for fault in FAULTS {
                libc::sigdelset(&mut mask, *fault);
            }
        }
        for signal in COLLECTORS.iter().copied().chain(real_time()) {
            // SAFETY: both masks are ours and valid, and the numbers are those of signals.
            unsafe {
                if libc::sigismember(&self.0, signal) == 0 {
                    libc::sigdelset(&mut mask, signal);
                }
            }
        }
        SignalMask(mask)
    }

    /// Makes this the calling thread's mask and returns the previous one.
    fn set(&self) -> SignalMask {
        let mut old = *self;
        // SAFETY: both are ours and valid; the call changes the mask of this thread alone.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, &mut old.0) };
        old
    }

    /// Runs `body` on this thread under this mask.
    pub(crate) fn during<T>(&self, body: impl FnOnce() -> T) -> T {
        let old = self.set();
        let result = body();
        old.set();
        result
    }
}

#[cfg(not(target_vendor = "apple"))]
fn real_time() -> impl Iterator<Item = libc::c_int> {
    libc::SIGRTMIN()..=libc::SIGRTMAX()
}

#[cfg(target_vendor = "apple")]
fn real_time() -> impl Iterator<Item = libc::c_int> {
    std::iter::empty()
}

/// Runs `spawn` with signals blocked, so that the threads it starts inherit that: signals are meant
/// for the app's own threads.
pub(crate) fn with_signals_blocked<T>(spawn: impl FnOnce() -> T) -> T {
    SignalMask::current().of_a_library_thread().during(spawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(mask: SignalMask, signal: libc::c_int) -> bool {
        // SAFETY: the mask is valid, and the number that of a signal.
        unsafe { libc::sigismember(&mask.0, signal) == 1 }
    }

    #[test]
    fn a_library_thread_blocks_all_but_faults_and_what_collectors_have_open() {
        let app = SignalMask::current();
        let thread = with_signals_blocked(|| std::thread::spawn(SignalMask::current))
            .join()
            .unwrap();
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGCHLD, libc::SIGALRM] {
            assert!(blocks(thread, signal), "{signal}");
        }
        for signal in FAULTS {
            assert!(!blocks(thread, *signal), "{signal}");
        }
        for signal in COLLECTORS.iter().copied().chain(real_time()) {
            assert_eq!(blocks(thread, signal), blocks(app, signal), "{signal}");
        }
    }

    #[test]
    fn a_signal_that_the_app_has_blocked_for_a_signalfd_stays_blocked() {
        let mut app = SignalMask::current();
        // SAFETY: the mask is ours and valid, and the number that of a signal.
        unsafe { libc::sigaddset(&mut app.0, libc::SIGUSR1) };
        let thread = app.during(|| with_signals_blocked(SignalMask::current));
        assert!(blocks(thread, libc::SIGUSR1));
        assert!(!blocks(SignalMask::current(), libc::SIGUSR1));
    }
}
