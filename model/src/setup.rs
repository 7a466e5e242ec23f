//! What a check is about: which devices, which rules, and how much may happen.

use tim_proto::Platform;
use tim_server::policy::{Mode, Policy};
use tim_server::user::Rules;

/// The users; elsewhere they are represented by their index.
pub const USERS: [&str; 2] = ["alice", "bob"];
/// The server's clock at the beginning, in ms of Unix time.
pub const START_MS: i64 = 1_700_000_000_000;
/// How long a ticket is valid, and how much longer the next one is.
pub const TICKET_MS: i64 = 7 * 24 * 3_600_000;

/// A device.
#[derive(Clone, Copy, Debug)]
pub struct Device {
    /// Its id and name.
    pub id: &'static str,
    /// Its platform.
    pub platform: Platform,
}

/// How often each thing may happen in one run. Anything else happens as often as it can: messages
/// arrive, and waiting clients reach their deadlines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Logins of alice, by device, while nobody is logged in there.
    pub logins: [u8; 3],
    /// Logins of either user at any moment, on the first device.
    pub switches: u8,
    /// Logouts.
    pub logouts: u8,
    /// Renewals.
    pub renewals: u8,
    /// Destroyed clients.
    pub destroys: u8,
    /// Network changes reported by the app.
    pub probes: u8,
    /// Connections that break under a request. It may arrive nevertheless, at any later time.
    pub breaks: u8,
    /// Requests that take longer than their deadline. They may arrive later, too.
    pub timeouts: u8,
    /// Streams that are cut.
    pub cuts: u8,
    /// Requests that arrive twice.
    pub copies: u8,
    /// Restarts of the server that keep what the store keeps.
    pub restarts: u8,
    /// Restarts after which the records are gone but the tokens' keys remain.
    pub lost_records: u8,
    /// Restarts after which everything is gone.
    pub lost_stores: u8,
    /// Steps of the server's clock, see [`Setup::clock_steps`].
    pub clock_steps: u8,
    /// Clones of a client: the same device and token, another instance.
    pub clones: u8,
}

/// As a check prints it: what may happen, and how often.
impl std::fmt::Display for Budget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "at most: {} logins",
            self.logins.map(|n| n.to_string()).join("+")
        )?;
        for (times, what) in [
            (self.switches, "logins of either user"),
            (self.logouts, "logouts"),
            (self.renewals, "renewals"),
            (self.destroys, "destroyed clients"),
            (self.probes, "changes of the network"),
            (self.breaks, "broken connections"),
            (self.timeouts, "timeouts"),
            (self.cuts, "cut streams"),
            (self.copies, "doubled requests"),
            (self.restarts, "restarts"),
            (self.lost_records, "restarts without records"),
            (self.lost_stores, "restarts without records and keys"),
            (self.clock_steps, "clock steps"),
            (self.clones, "clones"),
        ] {
            if times > 0 {
                write!(f, ", {times} {what}")?;
            }
        }
        Ok(())
    }
}

/// What a check is about.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The check's name.
    pub name: &'static str,
    /// The devices. Each has one client.
    pub devices: Vec<Device>,
    /// The server's rules.
    pub rules: Rules,
    /// How many sessions of one user these rules allow on these devices at a time. Written by hand,
    /// because the policy is checked against it.
    pub allowed: usize,
    /// How often what happens.
    pub budget: Budget,
    /// By how many ms the server's clock can step.
    pub clock_steps: Vec<i64>,
    /// How long the first ticket is valid.
    pub ticket_ms: i64,
    /// Whether a cut stream is noticed by its silence rather than by a reset.
    pub silence: bool,
    /// Whether the server notices late, rather than at once, that nobody reads a stream.
    pub late_notice: bool,
    /// The most requests of one client. A client that sends more keeps going by itself forever.
    pub requests_max: u64,
}

impl Setup {
    /// The end of the app's current ticket, given how many it has fetched after the first.
    pub fn ticket_end_ms(&self, fetched: i64) -> i64 {
        START_MS + self.ticket_ms + fetched * TICKET_MS
    }

    /// A check of these devices under this policy, each platform with this many instances.
    pub fn new(
        name: &'static str,
        mode: Mode,
        instances: usize,
        devices: &[(&'static str, Platform)],
        allowed: usize,
        budget: Budget,
    ) -> Setup {
        Setup {
            name,
            devices: devices
                .iter()
                .map(|&(id, platform)| Device { id, platform })
                .collect(),
            rules: Rules {
                policy: Policy {
                    mode,
                    instances: Platform::ALL.into_iter().map(|p| (p, instances)).collect(),
                },
                ..Rules::default()
            },
            allowed,
            budget,
            clock_steps: Vec::new(),
            ticket_ms: TICKET_MS,
            silence: false,
            late_notice: false,
            requests_max: 16,
        }
    }
}
