//! The service behind the listeners: its state, its settings, its shutdown.

mod asker;
mod decision;
mod faults;
mod operator;
mod outcome;
mod owner;
mod reports;
mod requests;

pub use asker::{Asker, Request};
pub use faults::Whose;
pub use owner::Stream;

use crate::admission::{LoginSlots, StreamQuota};
use crate::clock::now_ms;
use crate::faults::Faults;
use crate::figures::Tally;
use crate::metrics::Metrics;
use crate::recent_endings::RecentEndings;
use crate::settings::{Current, Settings};
use crate::store::{Opened, Store, Watch};
use crate::stream::Streams;
use crate::tickets::Tickets;
use crate::timer::Timer;
use crate::token::TokenKey;
use crate::user_rate::UserRates;
use crate::webhook::{self, Delivery};
use arc_swap::Guard;
use decision::UnderWay;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tim_proto::wire::{GoingAwayEvent, StreamEvent};

/// The service behind the routes.
pub struct Service {
    settings: Current,
    tickets: Tickets,
    slots: LoginSlots,
    quota: Arc<StreamQuota>,
    rates: UserRates,
    timer: Arc<Timer>,
    store: Arc<dyn Store>,
    /// Newest first.
    token_keys: Mutex<Arc<[TokenKey]>>,
    node: u64,
    streams: Arc<Streams>,
    last_id: AtomicU64,
    metrics: Arc<Metrics>,
    /// Delivers decisions to the app's backend.
    delivery: Option<Arc<Delivery>>,
    under_way: UnderWay,
    faults: Option<Box<Faults>>,
    /// The process is shutting down.
    going: AtomicBool,
    /// What ended here recently, if nodes share the store.
    pub(crate) recent_endings: RecentEndings,
}

impl Service {
    pub fn new(settings: Settings, opened: Opened) -> Result<Service, String> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| format!("no random numbers: {error}"))?;
        Ok(Service {
            settings: Current::new(settings),
            tickets: Tickets::default(),
            slots: LoginSlots::default(),
            quota: Arc::default(),
            rates: UserRates::default(),
            timer: Timer::start().map_err(|error| format!("no thread: {error}"))?,
            store: opened.store,
            token_keys: Mutex::new(opened.token_keys.into()),
            node: opened.node,
            streams: Arc::default(),
            delivery: None,
            under_way: UnderWay::default(),
            faults: None,
            recent_endings: RecentEndings::default(),
            metrics: Arc::default(),
            going: AtomicBool::new(false),
            // Random start, so that session ids differ from those of earlier runs and other nodes,
            // which are in tokens.
            last_id: AtomicU64::new(u64::from_le_bytes(random) >> 1),
        })
    }

    /// Subscribes to other nodes: their pushes, and changes that concern all users.
    pub fn listening(self) -> Arc<Service> {
        let service = Arc::new(self);
        let (for_pushes, for_all) = (service.streams.clone(), Arc::downgrade(&service));
        service.store.watch(Watch {
            push: Box::new(move |push| for_pushes.push(push.to.stream_id, push.what)),
            changed: Box::new(move || {
                if let Some(service) = for_all.upgrade() {
                    service.apply_to_all();
                }
            }),
        });
        service
    }

    /// Applies what concerns all users: the token keys, and that everybody was signed out.
    fn apply_to_all(&self) {
        self.set_token_keys(self.store.token_keys());
        self.streams.end_below(self.store.signed_out().epoch);
    }

    /// Starts delivering events to the app's backend.
    pub fn with_webhook(self, settings: Option<&webhook::Settings>) -> Result<Service, String> {
        let start = |settings| Delivery::start(settings, &self.store, &self.metrics);
        let delivery = settings.map(start).transpose();
        Ok(Service {
            delivery: delivery.map_err(|error| format!("no thread: {error}"))?,
            ..self
        })
    }

    fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed)
    }

    /// The metrics of this node.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The current settings.
    pub fn settings(&self) -> Guard<Arc<Settings>> {
        self.settings.get()
    }

    pub(crate) fn streams(&self) -> &Streams {
        &self.streams
    }

    /// How often an idle stream carries a heartbeat.
    pub fn heartbeat(&self) -> Duration {
        self.settings.get().heartbeat
    }

    /// Whether other nodes share the store.
    pub fn is_one_of_many(&self) -> bool {
        self.store.is_shared()
    }

    /// How many streams are open.
    pub fn open_streams(&self) -> u64 {
        self.streams.count()
    }

    /// The server is shutting down: every stream gets a time to come back, and ends.
    pub fn say_goodbye(&self) {
        self.going.store(true, Ordering::SeqCst);
        let spread = self.streams.spread_ms();
        self.streams.end_all(|place| going_away(place, spread));
    }

    /// Whether the server is shutting down.
    pub fn is_going(&self) -> bool {
        self.going.load(Ordering::SeqCst)
    }

    /// Finishes what is in progress once no more requests arrive: decisions, and deliveries to the
    /// app's backend.
    pub async fn finish(&self) {
        self.under_way.finished().await;
        // Events are announced once they are on disk; the last ones are written with the figures.
        self.write_figures().await;
        if let Some(delivery) = &self.delivery {
            delivery.drained().await;
        }
    }

    /// Whether logins are served; otherwise why not.
    pub async fn ready(&self) -> Result<(), String> {
        if self.is_going() {
            return Err("draining\n".to_owned());
        }
        let ready = self.store.ready().await;
        ready.map_err(|error| format!("{error}\n"))
    }

    /// Replaces the settings for everything that follows.
    pub fn replace_settings(&self, settings: Settings) {
        self.settings.replace(settings);
    }

    fn token_keys(&self) -> Arc<[TokenKey]> {
        let keys = self.token_keys.lock();
        keys.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_token_keys(&self, keys: Vec<TokenKey>) {
        let held = self.token_keys.lock();
        *held.unwrap_or_else(PoisonError::into_inner) = keys.into();
    }

    /// Creates successors of old token keys, and picks up those made by other nodes.
    async fn turn_token_keys(&self) {
        let ages = self.settings.get().token_keys;
        match self.store.turn_token_keys(&ages, now_ms()).await {
            Ok(keys) => self.set_token_keys(keys),
            Err(error) => tracing::warn!("token keys: {error}"),
        }
    }

    /// Does what has become due: ends sessions that nobody resumed, forgets users of whom nothing
    /// is left, renews token keys.
    pub async fn look_after(&self) {
        self.sweep(now_ms()).await;
        self.turn_token_keys().await;
    }

    async fn sweep(&self, now_ms: i64) {
        let settings = self.settings.get();
        let tally = Tally {
            logins: 0,
            online_max: self.streams.count(),
        };
        // A single node says so at logins; of several, each must know how many streams the others
        // have.
        if self.store.is_shared() {
            self.store
                .tally(settings.rules.time_zone.day(now_ms), tally);
        }
        match self.store.sweep(now_ms, &settings.rules).await {
            Ok(due) => {
                for user_id in due {
                    // Looking at a user ends what time has ended. If the store is unavailable, the
                    // next sweep does.
                    let _ = self.look(&user_id, |_, _| ()).await;
                }
            }
            Err(error) => tracing::debug!("sweep: {error}"),
        }
    }
}

/// One slot each, spread evenly.
fn going_away(place: u64, spread_ms: u64) -> StreamEvent {
    let return_in_ms = place % spread_ms.max(1);
    StreamEvent::GoingAway(GoingAwayEvent { return_in_ms })
}
