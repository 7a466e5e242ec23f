//! The wake-up that every wait of a network thread watches.

use super::inherited::Listed;
use std::fs::File;
use std::io::{self, Read, Write};
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::os::fd::FromRawFd;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use std::os::unix::net::UnixStream;

/// What a blocked wait of the network thread also watches.
pub(crate) struct WakeUp {
    reader: File,
    writer: File,
    _listed: [Listed; 2],
}

/// Its two ends, which may be one: an eventfd, which is the cheapest there is.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn wake_up_ends() -> io::Result<(OwnedFd, OwnedFd)> {
    // SAFETY: a plain call with integers.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `fd` was opened just now and belongs to nobody else.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    Ok((fd.try_clone()?, fd))
}

/// Its two ends.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn wake_up_ends() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = UnixStream::pair()?;
    reader.set_nonblocking(true)?;
    writer.set_nonblocking(true)?;
    Ok((reader.into(), writer.into()))
}

impl WakeUp {
    pub(crate) fn new() -> io::Result<WakeUp> {
        let (reader, writer) = wake_up_ends()?;
        let _listed = [
            Listed::new(reader.as_raw_fd()),
            Listed::new(writer.as_raw_fd()),
        ];
        Ok(WakeUp {
            reader: reader.into(),
            writer: writer.into(),
            _listed,
        })
    }

    /// Makes [`WakeUp::fd`] readable. Never blocks; what is full is awake already. Raises no SIGPIPE:
    /// the other end lives as long.
    pub(crate) fn wake(&self) {
        let _ = (&self.writer).write(&1_u64.to_ne_bytes());
    }

    /// Takes the wake-up back.
    pub(crate) fn drain(&self) {
        let mut bytes = [0; 64];
        while matches!((&self.reader).read(&mut bytes), Ok(length) if length == bytes.len()) {}
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.reader.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::{Want, wait_ready};

    #[test]
    fn a_wake_up_is_readable_until_it_is_drained() {
        let wake_up = WakeUp::new().unwrap();
        let fds = [(wake_up.fd(), Want::Read)];
        assert_eq!(wait_ready(&fds, Some(0)).unwrap(), [false]);
        for _ in 0..100_000 {
            wake_up.wake();
        }
        assert_eq!(wait_ready(&fds, None).unwrap(), [true]);
        wake_up.drain();
        assert_eq!(wait_ready(&fds, Some(0)).unwrap(), [false]);
    }
}
