//! Logging.

use super::boundary::{UserData, copy_out, guard_code, replaced};
use crate::error;
use crate::log::{self, Level, LogCallback};
use std::ffi::{CString, c_char, c_void};
use std::sync::Arc;

/// Severity of a log line.
#[repr(C)]
#[allow(dead_code, reason = "for the header: levels travel as int32_t")]
pub enum tim_log_level {
    /// As min_level: disables logging.
    Off = 0,
    /// Every step of a request.
    Debug = 3,
    /// Notable events.
    Info = 4,
    /// Problems that the library handles by itself.
    Warn = 5,
    /// Bugs in the library: please report them.
    Error = 6,
}

/// Receives one log line, without a line end. A line never contains a ticket, a token, a password or a
/// user id. `line` is valid only during the call. Runs on the network thread of a client, while the time
/// limits of that client's calls are suspended. Several clients may log at the same time.
pub type tim_log_callback =
    Option<extern "C" fn(level: i32, line: *const c_char, user_data: *mut c_void)>;

/// Sets the callback that receives the log lines of all clients in this process; NULL, the default,
/// disables logging.
///
/// @param min_level  the lowest level to deliver, TIM_LOG_LEVEL_*.
///
/// Replacing the callback is a barrier as in tim_set_connection_callback. Returns TIM_OK; TIM_ERR_BUSY;
/// TIM_ERR_IN_CALLBACK; or TIM_ERR_INVALID_ARGUMENT (no such level). Thread-safe; allowed in callbacks.
#[unsafe(no_mangle)]
pub extern "C" fn tim_set_log_callback(
    callback: tim_log_callback,
    user_data: *mut c_void,
    min_level: i32,
) -> i32 {
    guard_code(|| {
        let level = level(min_level)?;
        let user_data = UserData(user_data);
        let callback = callback.map(|callback| -> LogCallback {
            Arc::new(move |level, line| {
                // A C string cannot contain a NUL.
                let line = CString::new(line.replace('\0', "?")).unwrap_or_default();
                callback(level as i32, line.as_ptr(), user_data.get());
            })
        });
        replaced(log::set_callback(callback, level))
    })
}

/// Takes the oldest kept log line of this process, for programs that cannot take callbacks from other
/// threads. The call also sets which lines are kept from now on: up to 256, of which the oldest are
/// dropped when more arrive. It does not affect tim_set_log_callback.
///
/// @param min_level  the lowest level to keep, TIM_LOG_LEVEL_*; TIM_LOG_LEVEL_OFF keeps no further lines.
/// @param level      NULL, or receives the line's level.
/// @param buffer     receives the line and a NUL.
/// @param capacity   size of `buffer` in bytes; 1024 are enough for most lines.
/// @param length     NULL, or receives the length without the NUL, even if the buffer is too small.
///
/// Returns TIM_OK; TIM_ERR_TIMEOUT if there is no line; TIM_ERR_BUFFER_TOO_SMALL (the line is still
/// there); TIM_ERR_NULL_ARGUMENT; or TIM_ERR_INVALID_ARGUMENT (no such level).
///
/// Thread-safe; allowed in callbacks; never blocks.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tim_poll_log(
    min_level: i32,
    level: *mut i32,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> i32 {
    guard_code(|| {
        let taken = log::poll(self::level(min_level)?, |line_level, line| {
            // SAFETY: the header asks for NULL or `capacity` bytes, and NULL or a size_t.
            unsafe { copy_out(line, buffer, capacity, length) }?;
            if !level.is_null() {
                // SAFETY: not NULL; the header asks for an int32_t there.
                unsafe { level.write_unaligned(line_level as i32) };
            }
            Ok(())
        });
        taken.unwrap_or(Err(error::ERR_TIMEOUT))
    })
}

/// The level of that number; `None` turns logging off.
fn level(number: i32) -> Result<Option<Level>, i32> {
    if number == tim_log_level::Off as i32 {
        return Ok(None);
    }
    let level = Level::from_number(number).ok_or(error::ERR_INVALID_ARGUMENT)?;
    Ok(Some(level))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers_levels_are_those_of_the_log() {
        for (header, level) in [
            (tim_log_level::Debug, Level::Debug),
            (tim_log_level::Info, Level::Info),
            (tim_log_level::Warn, Level::Warn),
            (tim_log_level::Error, Level::Error),
        ] {
            assert_eq!(Level::from_number(header as i32), Some(level));
        }
        assert_eq!(Level::from_number(tim_log_level::Off as i32), None);
    }
}
