//! Non-blocking TCP connections.

use super::system::{self, Socket, is_under_way};
use socket2::{Domain, SockRef};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Starts a non-blocking TCP connection; the socket is writable once it has succeeded or failed.
pub(crate) fn begin_connect(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::open(Domain::for_address(address))?;
    match SockRef::from(&*socket).connect(&address.into()) {
        Err(error) if !is_under_way(&error) => Err(error),
        _ => Ok(socket),
    }
}

/// Makes a connection fail if the peer has not acknowledged sent bytes for this long, so that a dead
/// peer is noticed while writing, too.
pub(crate) fn limit_unacknowledged(socket: &Socket, limit: Duration) {
    // Without the option, it takes until the system gives up.
    let _ = system::limit_unacknowledged(socket, limit);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::{Poller, Want};
    use std::io::ErrorKind;
    use std::net::TcpListener;

    /// Waits until the connection has succeeded or failed.
    fn end_of(socket: &Socket) -> Option<io::Error> {
        let poller = Poller::new().unwrap();
        let ready = poller.wait(&[(socket, Want::Write)], None).unwrap();
        assert_eq!(ready.sockets, [true]);
        socket.take_error().unwrap()
    }

    #[test]
    fn a_connection_is_writable_once_it_stands() {
        let listener = TcpListener::bind("[::1]:0")
            .or_else(|_| TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let socket = begin_connect(listener.local_addr().unwrap()).unwrap();
        assert!(end_of(&socket).is_none());
        assert_eq!(socket.peer_addr().unwrap(), listener.local_addr().unwrap());
    }

    #[test]
    fn a_refused_connection_says_so() {
        let address = {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap()
        };
        let error = match begin_connect(address) {
            Err(error) => error,
            Ok(socket) => end_of(&socket).unwrap(),
        };
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }
}
