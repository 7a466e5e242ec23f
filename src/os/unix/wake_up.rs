//! The wake-up that every wait of a network thread watches.

#[cfg(not(target_vendor = "apple"))]
use super::descriptor::own;
use super::inherited::ListedFile;
#[cfg(target_vendor = "apple")]
use super::socket::pair as wake_up_ends;
use std::io::{self, Read, Write};
#[cfg(not(target_vendor = "apple"))]
use std::os::fd::OwnedFd;
use std::os::fd::{AsRawFd, RawFd};

/// What a blocked wait of the network thread also watches.
pub(super) struct WakeUp {
    reader: ListedFile,
    writer: ListedFile,
}

/// The two ends, which may be one: an eventfd is the cheapest wake-up.
#[cfg(not(target_vendor = "apple"))]
fn wake_up_ends() -> io::Result<(OwnedFd, OwnedFd)> {
    // SAFETY: a plain call with integers, and the descriptor that it returns is nobody else's.
    let fd = unsafe { own(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK)) }?;
    // std numbers the copy above the standard streams.
    Ok((fd.try_clone()?, fd))
}

impl WakeUp {
    pub(super) fn new() -> io::Result<WakeUp> {
        let (reader, writer) = wake_up_ends()?;
        Ok(WakeUp {
            reader: reader.into(),
            writer: writer.into(),
        })
    }

    /// Makes [`WakeUp::fd`] readable. Never blocks: if the buffer is full, a wake-up is already
    /// pending. Raises no SIGPIPE, because the other end lives equally long.
    pub(super) fn wake(&self) {
        let _ = (&*self.writer).write(&1_u64.to_ne_bytes());
    }

    /// Clears the wake-up.
    pub(super) fn drain(&self) {
        let mut bytes = [0; 64];
        while matches!((&*self.reader).read(&mut bytes), Ok(length) if length == bytes.len()) {}
    }

    pub(super) fn fd(&self) -> RawFd {
        self.reader.as_raw_fd()
    }
}
