//! What `fuzz/` feeds: parsers that are nobody's interface. Built with `--cfg fuzzing` alone.

use crate::config::Config;
use crate::limits::{ConnectionLimits, LoginLimits};
use crate::store::valkey;

/// Reads settings, without the files that they name; what the operator would be told.
pub fn configuration(text: &str) -> Result<(), String> {
    let mut config = Config::parse(text)?;
    config.rules();
    let _ = (
        ConnectionLimits::from(&config.limits),
        LoginLimits::from(&config.limits),
    );
    if let Some(store) = &config.store {
        valkey::Address::parse(store, valkey::Passwords::default())?;
    }
    config.webhook_token_file = None;
    config.webhook(1).map(drop)
}
