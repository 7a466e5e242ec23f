//! What may change while the server runs: replaced whole, and read anew by every request.

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

/// The settings of the moment. Has no `Debug`: there are keys in it.
pub struct Settings {
    pub app: App,
    pub rules: Rules,
    /// The users who administer the app.
    pub admins: Vec<String>,
    /// Whether the operator's listener gives the figures to whoever reaches it.
    pub admin_metrics: bool,
    /// Of streams that begin from now on.
    pub heartbeat: Duration,
    pub failures: FailureLimits,
    pub logins: LoginLimits,
    pub connections: ConnectionLimits,
    pub token_keys: KeyAges,
    pub tickets: TicketLimits,
    /// Who stands between the server and its clients.
    pub proxies: Proxies,
    /// The web pages that may read answers.
    pub allowed_origins: Vec<String>,
    /// Whether logs name users.
    pub log_users: bool,
    pub audit: Audit,
    /// Of connections that begin from now on; none where the server speaks without TLS.
    pub tls: Option<TlsAcceptor>,
}

/// Where the settings are read.
pub struct Current(ArcSwap<Settings>);

impl Current {
    pub fn new(settings: Settings) -> Current {
        Current(ArcSwap::from_pointee(settings))
    }

    /// The settings of now, which a request keeps to its end.
    pub fn get(&self) -> Guard<Arc<Settings>> {
        self.0.load()
    }

    /// Puts others in their place.
    pub fn replace(&self, settings: Settings) {
        self.0.store(Arc::new(settings));
    }
}
