//! Events by callbacks.

use super::boundary::{UserData, client, guard_code, replaced};
use super::client::tim_client;
use crate::delivery::{Callback, Kind, Notice};
use crate::error;
use std::ffi::{c_char, c_void};
use std::sync::Arc;

/// Runs when the status of the connection changes.
///
/// `status` is one of TIM_CONNECTION_STATUS_*. `code` is TIM_OK or the cause, and `message` its text.
/// If the status changes again before the event is delivered, only the newest one is. `login_id` is the
/// login that the event belongs to.
pub type tim_connection_callback = Option<
    extern "C" fn(
        client: tim_client,
        status: i32,
        code: i32,
        message: *const c_char,
        login_id: u64,
        user_data: *mut c_void,
    ),
>;

/// Runs when the ticket has expired or was revoked. The user is logged out, and only a login with a
/// new ticket helps. If a login is refused because its ticket has expired, its completion is delivered
/// first and this event second.
pub type tim_user_sig_expired_callback = Option<
    extern "C" fn(
        client: tim_client,
        code: i32,
        message: *const c_char,
        login_id: u64,
        user_data: *mut c_void,
    ),
>;

/// Runs when another login of the same user took the session over (TIM_ERR_KICKED_OFFLINE;
/// tim_get_kick_info says who), or when the server ended it (TIM_ERR_BANNED,
/// TIM_ERR_ACCOUNT_NOT_FOUND). The user is logged out and stays so: the library does not reconnect, and
/// only tim_login takes the session back.
pub type tim_kicked_offline_callback = Option<
    extern "C" fn(
        client: tim_client,
        code: i32,
        message: *const c_char,
        login_id: u64,
        user_data: *mut c_void,
    ),
>;

/// Runs once before the ticket expires: time to get a new ticket and pass it to tim_renew_user_sig.
/// The configuration key `user_sig_expiring_lead_s` sets how far ahead. The library uses the server's
/// clock, so a wrong clock on the device does no harm.
pub type tim_user_sig_expiring_callback = Option<
    extern "C" fn(client: tim_client, seconds_left: i64, login_id: u64, user_data: *mut c_void),
>;

/// Runs when the client has closed. It is the client's last callback.
pub type tim_closed_callback = Option<extern "C" fn(client: tim_client, user_data: *mut c_void)>;

/// Sets the callback for changes of the connection; NULL removes it.
///
/// On TIM_OK the previous callback is not running and will not run again; its user_data may be freed.
/// If the previous callback is running, the function waits up to 5 seconds for it to return: release
/// every lock that it takes before you call this. TIM_ERR_BUSY means that it has not returned by then,
/// TIM_ERR_IN_CALLBACK that the function was called inside a callback (of any client) and did not wait.
/// In both cases the new callback is set, and the previous one may still be in its last run; set the
/// callback again to wait for its end.
///
/// Returns TIM_OK; TIM_ERR_BUSY; TIM_ERR_IN_CALLBACK; TIM_ERR_WRONG_DELIVERY_MODE;
/// TIM_ERR_NO_SUCH_CLIENT; TIM_ERR_CLOSING; or TIM_ERR_FORKED. Thread-safe; allowed in callbacks.
#[unsafe(no_mangle)]
pub extern "C" fn tim_set_connection_callback(
    client: tim_client,
    callback: tim_connection_callback,
    user_data: *mut c_void,
) -> i32 {
    let user_data = UserData(user_data);
    let callback = callback.map(|callback| -> Callback {
        Arc::new(move |notice| {
            if let Notice::Connection {
                status,
                code,
                login_id,
            } = notice
            {
                let message = error::message(code).as_ptr();
                let status = status as i32;
                callback(client, status, code, message, login_id, user_data.get());
            }
        })
    });
    set(client, Kind::Connection, callback)
}

/// Sets the callback for an expired or revoked ticket; NULL removes it. Otherwise like
/// tim_set_connection_callback.
#[unsafe(no_mangle)]
pub extern "C" fn tim_set_user_sig_expired_callback(
    client: tim_client,
    callback: tim_user_sig_expired_callback,
    user_data: *mut c_void,
) -> i32 {
    let user_data = UserData(user_data);
    let callback = callback.map(|callback| -> Callback {
        Arc::new(move |notice| {
            if let Notice::UserSigExpired { code, login_id } = notice {
                let message = error::message(code).as_ptr();
                callback(client, code, message, login_id, user_data.get());
            }
        })
    });
    set(client, Kind::UserSigExpired, callback)
}

/// Sets the callback for a session that was taken over or ended; NULL removes it. Otherwise like
/// tim_set_connection_callback.
#[unsafe(no_mangle)]
pub extern "C" fn tim_set_kicked_offline_callback(
    client: tim_client,
    callback: tim_kicked_offline_callback,
    user_data: *mut c_void,
) -> i32 {
    let user_data = UserData(user_data);
    let callback = callback.map(|callback| -> Callback {
        Arc::new(move |notice| {
            if let Notice::KickedOffline { code, login_id } = notice {
                let message = error::message(code).as_ptr();
                callback(client, code, message, login_id, user_data.get());
            }
        })
    });
    set(client, Kind::KickedOffline, callback)
}

/// Sets the callback for a ticket that expires soon; NULL removes it. Otherwise like
/// tim_set_connection_callback.
#[unsafe(no_mangle)]
pub extern "C" fn tim_set_user_sig_expiring_callback(
    client: tim_client,
    callback: tim_user_sig_expiring_callback,
    user_data: *mut c_void,
) -> i32 {
    let user_data = UserData(user_data);
    let callback = callback.map(|callback| -> Callback {
        Arc::new(move |notice| {
            if let Notice::UserSigExpiring {
                seconds_left,
                login_id,
            } = notice
            {
                callback(client, seconds_left, login_id, user_data.get());
            }
        })
    });
    set(client, Kind::UserSigExpiring, callback)
}

/// Sets the callback for the end of the client; NULL removes it. Otherwise like
/// tim_set_connection_callback.
#[unsafe(no_mangle)]
pub extern "C" fn tim_set_closed_callback(
    client: tim_client,
    callback: tim_closed_callback,
    user_data: *mut c_void,
) -> i32 {
    let user_data = UserData(user_data);
    let callback = callback.map(|callback| -> Callback {
        Arc::new(move |notice| {
            if notice == Notice::Closed {
                callback(client, user_data.get());
            }
        })
    });
    set(client, Kind::Closed, callback)
}

pub(super) fn set(client: tim_client, kind: Kind, callback: Option<Callback>) -> i32 {
    guard_code(|| replaced(self::client(client)?.set_callback(kind, callback)?))
}
