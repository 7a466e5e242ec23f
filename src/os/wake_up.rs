//! The wake-up that every wait of a network thread watches.

#[cfg(not(any(target_os = "linux", target_os = "android")))]
use super::descriptor::above_standard_streams;
#[cfg(any(target_os = "linux", target_os = "android"))]
use super::descriptor::own;
use super::inherited::Place;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// What a blocked wait of the network thread also watches.
pub(crate) struct WakeUp {
    /// First, so that they leave the list before they are closed.
    _listed: [Place; 2],
    reader: File,
    writer: File,
}

/// The two ends, which may be one: an eventfd is the cheapest wake-up.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn wake_up_ends() -> io::Result<(OwnedFd, OwnedFd)> {
    // SAFETY: a plain call with integers, and the descriptor that it returns is nobody else's.
    let fd = unsafe { own(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK)) }?;
    // std numbers the copy above the standard streams.
    Ok((fd.try_clone()?, fd))
}

/// The two ends.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn wake_up_ends() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = std::os::unix::net::UnixStream::pair()?;
    reader.set_nonblocking(true)?;
    writer.set_nonblocking(true)?;
    Ok((
        above_standard_streams(reader.into())?,
        above_standard_streams(writer.into())?,
    ))
}

impl WakeUp {
    pub(crate) fn new() -> io::Result<WakeUp> {
        let (reader, writer) = wake_up_ends()?;
        Ok(WakeUp {
            _listed: [Place::of(reader.as_raw_fd()), Place::of(writer.as_raw_fd())],
            reader: reader.into(),
            writer: writer.into(),
        })
    }

    /// Makes [`WakeUp::fd`] readable. Never blocks: if the buffer is full, a wake-up is already
    /// pending. Raises no SIGPIPE, because the other end lives equally long.
    pub(crate) fn wake(&self) {
        let _ = (&self.writer).write(&1_u64.to_ne_bytes());
    }

    /// Clears the wake-up.
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
