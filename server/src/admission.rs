//! Admission: how many logins are decided at once, and how many streams a user and an address may
//! hold. A client beyond a limit is refused with a time to come back and loses nothing.

use crate::limits::LoginLimits;
use crate::refused::Refused;
use crate::sharded::Sharded;
use crate::throttle::host;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tim_proto::code;
use tokio::sync::Notify;
use tokio::time::timeout;

fn overloaded(what: &str) -> Refused {
    Refused::new(code::SERVER_OVERLOADED, what)
}

/// The slots for logins being decided.
#[derive(Default)]
pub struct LoginSlots {
    count: AtomicUsize,
    one_free: Notify,
}

impl LoginSlots {
    /// Takes a slot, waiting if all are taken; dropping it frees it.
    pub async fn take(&self, limits: &LoginLimits) -> Result<LoginSlot<'_>, Refused> {
        if let Some(slot) = self.try_take(limits.logins_at_once) {
            return Ok(slot);
        }
        let waiting = async {
            loop {
                let one_free = self.one_free.notified();
                if let Some(slot) = self.try_take(limits.logins_at_once) {
                    return slot;
                }
                one_free.await;
            }
        };
        let waited = timeout(limits.login_wait, waiting).await;
        waited.map_err(|_| overloaded("too many logins at once"))
    }

    fn try_take(&self, most: usize) -> Option<LoginSlot<'_>> {
        let one_more = |count| (count < most).then_some(count + 1);
        self.count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .ok()
            .map(|_| LoginSlot(self))
    }
}

/// A login being decided.
pub struct LoginSlot<'a>(&'a LoginSlots);

impl Drop for LoginSlot<'_> {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::Relaxed);
        self.0.one_free.notify_one();
    }
}

/// How many streams each user and each address holds.
#[derive(Default)]
pub struct StreamQuota {
    hasher: RandomState,
    /// By a hash of the user or address.
    counts: Sharded<HashMap<u64, usize>>,
}

impl StreamQuota {
    /// Takes a permit for one more stream.
    pub fn take(
        self: &Arc<Self>,
        from: IpAddr,
        user_id: &str,
        limits: &LoginLimits,
    ) -> Result<StreamPermit, Refused> {
        let of_user = self.one(self.hasher.hash_one(user_id), limits.streams_per_user);
        let of_user = of_user.ok_or_else(|| overloaded("this user has too many streams"))?;
        let of_address = self.one(self.hasher.hash_one(host(from)), limits.streams_per_address);
        let of_address =
            of_address.ok_or_else(|| overloaded("this address has too many streams"))?;
        Ok(StreamPermit {
            _of_user: of_user,
            _of_address: of_address,
        })
    }

    fn one(self: &Arc<Self>, key: u64, most: usize) -> Option<Counted> {
        let mut counts = self.counts.of(key);
        let count = counts.entry(key).or_default();
        if most > 0 && *count >= most {
            return None;
        }
        *count += 1;
        Some(Counted {
            quota: self.clone(),
            key,
        })
    }
}

/// The permit of a stream; counts until it is dropped.
pub struct StreamPermit {
    _of_user: Counted,
    _of_address: Counted,
}

struct Counted {
    quota: Arc<StreamQuota>,
    key: u64,
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = self.quota.counts.of(self.key).entry(self.key) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    fn limits() -> LoginLimits {
        LoginLimits {
            logins_at_once: 2,
            login_wait: Duration::from_secs(3600),
            requests_per_user: 0,
            streams_per_user: 2,
            streams_per_address: 3,
        }
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
    }

    #[test]
    fn one_login_beyond_the_limit_waits_until_another_was_decided() {
        let runtime = runtime();
        let _guard = runtime.enter();
        let (slots, limits) = (LoginSlots::default(), limits());
        let mut cx = Context::from_waker(Waker::noop());
        let first = slots.try_take(2).unwrap();
        let _second = slots.try_take(2).unwrap();
        let mut third = pin!(slots.take(&limits));
        assert!(third.as_mut().poll(&mut cx).is_pending());
        drop(first);
        assert!(matches!(third.as_mut().poll(&mut cx), Poll::Ready(Ok(_))));
    }

    #[test]
    fn one_that_has_waited_long_enough_is_refused_for_now() {
        let limits = LoginLimits {
            login_wait: Duration::from_millis(1),
            ..limits()
        };
        let slots = LoginSlots::default();
        let _turns = (slots.try_take(2).unwrap(), slots.try_take(2));
        let refused = runtime().block_on(slots.take(&limits)).err().unwrap();
        assert_eq!(refused.code, code::SERVER_OVERLOADED);
    }

    #[test]
    fn a_login_that_gave_up_waiting_leaves_its_turn_to_the_next() {
        let runtime = runtime();
        let _guard = runtime.enter();
        let (slots, limits) = (LoginSlots::default(), limits());
        let mut cx = Context::from_waker(Waker::noop());
        let taken = (slots.try_take(2).unwrap(), slots.try_take(2));
        let mut patient = Box::pin(slots.take(&limits));
        let mut gone = Box::pin(slots.take(&limits));
        assert!(gone.as_mut().poll(&mut cx).is_pending());
        assert!(patient.as_mut().poll(&mut cx).is_pending());
        drop(taken.0);
        drop(gone);
        assert!(matches!(patient.as_mut().poll(&mut cx), Poll::Ready(Ok(_))));
    }

    #[test]
    fn streams_of_a_user_and_of_an_address_are_limited_and_give_their_permits_back() {
        let quota = Arc::new(StreamQuota::default());
        let (here, there) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let take = |from, user| quota.take(from, user, &limits());
        let alice = (take(here, "alice").ok().unwrap(), take(there, "alice"));
        assert!(take(here, "alice").is_err());
        let _bob = take(here, "bob").ok().unwrap();
        let _carol = take(here, "carol").ok().unwrap();
        assert!(take(here, "dave").is_err());
        assert!(take(there, "dave").is_ok());
        drop(alice.0);
        assert!(take(here, "alice").is_ok());
    }

    #[test]
    fn nothing_is_kept_of_those_who_have_gone() {
        let quota = Arc::new(StreamQuota::default());
        for user in 0..100 {
            let _ = quota.take([10, 0, 0, 1].into(), &user.to_string(), &limits());
        }
        assert!(quota.counts.iter().all(|counts| counts.is_empty()));
    }
}
