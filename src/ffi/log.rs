//! Logging.

use super::boundary::{UserData, guard_code, replaced};
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
        let level = match min_level {
            0 => None,
            number => Some(Level::from_number(number).ok_or(error::ERR_INVALID_ARGUMENT)?),
        };
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
