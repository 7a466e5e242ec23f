//! Windows: no fork and no signals.

mod clock;
mod fork;
mod loaded;
mod pending;
mod poller;
mod signals;
mod socket;

pub(crate) use clock::{boot_ms, monotonic_ms};
pub(crate) use fork::{close_inherited, exit_child, fork_begins, fork_is_over, on_fork};
pub(crate) use loaded::stay_loaded;
pub(crate) use pending::PendingSignal;
pub(crate) use poller::Poller;
pub(crate) use signals::{SignalMask, with_signals_blocked};
pub(crate) use socket::{Socket, is_out_of_sockets};
pub(super) use socket::{is_under_way, limit_unacknowledged};
/// Windows makes no system call for it.
pub(crate) use std::process::id as process_id;
