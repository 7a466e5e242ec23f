//! The one operating-system file: clocks, the wake-up, poll, non-blocking connect, signals, fork.
//!
//! POSIX, tested on Linux. Whatever needs a system call that std has no safe form of is here, so
//! that another system can follow in one place.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicI32, Ordering};

fn clock_ms(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a timespec of our own that the call fills.
    unsafe { libc::clock_gettime(clock, &mut time) };
    // Both clocks count from the start of the system: never negative.
    time.tv_sec as u64 * 1000 + time.tv_nsec as u64 / 1_000_000
}

/// Monotonic ms that stand still while the device sleeps.
pub(crate) fn monotonic_ms() -> u64 {
    clock_ms(libc::CLOCK_MONOTONIC)
}

/// Monotonic ms that run through sleep, where the system has such a clock.
pub(crate) fn boot_ms() -> u64 {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const CLOCK: libc::clockid_t = libc::CLOCK_BOOTTIME;
    // On Apple systems CLOCK_MONOTONIC itself runs through sleep.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC;
    clock_ms(CLOCK)
}

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

/// What to wait for on one descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    Read,
    Write,
}

/// Waits until one of `fds` is ready (errors count), or `deadline_ms` of [`monotonic_ms`] has
/// come. The answer says for each whether it is ready; all false: the deadline.
pub(crate) fn wait_ready(fds: &[(RawFd, Want)], deadline_ms: Option<u64>) -> io::Result<Vec<bool>> {
    let mut polled: Vec<libc::pollfd> = fds
        .iter()
        .map(|(fd, want)| libc::pollfd {
            fd: *fd,
            events: match want {
                Want::Read => libc::POLLIN,
                Want::Write => libc::POLLOUT,
            },
            revents: 0,
        })
        .collect();
    loop {
        let timeout = match deadline_ms {
            None => -1,
            // At least 1 ms while the deadline is ahead; a wait too long for poll is repeated.
            Some(deadline) => {
                i32::try_from(deadline.saturating_sub(monotonic_ms())).unwrap_or(i32::MAX)
            }
        };
        // SAFETY: `polled` is a live array of as many pollfd as its length says.
        let ready =
            unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, timeout) };
        if ready < 0 {
            let error = io::Error::last_os_error();
            if error.kind() != ErrorKind::Interrupted {
                return Err(error);
            }
        } else if ready > 0 || deadline_ms.is_some_and(|deadline| monotonic_ms() >= deadline) {
            return Ok(polled.iter().map(|fd| fd.revents != 0).collect());
        }
    }
}

/// Begins a TCP connection that does not block; it is writable once it has succeeded or failed.
pub(crate) fn begin_connect(address: SocketAddr) -> io::Result<TcpStream> {
    let family = match address {
        SocketAddr::V4(_) => libc::AF_INET,
        SocketAddr::V6(_) => libc::AF_INET6,
    };
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const FLAGS: libc::c_int = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const FLAGS: libc::c_int = 0;
    // SAFETY: a plain call with integers.
    let fd = unsafe { libc::socket(family, libc::SOCK_STREAM | FLAGS, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `fd` was opened just now and belongs to nobody else.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    // SAFETY: `fd` is ours and open.
    unsafe {
        libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC)
    };
    let stream = TcpStream::from(fd);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    stream.set_nonblocking(true)?;
    let result = match address {
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
    };
    if result < 0 {
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::EINPROGRESS) {
            return Err(error);
        }
    }
    Ok(stream)
}

/// Lets a connection fail whose peer has not acknowledged sent bytes for `limit_ms`: a dead peer
/// is noticed while we write, too. Where the system has no such option, nothing happens.
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

/// Runs `spawn` with all signals blocked, so that the threads it starts are born with them
/// blocked: signals are the app's, and go to its own threads.
pub(crate) fn with_signals_blocked<T>(spawn: impl FnOnce() -> T) -> T {
    // SAFETY: all-zero is room for a sigset_t; sigfillset makes it a valid one, and
    // pthread_sigmask stores the old mask in the other.
    let (mut all, mut old): (libc::sigset_t, libc::sigset_t) =
        unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    // SAFETY: both are ours; the calls change the mask of this thread alone.
    unsafe {
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut old);
    }
    let result = spawn();
    // SAFETY: `old` is the mask that was stored above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &old, std::ptr::null_mut()) };
    result
}

/// Has these called around every fork, for as long as the process lives.
pub(crate) fn on_fork(
    before: extern "C" fn(),
    in_parent: extern "C" fn(),
    in_child: extern "C" fn(),
) {
    // SAFETY: the functions live as long as the library, which is marked as not unloadable.
    unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
}

/// How many sockets are closed in a forked child; further ones stay open there until it execs.
const LISTED_MAX: usize = 4096;
static LISTED: [AtomicI32; LISTED_MAX] = [const { AtomicI32::new(-1) }; LISTED_MAX];

/// A socket that a forked child closes. Dropped before the socket itself is.
pub(crate) struct Listed {
    place: Option<usize>,
}

impl Listed {
    pub(crate) fn new(fd: RawFd) -> Listed {
        let place = LISTED.iter().position(|place| {
            place
                .compare_exchange(-1, fd, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        });
        Listed { place }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            LISTED[place].store(-1, Ordering::Release);
        }
    }
}

/// Closes what a forked child has inherited of the library's sockets: it would keep connections
/// open that the parent has closed. Calls nothing but close, as a child of a fork must.
pub(crate) fn close_inherited_sockets() {
    for place in &LISTED {
        let fd = place.swap(-1, Ordering::AcqRel);
        if fd >= 0 {
            // SAFETY: the descriptor was listed by its owner, which lives in the parent; the
            // copies of that owner in this child belong to clients that are never used again.
            unsafe { libc::close(fd) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

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

    #[test]
    fn the_boot_clock_is_never_behind_the_monotonic_one() {
        let monotonic = monotonic_ms();
        assert!(boot_ms() >= monotonic);
    }
}
