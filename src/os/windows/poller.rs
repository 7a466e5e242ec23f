//! What a network thread waits with: the crate `polling`, which makes a wait like poll(2) of a
//! completion port. Not WSAPoll, which a wake-up could reach only through a socket of its own, and
//! which before Windows 10 2004 does not report that a connection was refused.

use super::clock::monotonic_ms;
use super::socket::Socket;
use crate::os::{Ready, Want, look};
use polling::{Event, Events};
use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How many sockets one look at the port may find ready; more are found by the next wait.
const EVENTS_MAX: NonZeroUsize = NonZeroUsize::new(16).unwrap();

/// Waits for sockets, a deadline and the wake-up at once. For one thread, which every thread may
/// wake. Nothing tells that the system has slept: waits end from time to time for a look at the clocks.
pub(crate) struct Poller {
    port: polling::Poller,
    /// The wake-up has come. `polling` does not tell it from a time-out, nor that it came along with
    /// an event.
    woken: AtomicBool,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Poller> {
        Ok(Poller {
            port: polling::Poller::new()?,
            woken: AtomicBool::new(false),
        })
    }

    /// Ends the wait in progress, or else the next one, at once.
    pub(crate) fn wake(&self) {
        if !self.woken.swap(true, Ordering::SeqCst) {
            // Without memory for it, the next look at the clocks finds the mark.
            let _ = self.port.notify();
        }
    }

    /// Waits until a socket is ready, the wake-up has come, the system may have slept, or
    /// `deadline_ms` on [`monotonic_ms`] has come.
    pub(crate) fn wait(
        &self,
        sockets: &[(&Socket, Want)],
        deadline_ms: Option<u64>,
    ) -> io::Result<Ready> {
        let look_ms = look::due_ms(monotonic_ms());
        let until_ms = deadline_ms.map_or(look_ms, |deadline| deadline.min(look_ms));
        let mut ready = Ready {
            sockets: vec![false; sockets.len()],
            woken: false,
            slept: false,
        };
        let mut events = Events::with_capacity(EVENTS_MAX);
        let _watched = Watched::new(&self.port, sockets)?;
        loop {
            let left = until_ms.saturating_sub(monotonic_ms());
            self.port
                .wait(&mut events, Some(Duration::from_millis(left)))?;
            for event in events.iter() {
                ready.sockets[event.key] = true;
            }
            ready.woken = self.woken.swap(false, Ordering::SeqCst);
            ready.slept = look_ms <= monotonic_ms();
            // The port also wakes for a wake-up that an earlier wait has reported.
            if ready.woken || ready.sockets.contains(&true) || until_ms <= monotonic_ms() {
                return Ok(ready);
            }
        }
    }
}

impl Drop for Poller {
    /// `polling` does not free a wake-up that no wait has taken.
    fn drop(&mut self) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        // Without it, a few bytes are lost.
        let _ = self.port.wait(&mut events, Some(Duration::ZERO));
    }
}

/// Sockets that the port watches; their place is their key. It lets go of them before they close.
struct Watched<'a> {
    port: &'a polling::Poller,
    sockets: &'a [(&'a Socket, Want)],
}

impl<'a> Watched<'a> {
    fn new(
        port: &'a polling::Poller,
        sockets: &'a [(&'a Socket, Want)],
    ) -> io::Result<Watched<'a>> {
        let watched = Watched { port, sockets };
        for (key, (socket, want)) in sockets.iter().enumerate() {
            let interest = match want {
                Want::Read => Event::readable(key),
                Want::Write => Event::writable(key),
            };
            // SAFETY: the socket is borrowed for as long as `watched`, which deletes it when dropped.
            unsafe { port.add(&***socket, interest) }?;
        }
        Ok(watched)
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        for (socket, _) in self.sockets {
            // It cannot fail for what was added, and does nothing for what was not.
            let _ = self.port.delete(&***socket);
        }
    }
}
