//! Version of the library.

use crate::version;
use std::ffi::c_char;

/// Returns the version of the loaded library as one number, 0xMMmmpp. Compare it with
/// TIM_VERSION_NUMBER, the version of the header, to detect a library other than the one that the
/// program was compiled for.
///
/// Thread-safe; allowed in callbacks; never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn tim_version_number() -> u32 {
    version::NUMBER
}

/// Returns the version of the loaded library as text, such as "0.1.0". The string is static.
///
/// Thread-safe; allowed in callbacks; never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn tim_version() -> *const c_char {
    version::TEXT.as_ptr()
}
