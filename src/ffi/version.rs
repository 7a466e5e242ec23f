//! Version of the library.

use crate::version;
use std::ffi::c_char;

/// The version of the library that is running, as TIM_VERSION_NUMBER is made: 0xMMmmpp.
///
/// Compare it with TIM_VERSION_NUMBER, which is the version of the header, to find out that a
/// program runs with another library than it was compiled for. Any thread; never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn tim_version_number() -> u32 {
    version::NUMBER
}

/// The version of the library that is running, as text: "0.1.0". Static, valid forever.
/// Any thread; never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn tim_version() -> *const c_char {
    version::TEXT.as_ptr()
}
