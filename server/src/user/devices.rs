//! The devices on which a user logs in.

use super::{Rules, Session};
use crate::calendar::Day;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tim_proto::Platform;

/// How many devices of a user are kept; the latest stay.
const DEVICES_MAX: usize = 32;

/// A device. Between logins only its last day changes, so a known device costs one write a day.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Device {
    pub device_id: Arc<str>,
    pub platform: Platform,
    pub device_name: Arc<str>,
    /// The first login, in ms of Unix time.
    pub first_ms: i64,
    /// The day of the last login or resume.
    pub last_day: Day,
}

/// A user's devices. Records that differ elsewhere share them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Devices(Arc<Vec<Device>>);

impl Devices {
    pub(super) fn shrink_to_fit(&mut self) {
        if let Some(devices) = Arc::get_mut(&mut self.0) {
            devices.shrink_to_fit();
        }
    }

    /// Records that this session's device is in use.
    pub(super) fn note(&mut self, session: &Session, rules: &Rules, now_ms: i64) {
        let day = rules.time_zone.day(now_ms);
        let is_it = |device: &Device| device.device_id == session.device_id;
        if let Some(at) = self.0.iter().position(is_it) {
            let known = &self.0[at];
            let noted = Device {
                platform: session.platform,
                device_name: session.device_name.clone(),
                last_day: known.last_day.max(day),
                ..known.clone()
            };
            if noted != *known {
                Arc::make_mut(&mut self.0)[at] = noted;
            }
            return;
        }
        let devices = Arc::make_mut(&mut self.0);
        if devices.len() == DEVICES_MAX
            && let Some(oldest) = (0..DEVICES_MAX).min_by_key(|at| devices[*at].last_day)
        {
            devices.remove(oldest);
        }
        devices.push(Device {
            device_id: session.device_id.clone(),
            platform: session.platform,
            device_name: session.device_name.clone(),
            first_ms: now_ms,
            last_day: day,
        });
    }

    pub fn iter(&self) -> impl Iterator<Item = &Device> {
        self.0.iter()
    }

    pub(super) fn has(&self, device_id: &str) -> bool {
        self.0.iter().any(|device| *device.device_id == *device_id)
    }
}
