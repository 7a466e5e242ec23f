//! The socket that an app's event loop watches.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::windows::io::AsRawSocket;

/// Readable while something is pending. One end of a connection over the loopback interface: what
/// event loops of Windows can watch is a socket, and Windows has no socket pairs.
pub(crate) struct PendingSignal {
    reader: TcpStream,
    writer: TcpStream,
    is_set: bool,
    /// How many bytes were written but not read by us: they may still be on their way, or the app
    /// has read them.
    unread: usize,
}

impl PendingSignal {
    pub(crate) fn new() -> io::Result<PendingSignal> {
        let (reader, writer) = pair()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        writer.set_nodelay(true)?;
        Ok(PendingSignal {
            reader,
            writer,
            is_set: false,
            unread: 0,
        })
    }

    /// Makes the socket readable, or not. If a byte arrives only after that, the next call with
    /// `false` takes it.
    pub(crate) fn set(&mut self, pending: bool) {
        if pending && !self.is_set {
            self.unread += (&self.writer).write(&[0]).unwrap_or(0);
        } else if !pending && self.unread > 0 {
            let read = (&self.reader).read(&mut [0; 8]).unwrap_or(0);
            self.unread = self.unread.saturating_sub(read);
        }
        self.is_set = pending;
    }

    /// The SOCKET, which fits: Windows uses no more than 32 bits of a handle.
    pub(crate) fn fd(&self) -> i32 {
        self.reader.as_raw_socket() as i32
    }
}

/// Two connected sockets.
fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let writer = TcpStream::connect(listener.local_addr()?)?;
    loop {
        let (reader, peer) = listener.accept()?;
        // Any other process may connect, too.
        if peer == writer.local_addr()? {
            return Ok((reader, writer));
        }
    }
}
