//! Login and logout.

use super::boundary::{UserData, client, guard_code, text};
use super::client::tim_client;
use crate::client::{Client, Hint};
use crate::delivery::{Completion, Mode, Reply};
use crate::error;
use std::ffi::{c_char, c_void};

/// The completion of an accepted call. Runs exactly once per call, on the client's network thread.
///
/// `code` is TIM_OK or an error code, `message` its static text (never NULL), and `user_data` the pointer
/// that was passed to the call.
pub type tim_result_callback =
    Option<extern "C" fn(code: i32, message: *const c_char, user_data: *mut c_void)>;

/// Where a completion goes: to the callback, or to the polls of a client without callbacks.
fn reply(client: &Client, callback: tim_result_callback, user_data: *mut c_void) -> Reply {
    if client.mode() == Mode::Poll && callback.is_none() {
        return Reply::Polled(user_data as usize);
    }
    let user_data = UserData(user_data);
    let completion: Completion = Box::new(move |code| {
        if let Some(callback) = callback {
            callback(code, error::message(code).as_ptr(), user_data.get());
        }
    });
    completion.into()
}

/// Logs a user in.
///
/// On TIM_OK the login has started: the status is TIM_LOGIN_STATUS_LOGGING_IN, and `callback` runs
/// exactly once, within `login_timeout_ms`. Its code is TIM_OK if the server accepted the login, the
/// server's code if it refused, or a network code such as TIM_ERR_CONNECT_REFUSED if the server could
/// not be reached in time. tim_get_last_error has the details.
///
/// If somebody is logging in or logged in already:
///
/// - The same user is logging in: this call completes with TIM_ERR_LOGIN_IN_PROGRESS.
/// - Another user is logging in: that login completes with TIM_ERR_SUPERSEDED, and this one starts.
/// - The same user is logged in: the session continues with the new ticket if the server accepts it,
///   as with tim_renew_user_sig.
/// - Another user is logged in: their session ends, and this login starts.
///
/// @param user_id    1 to 32 bytes of UTF-8 without control characters.
/// @param user_sig   the ticket, at most 4096 bytes. Only the server checks it. White space around it is
///                   ignored.
/// @param callback   NULL if you do not need the result, and with `event_delivery` "poll".
/// @param user_data  passed to `callback`, or part of the polled completion.
///
/// Returns TIM_OK; TIM_ERR_NULL_ARGUMENT; TIM_ERR_INVALID_UTF8; TIM_ERR_INVALID_USER_ID;
/// TIM_ERR_USER_SIG_EMPTY; TIM_ERR_USER_SIG_UNREADABLE (too long); TIM_ERR_TOO_MANY_CALLS;
/// TIM_ERR_WRONG_DELIVERY_MODE; TIM_ERR_NO_SUCH_CLIENT; TIM_ERR_CLOSING; or TIM_ERR_FORKED.
///
/// Thread-safe; allowed in callbacks; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tim_login(
    client: tim_client,
    user_id: *const c_char,
    user_sig: *const c_char,
    callback: tim_result_callback,
    user_data: *mut c_void,
) -> i32 {
    guard_code(|| {
        let client = self::client(client)?;
        // SAFETY: the header asks for NULL or NUL-terminated strings, which are copied here.
        let (user_id, user_sig) = unsafe { (text(user_id)?, text(user_sig)?) };
        client.login(user_id, user_sig, reply(&client, callback, user_data))
    })
}

/// Logs the user out.
///
/// On TIM_OK the status is TIM_LOGIN_STATUS_LOGGED_OUT at once, and `callback` runs exactly once, within
/// `request_timeout_ms`. Its code is TIM_OK if the server has confirmed the logout, or a network code
/// if it could not be reached in time; the user is logged out on this device in either case.
///
/// If a login is pending, it completes with TIM_ERR_LOGGED_OUT_DURING_LOGIN, and then the logout with
/// TIM_OK. If nobody is logged in, the logout completes with TIM_OK. If a logout is pending, this one
/// completes with TIM_ERR_LOGOUT_IN_PROGRESS.
///
/// Returns TIM_OK; TIM_ERR_TOO_MANY_CALLS; TIM_ERR_WRONG_DELIVERY_MODE; TIM_ERR_NO_SUCH_CLIENT;
/// TIM_ERR_CLOSING; or TIM_ERR_FORKED.
///
/// Thread-safe; allowed in callbacks; never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn tim_logout(
    client: tim_client,
    callback: tim_result_callback,
    user_data: *mut c_void,
) -> i32 {
    guard_code(|| {
        let client = self::client(client)?;
        client.logout(reply(&client, callback, user_data))
    })
}

/// Replaces the ticket of the current session without interrupting it: the connection stays open until
/// the server has accepted the new ticket, and no other device is logged out.
///
/// On TIM_OK `callback` runs exactly once, within `request_timeout_ms`. With code TIM_OK, the session
/// continues with the new ticket. With any other code, such as the server's refusal or a network
/// code, it continues with the old one. While there is no connection, the new ticket is sent with
/// the attempt to reconnect.
///
/// The call completes with TIM_ERR_NOT_LOGGED_IN if nobody is logged in or the session ends first,
/// with TIM_ERR_LOGIN_IN_PROGRESS during a login, and with TIM_ERR_SUPERSEDED if another renewal
/// replaces it.
///
/// @param user_sig   a ticket of the user who is logged in, at most 4096 bytes. White space around it is
///                   ignored.
/// @param callback   NULL if you do not need the result, and with `event_delivery` "poll".
/// @param user_data  passed to `callback`, or part of the polled completion.
///
/// Returns TIM_OK; TIM_ERR_NULL_ARGUMENT; TIM_ERR_INVALID_UTF8; TIM_ERR_USER_SIG_EMPTY;
/// TIM_ERR_USER_SIG_UNREADABLE (too long); TIM_ERR_TOO_MANY_CALLS; TIM_ERR_WRONG_DELIVERY_MODE;
/// TIM_ERR_NO_SUCH_CLIENT; TIM_ERR_CLOSING; or TIM_ERR_FORKED.
///
/// Thread-safe; allowed in callbacks; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tim_renew_user_sig(
    client: tim_client,
    user_sig: *const c_char,
    callback: tim_result_callback,
    user_data: *mut c_void,
) -> i32 {
    guard_code(|| {
        let client = self::client(client)?;
        // SAFETY: the header asks for NULL or a NUL-terminated string, which is copied here.
        let user_sig = unsafe { text(user_sig)? };
        client.renew_user_sig(user_sig, reply(&client, callback, user_data))
    })
}

/// Hints for tim_notify.
#[repr(C)]
#[allow(dead_code, reason = "for the header: hints travel as int32_t")]
pub enum tim_hint {
    /// The device changed networks. An open connection is replaced, since it may belong to a network
    /// that is gone.
    NetworkChanged = 1,
    /// The app came to the foreground. An open connection is kept if the server was heard from
    /// recently, and replaced otherwise.
    Foreground = 2,
}

/// Tells the library what it cannot see for itself. If it is waiting to reconnect, it tries at once.
/// What each hint does to an open connection is said above.
///
/// It is safe to call this often: within 2 seconds of an attempt, a hint counts for that attempt. There
/// is no need to call it when the device wakes from sleep; the library notices.
///
/// @param hint  TIM_HINT_NETWORK_CHANGED or TIM_HINT_FOREGROUND.
///
/// Returns TIM_OK; TIM_ERR_INVALID_ARGUMENT; TIM_ERR_NO_SUCH_CLIENT; TIM_ERR_CLOSING; or TIM_ERR_FORKED.
///
/// Thread-safe; allowed in callbacks; never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn tim_notify(client: tim_client, hint: i32) -> i32 {
    guard_code(|| {
        let client = self::client(client)?;
        let hint = match hint {
            _ if hint == tim_hint::NetworkChanged as i32 => Hint::NetworkChanged,
            _ if hint == tim_hint::Foreground as i32 => Hint::Foreground,
            _ => return Err(error::ERR_INVALID_ARGUMENT),
        };
        client.notify(hint)
    })
}
