//! A server under attack, and what must still be true of it.

use crate::process::{Answer, Server, login};
use serde_json::Value;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};

/// What one connection may use: a head and a body of 16 KiB, the body once as received and once as
/// read, and twice 8 KiB in the HTTP library.
const CONNECTION_BYTES: u64 = 64 * 1024;
/// What may be added whatever is sent: arenas of the allocator, and what its threads keep.
pub const MORE_BYTES: u64 = 4 * 1024 * 1024;

/// A server, and its memory before the attack.
pub struct Victim {
    server: Server,
    before: u64,
    logins: AtomicU64,
}

impl Victim {
    /// A server with these settings, which has served an honest client.
    pub fn with(settings: &str) -> Victim {
        Victim::of(Server::with(settings))
    }

    pub fn of(server: Server) -> Victim {
        let mut victim = Victim {
            server,
            before: 0,
            logins: AtomicU64::new(0),
        };
        victim.lets_honest_clients_in();
        victim.before = victim.server.most_memory();
        victim
    }

    /// An honest client logs in; its stream is open.
    pub fn lets_honest_clients_in(&self) -> (Answer, Value) {
        let number = self.logins.fetch_add(1, Ordering::Relaxed);
        self.server
            .log_in(&login(&format!("honest {number}"), 1, 1, 1))
    }

    /// It serves, and has never used more memory than this many connections at a time may use.
    pub fn survives(&self, connections: u64) {
        self.lets_honest_clients_in();
        self.has_taken_up_at_most(connections * CONNECTION_BYTES);
    }

    pub fn has_taken_up_at_most(&self, bytes: u64) {
        let grown = self.server.most_memory() - self.before;
        let bound = bytes + MORE_BYTES;
        assert!(grown <= bound, "{grown} bytes more, of at most {bound}");
    }
}

impl Deref for Victim {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}
