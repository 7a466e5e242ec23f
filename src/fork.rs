//! What a fork does to the library: the child starts without its parent's clients, log callback and
//! look-ups, and closes its parent's descriptors.
//!
//! No lock is held across a fork: the app's own at-fork handlers may run before or after ours and
//! may call any function. So a child never touches anything of its parent's that has a lock; see
//! [`crate::os::PerProcess`].

use crate::callback;
use crate::client;
use crate::log;
use crate::os;
use crate::transport;
use std::sync::atomic::{AtomicU32, Ordering};

/// The process that these statics belong to; 0 before the first client.
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// Registers the handlers that run around each fork.
pub(crate) fn prepare() {
    // Not std's Once: a child would wait forever if a thread of its parent's had been inside it.
    let first = PROCESS.compare_exchange(0, os::process_id(), Ordering::AcqRel, Ordering::Acquire);
    if first.is_ok() {
        os::on_fork(before, in_parent, notice_in_child);
    }
}

extern "C" fn before() {
    log::remember();
    os::fork_begins();
}

extern "C" fn in_parent() {
    os::fork_is_over();
    log::forget_remembered();
}

extern "C" fn notice_in_child() {
    notice();
}

/// Starts afresh if this is a forked child that has not done so yet. Called by everything that may
/// run first in a child: our own handler, or an at-fork handler of the app's that runs before it.
pub(crate) fn notice() {
    let process = os::process_id();
    let known = PROCESS.load(Ordering::Acquire);
    if known == 0 || known == process {
        return;
    }
    client::begin_anew();
    os::close_inherited();
    callback::forget();
    transport::begin_lookups_anew();
    log::begin_anew();
    PROCESS.store(process, Ordering::Release);
}
