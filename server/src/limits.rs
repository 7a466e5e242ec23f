//! The limits that the operator sets on what clients can take up.

use std::time::Duration;
use tim_proto::user_sig::UserSig;

/// Of connections.
#[derive(Clone, Copy)]
pub struct ConnectionLimits {
    /// How many may be open; what it is at the start counts.
    pub connections: usize,
    /// How long the head of a request may take, and a TLS handshake, and how long a connection may
    /// idle.
    pub header_timeout: Duration,
    /// How long the body of a request may take.
    pub body_timeout: Duration,
    /// How long what was sent may stay unread, before a connection counts as dead; what it is at
    /// the start counts.
    pub unread_timeout: Duration,
}

/// Of logins and the streams that they open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginLimits {
    /// How many logins and resumes are decided at once.
    pub logins_at_once: usize,
    /// How long one more waits for its turn.
    pub login_wait: Duration,
    /// How many logins, resumes and logouts a user may ask for in a minute; 0: any number.
    pub requests_per_user: u32,
    /// How many streams a user may hold; 0: any number.
    pub streams_per_user: usize,
    /// How many streams an address may hold; 0: any number.
    pub streams_per_address: usize,
}

/// Of tickets that fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureLimits {
    /// Of one user from one address, within `window`; 0: any number.
    pub failures: u32,
    /// Of one address.
    pub address_failures: u32,
    pub window: Duration,
    /// How long a client waits that has reached one of them.
    pub wait: Duration,
}

/// Of tickets that are good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TicketLimits {
    /// A ticket that claims to be good for longer is good for as long as this, in seconds.
    pub longest_s: Option<i64>,
}

impl TicketLimits {
    /// Until when a ticket is good, in seconds of Unix time.
    pub fn end_s(&self, sig: &UserSig) -> i64 {
        let longest_s = self
            .longest_s
            .map(|longest| sig.issued_s.saturating_add(longest));
        sig.expires_s().min(longest_s.unwrap_or(i64::MAX))
    }

    /// The same in ms: it is good in all of its last second.
    pub fn end_ms(&self, sig: &UserSig) -> i64 {
        self.end_s(sig).saturating_mul(1000).saturating_add(999)
    }
}
