//! What there is room for: how many logins are decided at once, and how many streams a user and an
//! address may hold. Beyond it a client is told to come back, and loses nothing.

use crate::service::Refused;
use crate::throttle::host;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tim_proto::code;
use tokio::sync::Notify;
use tokio::time::timeout;

/// Counts are spread over so many locks.
const SHARDS: usize = 64;

/// The bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
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

fn overloaded(what: &str) -> Refused {
    Refused::new(code::SERVER_OVERLOADED, what)
}

/// The logins that are being decided.
#[derive(Default)]
pub struct Deciding {
    count: AtomicUsize,
    one_left: Notify,
}

impl Deciding {
    /// Comes in, after a wait if there are many; the turn ends when what this gives is dropped.
    pub async fn enter(&self, bounds: &Bounds) -> Result<Turn<'_>, Refused> {
        if let Some(turn) = self.try_enter(bounds.logins_at_once) {
            return Ok(turn);
        }
        let waiting = async {
            loop {
                let one_left = self.one_left.notified();
                if let Some(turn) = self.try_enter(bounds.logins_at_once) {
                    return turn;
                }
                one_left.await;
            }
        };
        let waited = timeout(bounds.login_wait, waiting).await;
        waited.map_err(|_| overloaded("too many logins at once"))
    }

    fn try_enter(&self, most: usize) -> Option<Turn<'_>> {
        let one_more = |count| (count < most).then_some(count + 1);
        self.count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .ok()
            .map(|_| Turn(self))
    }
}

/// A login that is being decided.
pub struct Turn<'a>(&'a Deciding);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::Relaxed);
        self.0.one_left.notify_one();
    }
}

/// How many streams users and addresses hold.
pub struct Seats {
    hasher: RandomState,
    /// By a hash of whom they concern.
    shards: Vec<Mutex<HashMap<u64, usize>>>,
}

impl Default for Seats {
    fn default() -> Seats {
        Seats {
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }
}

impl Seats {
    /// Room for one more stream.
    pub fn take(
        self: &Arc<Self>,
        from: IpAddr,
        user_id: &str,
        bounds: &Bounds,
    ) -> Result<Seat, Refused> {
        let of_user = self.one(self.hasher.hash_one(user_id), bounds.streams_per_user);
        let of_user = of_user.ok_or_else(|| overloaded("too many streams of this user"))?;
        let of_address = self.one(self.hasher.hash_one(host(from)), bounds.streams_per_address);
        let of_address =
            of_address.ok_or_else(|| overloaded("too many streams of this address"))?;
        Ok(Seat {
            _of_user: of_user,
            _of_address: of_address,
        })
    }

    fn one(self: &Arc<Self>, key: u64, most: usize) -> Option<Counted> {
        let mut counts = self.shard(key);
        let count = counts.entry(key).or_default();
        if most > 0 && *count >= most {
            return None;
        }
        *count += 1;
        Some(Counted {
            seats: self.clone(),
            key,
        })
    }

    fn shard(&self, key: u64) -> MutexGuard<'_, HashMap<u64, usize>> {
        self.shards[key as usize % SHARDS]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The room that a stream takes up, until it is dropped.
pub struct Seat {
    _of_user: Counted,
    _of_address: Counted,
}

struct Counted {
    seats: Arc<Seats>,
    key: u64,
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = self.seats.shard(self.key).entry(self.key) {
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

    fn bounds() -> Bounds {
        Bounds {
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
    fn one_login_more_than_there_is_room_for_waits_until_another_was_decided() {
        let _in_runtime = runtime();
        let _guard = _in_runtime.enter();
        let (deciding, bounds) = (Deciding::default(), bounds());
        let mut cx = Context::from_waker(Waker::noop());
        let first = deciding.try_enter(2).unwrap();
        let _second = deciding.try_enter(2).unwrap();
        let mut third = pin!(deciding.enter(&bounds));
        assert!(third.as_mut().poll(&mut cx).is_pending());
        drop(first);
        assert!(matches!(third.as_mut().poll(&mut cx), Poll::Ready(Ok(_))));
    }

    #[test]
    fn one_that_has_waited_long_enough_is_told_to_come_back() {
        let bounds = Bounds {
            login_wait: Duration::from_millis(1),
            ..bounds()
        };
        let deciding = Deciding::default();
        let _turns = (deciding.try_enter(2).unwrap(), deciding.try_enter(2));
        let refused = runtime().block_on(deciding.enter(&bounds)).err().unwrap();
        assert_eq!(refused.code, code::SERVER_OVERLOADED);
    }

    #[test]
    fn a_login_that_gave_up_waiting_leaves_its_turn_to_the_next() {
        let runtime = runtime();
        let _guard = runtime.enter();
        let (deciding, bounds) = (Deciding::default(), bounds());
        let mut cx = Context::from_waker(Waker::noop());
        let turns = (deciding.try_enter(2).unwrap(), deciding.try_enter(2));
        let mut patient = Box::pin(deciding.enter(&bounds));
        let mut gone = Box::pin(deciding.enter(&bounds));
        assert!(gone.as_mut().poll(&mut cx).is_pending());
        assert!(patient.as_mut().poll(&mut cx).is_pending());
        drop(turns.0);
        drop(gone);
        assert!(matches!(patient.as_mut().poll(&mut cx), Poll::Ready(Ok(_))));
    }

    #[test]
    fn streams_of_a_user_and_of_an_address_have_bounds_and_leave_room_when_they_end() {
        let seats = Arc::new(Seats::default());
        let (here, there) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let take = |from, user| seats.take(from, user, &bounds());
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
        let seats = Arc::new(Seats::default());
        for user in 0..100 {
            let _ = seats.take([10, 0, 0, 1].into(), &user.to_string(), &bounds());
        }
        assert!(
            seats
                .shards
                .iter()
                .all(|shard| shard.lock().unwrap().is_empty())
        );
    }
}
