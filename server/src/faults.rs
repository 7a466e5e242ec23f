//! Fault injection: lets the test of an app make the server misbehave. Does not exist without
//! `--enable-fault-injection`.

use crate::clock;
use hyper::StatusCode;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// The faults of this process.
pub struct Faults {
    delay: watch::Sender<Duration>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    failing: Option<Failing>,
    /// The marks of the tickets used here, by user and device.
    shown: HashMap<(String, String), HashSet<u64>>,
    /// Those treated as expired.
    run_out_tickets: HashSet<u64>,
    /// Sessions whose tickets are treated as expired, by session id and the end in their token,
    /// with the time since when. A renewal gives a session another end.
    run_out_sessions: HashMap<(u64, i64), i64>,
}

/// The failure to answer requests with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failing {
    pub status: StatusCode,
    /// How many more requests fail; none: all of them.
    pub left: Option<u32>,
    pub retry_after_s: Option<u32>,
}

/// The faults that are set.
pub struct Set {
    pub delay: Duration,
    pub failing: Option<Failing>,
    pub clock_offset_ms: i64,
    pub run_out_tickets: usize,
}

impl Default for Faults {
    fn default() -> Faults {
        Faults {
            delay: watch::Sender::new(Duration::ZERO),
            state: Mutex::default(),
        }
    }
}

impl Faults {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set(&self) -> Set {
        let state = self.state();
        Set {
            delay: *self.delay.borrow(),
            failing: state.failing,
            clock_offset_ms: clock::offset_ms(),
            run_out_tickets: state.run_out_tickets.len(),
        }
    }

    /// Clears every fault except the clock, which the service resets. What has ended stays ended.
    pub fn clear(&self) {
        {
            let mut state = self.state();
            state.failing = None;
            state.run_out_tickets.clear();
            state.run_out_sessions.clear();
        }
        self.set_delay(Duration::ZERO);
    }

    /// Delays answers by this much from now on; answers delayed now are released.
    pub fn set_delay(&self, delay: Duration) {
        self.delay.send_replace(delay);
    }

    /// Waits as long as answers are delayed.
    pub async fn hold_back(&self) {
        let mut delay = self.delay.subscribe();
        let wait = *delay.borrow_and_update();
        if !wait.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = delay.changed() => {}
            }
        }
    }

    pub fn set_failing(&self, failing: Option<Failing>) {
        self.state().failing = failing;
    }

    /// The failure to answer the current request with, if one is set.
    pub fn next_failure(&self) -> Option<Failing> {
        let mut state = self.state();
        let failing = state.failing?;
        if let Some(left) = failing.left {
            let left = left.checked_sub(1);
            state.failing = left.filter(|left| *left > 0).map(|left| Failing {
                left: Some(left),
                ..failing
            });
        }
        Some(failing)
    }

    /// Records that a user showed a ticket on a device. Returns whether it is treated as expired.
    pub fn is_run_out(&self, user_id: &str, device_id: &str, ticket: u64) -> bool {
        let mut state = self.state();
        let of_device = (user_id.to_owned(), device_id.to_owned());
        state.shown.entry(of_device).or_default().insert(ticket);
        state.run_out_tickets.contains(&ticket)
    }

    /// From now on, treats every ticket used on a user's device as expired.
    pub fn run_out_tickets(&self, user_id: &str, device_id: &str) {
        let mut state = self.state();
        let of_device = (user_id.to_owned(), device_id.to_owned());
        let shown = state.shown.remove(&of_device).unwrap_or_default();
        state.run_out_tickets.extend(shown);
    }

    /// Treats the ticket of a session whose token has this end as expired since `ended_ms`.
    pub fn run_out_session(&self, session_id: u64, ends_ms: i64, ended_ms: i64) {
        let mut state = self.state();
        state
            .run_out_sessions
            .insert((session_id, ends_ms), ended_ms);
    }

    /// When the ticket of a session ends whose token has that end.
    pub fn end_of_session(&self, session_id: u64, ends_ms: i64) -> i64 {
        let ended = self.state();
        let ended = ended.run_out_sessions.get(&(session_id, ends_ms));
        ended.copied().unwrap_or(ends_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configured_number_of_requests_fail_and_the_next_is_served() {
        let faults = Faults::default();
        let failing = |left| Failing {
            status: StatusCode::BAD_GATEWAY,
            left,
            retry_after_s: None,
        };
        faults.set_failing(Some(failing(Some(2))));
        assert_eq!(faults.next_failure(), Some(failing(Some(2))));
        assert_eq!(faults.next_failure(), Some(failing(Some(1))));
        assert_eq!(faults.next_failure(), None);
        faults.set_failing(Some(failing(None)));
        for _ in 0..10 {
            assert_eq!(faults.next_failure(), Some(failing(None)));
        }
        faults.clear();
        assert_eq!(faults.next_failure(), None);
    }

    #[test]
    fn the_tickets_of_the_device_run_out_and_no_others() {
        let faults = Faults::default();
        assert!(!faults.is_run_out("alice", "phone", 1));
        assert!(!faults.is_run_out("alice", "tablet", 2));
        faults.run_out_tickets("alice", "phone");
        assert!(faults.is_run_out("alice", "phone", 1));
        assert!(
            faults.is_run_out("alice", "tablet", 1),
            "wherever it is shown"
        );
        assert!(!faults.is_run_out("alice", "tablet", 2));
        assert!(!faults.is_run_out("alice", "phone", 3));
    }

    #[test]
    fn a_session_runs_out_until_another_ticket_renews_it() {
        let faults = Faults::default();
        faults.run_out_session(1, 5000, 1000);
        assert_eq!(faults.end_of_session(1, 5000), 1000);
        assert_eq!(faults.end_of_session(1, 6000), 6000);
        assert_eq!(faults.end_of_session(2, 5000), 5000);
    }
}
