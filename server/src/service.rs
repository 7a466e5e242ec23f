//! The service behind the listeners: decisions over users' records, its settings, its end.

mod faults;
mod operator;
mod owner;
mod refused;
mod requests;
mod told;

pub use faults::Whose;
pub use owner::Stream;
pub use refused::Refused;

use crate::clock::now_ms;
use crate::faults::Faults;
use crate::figures::Tally;
use crate::metrics::Metrics;
use crate::reconcile::Lately;
use crate::room::{Deciding, Seats};
use crate::settings::{Current, Settings};
use crate::store::{Opened, Store, Swapped, Versioned};
use crate::stream::Streams;
use crate::tickets::Tickets;
use crate::timer::Timer;
use crate::token::TokenKey;
use crate::user::{Push, Pushed, User};
use arc_swap::Guard;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tim_proto::code;
use tim_proto::wire::{GoingAwayEvent, StreamEvent};
use told::{Seen, Watched};

/// How often a decision is taken anew because somebody was faster.
const TRIES: usize = 100;

/// The service behind the routes.
pub struct Service {
    settings: Current,
    tickets: Tickets,
    deciding: Deciding,
    seats: Arc<Seats>,
    timer: Arc<Timer>,
    store: Arc<dyn Store>,
    /// The newest first.
    token_keys: Mutex<Arc<[TokenKey]>>,
    node: u64,
    streams: Arc<Streams>,
    last_id: AtomicU64,
    metrics: Metrics,
    watched: Option<Watched>,
    faults: Option<Box<Faults>>,
    /// The process is about to end.
    going: AtomicBool,
    /// What has ended here lately, where nodes share the store.
    pub(crate) lately: Lately,
}

impl Service {
    pub fn new(settings: Settings, opened: Opened) -> Result<Service, String> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| format!("no random numbers: {error}"))?;
        let streams: Arc<Streams> = Arc::default();
        let for_pushes = streams.clone();
        opened.store.watch(Box::new(move |push| {
            for_pushes.push(push.to.stream_id, push.what);
        }));
        Ok(Service {
            settings: Current::new(settings),
            tickets: Tickets::default(),
            deciding: Deciding::default(),
            seats: Arc::default(),
            timer: Timer::start().map_err(|error| format!("no thread: {error}"))?,
            store: opened.store,
            token_keys: Mutex::new(opened.token_keys.into()),
            node: opened.node,
            streams,
            watched: None,
            faults: None,
            lately: Lately::default(),
            metrics: Metrics::default(),
            going: AtomicBool::new(false),
            // Session ids differ from those of earlier runs and other nodes, which are in tokens.
            last_id: AtomicU64::new(u64::from_le_bytes(random) >> 1),
        })
    }

    fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed)
    }

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
            let Versioned {
                user: before,
                version,
            } = (self.metrics).store_load(self.store.load(user_id)).await?;
            let (mut user, mut pushes) = (User::clone(&before), Vec::new());
            let now = now_ms();
            user.tidy(now);
            user.nodes_died(|node| self.store.is_dead(node), now);
            user.end_absent(&self.settings.get().rules, now);
            let tidied = self.watched.as_ref().map(|_| user.clone());
            let decision = rule(&mut user, now, &mut pushes);
            if user == *before {
                return Ok(decision);
            }
            let gone = match self.store.is_shared() {
                true => user.gone_since(&before),
                false => Vec::new(),
            };
            let seen = tidied.map(|tidied| Seen::of(&before, &tidied, &user));
            let swap = async {
                match self.store.swap(user_id, version, user).await? {
                    Swapped::Late => Ok(false),
                    Swapped::Done(written) => {
                        self.lately.add(user_id, gone);
                        self.push(pushes).await;
                        written.wait().await?;
                        Ok::<_, Refused>(true)
                    }
                }
            };
            if self.metrics.store_swap(swap).await? {
                if let Some(seen) = seen {
                    self.report(user_id, from, seen, now);
                }
                return Ok(decision);
            }
        }
        Err(Refused::new(
            code::SERVER_TIMEOUT,
            "too many requests of this user at once",
        ))
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

    /// The figures of this node.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The settings of now.
    pub fn settings(&self) -> Guard<Arc<Settings>> {
        self.settings.get()
    }

    pub(crate) fn streams(&self) -> &Streams {
        &self.streams
    }

    /// How often a silent stream carries a heartbeat.
    pub fn heartbeat(&self) -> Duration {
        self.settings.get().heartbeat
    }

    /// Whether other nodes decide over the same records.
    pub fn is_one_of_many(&self) -> bool {
        self.store.is_shared()
    }

    /// How many streams are open.
    pub fn open_streams(&self) -> u64 {
        self.streams.count()
    }

    /// The server is going: every stream is told when to come back, and ends.
    pub fn say_goodbye(&self) {
        self.going.store(true, Ordering::SeqCst);
        let spread = self.streams.spread_ms();
        self.streams.end_all(|place| going_away(place, spread));
    }

    fn is_going(&self) -> bool {
        self.going.load(Ordering::SeqCst)
    }

    /// Whether logins are served, or else why not.
    pub async fn ready(&self) -> Result<(), &'static str> {
        if self.is_going() {
            return Err("draining\n");
        }
        let store = self.store.ready().await;
        store.map_err(|error| {
            tracing::debug!("{error}");
            "the store does not work\n"
        })
    }

    /// Has what follows done by other settings.
    pub fn replace_settings(&self, settings: Settings) {
        self.settings.replace(settings);
    }

    fn token_keys(&self) -> Arc<[TokenKey]> {
        let keys = self.token_keys.lock();
        keys.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives old token keys their successors, and learns of those that other nodes have made.
    async fn turn_token_keys(&self) {
        let ages = self.settings.get().token_keys;
        match self.store.turn_token_keys(&ages, now_ms()).await {
            Ok(keys) => {
                let held = self.token_keys.lock();
                *held.unwrap_or_else(PoisonError::into_inner) = keys.into();
            }
            Err(error) => tracing::warn!("token keys: {error}"),
        }
    }

    /// Does what time makes due: sessions end that nobody came back to, users are forgotten of whom
    /// nothing is left, token keys turn.
    pub async fn look_after(&self) {
        // What the sweep takes for void has been told by then.
        let now = now_ms();
        self.end_absent(now).await;
        self.sweep(now);
        self.turn_token_keys().await;
    }

    fn sweep(&self, now_ms: i64) {
        let tally = Tally {
            logins: 0,
            online_max: self.streams.count(),
        };
        // One node alone says so at logins; of several, each has to know how many the others have.
        if self.store.is_shared() {
            self.store
                .tally(self.settings.get().rules.time_zone.day(now_ms), tally);
        }
        self.store.sweep(now_ms);
    }
}

/// One slot each, spread evenly.
fn going_away(place: u64, spread_ms: u64) -> StreamEvent {
    let return_in_ms = place % spread_ms.max(1);
    StreamEvent::GoingAway(GoingAwayEvent { return_in_ms })
}
