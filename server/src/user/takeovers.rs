//! Damping: slows down two devices that keep taking the session from each other.

use super::Rules;
use serde::{Deserialize, Serialize};

/// The latest takeovers, all between the same two devices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Takeovers {
    /// The two devices, ordered by id.
    between: Option<(String, String)>,
    at_ms: Vec<i64>,
    /// The next one must wait until then.
    waits_until_ms: i64,
}

fn pair(one: &str, other: &str) -> (String, String) {
    let (first, second) = (one.min(other), one.max(other));
    (first.to_owned(), second.to_owned())
}

impl Takeovers {
    /// How long a takeover of `victim` by `device_id` must wait; `None`: it may proceed.
    pub(super) fn wait_ms(
        &mut self,
        device_id: &str,
        victim: &str,
        rules: &Rules,
        now_ms: i64,
    ) -> Option<i64> {
        if rules.takeovers_max == 0 || self.between != Some(pair(device_id, victim)) {
            return None;
        }
        if now_ms < self.waits_until_ms {
            return Some(self.waits_until_ms - now_ms);
        }
        let since = now_ms.saturating_sub(rules.takeovers_window_ms);
        let recent = self.at_ms.iter().filter(|at| **at > since).count();
        // A device that has waited long enough goes first; the next must wait again.
        if recent < rules.takeovers_max as usize || self.waits_until_ms > since {
            return None;
        }
        self.waits_until_ms = now_ms.saturating_add(rules.takeovers_wait_ms);
        Some(rules.takeovers_wait_ms)
    }

    /// Records a takeover.
    pub(super) fn note(&mut self, device_id: &str, victim: &str, rules: &Rules, now_ms: i64) {
        if rules.takeovers_max == 0 {
            return;
        }
        let between = Some(pair(device_id, victim));
        let paused = self
            .at_ms
            .last()
            .is_none_or(|last| now_ms.saturating_sub(*last) >= rules.takeovers_window_ms);
        if paused || self.between != between {
            *self = Takeovers {
                between,
                ..Takeovers::default()
            };
        }
        self.at_ms.push(now_ms);
        let beyond = self
            .at_ms
            .len()
            .saturating_sub(rules.takeovers_max as usize);
        self.at_ms.drain(..beyond);
        // The wait is over and used up.
        self.waits_until_ms = 0;
    }

    /// Another device intervened: everything is forgotten.
    pub(super) fn forget(&mut self) {
        *self = Takeovers::default();
    }
}
