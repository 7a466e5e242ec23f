//! Entry points for `fuzz/`: parsers that are not public. Built with `--cfg fuzzing` only.

use crate::config::Config;
use crate::limits::{ConnectionLimits, LoginLimits};
use crate::store::valkey;

/// Parses settings without the files they name; the error is the message for the operator.
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
