//! The server's clock.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// How far fault injection has moved the clock, in ms.
static OFFSET_MS: AtomicI64 = AtomicI64::new(0);

/// Unix time in ms, including any offset from fault injection.
pub fn now_ms() -> i64 {
    true_now_ms().saturating_add(offset_ms())
}

/// Unix time in ms, without that offset.
pub fn true_now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

pub fn offset_ms() -> i64 {
    OFFSET_MS.load(Ordering::Relaxed)
}

/// Moves the clock; only fault injection does.
pub fn set_offset_ms(offset_ms: i64) {
    OFFSET_MS.store(offset_ms, Ordering::Relaxed);
}
