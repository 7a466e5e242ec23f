//! Login and logout.

use super::boundary::{UserData, client, guard_code, text};
use super::client::tim_client;
use crate::delivery::Completion;
use crate::error;
use std::ffi::{c_char, c_void};

/// Runs once when an accepted call has finished.
///
/// On the client's network thread, never inside the call that caused it, though perhaps before
/// that call has returned. `code` is TIM_OK or what went wrong; `message` is its static text
/// (valid forever, never NULL); `user_data` is what the call was given.
pub type tim_result_callback =
    Option<extern "C" fn(code: i32, message: *const c_char, user_data: *mut c_void)>;

fn completion(callback: tim_result_callback, user_data: *mut c_void) -> Completion {
    let user_data = UserData(user_data);
    Box::new(move |code| {
        if let Some(callback) = callback {
            callback(code, error::message(code).as_ptr(), user_data.get());
        }
    })
}

/// Logs a user in.
///
/// TIM_OK: accepted. The status is TIM_LOGIN_STATUS_LOGGING_IN at once, and `callback` runs
/// exactly once, within the configuration's `login_timeout_ms`: with TIM_OK when the server has
/// accepted the login, with the server's code when it has refused it, or with the network's code
/// (TIM_ERR_CONNECT_REFUSED and such) when it was not reached in time. tim_get_last_error has
/// the details. Any other return value: refused, nothing has changed, and `callback` will not run.
///
/// While the same user is logging in, the second call completes with TIM_ERR_LOGIN_IN_PROGRESS.
/// While another user is logging in, that login completes with TIM_ERR_SUPERSEDED and this one
/// takes its place. While the same user is logged in, the session goes on with the new ticket if
/// the server accepts it. While another user is logged in, that session ends.
///
/// @param user_id    1 to 32 bytes of UTF-8 without control characters. Copied.
/// @param user_sig   the ticket, at most 4096 bytes, not opened here; blanks and line ends around it do
///                   not count. Copied.
/// @param callback   NULL if the result does not matter.
/// @param user_data  handed to `callback`, never looked at.
///
/// Returns TIM_OK, TIM_ERR_NULL_ARGUMENT, TIM_ERR_INVALID_UTF8, TIM_ERR_INVALID_USER_ID,
/// TIM_ERR_USER_SIG_EMPTY, TIM_ERR_USER_SIG_UNREADABLE (too long), TIM_ERR_TOO_MANY_CALLS,
/// TIM_ERR_NO_SUCH_CLIENT, TIM_ERR_CLOSING or TIM_ERR_FORKED.
///
/// Any thread; may be called in a callback; never blocks.
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
        client.login(user_id, user_sig, completion(callback, user_data))
    })
}

/// Logs the user out.
///
/// TIM_OK: accepted. The status is TIM_LOGIN_STATUS_LOGGED_OUT at once, and `callback` runs
/// exactly once: with TIM_OK when the server has been told, or with the network's code when it
/// could not be told within the configuration's `request_timeout_ms`; the user is logged out
/// here all the same. A login in progress completes with TIM_ERR_LOGGED_OUT_DURING_LOGIN, and
/// then the logout with TIM_OK. Nobody logged in: TIM_OK. While a logout is in progress, the
/// second completes with TIM_ERR_LOGOUT_IN_PROGRESS.
///
/// Returns TIM_OK, TIM_ERR_TOO_MANY_CALLS, TIM_ERR_NO_SUCH_CLIENT, TIM_ERR_CLOSING or
/// TIM_ERR_FORKED.
///
/// Any thread; may be called in a callback; never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn tim_logout(
    client: tim_client,
    callback: tim_result_callback,
    user_data: *mut c_void,
) -> i32 {
    guard_code(|| self::client(client)?.logout(completion(callback, user_data)))
}

/// Gives the session a new ticket, without a gap: the connection stays until the server has accepted
/// the ticket, and nobody else is signed out.
///
/// TIM_OK: accepted. `callback` runs exactly once, within the configuration's `request_timeout_ms`:
/// with TIM_OK when the session goes on with the new ticket; with the server's code when it has
/// refused it, and the session goes on with the old one; with the network's code when the server was
/// not reached in time, likewise. Without a connection the ticket goes along when the session is
/// resumed. Nobody logged in, or no longer: completes with TIM_ERR_NOT_LOGGED_IN. During a login:
/// TIM_ERR_LOGIN_IN_PROGRESS. A second renewal takes the place of the first, which completes with
/// TIM_ERR_SUPERSEDED.
///
/// @param user_sig   a ticket of the user who is logged in, at most 4096 bytes. Copied.
/// @param callback   NULL if the result does not matter.
/// @param user_data  handed to `callback`, never looked at.
///
/// Returns TIM_OK, TIM_ERR_NULL_ARGUMENT, TIM_ERR_INVALID_UTF8, TIM_ERR_USER_SIG_EMPTY,
/// TIM_ERR_USER_SIG_UNREADABLE (too long), TIM_ERR_TOO_MANY_CALLS, TIM_ERR_NO_SUCH_CLIENT,
/// TIM_ERR_CLOSING or TIM_ERR_FORKED.
///
/// Any thread; may be called in a callback; never blocks.
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
        client.renew_user_sig(user_sig, completion(callback, user_data))
    })
}

/// What the app knows of the world around it.
#[repr(i32)]
#[allow(dead_code, reason = "for the header: enums travel as int32_t")]
pub enum tim_hint {
    /// Another network, or the same one again.
    NetworkChanged = 1,
    /// The app came to the foreground.
    Foreground = 2,
}

/// Tells the library what it cannot see: the connection is tried at once instead of after the rest of
/// its wait, and a connection that looks open is checked. A hint within 2 seconds of an attempt joins
/// it, so calling this often does no harm. Not needed after sleep, which the library notices itself.
///
/// @param hint  TIM_HINT_NETWORK_CHANGED or TIM_HINT_FOREGROUND.
///
/// Returns TIM_OK, TIM_ERR_INVALID_ARGUMENT, TIM_ERR_NO_SUCH_CLIENT, TIM_ERR_CLOSING or
/// TIM_ERR_FORKED.
///
/// Any thread; may be called in a callback; never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn tim_notify(client: tim_client, hint: i32) -> i32 {
    guard_code(|| {
        let client = self::client(client)?;
        if hint != tim_hint::NetworkChanged as i32 && hint != tim_hint::Foreground as i32 {
            return Err(error::ERR_INVALID_ARGUMENT);
        }
        client.notify()
    })
}
