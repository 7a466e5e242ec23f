//! Decisions over users' records: taken by a rule, swapped in the store, told to streams.

use super::told::Seen;
use super::{Refused, Service};
use crate::clock::now_ms;
use crate::store::{Swapped, Versioned};
use crate::user::{Gone, Push, Pushed, User};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;
use tim_proto::code;

/// How often a decision is taken anew because somebody was faster.
const TRIES: usize = 100;

/// What a decision changes.
struct Changed {
    user: Arc<User>,
    pushes: Vec<Push>,
    /// Sessions that have ended, where other nodes may hold them.
    gone: Vec<Gone>,
    /// Where changes are watched.
    seen: Option<Seen>,
    at_ms: i64,
}

impl Service {
    /// Takes a decision over a user's record: durable once this returns, and told to the streams
    /// that it concerns. They are told before it is durable: whom a login pushes out waits for no
    /// disk, and if the power fails in between, the login was not answered, and comes again.
    pub(crate) async fn decide<T>(
        &self,
        user_id: &str,
        rule: impl FnMut(&mut User, i64, &mut Vec<Push>) -> T,
    ) -> Result<T, Refused> {
        self.decide_for(user_id, None, rule).await
    }

    /// The same for a request from this address.
    pub(crate) async fn decide_for<T>(
        &self,
        user_id: &str,
        from: Option<IpAddr>,
        mut rule: impl FnMut(&mut User, i64, &mut Vec<Push>) -> T,
    ) -> Result<T, Refused> {
        for _ in 0..TRIES {
            let asked = Instant::now();
            let loaded = self.store.load(user_id).await;
            self.metrics.store_loaded(asked.elapsed());
            let Versioned { user, version } = loaded?;
            let (decision, changed) = self.decide_over(user, &mut rule);
            let Some(changed) = changed else {
                return Ok(decision);
            };
            let asked = Instant::now();
            let swapped = self.swap(user_id, from, version, changed).await;
            self.metrics.store_swapped(asked.elapsed());
            if swapped? {
                return Ok(decision);
            }
        }
        Err(Refused::new(
            code::SERVER_TIMEOUT,
            "too many requests of this user at once",
        ))
    }

    /// What a rule decides over a record, and what that changes, if anything. Apart, so that none of
    /// this is kept while the store is waited for.
    fn decide_over<T>(
        &self,
        before: Arc<User>,
        rule: &mut impl FnMut(&mut User, i64, &mut Vec<Push>) -> T,
    ) -> (T, Option<Changed>) {
        let mut changed = before.clone();
        let user = Arc::make_mut(&mut changed);
        let (now, mut pushes) = (now_ms(), Vec::new());
        user.tidy(now);
        user.nodes_died(|node| self.store.is_dead(node), now);
        user.end_absent(&self.settings.get().rules, now);
        let tidied = self.watched.as_ref().map(|_| user.clone());
        let decision = rule(user, now, &mut pushes);
        if *user == *before {
            return (decision, None);
        }
        let changed = Changed {
            gone: match self.store.is_shared() {
                true => user.gone_since(&before),
                false => Vec::new(),
            },
            seen: tidied.map(|tidied| Seen::of(&before, &tidied, user)),
            user: changed,
            pushes,
            at_ms: now,
        };
        (decision, Some(changed))
    }

    /// Whether nobody was faster.
    async fn swap(
        &self,
        user_id: &str,
        from: Option<IpAddr>,
        version: u64,
        changed: Changed,
    ) -> Result<bool, Refused> {
        let Swapped::Done(written) = self.store.swap(user_id, version, changed.user).await? else {
            return Ok(false);
        };
        self.lately.add(user_id, changed.gone);
        self.push(changed.pushes).await;
        written.wait().await?;
        if let Some(seen) = changed.seen {
            self.report(user_id, from, seen, changed.at_ms);
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
            // Heartbeats find out what was not told.
            tracing::warn!("a push to another node: {error}");
        }
    }
}
