//! Waiting for descriptors and a deadline at once.

use super::clock::monotonic_ms;
use crate::os::Want;
use std::io::{self, ErrorKind};
use std::os::fd::RawFd;

/// Waits until one of `fds` is ready (an error counts; -1 never is) or `deadline_ms` on
/// [`monotonic_ms`] has come. Returns for each whether it is ready; all false means the deadline.
pub(super) fn poll(fds: &[(RawFd, Want)], deadline_ms: Option<u64>) -> io::Result<Vec<bool>> {
    let mut polled: Vec<libc::pollfd> = fds
        .iter()
        .map(|(fd, want)| libc::pollfd {
            fd: *fd,
            events: match want {
                Want::Read => libc::POLLIN,
                Want::Write => libc::POLLOUT,
            },
            revents: 0,
        })
        .collect();
    loop {
        let timeout = match deadline_ms {
            None => -1,
            // At least 1 ms while the deadline is ahead; a wait too long for poll is repeated.
            Some(deadline) => {
                i32::try_from(deadline.saturating_sub(monotonic_ms())).unwrap_or(i32::MAX)
            }
        };
        // SAFETY: `polled` is a live array of as many pollfd as its length says.
        let ready =
            unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, timeout) };
        if ready < 0 {
            let error = io::Error::last_os_error();
            if error.kind() != ErrorKind::Interrupted {
                return Err(error);
            }
        } else if ready > 0 || deadline_ms.is_some_and(|deadline| monotonic_ms() >= deadline) {
            return Ok(polled.iter().map(|fd| fd.revents != 0).collect());
        }
    }
}
