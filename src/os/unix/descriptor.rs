//! Keeps descriptors clear of the standard streams.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Takes ownership of what a system call returned: a descriptor, or a negative number and errno.
///
/// # Safety
/// `returned` has just been returned by such a call, and nothing else has closed or will close it.
#[cfg(not(target_vendor = "apple"))]
pub(super) unsafe fn own(returned: libc::c_int) -> io::Result<OwnedFd> {
    if returned < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: open and nobody else's, by this function's contract.
    above_standard_streams(unsafe { OwnedFd::from_raw_fd(returned) })
}

/// Moves a descriptor off 0, 1 and 2. If the host has closed its own, a new descriptor gets one of
/// those numbers, and whatever the host then prints would be sent to our server.
pub(super) fn above_standard_streams(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() > libc::STDERR_FILENO {
        return Ok(fd);
    }
    // SAFETY: `fd` is open; the call makes another descriptor and changes nothing else.
    let moved = unsafe {
        libc::fcntl(
            fd.as_raw_fd(),
            libc::F_DUPFD_CLOEXEC,
            libc::STDERR_FILENO + 1,
        )
    };
    if moved < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: opened just now, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(moved) })
}
