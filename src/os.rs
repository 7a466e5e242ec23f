//! The operating system: clocks, waiting, connecting, signals, fork.
//!
//! Every system call without a safe form in std or socket2 is made in this folder. Both
//! `unix` (Linux, Android, Apple's systems) and `windows` offer the same names, so that nothing outside
//! knows on which system it runs. Linux has everything; each file says what another system lacks.

mod connect;
mod look;
mod per_process;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use unix as system;
#[cfg(windows)]
use windows as system;

pub(crate) use connect::{begin_connect, limit_unacknowledged};
pub(crate) use per_process::PerProcess;
pub(crate) use system::{
    PendingSignal, Poller, SignalMask, Socket, boot_ms, close_inherited, exit_child, fork_begins,
    fork_is_over, is_out_of_sockets, monotonic_ms, on_fork, process_id, stay_loaded,
    with_signals_blocked,
};

/// What to wait for on a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    Read,
    Write,
}

/// How a wait ended; all false means that its deadline has come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    /// Which sockets are ready, in the order in which they were given. An error counts.
    pub(crate) sockets: Vec<bool>,
    /// The wake-up came, and is cleared.
    pub(crate) woken: bool,
    /// The system may have slept.
    pub(crate) slept: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_up_ends_one_wait_however_often_it_came() {
        let poller = Poller::new().unwrap();
        for _ in 0..100_000 {
            poller.wake();
        }
        let woken = poller.wait(&[], None).unwrap();
        assert!(woken.woken && !woken.slept, "{woken:?}");
        let nothing = poller.wait(&[], Some(0)).unwrap();
        assert!(!nothing.woken && !nothing.slept, "{nothing:?}");
    }
}
