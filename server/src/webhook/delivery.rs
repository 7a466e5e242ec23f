//! Delivers events to the app's backend: each user's one after the other, in the order of the
//! decisions. If an event fails, only that user's deliveries wait for the next attempt.

use super::{Settings, agent, send};
use crate::event::Event;
use crate::metrics::Metrics;
use crate::store::{Origin, Receipt, Store, StoreError};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use ureq::Agent;

/// How many users' events are sent at once.
const WORKERS: usize = 8;
/// How many events may be pending; further ones are dropped.
const PENDING_MAX: usize = 16_000;
/// The wait before the first retry; it doubles with each one.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The wait if the store is unavailable or another node is delivering this user's events.
const NOT_NOW: Duration = Duration::from_millis(500);
/// The log reports dropped events at most this often.
const COMPLAIN_EVERY_MS: i64 = 60_000;

/// The events to deliver.
pub struct Delivery {
    queue: Mutex<Queue>,
    /// Wakes a worker.
    ready: Condvar,
    /// Nothing is pending.
    empty: Notify,
    complained_ms: AtomicI64,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Queue {
    users: HashMap<String, Pending>,
    /// Users whose first event can be sent, longest waiting first.
    ready: VecDeque<String>,
    /// Users waiting for their next attempt.
    later: BinaryHeap<Reverse<(Instant, String)>>,
    /// Over all users.
    pending: usize,
}

/// A user with events.
#[derive(Default)]
struct Pending {
    count: usize,
    /// How often the first event has failed.
    failures: u32,
}

/// The result of an attempt.
enum Attempt {
    Delivered,
    /// This user has no events left.
    Nothing,
    /// The event has failed so often that it is dropped.
    GivenUp,
    Again(Duration),
}

impl Delivery {
    /// Delivers what `store` announces from now on, and what is left from before.
    pub fn start(
        settings: &Settings,
        store: &Arc<dyn Store>,
        metrics: &Arc<Metrics>,
    ) -> std::io::Result<Arc<Delivery>> {
        let delivery = Arc::new(Delivery {
            queue: Mutex::default(),
            ready: Condvar::new(),
            empty: Notify::new(),
            complained_ms: AtomicI64::new(0),
            metrics: metrics.clone(),
        });
        let agent = agent();
        for _ in 0..WORKERS {
            // The shared store needs a runtime with a clock.
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()?;
            let worker = Worker {
                delivery: delivery.clone(),
                store: store.clone(),
                settings: settings.clone(),
                agent: agent.clone(),
                runtime,
            };
            thread::Builder::new()
                .name("webhook".into())
                .spawn(move || worker.run())?;
        }
        let announced = delivery.clone();
        let add = move |user_id: &str, origin| announced.add(user_id, origin);
        store.watch_events(Box::new(add));
        Ok(delivery)
    }

    /// Whether the queue has room for these events. If not, they are dropped.
    pub fn accepts(&self, events: usize) -> bool {
        if self.queue().pending + events <= PENDING_MAX {
            return true;
        }
        self.metrics.events_dropped(events);
        let (last, now) = (
            self.complained_ms.load(Ordering::Relaxed),
            crate::clock::now_ms(),
        );
        let first = now.saturating_sub(last) >= COMPLAIN_EVERY_MS
            && (self.complained_ms)
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if first {
            tracing::warn!("the webhook is too slow: events are dropped");
        }
        false
    }

    /// Completes once nothing is pending.
    pub async fn drained(&self) {
        loop {
            let empty = self.empty.notified();
            if self.queue().pending == 0 {
                return;
            }
            empty.await;
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a user with a deliverable event.
    fn add(&self, user_id: &str, origin: Origin) {
        let mut queue = self.queue();
        if origin == Origin::Elsewhere && queue.users.contains_key(user_id) {
            return;
        }
        queue.pending += 1;
        self.metrics.events_pending(queue.pending);
        if let Some(pending) = queue.users.get_mut(user_id) {
            pending.count += 1;
            return;
        }
        let pending = Pending {
            count: 1,
            failures: 0,
        };
        queue.users.insert(user_id.to_owned(), pending);
        queue.ready.push_back(user_id.to_owned());
        drop(queue);
        self.ready.notify_one();
    }

    /// The next user whose first event is to be sent, how many of their events were announced, and
    /// how often the first one has failed.
    /// often the first one has failed.
    fn next(&self) -> (String, usize, u32) {
        let mut queue = self.queue();
        loop {
            let now = Instant::now();
            while let Some(Reverse((at, _))) = queue.later.peek()
                && *at <= now
                && let Some(Reverse((_, user_id))) = queue.later.pop()
            {
                queue.ready.push_back(user_id);
            }
            if let Some(user_id) = queue.ready.pop_front()
                && let Some(pending) = queue.users.get(&user_id)
            {
                let (count, failures) = (pending.count, pending.failures);
                return (user_id, count, failures);
            }
            let next = queue.later.peek().map(|Reverse((at, _))| *at);
            queue = match next {
                None => (self.ready.wait(queue)).unwrap_or_else(PoisonError::into_inner),
                Some(at) => match self.ready.wait_timeout(queue, at - now) {
                    Ok((queue, _)) => queue,
                    Err(poisoned) => poisoned.into_inner().0,
                },
            };
        }
    }

    /// Records the result of an attempt at this user's first event, given how many were known then.
    fn done(&self, user_id: String, announced: usize, attempt: Attempt) {
        let mut queue = self.queue();
        let Some(pending) = queue.users.get_mut(&user_id) else {
            return;
        };
        let mut at = None;
        let gone = match attempt {
            Attempt::Delivered | Attempt::GivenUp => {
                pending.failures = 0;
                // Another node may have announced it.
                1.min(pending.count)
            }
            // Events that arrived meanwhile are looked up once more.
            Attempt::Nothing => announced.min(pending.count),
            Attempt::Again(wait) => {
                if wait != NOT_NOW {
                    pending.failures += 1;
                }
                at = Some(Instant::now() + wait);
                0
            }
        };
        pending.count -= gone;
        let is_last = pending.count == 0;
        queue.pending -= gone;
        self.metrics.events_pending(queue.pending);
        if is_last {
            queue.users.remove(&user_id);
            if queue.pending == 0 {
                self.empty.notify_waiters();
            }
            return;
        }
        match at {
            Some(at) => queue.later.push(Reverse((at, user_id))),
            None => queue.ready.push_back(user_id),
        }
        drop(queue);
        self.ready.notify_one();
    }
}

/// One of the sending threads.
struct Worker {
    delivery: Arc<Delivery>,
    store: Arc<dyn Store>,
    settings: Settings,
    agent: Agent,
    runtime: tokio::runtime::Runtime,
}

impl Worker {
    fn run(&self) {
        loop {
            let (user_id, announced, failures) = self.delivery.next();
            let attempt = self.attempt(&user_id, failures);
            self.delivery.done(user_id, announced, attempt);
        }
    }

    fn attempt(&self, user_id: &str, failures: u32) -> Attempt {
        let (receipt, event) = match self.runtime.block_on(self.store.first_event(user_id)) {
            Ok(Some(first)) => first,
            Ok(None) => return Attempt::Nothing,
            Err(error) => {
                tracing::debug!("events: {error}");
                return Attempt::Again(NOT_NOW);
            }
        };
        match send(&self.settings, &self.agent, &event) {
            Ok(()) => {
                self.delivery.metrics.event_delivered();
                self.forget(user_id, &receipt, &event);
                Attempt::Delivered
            }
            Err(why) => {
                self.delivery.metrics.event_failed();
                if failures < self.settings.retries {
                    tracing::debug!(why, "the webhook");
                    let doubled = FIRST_WAIT.saturating_mul(1 << failures.min(16));
                    return Attempt::Again(doubled);
                }
                tracing::warn!(why, "an event could not be delivered to the webhook");
                self.delivery.metrics.events_dropped(1);
                self.forget(user_id, &receipt, &event);
                Attempt::GivenUp
            }
        }
    }

    fn forget(&self, user_id: &str, receipt: &Receipt, event: &Event) {
        let forgotten = self.store.event_delivered(user_id, receipt);
        let result: Result<(), StoreError> = self.runtime.block_on(forgotten);
        if let Err(error) = result {
            // It will be delivered once more.
            tracing::warn!(user = event.user_id, "an event that was delivered: {error}");
        }
    }
}
