//! The descriptors that a forked child closes.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, Ordering};

/// How many sockets are closed in a forked child; further ones stay open there until it execs.
const LISTED_MAX: usize = 4096;
static LISTED: [AtomicI32; LISTED_MAX] = [const { AtomicI32::new(-1) }; LISTED_MAX];

/// A socket that a forked child closes. Dropped before the socket itself is.
pub(crate) struct Listed {
    place: Option<usize>,
}

impl Listed {
    pub(crate) fn new(fd: RawFd) -> Listed {
        let place = LISTED.iter().position(|place| {
            place
                .compare_exchange(-1, fd, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        });
        Listed { place }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            LISTED[place].store(-1, Ordering::Release);
        }
    }
}

/// Closes what a forked child has inherited of the library's sockets: it would keep connections
/// open that the parent has closed. Calls nothing but close, as a child of a fork must.
pub(crate) fn close_inherited_sockets() {
    for place in &LISTED {
        let fd = place.swap(-1, Ordering::AcqRel);
        if fd >= 0 {
            // SAFETY: the descriptor was listed by its owner, which lives in the parent; the
            // copies of that owner in this child belong to clients that are never used again.
            unsafe { libc::close(fd) };
        }
    }
}
