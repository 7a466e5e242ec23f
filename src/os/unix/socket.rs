//! TCP sockets: opening them, their options and their errors.

use super::descriptor::above_standard_streams;
use super::inherited::listed_socket;
use socket2::{Domain, Type};
use std::io;
use std::net::TcpStream;
#[cfg(target_vendor = "apple")]
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;
use std::time::Duration;

pub(crate) use super::inherited::Socket;

impl Socket {
    /// A non-blocking socket for connections of this family.
    pub(in crate::os) fn open(family: Domain) -> io::Result<Socket> {
        listed_socket(|| {
            let socket = socket2::Socket::new(family, Type::STREAM, None)?;
            socket.set_nonblocking(true)?;
            above_standard_streams(socket.into())
        })
    }
}

/// Two non-blocking sockets that are connected to each other.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (one, other) = socket2::Socket::pair(Domain::UNIX, Type::STREAM, None)?;
    one.set_nonblocking(true)?;
    other.set_nonblocking(true)?;
    Ok((
        above_standard_streams(one.into())?,
        above_standard_streams(other.into())?,
    ))
}

/// Whether a connection has been started.
pub(in crate::os) fn is_under_way(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINPROGRESS)
}

/// Whether the system has run out of sockets or buffers, for which [`io::ErrorKind`] has no kind.
pub(crate) fn is_out_of_sockets(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
    )
}

/// Sets how long sent bytes may stay unacknowledged.
#[cfg(not(target_vendor = "apple"))]
pub(in crate::os) fn limit_unacknowledged(stream: &TcpStream, limit: Duration) -> io::Result<()> {
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(limit))
}

/// Sets for how many seconds sent bytes are sent again.
#[cfg(target_vendor = "apple")]
pub(in crate::os) fn limit_unacknowledged(stream: &TcpStream, limit: Duration) -> io::Result<()> {
    /// From netinet/tcp.h, which libc lacks.
    const TCP_RXT_CONNDROPTIME: libc::c_int = 0x80;
    let seconds = limit.as_secs() as libc::c_int;
    // SAFETY: the option's value is a c_int that lives through the call, and its size is given.
    let result = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            TCP_RXT_CONNDROPTIME,
            (&raw const seconds).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
