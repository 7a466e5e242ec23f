//! Events: what happens without a call.

use super::boundary::{UserData, client, guard_code, replaced};
use super::client::tim_client;
use crate::delivery::{Callback, Kind, Notice};
use crate::error;
use std::ffi::{c_char, c_void};
use std::sync::Arc;

/// Runs when the connection to the server changes.
///
/// `status` is one of TIM_CONNECTION_STATUS_*; `code` is TIM_OK or the cause, `message` its static
/// text. Several changes may be told as one, the newest. `login_id` says which login it belongs to.
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

/// Runs when the ticket has expired or was revoked, once: the user is logged out, and only a login
/// with a new ticket helps. A login that is refused for its expired ticket completes first, and
/// then this runs too.
pub type tim_user_sig_expired_callback = Option<
    extern "C" fn(
        client: tim_client,
        code: i32,
        message: *const c_char,
        login_id: u64,
        user_data: *mut c_void,
    ),
>;

/// Runs when the session was taken over by another login of the same user (TIM_ERR_KICKED_WHILE_OFFLINE;
/// tim_get_kick_info says by whom), or when the server has ended it (TIM_ERR_BANNED,
/// TIM_ERR_ACCOUNT_NOT_FOUND). The user is logged out, and the library does not come back by itself:
/// only tim_login takes the session over again.
pub type tim_kicked_offline_callback = Option<
    extern "C" fn(
        client: tim_client,
        code: i32,
        message: *const c_char,
        login_id: u64,
        user_data: *mut c_void,
    ),
>;

/// Runs once ahead of the ticket's end, by the server's clock: time to get a new ticket for
/// tim_renew_user_sig. How far ahead says the configuration's `user_sig_expiring_lead_s`.
pub type tim_user_sig_expiring_callback = Option<
    extern "C" fn(client: tim_client, seconds_left: i64, login_id: u64, user_data: *mut c_void),
>;

/// Runs last of all: the client is closed, and no callback of it runs after this.
pub type tim_closed_callback = Option<extern "C" fn(client: tim_client, user_data: *mut c_void)>;

/// Sets what runs when the connection changes; NULL for nothing.
///
/// TIM_OK: the old callback is not running and will not run again, its user_data may be freed.
/// For that the call waits for a running one, up to 5 seconds: release every lock that the old callback
/// takes before you call it. If that has not returned by then: TIM_ERR_BUSY. Called inside a callback of
/// any client it does not wait: TIM_ERR_IN_CALLBACK. Either way the new callback is set, but one call of
/// the old one may still be running; set again to wait for it.
///
/// Returns TIM_OK, TIM_ERR_BUSY, TIM_ERR_IN_CALLBACK, TIM_ERR_NO_SUCH_CLIENT, TIM_ERR_CLOSING or
/// TIM_ERR_FORKED. Any thread; may be called in a callback.
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

/// Sets what runs when the ticket has expired; NULL for nothing. Otherwise as
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

/// Sets what runs when the session was taken over or ended; NULL for nothing. Otherwise as
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

/// Sets what runs ahead of the ticket's end; NULL for nothing. Otherwise as
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

/// Sets what runs when the client is closed; NULL for nothing. Otherwise as
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

fn set(client: tim_client, kind: Kind, callback: Option<Callback>) -> i32 {
    guard_code(|| replaced(self::client(client)?.set_callback(kind, callback)?))
}
