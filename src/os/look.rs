//! Looking at the clocks from time to time, where nothing tells that the system has slept.

/// How long the system may be awake before its sleep is noticed, in ms. Waits count only waking
/// time, so a thread whose next deadline is far off looks this often.
const LOOK_MS: u64 = 15_000;

/// When the clocks are to be looked at during a wait that begins at `now_ms`.
pub(super) fn due_ms(now_ms: u64) -> u64 {
    now_ms.saturating_add(LOOK_MS)
}
