//! Creating and destroying clients.

use super::boundary::{copy_cut, guard_code, text};
use crate::client::{self, Client};
use crate::error;
use crate::registry::Handle;
use std::ffi::c_char;
use std::time::Duration;

/// A client: one account's login in this process. A plain number below 2^53, never given twice;
/// 0 is never a client. It needs no freeing of its own: tim_client_destroy ends it.
pub type tim_client = u64;

/// Creates a client and starts its network thread. Nothing is sent until tim_login.
///
/// @param config_json  the configuration, see "Configuration" above. Read during the call.
/// @param out          gets the client; written only on success.
/// @param error        NULL, or a buffer for a sentence that says what is wrong with the
///                     configuration and what would be right. It is cut to fit, is always
///                     NUL-terminated, and is empty on success.
/// @param error_capacity  size of `error` in bytes.
///
/// Returns TIM_OK, TIM_ERR_NULL_ARGUMENT (config_json or out), TIM_ERR_INVALID_UTF8,
/// TIM_ERR_INVALID_CONFIG, TIM_ERR_DEVICE_IN_USE, TIM_ERR_TOO_MANY_CLIENTS, or TIM_ERR_SYSTEM
/// when there is no thread or socket to be had.
///
/// Any thread; may be called in a callback. Reads `ca_file` and the system's authorities if the
/// configuration says so, otherwise never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tim_client_create(
    config_json: *const c_char,
    out: *mut tim_client,
    error: *mut c_char,
    error_capacity: usize,
) -> i32 {
    guard_code(|| {
        let tell = |sentence: &str| {
            // SAFETY: the header asks for NULL or `error_capacity` bytes.
            unsafe { copy_cut(sentence, error, error_capacity) }
        };
        tell("");
        let created = (|| {
            if out.is_null() {
                return Err((error::ERR_NULL_ARGUMENT, "out is NULL".to_owned()));
            }
            // SAFETY: the header asks for NULL or a NUL-terminated string.
            let config = unsafe { text(config_json) }.map_err(|code| {
                let what = match code {
                    error::ERR_NULL_ARGUMENT => "config_json is NULL",
                    _ => "config_json is not valid UTF-8",
                };
                (code, what.to_owned())
            })?;
            Client::create(config).map_err(|refused| (refused.code, refused.message))
        })();
        match created {
            Ok(client) => {
                // SAFETY: not NULL, checked above; the header asks for a tim_client there.
                unsafe { out.write_unaligned(client.handle().0) };
                Ok(())
            }
            Err((code, sentence)) => {
                tell(&sentence);
                Err(code)
            }
        }
    })
}

/// Destroys a client. It does not log out on the server: see tim_logout.
///
/// timeout_ms > 0, outside of callbacks: unfinished calls complete with TIM_ERR_INTERRUPTED, the
/// closed event is delivered, and then TIM_OK is returned: no callback of this client runs after
/// that, its thread has ended, and all `user_data` may be freed. If the time passes first, because
/// a callback has not returned: TIM_ERR_BUSY. The client goes on closing; call again, on any thread.
///
/// timeout_ms = 0: begins the closing and returns TIM_ERR_BUSY. The completions with
/// TIM_ERR_INTERRUPTED follow, and last of all the closed event, after which no callback runs. The
/// client frees itself then, and a later tim_client_destroy gets TIM_ERR_NO_SUCH_CLIENT.
///
/// Inside a callback of any client: the same, with TIM_ERR_IN_CALLBACK. It does not help to call
/// again there.
///
/// A client that is closed already is freed by a call of any kind, which returns TIM_OK.
///
/// Returns TIM_OK, TIM_ERR_BUSY, TIM_ERR_IN_CALLBACK, TIM_ERR_NO_SUCH_CLIENT, TIM_ERR_FORKED, or
/// TIM_ERR_INVALID_ARGUMENT (timeout_ms is negative).
///
/// Any thread; may be called in a callback. Blocks for up to timeout_ms: release every lock that your
/// callbacks take before you call it.
#[unsafe(no_mangle)]
pub extern "C" fn tim_client_destroy(client: tim_client, timeout_ms: i32) -> i32 {
    guard_code(|| {
        let limit = u64::try_from(timeout_ms).map_err(|_| error::ERR_INVALID_ARGUMENT)?;
        client::destroy(Handle(client), Duration::from_millis(limit))
    })
}
