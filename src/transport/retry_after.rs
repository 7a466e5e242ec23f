//! The header Retry-After (RFC 9110, section 10.2.3): seconds, or a date.

use std::time::SystemTime;
use tim_proto::bounds;

/// How long to wait, in ms and within the protocol's bounds. A date is relative to the answer's own
/// `date`, so that the device's clock does not matter, or else to `now`. `None` for anything else.
pub(super) fn to_ms(value: &str, date: Option<&str>, now: SystemTime) -> Option<u64> {
    let ms = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // What does not fit in 64 bits exceeds every bound.
        value.parse().unwrap_or(u64::MAX).saturating_mul(1000)
    } else {
        let until = httpdate::parse_http_date(value).ok()?;
        let from = date.and_then(|date| httpdate::parse_http_date(date).ok());
        let wait = until.duration_since(from.unwrap_or(now));
        // In the past: no wait.
        wait.map_or(0, |wait| {
            u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
        })
    };
    Some(bounds::RETRY_AFTER_MS.clamp(ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const DATE: &str = "Wed, 21 Oct 2015 07:28:00 GMT";
    const MINUTE_LATER: &str = "Wed, 21 Oct 2015 07:29:00 GMT";
    const MOST: Option<u64> = Some(3_600_000);

    fn ms(value: &str, date: Option<&str>) -> Option<u64> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_445_412_480 + 30);
        to_ms(value, date, now)
    }

    #[test]
    fn seconds_are_taken_up_to_the_bound() {
        assert_eq!(ms("0", None), Some(0));
        assert_eq!(ms("7", None), Some(7_000));
        assert_eq!(ms("3600", None), MOST);
        assert_eq!(ms("3601", None), MOST);
        assert_eq!(ms("99999999999999999999999", None), MOST);
    }

    #[test]
    fn a_date_counts_from_the_date_of_the_answer_or_else_from_the_devices_clock() {
        assert_eq!(ms(MINUTE_LATER, Some(DATE)), Some(60_000));
        assert_eq!(ms(MINUTE_LATER, None), Some(30_000));
        assert_eq!(ms(MINUTE_LATER, Some("no date")), Some(30_000));
    }

    #[test]
    fn a_date_in_the_past_means_at_once_and_one_far_off_the_bound() {
        assert_eq!(ms(DATE, None), Some(0));
        assert_eq!(ms("Fri, 31 Dec 9999 23:59:59 GMT", None), MOST);
    }

    #[test]
    fn anything_else_is_left_out() {
        for value in [
            "",
            "soon",
            "-1",
            "+5",
            "1.5",
            "7 s",
            "2015-10-21",
            "\u{665}",
        ] {
            assert_eq!(ms(value, Some(DATE)), None, "{value}");
        }
    }
}
