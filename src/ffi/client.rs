//! Creating and destroying clients.

use super::boundary::{copy_cut, guard_code, text};
use crate::client::{self, Client};
use crate::error;
use crate::registry::Handle;
use std::ffi::c_char;
use std::time::Duration;

/// A handle to a client, which manages the login of one user. Handles are numbers from 1 to 2^53 - 1
/// and are never reused. Release a client with tim_client_destroy.
pub type tim_client = u64;

/// Creates a client and starts its network thread. Nothing is sent before tim_login.
///
/// @param config_json  the configuration; see "Configuration" above.
/// @param out          receives the handle; written only on success.
/// @param error        NULL, or a buffer for a sentence that says what is wrong with the
///                     configuration and how to fix it. The text is truncated to fit, always
///                     NUL-terminated, and empty on success.
/// @param error_capacity  size of `error` in bytes.
///
/// Returns TIM_OK; TIM_ERR_NULL_ARGUMENT (config_json or out); TIM_ERR_INVALID_UTF8;
/// TIM_ERR_INVALID_CONFIG; TIM_ERR_DEVICE_IN_USE; TIM_ERR_NAME_IN_USE; TIM_ERR_TOO_MANY_CLIENTS; or
/// TIM_ERR_SYSTEM if the system provides no thread or socket.
///
/// Thread-safe; allowed in callbacks. Blocks only to read `ca_file` and the system's certificates.
#[must_use]
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

/// Destroys a client. This does not log the user out on the server; see tim_logout.
///
/// With timeout_ms > 0, outside callbacks: pending calls complete with TIM_ERR_INTERRUPTED, the closed
/// event is delivered, and the function returns TIM_OK. From then on no callback of this client runs,
/// its thread has ended, and every `user_data` may be freed. If a callback does not return in time, the
/// function returns TIM_ERR_BUSY and the client keeps closing; call again, on any thread, to wait for it.
///
/// With timeout_ms = 0: the client starts closing and the function returns TIM_ERR_BUSY at once. Pending
/// calls complete with TIM_ERR_INTERRUPTED, and the closed event is the last callback. The client then
/// frees itself, and its handle gets TIM_ERR_NO_SUCH_CLIENT.
///
/// Inside a callback of any client: as with timeout_ms = 0, but the function returns
/// TIM_ERR_IN_CALLBACK. Calling it again there does not help.
///
/// If the client has already closed, the function frees it and returns TIM_OK.
///
/// With `event_delivery` "poll": the client starts closing, and the function returns TIM_ERR_CLOSING at
/// once, whatever timeout_ms is. Pending calls complete with TIM_ERR_INTERRUPTED. Keep polling until
/// TIM_EVENT_CLOSED; taking that event frees the client.
///
/// Returns TIM_OK; TIM_ERR_BUSY; TIM_ERR_IN_CALLBACK; TIM_ERR_CLOSING; TIM_ERR_NO_SUCH_CLIENT;
/// TIM_ERR_FORKED; or TIM_ERR_INVALID_ARGUMENT (timeout_ms is negative).
///
/// Thread-safe; allowed in callbacks. Blocks for up to timeout_ms: release every lock that your
/// callbacks take before you call it.
#[unsafe(no_mangle)]
pub extern "C" fn tim_client_destroy(client: tim_client, timeout_ms: i32) -> i32 {
    guard_code(|| {
        let limit = u64::try_from(timeout_ms).map_err(|_| error::ERR_INVALID_ARGUMENT)?;
        client::destroy(Handle(client), Duration::from_millis(limit))
    })
}

/// Finds a live client of this process by the `name` in its configuration. A host that was restarted
/// inside its process (a hot restart, a reloaded plug-in) adopts its client in this way instead of
/// creating a second one for the same device.
///
/// @param name  the name, a NUL-terminated string.
/// @param out   receives the handle; written with TIM_OK and TIM_ERR_CLOSING.
///
/// Returns TIM_OK; TIM_ERR_CLOSING if the client is being destroyed (with `event_delivery` "poll", poll
/// it until TIM_EVENT_CLOSED); TIM_ERR_NO_SUCH_CLIENT; TIM_ERR_NULL_ARGUMENT; or TIM_ERR_INVALID_UTF8.
///
/// Thread-safe; allowed in callbacks; never blocks.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tim_client_find(name: *const c_char, out: *mut tim_client) -> i32 {
    guard_code(|| {
        if out.is_null() {
            return Err(error::ERR_NULL_ARGUMENT);
        }
        // SAFETY: the header asks for NULL or a NUL-terminated string.
        let name = unsafe { text(name) }?;
        let (handle, is_closing) = client::find_by_name(name).ok_or(error::ERR_NO_SUCH_CLIENT)?;
        // SAFETY: not NULL, checked above; the header asks for a tim_client there.
        unsafe { out.write_unaligned(handle.0) };
        if is_closing {
            return Err(error::ERR_CLOSING);
        }
        Ok(())
    })
}
