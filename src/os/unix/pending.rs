//! The descriptor that an app's event loop watches.

use super::inherited::ListedFile;
use super::socket::pair;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};

/// Readable while something is pending. One end of a socket pair: runtimes such as Node.js do not
/// accept an eventfd.
pub(crate) struct PendingSignal {
    reader: ListedFile,
    writer: ListedFile,
    is_set: bool,
}

impl PendingSignal {
    pub(crate) fn new() -> io::Result<PendingSignal> {
        let (reader, writer) = pair()?;
        Ok(PendingSignal {
            reader: reader.into(),
            writer: writer.into(),
            is_set: false,
        })
    }

    /// Makes the descriptor readable, or not. The app may have read the byte itself.
    pub(crate) fn set(&mut self, pending: bool) {
        if pending && !self.is_set {
            // One byte always fits, and the other end lives as long: no SIGPIPE.
            let _ = (&*self.writer).write(&[0]);
        } else if !pending && self.is_set {
            let _ = (&*self.reader).read(&mut [0; 8]);
        }
        self.is_set = pending;
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.reader.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::Want;
    use crate::os::unix::poll::poll;

    #[test]
    fn it_is_readable_while_it_is_set_even_if_the_app_reads_the_byte() {
        let mut signal = PendingSignal::new().unwrap();
        let fds = [(signal.fd(), Want::Read)];
        for reads in [false, true, false] {
            assert_eq!(poll(&fds, Some(0)).unwrap(), [false]);
            signal.set(true);
            signal.set(true);
            assert_eq!(poll(&fds, None).unwrap(), [true]);
            if reads {
                assert_eq!((&*signal.reader).read(&mut [0; 8]).unwrap(), 1);
            }
            signal.set(false);
        }
        assert_eq!(poll(&fds, Some(0)).unwrap(), [false]);
    }
}
