//! Who asks, for the log: what a request says, where it can be believed to be a user and a device.

use super::Service;
use crate::metrics::Asked;
use crate::token;
use serde::Deserialize;
use tim_proto::identity;

/// A user and a device.
#[derive(Default)]
pub struct Asker {
    pub user_id: Option<String>,
    pub device_id: Option<String>,
}

/// What requests have of it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    user_id: Option<String>,
    device_id: Option<String>,
    session: Option<String>,
}

impl Service {
    /// Who asks. A login is named as it names itself, a resume and a logout by a good token alone.
    pub fn asker(&self, asked: Asked, body: &[u8]) -> Asker {
        let said: Said = serde_json::from_slice(body).unwrap_or_default();
        if asked == Asked::Login {
            return Asker {
                user_id: said.user_id.filter(|user_id| identity::is_user_id(user_id)),
                device_id: said.device_id.filter(|id| identity::is_device_id(id)),
            };
        }
        let claims = said
            .session
            .and_then(|session| token::verify(&self.token_keys(), &session));
        claims.map_or_else(Asker::default, |claims| Asker {
            user_id: Some(claims.user_id),
            device_id: Some(claims.device_id.to_string()),
        })
    }
}
