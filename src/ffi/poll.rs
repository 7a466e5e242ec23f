//! Events by polling.

use super::boundary::{UserData, closing_client, guard_code};
use super::callbacks::set;
use super::client::tim_client;
use crate::client;
use crate::delivery::{Callback, Kind, Notice, Polled};
use crate::error;
use crate::registry::Handle;
use std::ffi::{c_char, c_void};
use std::mem::offset_of;
use std::sync::Arc;
use std::time::Duration;

/// Types of polled events.
/// cbindgen:prefix-with-name=false
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(clippy::enum_variant_names, reason = "the names of the constants in C")]
pub enum tim_event_type {
    /// A call has finished: `code` is its result, `user_data` the pointer that was passed to it.
    TimEventCompletion = 1,
    /// The connection changed: see tim_connection_callback. Fields: `connection_status`, `code`.
    TimEventConnection = 2,
    /// The ticket has expired or was revoked: see tim_user_sig_expired_callback. Field: `code`.
    TimEventUserSigExpired = 3,
    /// The session was taken over or ended: see tim_kicked_offline_callback. Field: `code`.
    TimEventKickedOffline = 4,
    /// The ticket expires soon: see tim_user_sig_expiring_callback. Field: `seconds_left`.
    TimEventUserSigExpiring = 5,
    /// The client has closed. It is the last event, and taking it frees the client.
    TimEventClosed = 6,
}

/// A polled event. Fields that its type does not use are 0 or NULL. Later versions may add fields at
/// the end.
#[repr(C)]
pub struct tim_event {
    /// Set it to sizeof(tim_event) before each call. The library stores how many bytes it has filled.
    pub size: u32,
    /// TIM_EVENT_*.
    pub r#type: i32,
    /// TIM_OK or an error code.
    pub code: i32,
    /// TIM_CONNECTION_STATUS_*.
    pub connection_status: i32,
    /// As tim_get_login_status returns it at this moment; 0 once the client is closing.
    pub login_status: i32,
    /// As tim_error_is_retryable(code).
    pub is_retryable: i32,
    /// The login that the event belongs to; 0 for completions.
    pub login_id: u64,
    /// Seconds until the ticket expires.
    pub seconds_left: i64,
    /// The pointer that was passed to the call.
    pub user_data: *mut c_void,
    /// The static text of `code`; never NULL.
    pub message: *const c_char,
}

impl tim_event {
    /// The size in version 0.1.0: a program may have been compiled for fewer fields than there are now,
    /// but not for fewer than these.
    const FIRST_SIZE: usize = offset_of!(tim_event, message) + size_of::<*const c_char>();

    fn of(polled: Polled, handle: Handle) -> tim_event {
        let mut event = tim_event {
            size: size_of::<tim_event>() as u32,
            r#type: 0,
            code: error::OK,
            connection_status: 0,
            login_status: client::login_status(handle),
            is_retryable: 0,
            login_id: 0,
            seconds_left: 0,
            user_data: std::ptr::null_mut(),
            message: std::ptr::null(),
        };
        let event_type = match polled {
            Polled::Completion { code, user_data } => {
                (event.code, event.user_data) = (code, user_data as *mut c_void);
                tim_event_type::TimEventCompletion
            }
            Polled::Notice(Notice::Connection {
                status,
                code,
                login_id,
            }) => {
                (event.code, event.login_id) = (code, login_id);
                event.connection_status = status as i32;
                tim_event_type::TimEventConnection
            }
            Polled::Notice(Notice::UserSigExpired { code, login_id }) => {
                (event.code, event.login_id) = (code, login_id);
                tim_event_type::TimEventUserSigExpired
            }
            Polled::Notice(Notice::KickedOffline { code, login_id }) => {
                (event.code, event.login_id) = (code, login_id);
                tim_event_type::TimEventKickedOffline
            }
            Polled::Notice(Notice::UserSigExpiring {
                seconds_left,
                login_id,
            }) => {
                (event.seconds_left, event.login_id) = (seconds_left, login_id);
                tim_event_type::TimEventUserSigExpiring
            }
            // A wake-up is never polled.
            Polled::Notice(Notice::Closed | Notice::Pending) => tim_event_type::TimEventClosed,
        };
        event.r#type = event_type as i32;
        event.message = error::message(event.code).as_ptr();
        // Most completions are successes: those need no second search of the table.
        event.is_retryable = (event.code != error::OK && error::is_retryable(event.code)).into();
        event
    }
}

/// Takes the next completion or event of a client with `event_delivery` "poll". They come in the same
/// order, and are coalesced by the same rules, as with callbacks.
///
/// @param timeout_ms  how long to wait for an event: 0 does not wait, -1 waits without limit.
/// @param event       receives the event. Set `event->size` first.
///
/// One thread polls at a time: while one is waiting here, others get TIM_ERR_ALREADY_POLLING. Inside a
/// callback, such as the wake-up, the function does not wait: without an event it returns
/// TIM_ERR_IN_CALLBACK, or TIM_ERR_TIMEOUT if timeout_ms is 0.
///
/// After tim_client_destroy, keep polling until TIM_EVENT_CLOSED. Taking that event frees the client; it
/// waits up to 5 seconds for a wake-up callback that is running.
///
/// Returns TIM_OK; TIM_ERR_TIMEOUT if nothing arrived; TIM_ERR_ALREADY_POLLING; TIM_ERR_IN_CALLBACK;
/// TIM_ERR_WRONG_DELIVERY_MODE; TIM_ERR_NULL_ARGUMENT; TIM_ERR_INVALID_ARGUMENT (timeout_ms below -1, or
/// a size that is too small); TIM_ERR_NO_SUCH_CLIENT; or TIM_ERR_FORKED.
///
/// Thread-safe; allowed in callbacks.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tim_poll_event(
    client: tim_client,
    timeout_ms: i32,
    event: *mut tim_event,
) -> i32 {
    guard_code(|| {
        let polling = closing_client(client)?;
        if event.is_null() {
            return Err(error::ERR_NULL_ARGUMENT);
        }
        // SAFETY: not NULL; the header asks for a struct that begins with its size.
        let size = unsafe { event.cast::<u32>().read_unaligned() };
        let limit = match timeout_ms {
            -1 => Duration::MAX,
            limit => u64::try_from(limit)
                .map(Duration::from_millis)
                .map_err(|_| error::ERR_INVALID_ARGUMENT)?,
        };
        if (size as usize) < tim_event::FIRST_SIZE {
            return Err(error::ERR_INVALID_ARGUMENT);
        }
        let mut taken = tim_event::of(polling.poll(limit)?, Handle(client));
        taken.size = taken.size.min(size);
        // SAFETY: not NULL; the caller says that it has at least `size` bytes, and no more are written.
        unsafe {
            let bytes = (&raw const taken).cast::<u8>();
            bytes.copy_to_nonoverlapping(event.cast(), taken.size as usize);
        }
        Ok(())
    })
}

/// Runs when there is something to poll. It carries no event: call tim_poll_event, here or on another
/// thread, until that returns TIM_ERR_TIMEOUT. Runs on the client's network thread; keep it short.
pub type tim_wakeup_callback = Option<extern "C" fn(user_data: *mut c_void)>;

/// Sets the wake-up callback of a client with `event_delivery` "poll"; NULL removes it.
///
/// It runs once when the first event arrives after everything was polled, and right after this call if
/// something is pending already. Replacing it is a barrier as in tim_set_connection_callback.
///
/// Returns TIM_OK; TIM_ERR_BUSY; TIM_ERR_IN_CALLBACK; TIM_ERR_WRONG_DELIVERY_MODE;
/// TIM_ERR_NO_SUCH_CLIENT; TIM_ERR_CLOSING; or TIM_ERR_FORKED. Thread-safe; allowed in callbacks.
#[unsafe(no_mangle)]
pub extern "C" fn tim_set_wakeup_callback(
    client: tim_client,
    callback: tim_wakeup_callback,
    user_data: *mut c_void,
) -> i32 {
    let user_data = UserData(user_data);
    let callback =
        callback.map(|callback| -> Callback { Arc::new(move |_| callback(user_data.get())) });
    set(client, Kind::Pending, callback)
}

/// Returns a descriptor that an event loop can watch (poll, epoll, kqueue, libuv, GLib, asyncio) for a
/// client with `event_delivery` "poll". It is readable while there is something to poll.
///
/// When it is readable, call tim_poll_event until that returns TIM_ERR_TIMEOUT. You need not read from
/// it; if your loop does, as Node.js does, that is harmless. Do not write to it or close it: it belongs to
/// the library, which closes it when the client is freed. Remove it from your loop before you take
/// TIM_EVENT_CLOSED, since the number may then be reused.
///
/// @param fd  receives the descriptor, one end of a socket pair; written only on success.
///
/// On Windows it is the SOCKET of a loopback connection, which always fits into 32 bits: watch it with
/// uv_poll_init_socket, GLib, Qt, WSAPoll, WSAEventSelect or asyncio's SelectorEventLoop.
/// asyncio's ProactorEventLoop and Node.js cannot watch sockets of others: use the wake-up callback, or a
/// thread that waits in tim_poll_event.
///
/// Returns TIM_OK; TIM_ERR_NULL_ARGUMENT; TIM_ERR_WRONG_DELIVERY_MODE; TIM_ERR_SYSTEM if there are no
/// descriptors left; TIM_ERR_NO_SUCH_CLIENT; or TIM_ERR_FORKED.
///
/// Thread-safe; allowed in callbacks; never blocks.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tim_get_wakeup_fd(client: tim_client, fd: *mut i32) -> i32 {
    guard_code(|| {
        let client = closing_client(client)?;
        if fd.is_null() {
            return Err(error::ERR_NULL_ARGUMENT);
        }
        let number = client.wake_up_fd()?;
        // SAFETY: not NULL; the header asks for an int32_t there.
        unsafe { fd.write_unaligned(number) };
        Ok(())
    })
}
