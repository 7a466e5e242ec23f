//! POSIX: Linux, Android and Apple's systems.

mod clock;
mod descriptor;
mod fork;
mod inherited;
mod loaded;
mod pending;
mod poll;
mod poller;
mod process;
mod signals;
mod sleep;
mod socket;
mod wake_up;

pub(crate) use clock::{boot_ms, monotonic_ms};
pub(crate) use fork::{exit_child, on_fork};
pub(crate) use inherited::{close_inherited, fork_begins, fork_is_over};
pub(crate) use loaded::stay_loaded;
pub(crate) use pending::PendingSignal;
pub(crate) use poller::Poller;
pub(crate) use process::process_id;
pub(crate) use signals::{SignalMask, with_signals_blocked};
pub(crate) use socket::{Socket, is_out_of_sockets};
pub(super) use socket::{is_under_way, limit_unacknowledged};
