//! The server's time, kept on the clock that runs through sleep.

use super::input::Now;

/// What the server's clock showed, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ServerClock {
    server_ms: i64,
    boot_ms: u64,
}

impl ServerClock {
    pub(super) fn new(server_ms: i64, now: Now) -> ServerClock {
        ServerClock {
            server_ms,
            boot_ms: now.boot_ms,
        }
    }

    /// The server's Unix time in ms.
    pub(super) fn now_ms(self, now: Now) -> i64 {
        let passed = now.boot_ms.saturating_sub(self.boot_ms);
        self.server_ms
            .saturating_add(i64::try_from(passed).unwrap_or(i64::MAX))
    }

    /// The moment on [`Now::ms`] at which the server's clock will show `server_ms`, if the device
    /// does not sleep.
    pub(super) fn when(self, server_ms: i64, now: Now) -> u64 {
        let ahead = server_ms.saturating_sub(self.now_ms(now));
        now.ms.saturating_add(u64::try_from(ahead).unwrap_or(0))
    }
}
