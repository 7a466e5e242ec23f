//! Metrics in Prometheus' text format. Counting costs a login a few additions.

mod process;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::time::Duration;
use tim_proto::Platform;
use tim_proto::wire::{self, KickCause};

/// The content type of [`Metrics::to_text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// In seconds: from the latency of a store in memory to where clients give up.
const BUCKETS: [f64; 12] = [
    0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0,
];

/// One label and its value.
type Label<T> = [(&'static str, T); 1];

/// The kinds of client requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    Login,
    Resume,
    Logout,
}

impl RequestKind {
    /// All kinds.
    pub const ALL: [RequestKind; 3] =
        [RequestKind::Login, RequestKind::Resume, RequestKind::Logout];

    /// The path of such a request.
    pub fn path(self) -> &'static str {
        match self {
            RequestKind::Login => wire::LOGIN_PATH,
            RequestKind::Resume => wire::RESUME_PATH,
            RequestKind::Logout => wire::LOGOUT_PATH,
        }
    }
}

/// The metrics of this node.
pub struct Metrics {
    registry: Registry,
    requests: [Requests; 3],
    kicks: Family<Label<&'static str>, Counter>,
    online: Family<Label<&'static str>, Gauge>,
    connections: Gauge,
    store_load: Histogram,
    store_swap: Histogram,
    webhook_pending: Gauge,
    webhook_delivered: Counter,
    webhook_failures: Counter,
    webhook_dropped: Counter,
}

/// Requests of one kind.
struct Requests {
    accepted: Counter,
    by_code: Family<Label<i32>, Counter>,
    seconds: Histogram,
}

impl Default for Metrics {
    fn default() -> Metrics {
        let mut registry = Registry::with_prefix("tim");
        let histograms = || Histogram::new(BUCKETS);
        let latency = Family::<Label<&'static str>, Histogram>::new_with_constructor(histograms);
        registry.register_with_unit(
            "request",
            "Time from the complete request to the head of the answer",
            Unit::Seconds,
            latency.clone(),
        );
        let mut requests = |name, what: &'static str, label| {
            let by_code = Family::<Label<i32>, Counter>::default();
            registry.register(name, what, Family::clone(&by_code));
            Requests {
                accepted: by_code.get_or_create_owned(&[("code", 0)]),
                by_code,
                seconds: latency.get_or_create_owned(&[("request", label)]),
            }
        };
        let requests = [
            requests("logins", "Logins by code, 0: accepted", "login"),
            requests("resumes", "Resumes by code, 0: accepted", "resume"),
            requests("logouts", "Logouts by code, 0: done", "logout"),
        ];
        let kicks = Family::default();
        registry.register(
            "kicks",
            "Kicks decided here, by cause",
            Family::clone(&kicks),
        );
        let online = Family::default();
        registry.register("online", "Open streams by platform", Family::clone(&online));
        let connections = Gauge::default();
        registry.register("connections", "Open connections", connections.clone());
        let store = Family::<Label<&'static str>, Histogram>::new_with_constructor(histograms);
        registry.register_with_unit(
            "store",
            "How long the store takes",
            Unit::Seconds,
            store.clone(),
        );
        let webhook_pending = Gauge::default();
        registry.register(
            "webhook_pending",
            "Events that have not reached the webhook yet",
            webhook_pending.clone(),
        );
        let mut webhook = |name, what: &'static str| {
            let counter = Counter::default();
            registry.register(name, what, counter.clone());
            counter
        };
        let webhook_delivered =
            webhook("webhook_delivered", "Events that the webhook has received");
        let webhook_failures = webhook("webhook_failures", "Webhook requests that failed");
        let webhook_dropped = webhook("webhook_dropped", "Events that were dropped");
        // A series that starts at 0 shows its first event as an increase.
        for platform in Platform::ALL {
            drop(online.get_or_create(&platform_label(platform)));
        }
        for cause in [
            KickCause::OtherDevice,
            KickCause::SameDevice,
            KickCause::Operator,
        ] {
            drop(kicks.get_or_create(&cause_label(cause)));
        }
        for of in &requests {
            drop(of.by_code.get_or_create(&[("code", 0)]));
        }
        registry.register_collector(Box::new(process::Process::default()));
        Metrics {
            registry,
            requests,
            kicks,
            online,
            connections,
            store_load: store.get_or_create_owned(&[("operation", "load")]),
            store_swap: store.get_or_create_owned(&[("operation", "swap")]),
            webhook_pending,
            webhook_delivered,
            webhook_failures,
            webhook_dropped,
        }
    }
}

fn platform_label(platform: Platform) -> Label<&'static str> {
    [("platform", platform.name())]
}

fn cause_label(cause: KickCause) -> Label<&'static str> {
    let name = match cause {
        KickCause::OtherDevice => "other_device",
        KickCause::SameDevice => "same_device",
        KickCause::Operator => "operator",
        KickCause::Unknown => "unknown",
    };
    [("cause", name)]
}

impl Metrics {
    /// Counts a request answered with this code.
    pub fn answered(&self, kind: RequestKind, code: i32, took: Duration) {
        let requests = &self.requests[kind as usize];
        match code {
            0 => requests.accepted.inc(),
            _ => requests.by_code.get_or_create(&[("code", code)]).inc(),
        };
        requests.seconds.observe(took.as_secs_f64());
    }

    /// Counts a kicked session.
    pub fn kicked(&self, cause: KickCause) {
        self.kicks.get_or_create(&cause_label(cause)).inc();
    }

    /// Counts an open stream of this platform until the guard is dropped.
    pub fn online(&self, platform: Platform) -> Counted {
        Counted::one(self.online.get_or_create_owned(&platform_label(platform)))
    }

    /// Counts an open connection until the guard is dropped.
    pub fn connection(&self) -> Counted {
        Counted::one(self.connections.clone())
    }

    /// Records how long the store took to load a record, or to fail.
    pub fn store_loaded(&self, took: Duration) {
        self.store_load.observe(took.as_secs_f64());
    }

    /// Records how long the store took to swap and write a record, or to fail.
    pub fn store_swapped(&self, took: Duration) {
        self.store_swap.observe(took.as_secs_f64());
    }

    /// Sets the number of pending events.
    pub fn events_pending(&self, count: usize) {
        self.webhook_pending
            .set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Counts an event delivered to the webhook.
    pub fn event_delivered(&self) {
        self.webhook_delivered.inc();
    }

    /// Counts a failed delivery attempt.
    pub fn event_failed(&self) {
        self.webhook_failures.inc();
    }

    /// Counts dropped events.
    pub fn events_dropped(&self, count: usize) {
        self.webhook_dropped.inc_by(count as u64);
    }

    /// All metrics, as text.
    pub fn to_text(&self) -> String {
        let mut all = String::new();
        // Writing into memory cannot fail.
        let _ = text::encode(&mut all, &self.registry);
        all
    }
}

/// One more, until dropped.
pub struct Counted(Gauge);

impl Counted {
    fn one(gauge: Gauge) -> Counted {
        gauge.inc();
        Counted(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
