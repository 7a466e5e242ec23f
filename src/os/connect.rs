//! Non-blocking TCP connections.

use super::descriptor::own;
use super::inherited::{ListedSocket, listed_socket};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};

/// Starts a non-blocking TCP connection; the socket is writable once it has succeeded or failed.
pub(crate) fn begin_connect(address: SocketAddr) -> io::Result<ListedSocket> {
    let stream = listed_socket(|| open(address))?;
    let result = connect(&stream, address);
    if result < 0 {
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::EINPROGRESS) {
            return Err(error);
        }
    }
    Ok(stream)
}

/// A non-blocking socket for connections to `address`.
fn open(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = match address {
        SocketAddr::V4(_) => libc::AF_INET,
        SocketAddr::V6(_) => libc::AF_INET6,
    };
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const FLAGS: libc::c_int = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const FLAGS: libc::c_int = 0;
    // SAFETY: a plain call with integers, and the descriptor that it returns is nobody else's.
    let fd = unsafe { own(libc::socket(family, libc::SOCK_STREAM | FLAGS, 0)) }?;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    // SAFETY: `fd` is ours and open.
    unsafe {
        libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC);
        libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK);
    };
    Ok(fd)
}

fn connect(stream: &TcpStream, address: SocketAddr) -> libc::c_int {
    match address {
        SocketAddr::V4(v4) => {
            // SAFETY: all-zero is a valid sockaddr_in.
            let mut raw: libc::sockaddr_in = unsafe { std::mem::zeroed() };
            raw.sin_family = libc::AF_INET as libc::sa_family_t;
            raw.sin_port = v4.port().to_be();
            raw.sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
            // SAFETY: `raw` is a whole sockaddr_in, and its size is given.
            unsafe {
                libc::connect(
                    stream.as_raw_fd(),
                    (&raw as *const libc::sockaddr_in).cast(),
                    size_of::<libc::sockaddr_in>() as libc::socklen_t,
                )
            }
        }
        SocketAddr::V6(v6) => {
            // SAFETY: all-zero is a valid sockaddr_in6.
            let mut raw: libc::sockaddr_in6 = unsafe { std::mem::zeroed() };
            raw.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            raw.sin6_port = v6.port().to_be();
            raw.sin6_addr.s6_addr = v6.ip().octets();
            raw.sin6_flowinfo = v6.flowinfo();
            raw.sin6_scope_id = v6.scope_id();
            // SAFETY: `raw` is a whole sockaddr_in6, and its size is given.
            unsafe {
                libc::connect(
                    stream.as_raw_fd(),
                    (&raw as *const libc::sockaddr_in6).cast(),
                    size_of::<libc::sockaddr_in6>() as libc::socklen_t,
                )
            }
        }
    }
}

/// Makes a connection fail if the peer has not acknowledged sent bytes for `limit_ms`, so that a
/// dead peer is noticed while writing, too. Has no effect on systems without such an option.
pub(crate) fn limit_unacknowledged(stream: &TcpStream, limit_ms: u32) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    // SAFETY: the option's value is a c_uint that lives through the call, and its size is given.
    unsafe {
        let limit: libc::c_uint = limit_ms;
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_USER_TIMEOUT,
            (&limit as *const libc::c_uint).cast(),
            size_of::<libc::c_uint>() as libc::socklen_t,
        );
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = (stream, limit_ms);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::{Want, wait_ready};
    use std::io::ErrorKind;
    use std::net::TcpListener;

    #[test]
    fn a_connection_is_writable_once_it_stands() {
        let listener = TcpListener::bind("[::1]:0")
            .or_else(|_| TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let stream = begin_connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(
            wait_ready(&[(stream.as_raw_fd(), Want::Write)], None).unwrap(),
            [true]
        );
        assert!(stream.take_error().unwrap().is_none());
        assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
    }

    #[test]
    fn a_refused_connection_says_so() {
        let address = {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap()
        };
        let error = match begin_connect(address) {
            Err(error) => error,
            Ok(stream) => {
                wait_ready(&[(stream.as_raw_fd(), Want::Write)], None).unwrap();
                stream.take_error().unwrap().unwrap()
            }
        };
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }
}
