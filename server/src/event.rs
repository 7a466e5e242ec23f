//! An event for the app's backend: one change of a user. It is stored with the decision that caused
//! it and delivered by the webhook.

use crate::user::Change;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// One change of a user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub user_id: String,
    pub change: Change,
    /// The client's address, if known.
    pub from: Option<IpAddr>,
    pub time_ms: i64,
}
