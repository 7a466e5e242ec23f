//! The descriptors that a forked child closes: otherwise it would keep connections open that its
//! parent has closed.
//!
//! Another thread may fork at any moment between opening a descriptor, listing it and closing it,
//! and the child gets the descriptors of one moment with the memory of a later one. Sockets are
//! listed with their inode, so that a child never closes a descriptor of the app's that reuses the
//! number. A socket leaves the list only after it is closed and while no fork is in progress, and
//! [`listed_socket`] opens another one if the process forked before it was listed, so that a child
//! never keeps a connection. What shares one inode with all others of its kind (eventfd, timerfd)
//! leaves the list before it is closed; a child may keep one, which holds nothing open.

use super::clock::monotonic_ms;
use std::fs::File;
use std::io;
use std::net::TcpStream;
use std::ops::Deref;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// How many descriptors a forked child closes; further ones stay open until it execs.
const LISTED_MAX: usize = 4096;

struct Entry {
    fd: AtomicI32,
    /// 0: not compared.
    inode: AtomicU64,
}

/// The library never has a descriptor 0. An all-zero list takes no space in the library's file.
const FREE: RawFd = 0;
/// An entry that is being filled.
const TAKEN: RawFd = -1;

static LISTED: [Entry; LISTED_MAX] = [const {
    Entry {
        fd: AtomicI32::new(FREE),
        inode: AtomicU64::new(0),
    }
}; LISTED_MAX];

/// How many forks have begun, and how many are over. Several threads may fork at the same time.
static BEGUN: AtomicU32 = AtomicU32::new(0);
static OVER: AtomicU32 = AtomicU32::new(0);

/// How long a socket waits for forks to finish, in ms: an at-fork handler of the app may be slow,
/// or may itself wait for us.
const FORKS_LIMIT_MS: u64 = 1000;
/// About as long as a fork takes.
const PAUSE: Duration = Duration::from_micros(200);

/// Before a fork, in the parent.
pub(crate) fn fork_begins() {
    BEGUN.fetch_add(1, Ordering::SeqCst);
}

/// After a fork, in the parent.
pub(crate) fn fork_is_over() {
    OVER.fetch_add(1, Ordering::SeqCst);
}

/// How many forks there have been; `None` while one is in progress.
fn forks() -> Option<u32> {
    let over = OVER.load(Ordering::SeqCst);
    (BEGUN.load(Ordering::SeqCst) == over).then_some(over)
}

/// A place on the list, released when dropped.
struct Place(Option<usize>);

impl Place {
    fn with_inode(fd: RawFd, inode: u64) -> Place {
        let place = LISTED.iter().position(|entry| {
            entry
                .fd
                .compare_exchange(FREE, TAKEN, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        });
        if let Some(place) = place {
            LISTED[place].inode.store(inode, Ordering::Relaxed);
            LISTED[place].fd.store(fd, Ordering::Release);
        }
        Place(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(place) = self.0 {
            LISTED[place].fd.store(FREE, Ordering::Release);
        }
    }
}

/// What is no socket, but a forked child closes it, too.
pub(super) struct ListedFile {
    /// First, so that it leaves the list before the file is closed.
    _place: Place,
    file: File,
}

impl From<OwnedFd> for ListedFile {
    fn from(fd: OwnedFd) -> ListedFile {
        ListedFile {
            _place: Place::with_inode(fd.as_raw_fd(), 0),
            file: fd.into(),
        }
    }
}

impl Deref for ListedFile {
    type Target = File;

    fn deref(&self) -> &File {
        &self.file
    }
}

/// A socket that a forked child closes.
pub(crate) struct Socket {
    // `None` only while being dropped.
    stream: Option<TcpStream>,
    place: Option<Place>,
}

impl Deref for Socket {
    type Target = TcpStream;

    #[expect(clippy::expect_used, reason = "only drop takes it out")]
    fn deref(&self) -> &TcpStream {
        self.stream.as_ref().expect("not dropped")
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.place.as_ref().is_some_and(|place| place.is_checked()) {
            drop(self.stream.take());
            wait_for_forks();
            drop(self.place.take());
        } else {
            drop(self.place.take());
            drop(self.stream.take());
        }
    }
}

impl Place {
    /// Whether a child compares the inode.
    fn is_checked(&self) -> bool {
        let inode = |place: usize| LISTED[place].inode.load(Ordering::Relaxed);
        self.0.is_some_and(|place| inode(place) != 0)
    }
}

/// Waits while another thread forks.
fn wait_for_forks() {
    let until = monotonic_ms() + FORKS_LIMIT_MS;
    while forks().is_none() && monotonic_ms() < until {
        std::thread::sleep(PAUSE);
    }
}

/// Opens a socket and lists it, as one step for every fork.
pub(super) fn listed_socket(open: impl Fn() -> io::Result<OwnedFd>) -> io::Result<Socket> {
    let until = monotonic_ms() + FORKS_LIMIT_MS;
    loop {
        wait_for_forks();
        let before = forks();
        let fd = open()?;
        let socket = Socket {
            place: Some(Place::with_inode(fd.as_raw_fd(), inode(fd.as_raw_fd()))),
            stream: Some(fd.into()),
        };
        let calm = before.is_some() && forks() == before;
        if calm || monotonic_ms() >= until {
            return Ok(socket);
        }
    }
}

/// A socket's inode, unique while the system runs. 0 on Apple's systems, which do not provide it.
#[allow(
    clippy::unnecessary_cast,
    reason = "libc has 16 bits on 32-bit Android"
)]
fn inode(fd: RawFd) -> u64 {
    if cfg!(target_vendor = "apple") {
        return 0;
    }
    // SAFETY: all-zero is room for a stat.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is ours, and the call fills it or says that it did not.
    let known = unsafe { libc::fstat(fd, &mut stat) } == 0;
    let is_socket = stat.st_mode as u32 & libc::S_IFMT as u32 == libc::S_IFSOCK as u32;
    match known && is_socket {
        true => stat.st_ino,
        false => 0,
    }
}

/// Closes what a forked child has inherited. Calls only fstat and close, as the child of a
/// multi-threaded process must.
pub(crate) fn close_inherited() {
    for entry in &LISTED {
        let fd = entry.fd.swap(FREE, Ordering::AcqRel);
        let listed = entry.inode.swap(0, Ordering::AcqRel);
        if fd > FREE && (listed == 0 || inode(fd) == listed) {
            // SAFETY: the descriptor was listed by its owner, which lives in the parent, and it is that
            // one still; the copies of its owner in this child belong to clients that are never used again.
            unsafe { libc::close(fd) };
        }
    }
    BEGUN.store(0, Ordering::SeqCst);
    OVER.store(0, Ordering::SeqCst);
}
