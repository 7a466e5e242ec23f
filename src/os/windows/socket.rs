//! TCP sockets: opening them, their options and their errors. No child process inherits one.

use socket2::{Domain, Type};
use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::ops::Deref;
use std::os::windows::io::AsRawSocket;
use std::time::Duration;
use windows_sys::Win32::Networking::WinSock::{
    IPPROTO_TCP, SOCKET, TCP_MAXRT, WSA_NOT_ENOUGH_MEMORY, WSAEMFILE, WSAENOBUFS, setsockopt,
};

/// A socket for one connection.
pub(crate) struct Socket(TcpStream);

impl Socket {
    /// A non-blocking socket for connections of this family.
    pub(in crate::os) fn open(family: Domain) -> io::Result<Socket> {
        let socket = socket2::Socket::new(family, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        Ok(Socket(socket.into()))
    }
}

impl Deref for Socket {
    type Target = TcpStream;

    fn deref(&self) -> &TcpStream {
        &self.0
    }
}

/// Whether a connection has been started.
pub(in crate::os) fn is_under_way(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock
}

/// Whether the system has run out of sockets or buffers, for which [`ErrorKind`] has no kind.
pub(crate) fn is_out_of_sockets(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(WSAEMFILE | WSAENOBUFS | WSA_NOT_ENOUGH_MEMORY)
    )
}

/// Sets for how many seconds sent bytes are sent again.
pub(in crate::os) fn limit_unacknowledged(stream: &TcpStream, limit: Duration) -> io::Result<()> {
    let seconds = limit.as_secs() as u32;
    // SAFETY: the option's value is a DWORD that lives through the call, and its size is given.
    let result = unsafe {
        setsockopt(
            stream.as_raw_socket() as SOCKET,
            IPPROTO_TCP,
            TCP_MAXRT,
            (&raw const seconds).cast(),
            size_of::<u32>() as i32,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
