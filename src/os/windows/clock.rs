//! The monotonic clocks. Both advance in steps of up to 16 ms.

use windows_sys::Win32::System::SystemInformation::GetTickCount64;
use windows_sys::Win32::System::WindowsProgramming::QueryUnbiasedInterruptTime;

/// Units of 100 ns in a ms.
const UNITS_PER_MS: u64 = 10_000;

/// Monotonic ms that stand still while the device sleeps.
pub(crate) fn monotonic_ms() -> u64 {
    let mut units = 0;
    // SAFETY: the call fills a number of our own.
    unsafe { QueryUnbiasedInterruptTime(&mut units) };
    units / UNITS_PER_MS
}

/// Monotonic ms that run through sleep.
pub(crate) fn boot_ms() -> u64 {
    // SAFETY: takes nothing and always succeeds.
    unsafe { GetTickCount64() }
}
