//! Log lines.

use super::boundary::{UserData, guard_code, replaced};
use crate::error;
use crate::log::{self, Level, LogCallback};
use std::ffi::{CString, c_char, c_void};
use std::sync::Arc;

/// How much a log line matters.
#[repr(i32)]
#[allow(dead_code, reason = "for the header: enums travel as int32_t")]
pub enum tim_log_level {
    /// As a least level: no line is told.
    Off = 0,
    /// Every step of a request.
    Debug = 3,
    /// What one would want to know afterwards.
    Info = 4,
    /// Trouble that the library deals with by itself.
    Warn = 5,
    /// A fault of the library: please report it.
    Error = 6,
}

/// Takes a log line: one line of text without a line end, which never holds a ticket, a token, a
/// password or a user id. `line` is valid during the call only. Runs on the network thread of a
/// client, whose time limits stand still meanwhile; several clients may log at the same time.
pub type tim_log_callback =
    Option<extern "C" fn(level: i32, line: *const c_char, user_data: *mut c_void)>;

/// Sets what takes the log lines of all clients of this process; NULL for nothing, which is how
/// it begins. The library never writes to stdout, stderr or files.
///
/// @param min_level  the least level that is told: TIM_LOG_LEVEL_*.
///
/// The same barrier as in tim_set_connection_callback. Returns TIM_OK, TIM_ERR_BUSY,
/// TIM_ERR_IN_CALLBACK or TIM_ERR_INVALID_ARGUMENT (no such level). Any thread; may be called in a
/// callback.
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
                // A NUL cannot be told to C; a line with one is a fault that this makes harmless.
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
