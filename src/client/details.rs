//! What a client knows about its past, as JSON.

use super::Client;
use crate::error;
use crate::sync::lock;
use serde::Serialize;
use tim_proto::Platform;
use tim_proto::wire::{Kick, KickCause};

impl Client {
    /// The login whose session was last taken over, and by whom.
    pub(crate) fn kick_info(&self) -> Option<(u64, Kick)> {
        let inner = lock(&self.inner);
        let (login_id, kick) = inner.session.kick_info()?;
        Some((login_id, kick.clone()))
    }

    /// Who took the last session over, as `tim_get_kick_info` returns it.
    pub fn kick_info_json(&self) -> String {
        #[derive(Serialize)]
        struct Info<'a> {
            login_id: u64,
            cause: KickCause,
            platform: Option<Platform>,
            device_name: &'a str,
            time_ms: i64,
        }
        let inner = lock(&self.inner);
        let Some((login_id, kick)) = inner.session.kick_info() else {
            return "{}".to_owned();
        };
        // Strings and numbers always serialize.
        serde_json::to_string(&Info {
            login_id,
            cause: kick.cause,
            platform: kick.platform,
            device_name: &kick.device_name,
            time_ms: kick.time_ms,
        })
        .unwrap_or_default()
    }

    /// The last failure, as `tim_get_last_error` returns it.
    pub fn last_error_json(&self) -> String {
        #[derive(Serialize)]
        struct Info<'a> {
            login_id: u64,
            code: i32,
            name: &'a str,
            message: &'a str,
            phase: &'a str,
            cause: &'a str,
            address: &'a str,
            retry_after_ms: u64,
        }
        let inner = lock(&self.inner);
        let Some(last) = inner.session.last_error() else {
            return "{}".to_owned();
        };
        // The table's texts are UTF-8, and strings and numbers always serialize.
        serde_json::to_string(&Info {
            login_id: last.login_id,
            code: last.code,
            name: error::name_of(last.code).to_str().unwrap_or_default(),
            message: error::message(last.code).to_str().unwrap_or_default(),
            phase: last.phase.name(),
            cause: &last.cause,
            address: &last.address,
            retry_after_ms: last.retry_after_ms,
        })
        .unwrap_or_default()
    }
}
