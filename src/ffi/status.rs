//! Status.

use super::boundary::{client, copy_out, guard_code};
use super::client::tim_client;
use crate::client;
use crate::error;
use crate::registry::Handle;
use std::ffi::c_char;

/// Login status.
#[repr(C)]
#[allow(dead_code, reason = "for the header: statuses travel as int32_t")]
pub enum tim_login_status {
    /// The server accepted the login, and nothing has ended it since. A lost connection does not.
    LoggedIn = 1,
    /// A login is in progress.
    LoggingIn = 2,
    /// Nobody is logged in.
    LoggedOut = 3,
}

/// Status of the connection to the server.
#[repr(C)]
#[allow(dead_code, reason = "for the header: statuses travel as int32_t")]
pub enum tim_connection_status {
    /// The connection is open.
    Connected = 1,
    /// There is no connection, and none is being opened.
    Disconnected = 2,
    /// A connection is being opened.
    Connecting = 3,
    /// The last attempt failed. While somebody is logged in or logging in, the library tries again.
    ConnectFailed = 4,
}

/// Returns the login status, TIM_LOGIN_STATUS_*, or 0 if there is no such client, it is being
/// destroyed, or it belongs to the parent process.
///
/// Thread-safe; allowed in callbacks; one atomic read.
#[unsafe(no_mangle)]
pub extern "C" fn tim_get_login_status(client: tim_client) -> i32 {
    client::login_status(Handle(client))
}

/// Returns the connection status, TIM_CONNECTION_STATUS_*, or 0 as in tim_get_login_status.
///
/// Thread-safe; allowed in callbacks; one atomic read.
#[unsafe(no_mangle)]
pub extern "C" fn tim_get_connection_status(client: tim_client) -> i32 {
    client::connection_status(Handle(client))
}

/// Returns the number of the latest login. A client counts its logins from 1, and each event carries
/// the number of its login. Returns 0 before the first login and if there is no such client.
///
/// Thread-safe; allowed in callbacks; never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn tim_get_login_id(client: tim_client) -> u64 {
    super::boundary::guard(0, || {
        self::client(client).map_or(0, |client| client.login_id())
    })
}

/// Copies the id of the user who is logged in; the empty string unless the login status is
/// TIM_LOGIN_STATUS_LOGGED_IN.
///
/// @param buffer    receives the user id and a NUL; 33 bytes are always enough.
/// @param capacity  size of `buffer` in bytes.
/// @param length    NULL, or receives the length without the NUL, even if the buffer is too small.
///
/// Returns TIM_OK; TIM_ERR_BUFFER_TOO_SMALL (`buffer` is untouched; pass NULL and 0 to query the
/// length); TIM_ERR_NULL_ARGUMENT; TIM_ERR_NO_SUCH_CLIENT; TIM_ERR_CLOSING; or TIM_ERR_FORKED.
///
/// Thread-safe; allowed in callbacks; never blocks.
#[must_use]
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

/// Stores the server's time: Unix time in milliseconds. Tickets expire by this clock, whatever the
/// device's clock says. It keeps running while the device sleeps.
///
/// @param out  receives the time; written only on success.
///
/// Returns TIM_OK; TIM_ERR_SERVER_TIME_UNKNOWN before the first accepted login;
/// TIM_ERR_NULL_ARGUMENT; TIM_ERR_NO_SUCH_CLIENT; TIM_ERR_CLOSING; or TIM_ERR_FORKED.
///
/// Thread-safe; allowed in callbacks; never blocks.
#[must_use]
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

/// Copies a JSON object that says who last took a session of this client over, or "{}":
///
///   login_id     the login whose session it was
///   cause        "other_device" (a login of the same user elsewhere), "same_device" (another login with
///                this device_id) or "operator"
///   platform     the platform of the device that took over, or null if unknown
///   device_name  its name
///   time_ms      when: Unix time in milliseconds, by the server's clock
///
/// Parameters and return values as in tim_get_login_user.
///
/// Thread-safe; allowed in callbacks; never blocks.
#[must_use]
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

/// Copies a JSON object that describes the latest error of this client, or "{}":
///
///   login_id        the login that it belongs to
///   code, name, message
///                   the error code, its name and its text
///   phase           how far the request got: "local", "resolve", "connect", "proxy", "tls", "send",
///                   "response" or "stream"
///   cause           what happened, in words
///   address         the address that was tried
///   retry_after_ms  how long the server asks to wait, in milliseconds; 0 if it does not say
///
/// Parameters and return values as in tim_get_login_user.
///
/// Thread-safe; allowed in callbacks; never blocks.
#[must_use]
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
