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
use std::sync::atomic::{AtomicBool, Ordering};

/// Has the library told of forks.
pub(crate) fn prepare() {
    static DONE: AtomicBool = AtomicBool::new(false);
    // Not std's Once: a child would wait for ever for a thread that had begun it.
    if !DONE.swap(true, Ordering::AcqRel) {
        os::on_fork(before, in_parent, in_child);
    }
}

extern "C" fn before() {
    log::remember();
    os::count_fork();
}

extern "C" fn in_parent() {
    os::count_fork();
    log::forget_remembered();
}

extern "C" fn in_child() {
    client::begin_anew();
    os::close_inherited();
    callback::forget();
    transport::begin_lookups_anew();
    log::begin_anew();
}
