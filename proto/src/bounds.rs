//! The bounds of the numbers that a server sends. A client clamps each number to them, so that no
//! server, and nothing that answers in its place, can make it hurry or wait forever.
//!
//! `docs/protocol.md` has the same table; a test compares the two.

/// The least and the greatest value of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The least value.
    pub least: u64,
    /// The greatest value.
    pub greatest: u64,
}

impl Bounds {
    const fn new(least: u64, greatest: u64) -> Bounds {
        Bounds { least, greatest }
    }

    /// The value itself if it is within the bounds, otherwise the nearer bound.
    pub fn clamp(self, value: u64) -> u64 {
        value.clamp(self.least, self.greatest)
    }
}

/// `heartbeat_ms` of the session event, in ms.
pub const HEARTBEAT_MS: Bounds = Bounds::new(100, 600_000);
/// `spread_ms` of the events `session` and `spread`, in ms.
pub const SPREAD_MS: Bounds = Bounds::new(0, 600_000);
/// `return_in_ms` of the event `going_away`, in ms.
pub const RETURN_IN_MS: Bounds = Bounds::new(0, 3_600_000);
/// The header `Retry-After`, in ms.
pub const RETRY_AFTER_MS: Bounds = Bounds::new(0, 3_600_000);
/// How long a stream must have lived for the client to reset its back-off, in ms: two heartbeats
/// within these bounds.
pub const STREAM_LIVED_MS: Bounds = Bounds::new(1_000, 10_000);

/// Each bound with its name in `docs/protocol.md`.
pub const TABLE: [(&str, Bounds); 5] = [
    ("heartbeat_ms", HEARTBEAT_MS),
    ("spread_ms", SPREAD_MS),
    ("return_in_ms", RETURN_IN_MS),
    ("Retry-After", RETRY_AFTER_MS),
    ("two heartbeats of a stream's life", STREAM_LIVED_MS),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_outside_the_bounds_becomes_the_nearer_bound() {
        assert_eq!(HEARTBEAT_MS.clamp(0), 100);
        assert_eq!(HEARTBEAT_MS.clamp(25_000), 25_000);
        assert_eq!(HEARTBEAT_MS.clamp(u64::MAX), 600_000);
    }

    #[test]
    fn the_protocols_page_has_the_same_bounds() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/protocol.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (_, section) = page.split_once("## Bounds\n").unwrap();
        let section = section.split("\n## ").next().unwrap();
        let rows: Vec<&str> = section
            .lines()
            .filter(|l| l.starts_with("| "))
            .skip(1)
            .collect();
        assert_eq!(rows.len(), TABLE.len(), "{rows:?}");
        for ((name, bounds), row) in TABLE.iter().zip(rows) {
            let start = format!("| {name} | {} | {} |", bounds.least, bounds.greatest);
            assert!(
                row.replace('`', "").starts_with(&start),
                "{row}: expected {start}"
            );
        }
    }
}
