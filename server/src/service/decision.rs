//! Decisions over users' records: made by a rule, swapped in the store, pushed to streams.

use super::{Service, reports};
use crate::clock::now_ms;
use crate::event::Event;
use crate::recent_endings::Ending;
use crate::refused::Refused;
use crate::store::{Swap, Swapped, Versioned};
use crate::user::{Push, Pushed, User};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tim_proto::code;
use tokio::sync::Notify;

/// How often a decision is repeated because another one came first.
const TRIES: usize = 100;

/// The change made by a decision.
struct Changed {
    user: Arc<User>,
    pushes: Vec<Push>,
    /// What a fail-over must not undo, if the store is shared.
    ended: Vec<Ending>,
    /// The operator decided it.
    is_decided: bool,
    events: Vec<Event>,
}

/// Counts the decisions in progress.
#[derive(Default)]
pub(super) struct UnderWay {
    count: AtomicUsize,
    none_left: Notify,
}

struct OneUnderWay<'a>(&'a UnderWay);

impl UnderWay {
    fn enter(&self) -> OneUnderWay<'_> {
        self.count.fetch_add(1, Ordering::SeqCst);
        OneUnderWay(self)
    }

    /// Completes once no decision is in progress.
    pub(super) async fn finished(&self) {
        loop {
            let none_left = self.none_left.notified();
            if self.count.load(Ordering::SeqCst) == 0 {
                return;
            }
            none_left.await;
        }
    }
}

impl Drop for OneUnderWay<'_> {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.none_left.notify_waiters();
        }
    }
}

impl Service {
    /// Decides over a user's record. The decision is durable once this returns, and so is whatever
    /// a decision without changes relies on. The streams concerned learn of it before it is
    /// durable: a device that a login displaces waits for no disk, and if the power fails in
    /// between, the login was not answered and will be repeated.
    ///
    /// Must not be dropped before it is done: a caller that may be cancelled runs it in a task of
    /// its own.
    pub(crate) async fn decide<T>(
        &self,
        user_id: &str,
        rule: impl FnMut(&mut User, i64, &mut Vec<Push>) -> T,
    ) -> Result<T, Refused> {
        self.decide_for(user_id, None, rule).await
    }

    /// The same, for a request from this address.
    pub(crate) async fn decide_for<T>(
        &self,
        user_id: &str,
        from: Option<IpAddr>,
        mut rule: impl FnMut(&mut User, i64, &mut Vec<Push>) -> T,
    ) -> Result<T, Refused> {
        let _under_way = self.under_way.enter();
        for _ in 0..TRIES {
            let start = Instant::now();
            let loaded = self.store.load(user_id).await;
            self.metrics.store_loaded(start.elapsed());
            let Versioned { user, version } = loaded?;
            let (decision, changed) = self.decide_over(user_id, from, user, &mut rule);
            let Some(changed) = changed else {
                self.store.settled(user_id).await?;
                return Ok(decision);
            };
            let start = Instant::now();
            let swapped = self.swap(user_id, version, changed).await;
            self.metrics.store_swapped(start.elapsed());
            if swapped? {
                return Ok(decision);
            }
        }
        Err(Refused::new(
            code::SERVER_TIMEOUT,
            "this user sent too many requests at once",
        ))
    }

    /// What a rule decides over a record, and the change, if any. A separate function, so that none
    /// of its state is kept while waiting for the store.
    fn decide_over<T>(
        &self,
        user_id: &str,
        from: Option<IpAddr>,
        before: Arc<User>,
        rule: &mut impl FnMut(&mut User, i64, &mut Vec<Push>) -> T,
    ) -> (T, Option<Changed>) {
        let mut changed = before.clone();
        let user = Arc::make_mut(&mut changed);
        let (now, mut pushes) = (now_ms(), Vec::new());
        user.tidy(now);
        user.nodes_died(|node| self.store.is_dead(node), now);
        user.end_absent(&self.settings.get().rules, now);
        let tidied = self.delivery.as_ref().map(|_| user.clone());
        let signed_out = self.store.signed_out();
        if user
            .sessions
            .iter()
            .any(|session| session.epoch <= signed_out.epoch)
        {
            user.end_all_below(signed_out.epoch, code::USER_SIG_REVOKED, &mut pushes);
        }
        let decision = rule(user, now, &mut pushes);
        if *user == *before {
            return (decision, None);
        }
        let events = match (tidied, &self.delivery) {
            (Some(tidied), Some(delivery)) => {
                user.came_from(from, &before);
                let mut events = reports::events(user_id, (&before, &tidied, user), from, now);
                if !delivery.accepts(events.len()) {
                    events.clear();
                }
                events
            }
            _ => Vec::new(),
        };
        let decided = user.decided_since(&before);
        let changed = Changed {
            is_decided: decided.is_some(),
            ended: match self.store.is_shared() {
                true => {
                    let gone = user.gone_since(&before).into_iter().map(Ending::Gone);
                    gone.chain(decided.map(Ending::Decided)).collect()
                }
                false => Vec::new(),
            },
            events,
            user: changed,
            pushes,
        };
        (decision, Some(changed))
    }

    /// `false` if another decision came first.
    async fn swap(&self, user_id: &str, version: u64, changed: Changed) -> Result<bool, Refused> {
        let swap = Swap {
            user_id,
            version,
            due_ms: changed.user.due_ms(&self.settings.get().rules),
            user: changed.user,
            events: changed.events,
        };
        let Swapped::Done(written) = self.store.swap(swap).await? else {
            return Ok(false);
        };
        self.recent_endings.add(user_id, changed.ended);
        self.push(changed.pushes).await;
        written.wait().await?;
        if changed.is_decided {
            self.store.confirm(user_id).await?;
        }
        Ok(true)
    }

    async fn push(&self, mut pushes: Vec<Push>) {
        pushes.retain(|push| {
            if let Pushed::Kicked(kick) = &push.what {
                self.metrics.kicked(kick.cause);
            }
            let here = push.to.node == self.node;
            if here {
                self.streams.push(push.to.stream_id, push.what.clone());
            }
            !here
        });
        if !pushes.is_empty()
            && let Err(error) = self.store.push(&pushes).await
        {
            // The other node finds out at its next heartbeat.
            tracing::warn!("a push to another node: {error}");
        }
    }
}
