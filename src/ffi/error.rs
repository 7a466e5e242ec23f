//! Names and texts of codes.

use super::boundary::guard;
use crate::error;
use std::ffi::c_char;

/// The name of a code as this header spells it: "TIM_ERR_CONNECT_REFUSED".
///
/// "TIM_ERR_UNKNOWN" for a number that this version does not know. Static, valid forever, never
/// NULL. Any thread; never blocks; may be called in a callback.
#[unsafe(no_mangle)]
pub extern "C" fn tim_error_name(code: i32) -> *const c_char {
    guard(c"TIM_ERR_UNKNOWN".as_ptr(), || {
        error::name_of(code).as_ptr()
    })
}

/// What a code means and what to do about it, in one sentence for people.
///
/// The same text that callbacks get as `message`. "unknown code" for a number that this version
/// does not know. Static, valid forever, never NULL. Any thread; never blocks; may be called in a
/// callback.
#[unsafe(no_mangle)]
pub extern "C" fn tim_error_message(code: i32) -> *const c_char {
    guard(c"unknown code".as_ptr(), || error::message(code).as_ptr())
}

/// 1 if the same call may succeed later without any change, 0 if something must change first
/// (another ticket, another argument, another configuration) or if the code is not known.
///
/// Where a server says how long to wait, tim_get_last_error has it as `retry_after_ms`.
/// Any thread; never blocks; may be called in a callback.
#[unsafe(no_mangle)]
pub extern "C" fn tim_error_is_retryable(code: i32) -> i32 {
    guard(0, || i32::from(error::is_retryable(code)))
}
