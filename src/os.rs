//! The operating system: clocks, the wake-up, waiting, connecting, signals, fork.
//!
//! POSIX, tested on Linux. Every system call without a safe form in std is made in this folder, so
//! that another system can be supported in one place.

mod clock;
mod connect;
mod descriptor;
mod fork;
mod inherited;
mod pending;
mod per_process;
mod signals;
mod sleep;
mod wait;
mod wake_up;

pub(crate) use clock::{boot_ms, monotonic_ms};
pub(crate) use connect::{begin_connect, limit_unacknowledged};
pub(crate) use fork::{exit_child, on_fork};
pub(crate) use inherited::{ListedSocket, close_inherited, fork_begins, fork_is_over};
pub(crate) use pending::PendingSignal;
pub(crate) use per_process::PerProcess;
pub(crate) use signals::{SignalMask, with_signals_blocked};
pub(crate) use sleep::SleepWatch;
pub(crate) use wait::{Want, wait_ready};
pub(crate) use wake_up::WakeUp;
