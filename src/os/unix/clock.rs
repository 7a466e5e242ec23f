//! The monotonic clocks.

/// Stands still in sleep.
#[cfg(not(target_vendor = "apple"))]
const WAKING: libc::clockid_t = libc::CLOCK_MONOTONIC;
/// There, CLOCK_MONOTONIC runs through sleep.
#[cfg(target_vendor = "apple")]
const WAKING: libc::clockid_t = libc::CLOCK_UPTIME_RAW;

/// Runs through sleep.
#[cfg(not(target_vendor = "apple"))]
const BOOT: libc::clockid_t = libc::CLOCK_BOOTTIME;
/// Unlike CLOCK_MONOTONIC, it does not move when the date is set.
#[cfg(target_vendor = "apple")]
const BOOT: libc::clockid_t = libc::CLOCK_MONOTONIC_RAW;

fn clock_ms(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a timespec of our own that the call fills.
    unsafe { libc::clock_gettime(clock, &mut time) };
    // Both clocks count from the start of the system: never negative.
    time.tv_sec as u64 * 1000 + time.tv_nsec as u64 / 1_000_000
}

/// Monotonic ms that stand still while the device sleeps.
pub(crate) fn monotonic_ms() -> u64 {
    clock_ms(WAKING)
}

/// Monotonic ms that run through sleep.
pub(crate) fn boot_ms() -> u64 {
    clock_ms(BOOT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_clock_is_never_behind_the_monotonic_one() {
        let monotonic = monotonic_ms();
        assert!(boot_ms() >= monotonic);
    }
}
