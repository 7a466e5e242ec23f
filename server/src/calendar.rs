//! Days in the app's time zone.

use jiff::civil::Date;
use jiff::fmt::temporal::DateTimeParser;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::hash::{Hash, Hasher};

const DAY_S: i64 = 86_400;
const FIRST: Date = Date::constant(1970, 1, 1);

/// The time zone of the app.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct TimeZone(jiff::tz::TimeZone);

impl Default for TimeZone {
    fn default() -> TimeZone {
        TimeZone(jiff::tz::TimeZone::UTC)
    }
}

/// A day, as the number of days since 1970-01-01. 0 also means none.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Day(pub u32);

impl Hash for TimeZone {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.iana_name().hash(state);
    }
}

impl TryFrom<String> for TimeZone {
    type Error = &'static str;

    fn try_from(text: String) -> Result<TimeZone, &'static str> {
        TimeZone::parse(&text)
            .ok_or("expected a zone such as \"Asia/Shanghai\" or an offset such as \"+08:00\"")
    }
}

impl TimeZone {
    /// Parses `Asia/Shanghai` or `+08:00`.
    pub fn parse(text: &str) -> Option<TimeZone> {
        let parsed = DateTimeParser::new().parse_time_zone(text);
        parsed.ok().map(TimeZone)
    }

    /// The day at a moment in ms of Unix time.
    pub fn day(&self, now_ms: i64) -> Day {
        let now_s = now_ms.div_euclid(1000);
        // Beyond the calendar's range, the offset does not matter.
        let offset_s = Timestamp::from_second(now_s)
            .map_or(0, |now| i64::from(self.0.to_offset(now).seconds()));
        let local_s = now_s.saturating_add(offset_s);
        Day(u32::try_from(local_s.div_euclid(DAY_S)).unwrap_or(0))
    }
}

impl Day {
    /// The day that many days earlier.
    pub fn before(self, days: u32) -> Day {
        Day(self.0.saturating_sub(days))
    }
}

/// In the reference system's date format: YYYYMMDD.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = Span::new().try_days(self.0).unwrap_or_default();
        let date = FIRST.saturating_add(days);
        write!(f, "{}", date.strftime("%Y%m%d"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_written_as_its_date() {
        for (day, date) in [
            (0, "19700101"),
            (58, "19700228"),
            (59, "19700301"),
            (11_016, "20000229"),
            (11_017, "20000301"),
            (19_722, "20231231"),
            (19_723, "20240101"),
            (47_540, "21000228"),
            (47_541, "21000301"),
        ] {
            assert_eq!(Day(day).to_string(), date);
        }
    }

    #[test]
    fn a_day_begins_at_midnight_of_the_time_zone() {
        let midnight_ms = 1_700_000_000_000 / 86_400_000 * 86_400_000;
        let utc = TimeZone::default();
        let first = utc.day(midnight_ms);
        assert_eq!(utc.day(midnight_ms - 1), first.before(1));
        let east = TimeZone::parse("+08:00").unwrap();
        let hour_ms = 3_600_000;
        assert_eq!(east.day(midnight_ms + 16 * hour_ms - 1), first);
        assert_eq!(east.day(midnight_ms + 16 * hour_ms), Day(first.0 + 1));
        let west = TimeZone::parse("-03:30").unwrap();
        assert_eq!(west.day(midnight_ms), first.before(1));
        assert_eq!(west.day(midnight_ms + 7 * hour_ms / 2), first);
    }

    #[test]
    fn a_day_of_a_named_zone_is_an_hour_shorter_where_its_clocks_go_forward() {
        let berlin = TimeZone::parse("Europe/Berlin").unwrap();
        let hour_ms = 3_600_000;
        // 2024-03-31 00:00 in that zone.
        let midnight_ms = 1_711_839_600_000;
        let day = berlin.day(midnight_ms);
        assert_eq!(day.to_string(), "20240331");
        assert_eq!(berlin.day(midnight_ms - 1), day.before(1));
        assert_eq!(berlin.day(midnight_ms + 23 * hour_ms - 1), day);
        assert_eq!(berlin.day(midnight_ms + 23 * hour_ms), Day(day.0 + 1));
    }

    #[test]
    fn a_time_zone_is_a_name_or_an_offset() {
        assert_eq!(TimeZone::parse("UTC"), Some(TimeZone::default()));
        for good in ["+00:00", "+14:00", "-03:30", "Asia/Kolkata"] {
            assert!(TimeZone::parse(good).is_some(), "{good}");
        }
        for wrong in [
            "",
            "+",
            "08:00",
            "+8:00",
            "+08:60",
            "+ 8:00",
            "Asia/Nowhere",
            "+08:00 ",
        ] {
            assert_eq!(TimeZone::parse(wrong), None, "{wrong:?}");
        }
    }
}
