//! Days as the app counts them: in a time zone of its own, which has the same offset all year.

use serde::{Deserialize, Serialize};
use std::fmt;

const DAY_S: i64 = 86_400;

/// How far the app's clocks are ahead of UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct TimeZone {
    offset_s: i64,
}

/// A day: so many after the first of 1970. 0 also stands for none.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Day(pub u32);

impl TryFrom<String> for TimeZone {
    type Error = &'static str;

    fn try_from(text: String) -> Result<TimeZone, &'static str> {
        TimeZone::parse(&text).ok_or("expected an offset from UTC such as \"+08:00\"")
    }
}

impl TimeZone {
    /// Reads `+08:00` or `-03:30`.
    pub fn parse(text: &str) -> Option<TimeZone> {
        let (sign, rest) = match text.split_at_checked(1)? {
            ("+", rest) => (1, rest),
            ("-", rest) => (-1, rest),
            _ => return None,
        };
        let (hours, minutes) = rest.split_once(':')?;
        let two_digits = |part: &str, below: i64| -> Option<i64> {
            let is_number = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            let number = is_number.then(|| part.parse().ok()).flatten();
            number.filter(|number| *number < below)
        };
        let (hours, minutes) = (two_digits(hours, 15)?, two_digits(minutes, 60)?);
        Some(TimeZone {
            offset_s: sign * (hours * 3600 + minutes * 60),
        })
    }

    /// The day at a moment, in ms of Unix time.
    pub fn day(self, now_ms: i64) -> Day {
        let local_s = now_ms.div_euclid(1000).saturating_add(self.offset_s);
        Day(u32::try_from(local_s.div_euclid(DAY_S)).unwrap_or(0))
    }
}

impl Day {
    /// The day so many days before this one.
    pub fn before(self, days: u32) -> Day {
        Day(self.0.saturating_sub(days))
    }
}

/// As the reference system writes dates: YYYYMMDD.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut year, mut left) = (1970, self.0);
        while left >= days_of_year(year) {
            left -= days_of_year(year);
            year += 1;
        }
        let mut month = 1;
        while left >= days_of_month(year, month) {
            left -= days_of_month(year, month);
            month += 1;
        }
        write!(f, "{year:04}{month:02}{:02}", left + 1)
    }
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_of_year(year: u32) -> u32 {
    365 + u32::from(is_leap(year))
}

fn days_of_month(year: u32, month: u32) -> u32 {
    match month {
        2 => 28 + u32::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
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
    fn a_time_zone_is_an_offset_and_nothing_else() {
        assert_eq!(TimeZone::parse("+00:00"), Some(TimeZone::default()));
        assert!(TimeZone::parse("+14:00").is_some());
        for wrong in [
            "", "+", "08:00", "+8:00", "+08:0", "+15:00", "+08:60", "+ 8:00", "UTC", "+08:00 ",
        ] {
            assert_eq!(TimeZone::parse(wrong), None, "{wrong:?}");
        }
    }
}
