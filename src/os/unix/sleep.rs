//! Detects that the system has slept, even when nothing is due.

use super::clock::monotonic_ms;
use super::inherited::ListedFile;
use crate::os::look;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// Readable once the system has woken from sleep, or its clock was set. poll counts only waking
/// time, so nothing else would wake a thread whose next deadline is far off.
///
/// Apple's systems have no such descriptor: there it is never readable, and waits end from time to
/// time for a look at the clocks.
pub(super) struct SleepWatch(Option<ListedFile>);

impl SleepWatch {
    pub(super) fn new() -> SleepWatch {
        let timer = timer().map(ListedFile::from);
        if let Some(timer) = &timer {
            arm(timer);
        }
        SleepWatch(timer)
    }

    /// When a wait has to end for a look at the clocks; `None` where the descriptor tells.
    pub(super) fn look_ms(&self) -> Option<u64> {
        match &self.0 {
            Some(_) => None,
            None => Some(look::due_ms(monotonic_ms())),
        }
    }

    /// The descriptor, or -1, which poll ignores.
    pub(super) fn fd(&self) -> RawFd {
        self.0.as_ref().map_or(-1, |timer| timer.as_raw_fd())
    }

    /// Whether it was readable; clears it.
    pub(super) fn take(&self) -> bool {
        let Some(timer) = &self.0 else {
            return false;
        };
        let mut expirations = [0; 8];
        // ECANCELED means that the clock jumped, as the real-time clock does over sleep.
        match (&**timer).read(&mut expirations) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            _ => {
                arm(timer);
                true
            }
        }
    }
}

#[cfg(not(target_vendor = "apple"))]
fn timer() -> Option<OwnedFd> {
    // SAFETY: a plain call with integers, and the descriptor that it returns is nobody else's.
    let timer = unsafe {
        super::descriptor::own(libc::timerfd_create(
            libc::CLOCK_REALTIME,
            libc::TFD_CLOEXEC | libc::TFD_NONBLOCK,
        ))
    };
    timer.ok()
}

#[cfg(target_vendor = "apple")]
fn timer() -> Option<OwnedFd> {
    None
}

#[cfg(not(target_vendor = "apple"))]
#[allow(deprecated, reason = "libc warns that musl's time_t will grow")]
fn arm(timer: &File) {
    /// TFD_TIMER_CANCEL_ON_SET, which libc lacks for some targets.
    const CANCEL_ON_SET: libc::c_int = 1 << 1;
    // SAFETY: all-zero is a valid itimerspec.
    let mut never: libc::itimerspec = unsafe { std::mem::zeroed() };
    never.it_value.tv_sec = libc::time_t::MAX;
    // SAFETY: the descriptor is open, `never` is a whole itimerspec, and no old value is asked for.
    unsafe {
        libc::timerfd_settime(
            timer.as_raw_fd(),
            libc::TFD_TIMER_ABSTIME | CANCEL_ON_SET,
            &never,
            std::ptr::null_mut(),
        )
    };
}

#[cfg(target_vendor = "apple")]
fn arm(_: &File) {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::Want;
    use crate::os::unix::poll::poll;

    #[test]
    fn nothing_is_reported_while_the_system_stays_awake() {
        let watch = SleepWatch::new();
        assert_eq!(poll(&[(watch.fd(), Want::Read)], Some(0)).unwrap(), [false]);
        assert!(!watch.take());
    }
}
