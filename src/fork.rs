//! What a fork of the process does to the library: the child starts without clients, log lines and
//! look-ups of its parent, and closes its parent's descriptors.
//!
//! No lock is held from before a fork until after it: the app's own at-fork handlers, which may run
//! before ours or after, may call any function. A child therefore uses nothing that has a lock and was
//! its parent's; see [`crate::os::PerProcess`].

use crate::callback;
use crate::client;
use crate::log;
use crate::os;
use crate::transport;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// The process that has begun anew; 0 before there was a client.
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// Has the library told of forks.
pub(crate) fn prepare() {
    // Not std's Once: a child would wait for ever for a thread that had begun it.
    let first = PROCESS.compare_exchange(0, process::id(), Ordering::AcqRel, Ordering::Acquire);
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

/// Begins anew if this is a forked child that has not done so yet. Asked for by everything that may be
/// called first in a child: by our own handler, or by one of the app's that runs before it.
pub(crate) fn notice() {
    let process = process::id();
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
