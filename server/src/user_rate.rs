//! Limits how often a user may send requests: pure, and bounded in memory. The bucket is so wide
//! that no working app fills it, yet a user who does cannot keep the server busy with one record.

use crate::sharded::Sharded;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// A full bucket covers this time.
const WINDOW: Duration = Duration::from_secs(60);
/// How many users of one age a part remembers; it keeps two ages.
const USERS: usize = 512;

/// The buckets of all users.
#[derive(Default)]
pub struct UserRates {
    hasher: RandomState,
    buckets: Sharded<Buckets>,
}

/// When a user's bucket will be empty, by a hash of the user: a request fills it by a part of the
/// window.
#[derive(Default)]
struct Buckets {
    young: HashMap<u64, Instant>,
    old: HashMap<u64, Instant>,
}

impl UserRates {
    /// Counts a request of this user, given the limit per minute; 0: no limit. Returns how long it
    /// must wait if there were too many.
    pub fn count(&self, user_id: &str, most: u32, now: Instant) -> Option<Duration> {
        if most == 0 {
            return None;
        }
        let key = self.hasher.hash_one(user_id);
        let mut buckets = self.buckets.of(key);
        let part = WINDOW / most;
        let filled = buckets.get(key).map_or(now, |until| until.max(now)) + part;
        let over = filled.saturating_duration_since(now).checked_sub(WINDOW);
        if let Some(over) = over.filter(|over| !over.is_zero()) {
            return Some(over);
        }
        buckets.put(key, filled);
        None
    }
}

impl Buckets {
    fn get(&self, key: u64) -> Option<Instant> {
        self.young.get(&key).or_else(|| self.old.get(&key)).copied()
    }

    fn put(&mut self, key: u64, until: Instant) {
        if self.young.len() >= USERS && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_may_ask_as_often_as_that_in_a_minute_and_then_as_often_as_time_allows() {
        let (rates, now) = (UserRates::default(), Instant::now());
        for _ in 0..60 {
            assert_eq!(rates.count("alice", 60, now), None);
        }
        assert_eq!(rates.count("alice", 60, now), Some(Duration::from_secs(1)));
        assert_eq!(rates.count("bob", 60, now), None, "others do not wait");
        let later = now + Duration::from_secs(1);
        assert_eq!(rates.count("alice", 60, later), None);
        assert_eq!(
            rates.count("alice", 60, later),
            Some(Duration::from_secs(1))
        );
        let minute = later + WINDOW;
        for _ in 0..60 {
            assert_eq!(rates.count("alice", 60, minute), None);
        }
    }

    #[test]
    fn nothing_is_counted_where_the_bound_is_off() {
        let (rates, now) = (UserRates::default(), Instant::now());
        assert!((0..10_000).all(|_| rates.count("alice", 0, now).is_none()));
    }

    #[test]
    fn many_users_take_up_bounded_memory() {
        let (rates, now) = (UserRates::default(), Instant::now());
        for user in 0..200_000 {
            rates.count(&format!("user {user}"), 60, now);
        }
        let mut parts = rates.buckets.iter();
        assert!(parts.all(|part| part.young.len() + part.old.len() <= 2 * USERS));
    }
}
