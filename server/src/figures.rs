//! Figures of the app, day by day.

use crate::calendar::Day;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How long a day's figures are kept.
pub const DAYS_KEPT: u32 = 400;

/// What a day saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DayFigures {
    /// How many users logged in or resumed, each once.
    pub active: u64,
    /// How many accounts were made.
    pub registered: u64,
    #[serde(flatten)]
    pub tally: Tally,
}

/// What is counted beside the users' records: a process that dies may lose a minute of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Accepted logins and resumes.
    pub logins: u64,
    /// The most streams that were open at once.
    pub online_max: u64,
}

impl Tally {
    /// Takes in what was counted later.
    pub fn add(&mut self, later: Tally) {
        self.logins += later.logins;
        self.online_max = self.online_max.max(later.online_max);
    }
}

/// The figures of some days.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// How many accounts were ever made.
    pub registered: u64,
    /// How many of them were removed.
    pub removed: u64,
    /// Days without any are left out.
    pub days: BTreeMap<Day, DayFigures>,
}

impl Figures {
    /// How many accounts had ever been made at the end of a day. The figures must reach from there
    /// to today.
    pub fn registered_until(&self, day: Day) -> u64 {
        let later = self.days.range(Day(day.0 + 1)..);
        let later: u64 = later.map(|(_, figures)| figures.registered).sum();
        self.registered.saturating_sub(later)
    }
}
