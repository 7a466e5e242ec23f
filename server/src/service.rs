//! The service behind the listeners: what it holds, its settings, its end.

mod decision;
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
use crate::store::{Opened, Store};
use crate::stream::Streams;
use crate::tickets::Tickets;
use crate::timer::Timer;
use crate::token::TokenKey;
use arc_swap::Guard;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tim_proto::wire::{GoingAwayEvent, StreamEvent};
use told::Watched;

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
