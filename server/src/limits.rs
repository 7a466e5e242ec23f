//! The operator's limits on the resources that clients may use.

use std::time::Duration;
use tim_proto::user_sig::UserSig;

/// Limits on connections.
#[derive(Clone, Copy)]
pub struct ConnectionLimits {
    /// How many may be open. Read at the start only.
    pub connections: usize,
    /// How long a request's head and a TLS handshake may take, and how long a connection may idle.
    pub header_timeout: Duration,
    /// How long the body of a request may take.
    pub body_timeout: Duration,
    /// How long sent data may stay unread before a connection counts as dead. Read at the start
    /// only.
    pub unread_timeout: Duration,
}

/// Limits on logins and the streams they open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginLimits {
    /// How many logins and resumes are decided at once.
    pub logins_at_once: usize,
    /// How long a further one waits for its turn.
    pub login_wait: Duration,
    /// How many logins, resumes and logouts a user may request per minute; 0: no limit.
    pub requests_per_user: u32,
    /// How many streams a user may hold; 0: no limit.
    pub streams_per_user: usize,
    /// How many streams an address may hold; 0: no limit.
    pub streams_per_address: usize,
}

/// Limits on failed tickets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureLimits {
    /// For one user at one address, within `window`; 0: no limit.
    pub failures: u32,
    /// For one address.
    pub address_failures: u32,
    pub window: Duration,
    /// How long a client that has reached a limit must wait.
    pub wait: Duration,
}

/// Limits on valid tickets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TicketLimits {
    /// A ticket that claims to be valid for longer is valid for this many seconds.
    pub longest_s: Option<i64>,
}

impl TicketLimits {
    /// When a ticket expires, in seconds of Unix time.
    pub fn end_s(&self, sig: &UserSig) -> i64 {
        let longest_s = self
            .longest_s
            .map(|longest| sig.issued_s.saturating_add(longest));
        sig.expires_s().min(longest_s.unwrap_or(i64::MAX))
    }

    /// The same in ms: a ticket is valid through all of its last second.
    pub fn end_ms(&self, sig: &UserSig) -> i64 {
        self.end_s(sig).saturating_mul(1000).saturating_add(999)
    }
}
