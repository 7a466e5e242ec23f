//! What is true now.

use super::boundary::{client, copy_out, guard_code};
use super::client::tim_client;
use crate::client;
use crate::error;
use crate::registry::Handle;
use std::ffi::c_char;

/// Whether somebody is logged in.
#[repr(i32)]
#[allow(dead_code, reason = "for the header: enums travel as int32_t")]
pub enum tim_login_status {
    /// The server accepted the login, and nothing has ended it since. A lost connection does not.
    LoggedIn = 1,
    /// A login is in progress.
    LoggingIn = 2,
    /// Nobody is logged in.
    LoggedOut = 3,
}

/// The connection to the server.
#[repr(i32)]
#[allow(dead_code, reason = "for the header: enums travel as int32_t")]
pub enum tim_connection_status {
    /// The connection is open.
    Connected = 1,
    /// There is none, and none is being opened.
    Disconnected = 2,
    /// One is being opened.
    Connecting = 3,
    /// The last attempt failed. Where somebody is logged in or logging in, another follows.
    ConnectFailed = 4,
}

/// The login status: TIM_LOGIN_STATUS_LOGGED_IN, _LOGGING_IN or _LOGGED_OUT; 0 if there is no such
/// client, if it is being destroyed, or if it belongs to the parent process.
///
/// Any thread; may be called in a callback; one atomic read.
#[unsafe(no_mangle)]
pub extern "C" fn tim_get_login_status(client: tim_client) -> i32 {
    client::login_status(Handle(client))
}

/// The connection status: TIM_CONNECTION_STATUS_*; 0 as in tim_get_login_status.
///
/// Any thread; may be called in a callback; one atomic read.
#[unsafe(no_mangle)]
pub extern "C" fn tim_get_connection_status(client: tim_client) -> i32 {
    client::connection_status(Handle(client))
}

/// Which login the status belongs to: logins of a client are counted from 1, and events carry
/// the number of theirs. 0 before the first login, and where there is no such client.
///
/// Any thread; may be called in a callback; never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn tim_get_login_id(client: tim_client) -> u64 {
    super::boundary::guard(0, || {
        self::client(client).map_or(0, |client| client.login_id())
    })
}

/// The user who is logged in; the empty string unless the status is TIM_LOGIN_STATUS_LOGGED_IN.
///
/// @param buffer    gets the user id and a NUL; 33 bytes always suffice.
/// @param capacity  size of `buffer` in bytes.
/// @param length    NULL, or gets the length without the NUL, also when the buffer is too small.
///
/// Returns TIM_OK; TIM_ERR_BUFFER_TOO_SMALL (`buffer` is untouched; buffer NULL with capacity 0
/// asks for the length this way); TIM_ERR_NULL_ARGUMENT; TIM_ERR_NO_SUCH_CLIENT,
/// TIM_ERR_CLOSING or TIM_ERR_FORKED.
///
/// Any thread; may be called in a callback; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tim_get_login_user(
    client: tim_client,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> i32 {
    guard_code(|| {
        let user = self::client(client)?.login_user();
        // SAFETY: the header asks for NULL or `capacity` bytes, and NULL or a size_t.
        unsafe { copy_out(&user, buffer, capacity, length) }
    })
}

/// The server's time in ms of Unix time, kept with a clock that runs through sleep. It is the
/// time that tickets expire by, whatever the device's clock says.
///
/// @param out  gets the time; written only on success.
///
/// Returns TIM_OK; TIM_ERR_SERVER_TIME_UNKNOWN before the first accepted login;
/// TIM_ERR_NULL_ARGUMENT; TIM_ERR_NO_SUCH_CLIENT, TIM_ERR_CLOSING or TIM_ERR_FORKED.
///
/// Any thread; may be called in a callback; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tim_get_server_time_ms(client: tim_client, out: *mut i64) -> i32 {
    guard_code(|| {
        let client = self::client(client)?;
        if out.is_null() {
            return Err(error::ERR_NULL_ARGUMENT);
        }
        let time = client
            .server_time_ms()
            .ok_or(error::ERR_SERVER_TIME_UNKNOWN)?;
        // SAFETY: not NULL; the header asks for an int64_t there.
        unsafe { out.write_unaligned(time) };
        Ok(())
    })
}

/// Who took the last session over, as JSON: `login_id` (whose session it was), `cause`
/// ("other_device": a login of the same user elsewhere; "same_device": another login with this
/// device_id; "operator"), `platform` and `device_name` of the device that took over, `time_ms` in
/// ms of Unix time. "{}" if none was.
///
/// Buffer and return values as in tim_get_login_user.
///
/// Any thread; may be called in a callback; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tim_get_kick_info(
    client: tim_client,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> i32 {
    guard_code(|| {
        let json = self::client(client)?.kick_info_json();
        // SAFETY: the header asks for NULL or `capacity` bytes, and NULL or a size_t.
        unsafe { copy_out(&json, buffer, capacity, length) }
    })
}

/// What last went wrong, as JSON: `login_id`, `code`, `name`, `message`, `phase` (how far it came:
/// "local", "resolve", "connect", "proxy", "tls", "send", "response", "stream"), `cause` in words,
/// `address` that was tried, `retry_after_ms`. "{}" if nothing has gone wrong yet.
///
/// Buffer and return values as in tim_get_login_user.
///
/// Any thread; may be called in a callback; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tim_get_last_error(
    client: tim_client,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> i32 {
    guard_code(|| {
        let json = self::client(client)?.last_error_json();
        // SAFETY: the header asks for NULL or `capacity` bytes, and NULL or a size_t.
        unsafe { copy_out(&json, buffer, capacity, length) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{ConnectionStatus, LoginStatus};

    #[test]
    fn the_headers_numbers_are_those_of_the_state_machine() {
        for (header, machine) in [
            (tim_login_status::LoggedIn, LoginStatus::LoggedIn),
            (tim_login_status::LoggingIn, LoginStatus::LoggingIn),
            (tim_login_status::LoggedOut, LoginStatus::LoggedOut),
        ] {
            assert_eq!(header as i32, machine as i32);
        }
        for (header, machine) in [
            (
                tim_connection_status::Connected,
                ConnectionStatus::Connected,
            ),
            (
                tim_connection_status::Disconnected,
                ConnectionStatus::Disconnected,
            ),
            (
                tim_connection_status::Connecting,
                ConnectionStatus::Connecting,
            ),
            (
                tim_connection_status::ConnectFailed,
                ConnectionStatus::ConnectFailed,
            ),
        ] {
            assert_eq!(header as i32, machine as i32);
        }
    }
}
