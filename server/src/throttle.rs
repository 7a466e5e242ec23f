//! Throttles failed tickets: pure, and bounded in memory. It counts failures per address, and per
//! user and address. It affects only the failed tickets themselves: a valid ticket never gets here,
//! so nobody is locked out by others' failures.

use crate::limits::FailureLimits;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How many failures of one age are remembered; two ages are kept.
const ENTRIES: usize = 32_768;

#[derive(Clone, Copy)]
struct Failures {
    first: Instant,
    count: u32,
    waits_until: Option<Instant>,
}

/// The recent failures.
pub struct Throttle {
    hasher: RandomState,
    /// By a hash of the user or address.
    young: HashMap<u64, Failures>,
    old: HashMap<u64, Failures>,
    turned: Option<Instant>,
}

impl Default for Throttle {
    fn default() -> Throttle {
        Throttle {
            hasher: RandomState::new(),
            young: HashMap::new(),
            old: HashMap::new(),
            turned: None,
        }
    }
}

impl Throttle {
    /// Counts a failed ticket. Returns how long its sender must wait if there were too many.
    pub fn failed(
        &mut self,
        address: IpAddr,
        user_id: &str,
        limits: &FailureLimits,
        now: Instant,
    ) -> Option<Duration> {
        self.turn(limits, now);
        let host = host(address);
        let of_address = self.hasher.hash_one((host, None::<&str>));
        let of_user = self.hasher.hash_one((host, Some(user_id)));
        // A waiting address adds no users: it could fill the memory with them.
        self.count(of_address, limits.address_failures, limits, now)
            .or_else(|| self.count(of_user, limits.failures, limits, now))
    }

    fn count(
        &mut self,
        key: u64,
        most: u32,
        limits: &FailureLimits,
        now: Instant,
    ) -> Option<Duration> {
        if most == 0 {
            return None;
        }
        let fresh = Failures {
            first: now,
            count: 0,
            waits_until: None,
        };
        let known = self.young.get(&key).or_else(|| self.old.get(&key)).copied();
        let mut failures = known.unwrap_or(fresh);
        if let Some(until) = failures.waits_until {
            if now < until {
                return Some(until - now);
            }
            failures = fresh;
        } else if now >= failures.first + limits.window {
            failures = fresh;
        }
        failures.count += 1;
        if failures.count > most {
            failures.waits_until = Some(now + limits.wait);
        }
        self.young.insert(key, failures);
        failures.waits_until.map(|until| until - now)
    }

    /// Drops the old generation when it has expired or the young one is full.
    fn turn(&mut self, limits: &FailureLimits, now: Instant) {
        let turned = *self.turned.get_or_insert(now);
        if now >= turned + limits.window.max(limits.wait) || self.young.len() >= ENTRIES {
            self.old = std::mem::take(&mut self.young);
            self.turned = Some(now);
        }
    }
}

/// What counts as one address: for IPv6 the network, because a host may choose from all of it.
pub fn host(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => (address.to_bits() >> 64) as u64 | 1 << 63,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "10.0.0.1";
    const ELSEWHERE: &str = "10.0.0.2";

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn limits() -> FailureLimits {
        FailureLimits {
            failures: 3,
            address_failures: 10,
            window: seconds(60),
            wait: seconds(30),
        }
    }

    /// The waits after `count` failures of a user.
    fn fail(
        throttle: &mut Throttle,
        (address, user_id): (&str, &str),
        count: usize,
        now: Instant,
    ) -> Vec<Option<Duration>> {
        let address = address.parse().unwrap();
        (0..count)
            .map(|_| throttle.failed(address, user_id, &limits(), now))
            .collect()
    }

    #[test]
    fn beyond_the_bound_a_user_waits_and_then_starts_over() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        let alice = (HERE, "alice");
        assert_eq!(
            fail(&mut throttle, alice, 4, start),
            [None, None, None, Some(seconds(30))]
        );
        let later = start + seconds(10);
        assert_eq!(
            fail(&mut throttle, alice, 2, later),
            [Some(seconds(20)); 2],
            "failures meanwhile do not make it longer"
        );
        let after = start + seconds(30);
        assert_eq!(fail(&mut throttle, alice, 3, after), [None; 3]);
        assert_eq!(fail(&mut throttle, alice, 1, after), [Some(seconds(30))]);
    }

    #[test]
    fn failures_count_within_the_window_alone() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        let alice = (HERE, "alice");
        fail(&mut throttle, alice, 3, start);
        let later = start + seconds(60);
        assert_eq!(fail(&mut throttle, alice, 3, later), [None; 3]);
    }

    #[test]
    fn another_user_and_another_address_have_their_own_count() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        fail(&mut throttle, (HERE, "alice"), 4, now);
        assert_eq!(fail(&mut throttle, (HERE, "bob"), 1, now), [None]);
        assert_eq!(fail(&mut throttle, (ELSEWHERE, "alice"), 1, now), [None]);
    }

    #[test]
    fn an_address_that_tries_many_users_waits_for_all_of_them() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        for user in 0..10 {
            let user = user.to_string();
            assert_eq!(fail(&mut throttle, (HERE, &user), 1, now), [None]);
        }
        let waits = fail(&mut throttle, (HERE, "another"), 1, now);
        assert_eq!(waits, [Some(seconds(30))]);
    }

    #[test]
    fn a_network_of_ipv6_and_an_ipv4_address_in_either_form_are_one_address() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        for host in ["2001:db8::1", "2001:db8::2", "2001:db8::ffff:3"] {
            fail(&mut throttle, (host, "alice"), 1, now);
        }
        let waits = fail(&mut throttle, ("2001:db8::4", "alice"), 1, now);
        assert_eq!(waits, [Some(seconds(30))]);
        let other = fail(&mut throttle, ("2001:db8:0:1::4", "alice"), 1, now);
        assert_eq!(other, [None]);

        fail(&mut throttle, (HERE, "alice"), 3, now);
        let waits = fail(&mut throttle, ("::ffff:10.0.0.1", "alice"), 1, now);
        assert_eq!(waits, [Some(seconds(30))]);
    }

    #[test]
    fn nothing_counts_where_the_bounds_are_off() {
        let off = FailureLimits {
            failures: 0,
            address_failures: 0,
            ..limits()
        };
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        for _ in 0..100 {
            let address = HERE.parse().unwrap();
            assert_eq!(throttle.failed(address, "alice", &off, now), None);
        }
        assert_eq!(throttle.young.len(), 0);
    }

    #[test]
    fn failures_from_everywhere_take_up_bounded_memory() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        for address in 0..200_000_u32 {
            throttle.failed(IpAddr::from(address.to_be_bytes()), "alice", &limits(), now);
            assert!(throttle.young.len() <= ENTRIES + 1);
            assert!(throttle.old.len() <= ENTRIES + 1);
        }
    }
}
