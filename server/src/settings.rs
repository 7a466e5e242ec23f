//! What may change while the server runs: replaced whole, and read anew by every request.

use crate::identity_file::App;
use crate::room;
use crate::throttle;
use crate::user::Rules;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// The settings of the moment. Has no `Debug`: there are keys in it.
pub struct Settings {
    pub app: App,
    pub rules: Rules,
    pub heartbeat: Duration,
    pub throttle: throttle::Bounds,
    pub room: room::Bounds,
}

/// Where the settings are read.
pub struct Current(RwLock<Arc<Settings>>);

impl Current {
    pub fn new(settings: Settings) -> Current {
        Current(RwLock::new(Arc::new(settings)))
    }

    /// The settings of now, which a request keeps to its end.
    pub fn get(&self) -> Arc<Settings> {
        let settings = self.0.read().unwrap_or_else(PoisonError::into_inner);
        settings.clone()
    }
}
