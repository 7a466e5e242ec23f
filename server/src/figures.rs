//! Usage figures of the app, per day.

use crate::calendar::Day;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many days' figures are kept.
pub const DAYS_KEPT: u32 = 400;

/// One day's figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DayFigures {
    /// Users who logged in or resumed, each counted once.
    pub active: u64,
    /// Accounts created.
    pub registered: u64,
    #[serde(flatten)]
    pub tally: Tally,
}

/// Counted outside the users' records: if the process dies, up to a minute of it is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Accepted logins and resumes.
    pub logins: u64,
    /// The highest number of open streams.
    pub online_max: u64,
}

impl Tally {
    /// Adds what was counted later.
    pub fn add(&mut self, later: Tally) {
        self.logins += later.logins;
        self.online_max = self.online_max.max(later.online_max);
    }
}

/// The figures of several days.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// How many accounts were ever created.
    pub registered: u64,
    /// How many of them were removed.
    pub removed: u64,
    /// Days without figures are left out.
    pub days: BTreeMap<Day, DayFigures>,
}

impl Figures {
    /// How many accounts had ever been created by the end of a day. The figures must cover that day
    /// up to today.
    pub fn registered_until(&self, day: Day) -> u64 {
        let later = self.days.range(Day(day.0 + 1)..);
        let later: u64 = later.map(|(_, figures)| figures.registered).sum();
        self.registered.saturating_sub(later)
    }
}
