//! When to try again: exponential back-off with full jitter and a cap, and the delay that a server
//! requests.

/// SplitMix64: enough to spread clients, and the same sequence for the same seed in tests.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Jitter(u64);

impl Jitter {
    pub(crate) fn new(seed: u64) -> Jitter {
        Jitter(seed)
    }

    /// A number from 0 to `max`, both included.
    pub(crate) fn up_to(&mut self, max: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        ((u128::from(mixed) * (u128::from(max) + 1)) >> 64) as u64
    }
}

/// The waits between attempts, each drawn from 0 to a bound that doubles up to a cap.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Backoff {
    first_ms: u64,
    max_ms: u64,
    attempts: u32,
}

impl Backoff {
    /// The first wait is at most `first_ms`; none exceeds `max_ms`.
    pub(crate) fn new(first_ms: u64, max_ms: u64) -> Backoff {
        Backoff {
            first_ms,
            max_ms,
            attempts: 0,
        }
    }

    /// Whether the next wait is the first.
    pub(crate) fn is_fresh(&self) -> bool {
        self.attempts == 0
    }

    /// Makes the next wait the first again.
    pub(crate) fn forget(&mut self) {
        self.attempts = 0;
    }

    /// The wait before the next attempt. A delay that the server requested is kept, with jitter on
    /// top, so that clients given the same delay do not return together. If the server requests too
    /// little, the growing wait applies.
    pub(crate) fn next_ms(&mut self, jitter: &mut Jitter, server_delay_ms: Option<u64>) -> u64 {
        let doubled = self.first_ms.saturating_mul(1 << self.attempts.min(32));
        self.attempts = self.attempts.saturating_add(1);
        let own = jitter.up_to(doubled.min(self.max_ms));
        match server_delay_ms {
            None => own,
            Some(requested) => requested.saturating_add(own.min(self.first_ms)).max(own),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn longest(backoff: &Backoff, server_delay_ms: Option<u64>) -> u64 {
        (0..2000)
            .map(|seed| {
                backoff
                    .clone()
                    .next_ms(&mut Jitter::new(seed), server_delay_ms)
            })
            .max()
            .unwrap()
    }

    #[test]
    fn waits_are_spread_from_0_to_a_bound_that_doubles_up_to_the_cap() {
        let mut backoff = Backoff::new(1000, 60_000);
        for bound in [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000] {
            let longest = longest(&backoff, None);
            assert!(
                (bound * 99 / 100..=bound).contains(&longest),
                "{longest} of {bound}"
            );
            let shortest = (0..2000)
                .map(|seed| backoff.clone().next_ms(&mut Jitter::new(seed), None))
                .min();
            assert!(shortest < Some(bound / 100));
            backoff.next_ms(&mut Jitter::new(0), None);
        }
    }

    #[test]
    fn the_servers_wait_is_kept_with_jitter_on_top() {
        let backoff = Backoff::new(1000, 60_000);
        for seed in 0..100 {
            let wait = backoff
                .clone()
                .next_ms(&mut Jitter::new(seed), Some(30_000));
            assert!((30_000..=31_000).contains(&wait));
        }
        assert_eq!(longest(&backoff, Some(u64::MAX)), u64::MAX, "saturated");
    }

    #[test]
    fn a_server_that_asks_for_no_wait_gets_the_growing_one() {
        let mut backoff = Backoff::new(1000, 60_000);
        for _ in 0..10 {
            backoff.next_ms(&mut Jitter::new(1), Some(0));
        }
        assert!(longest(&backoff, Some(0)) > 55_000);
    }

    #[test]
    fn a_back_off_that_is_forgotten_begins_anew() {
        let mut backoff = Backoff::new(1000, 60_000);
        assert!(backoff.is_fresh());
        backoff.next_ms(&mut Jitter::new(1), None);
        assert!(!backoff.is_fresh());
        backoff.forget();
        assert_eq!(backoff, Backoff::new(1000, 60_000));
    }

    #[test]
    fn backing_off_for_ever_never_overflows() {
        let mut backoff = Backoff::new(u64::MAX, u64::MAX);
        let mut jitter = Jitter::new(1);
        for _ in 0..100 {
            backoff.next_ms(&mut jitter, None);
        }
    }

    #[test]
    fn jitter_reaches_both_ends() {
        let mut jitter = Jitter::new(7);
        let drawn: Vec<u64> = (0..1000).map(|_| jitter.up_to(3)).collect();
        for value in 0..=3 {
            assert!(drawn.contains(&value));
        }
        assert!(drawn.iter().all(|value| *value <= 3));
    }
}
