//! Where the settings say that users are kept.

use crate::config::Config;
use crate::store::valkey::{Address, Passwords};
use crate::store::{Opened, StoreError, embedded, valkey};
use std::path::PathBuf;
use tim_proto::edges;

/// The environment variable with the engine's password, unless a file has it.
const PASSWORD_VARIABLE: &str = "TIM_SERVER_STORE_PASSWORD";

/// A place for users' records.
pub enum Place {
    /// A data directory.
    Embedded(PathBuf),
    /// An engine shared by several nodes.
    Shared(Address),
}

impl Place {
    /// The place that the settings name.
    pub fn of(config: &Config) -> Result<Place, String> {
        let Some(place) = config.store.as_deref().filter(|place| *place != "embedded") else {
            return Ok(Place::Embedded(config.data_dir().to_owned()));
        };
        let of_environment = || {
            let password = std::env::var(PASSWORD_VARIABLE).ok()?;
            Some(edges::without_line_ends(&password).to_owned())
        };
        let engine = password_of(&config.store_password_file)?.or_else(of_environment);
        let sentinels = password_of(&config.sentinel_password_file)?;
        let passwords = Passwords {
            engine: engine.as_deref(),
            sentinels: sentinels.as_deref(),
        };
        Address::parse(place, passwords)
            .map(Place::Shared)
            .map_err(|error| format!("store: {error}"))
    }

    /// Opens the store for a server of this app.
    pub fn open(self, app: u32) -> Result<Opened, StoreError> {
        match self {
            Place::Embedded(directory) => embedded::open(&directory),
            Place::Shared(address) => valkey::open(address, app),
        }
    }
}

/// Reads a password file. The password may end with a space.
fn password_of(file: &Option<PathBuf>) -> Result<Option<String>, String> {
    let Some(file) = file else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(Some(edges::without_line_ends(&text).to_owned()))
}
