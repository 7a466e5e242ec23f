//! What may change while the server runs: replaced as a whole, and read by every request.

use crate::audit::Audit;
use crate::client_address::Proxies;
use crate::identity_file::App;
use crate::limits::{ConnectionLimits, FailureLimits, LoginLimits, TicketLimits};
use crate::token::KeyAges;
use crate::user::Rules;
use arc_swap::{ArcSwap, Guard};
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsAcceptor;

/// The current settings. They have no `Debug`: they contain keys.
pub struct Settings {
    pub app: App,
    pub rules: Rules,
    /// The users who administer the app.
    pub admins: Vec<String>,
    /// Whether the operator's listener serves the metrics without a ticket.
    pub admin_metrics: bool,
    /// For streams opened from now on.
    pub heartbeat: Duration,
    pub failures: FailureLimits,
    pub logins: LoginLimits,
    pub connections: ConnectionLimits,
    pub token_keys: KeyAges,
    pub tickets: TicketLimits,
    /// The proxies between the server and its clients.
    pub proxies: Proxies,
    /// The web origins that may read answers.
    pub allowed_origins: Vec<String>,
    /// Whether logs name users.
    pub log_users: bool,
    pub audit: Audit,
    /// For connections opened from now on; `None` if the server runs without TLS.
    pub tls: Option<TlsAcceptor>,
}

/// Gives access to the current settings.
pub struct Current(ArcSwap<Settings>);

impl Current {
    pub fn new(settings: Settings) -> Current {
        Current(ArcSwap::from_pointee(settings))
    }

    /// The current settings, which a request keeps to its end.
    pub fn get(&self) -> Guard<Arc<Settings>> {
        self.0.load()
    }

    /// Replaces the settings.
    pub fn replace(&self, settings: Settings) {
        self.0.store(Arc::new(settings));
    }
}
