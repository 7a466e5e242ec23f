//! Where the settings say that users are kept.

use super::valkey::Address;
use super::{Opened, StoreError, embedded, valkey};
use crate::config::Config;
use crate::reload;
use std::path::PathBuf;
use tim_proto::edges;

/// The engine's password, where no file has it.
const PASSWORD_VARIABLE: &str = "TIM_SERVER_STORE_PASSWORD";

/// A place for users' records.
pub enum Place {
    /// A data directory.
    Embedded(PathBuf),
    /// An engine that nodes share.
    Shared(Address),
}

impl Place {
    /// The place that the settings name.
    pub fn of(config: &Config) -> Result<Place, String> {
        let Some(place) = config.store.as_deref().filter(|place| *place != "embedded") else {
            return Ok(Place::Embedded(reload::data_dir(config).to_owned()));
        };
        let password = match &config.store_password_file {
            Some(file) => {
                let text = std::fs::read_to_string(file)
                    .map_err(|error| format!("{}: {error}", file.display()))?;
                // A password may end with a blank.
                Some(edges::without_line_ends(&text).to_owned())
            }
            None => std::env::var(PASSWORD_VARIABLE)
                .ok()
                .map(|text| edges::without_line_ends(&text).to_owned()),
        };
        Address::parse(place, password.as_deref())
            .map(Place::Shared)
            .map_err(|error| format!("store: {error}"))
    }

    /// Opens it for a server of this app.
    pub fn open(self, app: u32) -> Result<Opened, StoreError> {
        match self {
            Place::Embedded(directory) => embedded::open(&directory),
            Place::Shared(address) => valkey::open(address, app),
        }
    }
}
