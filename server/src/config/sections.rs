//! The sections of the settings file, with their defaults.

use super::bounded::within;
use crate::limits::{ConnectionLimits, FailureLimits, LoginLimits};
use crate::token::KeyAges;
use serde::Deserialize;
use std::time::Duration;

/// When two devices that keep taking a session from each other must wait.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Takeovers {
    /// After this many within `window_s`; 0: never.
    #[serde(deserialize_with = "within::<_, _, 0, 1000>")]
    pub max: u32,
    #[serde(deserialize_with = "within::<_, _, 1, 3600>")]
    pub window_s: u32,
    #[serde(deserialize_with = "within::<_, _, 1, 3600>")]
    pub wait_s: u32,
}

impl Default for Takeovers {
    fn default() -> Takeovers {
        Takeovers {
            max: 6,
            window_s: 60,
            wait_s: 10,
        }
    }
}

/// How old the keys that sign session tokens may get.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenKeys {
    /// 0: one key is used forever.
    #[serde(deserialize_with = "within::<_, _, 0, 3650>")]
    pub renew_days: u32,
    /// How long tokens of an old key are accepted.
    #[serde(deserialize_with = "within::<_, _, 1, 3650>")]
    pub keep_days: u32,
}

impl Default for TokenKeys {
    fn default() -> TokenKeys {
        TokenKeys {
            renew_days: 90,
            keep_days: 180,
        }
    }
}

impl From<&TokenKeys> for KeyAges {
    fn from(days: &TokenKeys) -> KeyAges {
        let ms = |days| i64::from(days) * 86_400_000;
        KeyAges {
            renew_ms: (days.renew_days > 0).then(|| ms(days.renew_days)),
            keep_ms: ms(days.keep_days),
        }
    }
}

/// How many tickets may fail.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Throttle {
    /// For one user at one address, within `window_s`; 0: no limit.
    #[serde(deserialize_with = "within::<_, _, 0, 1_000_000>")]
    pub failures: u32,
    /// For one address.
    #[serde(deserialize_with = "within::<_, _, 0, 1_000_000>")]
    pub address_failures: u32,
    #[serde(deserialize_with = "within::<_, _, 1, 3600>")]
    pub window_s: u64,
    #[serde(deserialize_with = "within::<_, _, 1, 3600>")]
    pub wait_s: u64,
}

impl Default for Throttle {
    fn default() -> Throttle {
        Throttle {
            failures: 10,
            address_failures: 100,
            window_s: 60,
            wait_s: 30,
        }
    }
}

impl From<&Throttle> for FailureLimits {
    fn from(throttle: &Throttle) -> FailureLimits {
        FailureLimits {
            failures: throttle.failures,
            address_failures: throttle.address_failures,
            window: Duration::from_secs(throttle.window_s),
            wait: Duration::from_secs(throttle.wait_s),
        }
    }
}

/// Limits on the resources that clients may use.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    #[serde(deserialize_with = "within::<_, _, 1, 1_000_000>")]
    pub connections: usize,
    #[serde(deserialize_with = "within::<_, _, 100, 600_000>")]
    pub header_timeout_ms: u64,
    #[serde(deserialize_with = "within::<_, _, 100, 600_000>")]
    pub body_timeout_ms: u64,
    /// How long sent data may stay unread.
    #[serde(deserialize_with = "within::<_, _, 100, 600_000>")]
    pub unread_timeout_ms: u64,
    #[serde(deserialize_with = "within::<_, _, 1, 1_000_000>")]
    pub logins_at_once: usize,
    #[serde(deserialize_with = "within::<_, _, 0, 60_000>")]
    pub login_wait_ms: u64,
    /// Logins, resumes and logouts of one user per minute; 0: no limit.
    #[serde(deserialize_with = "within::<_, _, 0, 1_000_000>")]
    pub requests_per_user: u32,
    /// 0: no limit.
    #[serde(deserialize_with = "within::<_, _, 0, 1_000_000>")]
    pub streams_per_user: usize,
    /// 0: no limit.
    #[serde(deserialize_with = "within::<_, _, 0, 1_000_000>")]
    pub streams_per_address: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 100_000,
            header_timeout_ms: 10_000,
            body_timeout_ms: 10_000,
            unread_timeout_ms: 120_000,
            logins_at_once: 1000,
            login_wait_ms: 2000,
            requests_per_user: 600,
            streams_per_user: 64,
            streams_per_address: 0,
        }
    }
}

impl From<&Limits> for ConnectionLimits {
    fn from(limits: &Limits) -> ConnectionLimits {
        ConnectionLimits {
            connections: limits.connections,
            header_timeout: Duration::from_millis(limits.header_timeout_ms),
            body_timeout: Duration::from_millis(limits.body_timeout_ms),
            unread_timeout: Duration::from_millis(limits.unread_timeout_ms),
        }
    }
}

impl From<&Limits> for LoginLimits {
    fn from(limits: &Limits) -> LoginLimits {
        LoginLimits {
            logins_at_once: limits.logins_at_once,
            login_wait: Duration::from_millis(limits.login_wait_ms),
            requests_per_user: limits.requests_per_user,
            streams_per_user: limits.streams_per_user,
            streams_per_address: limits.streams_per_address,
        }
    }
}
