//! What `fuzz/` feeds: parsers that are nobody's interface. Built with `--cfg fuzzing` alone.

use crate::config::Config;
use crate::http;
use crate::room;
use crate::store::valkey;

/// Reads settings, without the files that they name; what the operator would be told.
pub fn configuration(text: &str) -> Result<(), String> {
    let mut config = Config::parse(text)?;
    config.rules();
    let _ = (
        http::Limits::from(&config.limits),
        room::Bounds::from(&config.limits),
    );
    if let Some(store) = &config.store {
        valkey::Address::parse(store, None)?;
    }
    config.webhook_token_file = None;
    config.webhook(1).map(drop)
}
