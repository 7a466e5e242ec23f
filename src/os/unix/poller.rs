//! What a network thread waits with: poll(2) over its sockets, its wake-up and its sleep watch.
//!
//! Not the crate `polling`, which serves Windows: its eventfd and timerfd are private, so that a
//! forked child could not close them and nothing would keep them off the numbers of standard streams
//! that the host has closed. It would also make six system calls of one.

use super::clock::monotonic_ms;
use super::poll::poll;
use super::sleep::SleepWatch;
use super::socket::Socket;
use super::wake_up::WakeUp;
use crate::os::{Ready, Want};
use std::io;
use std::os::fd::AsRawFd;

/// Waits for sockets, a deadline, the wake-up and the end of sleep at once. For one thread, which
/// every thread may wake.
pub(crate) struct Poller {
    wake_up: WakeUp,
    sleep: SleepWatch,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Poller> {
        Ok(Poller {
            wake_up: WakeUp::new()?,
            sleep: SleepWatch::new(),
        })
    }

    /// Ends the wait in progress, or else the next one, at once.
    pub(crate) fn wake(&self) {
        self.wake_up.wake();
    }

    /// Waits until a socket is ready, the wake-up has come, the system has slept, or `deadline_ms`
    /// on [`monotonic_ms`] has come.
    pub(crate) fn wait(
        &self,
        sockets: &[(&Socket, Want)],
        deadline_ms: Option<u64>,
    ) -> io::Result<Ready> {
        let look_ms = self.sleep.look_ms();
        let mut fds = vec![
            (self.wake_up.fd(), Want::Read),
            (self.sleep.fd(), Want::Read),
        ];
        fds.extend(
            sockets
                .iter()
                .map(|(socket, want)| (socket.as_raw_fd(), *want)),
        );
        let mut ready = poll(&fds, deadline_ms.into_iter().chain(look_ms).min())?;
        let sockets = ready.split_off(2);
        let (woken, jumped) = (ready[0], ready[1]);
        if woken {
            self.wake_up.drain();
        }
        let looked = look_ms.is_some_and(|look_ms| look_ms <= monotonic_ms());
        Ok(Ready {
            sockets,
            woken,
            slept: looked || jumped && self.sleep.take(),
        })
    }
}
