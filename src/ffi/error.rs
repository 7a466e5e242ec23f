//! Names and messages of error codes.

use super::boundary::guard;
use crate::error;
use std::ffi::c_char;

/// Returns the name of a code as this header spells it, such as "TIM_ERR_CONNECT_REFUSED", or
/// "TIM_ERR_UNKNOWN" for a code that this version does not know.
///
/// The string is static and never NULL. Thread-safe; allowed in callbacks; never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn tim_error_name(code: i32) -> *const c_char {
    guard(c"TIM_ERR_UNKNOWN".as_ptr(), || {
        error::name_of(code).as_ptr()
    })
}

/// Returns one sentence for people that says what a code means and what to do about it, or "unknown
/// code" for a code that this version does not know. Callbacks get the same text as `message`.
///
/// The string is static and never NULL. Thread-safe; allowed in callbacks; never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn tim_error_message(code: i32) -> *const c_char {
    guard(c"unknown code".as_ptr(), || error::message(code).as_ptr())
}

/// Returns 1 if the same call may succeed later, unchanged. Returns 0 if something has to change first
/// (the ticket, an argument, the configuration) or if this version does not know the code.
///
/// If the server says how long to wait, tim_get_last_error reports it as `retry_after_ms`.
/// Thread-safe; allowed in callbacks; never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn tim_error_is_retryable(code: i32) -> i32 {
    guard(0, || i32::from(error::is_retryable(code)))
}
