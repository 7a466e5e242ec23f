//! The monotonic clocks.

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
    clock_ms(libc::CLOCK_MONOTONIC)
}

/// Monotonic ms that run through sleep, where the system has such a clock.
pub(crate) fn boot_ms() -> u64 {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const CLOCK: libc::clockid_t = libc::CLOCK_BOOTTIME;
    // On Apple systems CLOCK_MONOTONIC itself runs through sleep.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC;
    clock_ms(CLOCK)
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
