//! Which requests of a user's clients were seen: late or duplicate ones have no effect.

use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tim_proto::wire::RequestNumber;

/// How long a client's request numbers are remembered.
const SEEN_MS: i64 = 600_000;
/// How many clients' numbers are remembered per user; the newest stay.
const SEEN_MAX: usize = 64;

/// The user's recently active clients. Records that differ elsewhere share them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct RequestNumbers(Arc<Vec<Seen>>);

/// What was seen from one client handle.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) device_id: Arc<str>,
    pub(super) instance: Arc<str>,
    login_no: u64,
    seq: u64,
    /// The highest login number accepted.
    pub(super) accepted: Option<u64>,
    /// Logins up to this number have ended, including those that have not arrived yet.
    pub(super) ended: u64,
    at_ms: i64,
}

impl RequestNumbers {
    pub(super) fn shrink_to_fit(&mut self) {
        if let Some(seen) = Arc::get_mut(&mut self.0) {
            seen.shrink_to_fit();
        }
    }

    pub(super) fn of(&mut self, device_id: &str, instance: &str) -> Option<&mut Seen> {
        let is_it = |seen: &Seen| *seen.device_id == *device_id && *seen.instance == *instance;
        let at = self.0.iter().position(is_it)?;
        Some(&mut Arc::make_mut(&mut self.0)[at])
    }

    /// Records a request's numbers. `None` if it is late or a duplicate, or its login has ended.
    pub(super) fn see(
        &mut self,
        device_id: &str,
        number: &RequestNumber,
        now_ms: i64,
    ) -> Option<&mut Seen> {
        self.forget(now_ms);
        let seen = self.of_or_new(device_id, &number.instance, now_ms);
        if number.login_no < seen.login_no
            || number.seq <= seen.seq
            || number.login_no <= seen.ended
        {
            return None;
        }
        (seen.login_no, seen.seq, seen.at_ms) = (number.login_no, number.seq, now_ms);
        Some(seen)
    }

    /// Ends a client's logins up to this number.
    pub(super) fn end(&mut self, device_id: &str, instance: &str, login_no: u64, now_ms: i64) {
        let seen = self.of_or_new(device_id, instance, now_ms);
        seen.ended = seen.ended.max(login_no);
        seen.at_ms = now_ms;
    }

    pub(super) fn forget(&mut self, now_ms: i64) {
        let is_late = |seen: &Seen| now_ms.saturating_sub(seen.at_ms) >= SEEN_MS;
        if self.0.iter().any(is_late) {
            Arc::make_mut(&mut self.0).retain(|seen| !is_late(seen));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn of_or_new(&mut self, device_id: &str, instance: &str, now_ms: i64) -> &mut Seen {
        let known = |seen: &Seen| *seen.device_id == *device_id && *seen.instance == *instance;
        let all = Arc::make_mut(&mut self.0);
        let at = all.iter().position(known).unwrap_or_else(|| {
            if all.len() == SEEN_MAX
                && let Some(oldest) = (0..SEEN_MAX).min_by_key(|at| all[*at].at_ms)
            {
                all.swap_remove(oldest);
            }
            all.push(Seen {
                device_id: device_id.into(),
                instance: instance.into(),
                login_no: 0,
                seq: 0,
                accepted: None,
                ended: 0,
                at_ms: now_ms,
            });
            all.len() - 1
        });
        &mut all[at]
    }
}
