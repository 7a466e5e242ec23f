//! Crosses the C boundary: panics, strings in and out, and the app's data pointers.

use crate::client::{self, Client};
use crate::delivery::Replaced;
use crate::error;
use crate::panics;
use crate::registry::Handle;
use std::ffi::{CStr, c_char, c_void};
use std::sync::Arc;

/// Runs the body of an exported function. A panic, which is a bug in this library, becomes
/// `panicked` and never crosses into C.
pub(super) fn guard<T>(panicked: T, body: impl FnOnce() -> T) -> T {
    panics::caught(body).unwrap_or(panicked)
}

/// Runs the body of a function that returns a code.
pub(super) fn guard_code(body: impl FnOnce() -> Result<(), i32>) -> i32 {
    guard(error::ERR_PANIC, || body().err().unwrap_or(error::OK))
}

/// The client of a handle.
pub(super) fn client(handle: u64) -> Result<Arc<Client>, i32> {
    client::find(Handle(handle))
}

/// The client of a handle, even while it is closing.
pub(super) fn closing_client(handle: u64) -> Result<Arc<Client>, i32> {
    client::find_closing(Handle(handle))
}

/// A setter's code.
pub(super) fn replaced(replaced: Replaced) -> Result<(), i32> {
    match replaced {
        Replaced::NotRunning => Ok(()),
        Replaced::MayBeRunning => Err(error::ERR_IN_CALLBACK),
        Replaced::StillRunning => Err(error::ERR_BUSY),
    }
}

/// A string from the caller.
///
/// # Safety
/// `text` is NULL or points to a NUL-terminated string that stays unchanged for `'a`.
pub(super) unsafe fn text<'a>(text: *const c_char) -> Result<&'a str, i32> {
    if text.is_null() {
        return Err(error::ERR_NULL_ARGUMENT);
    }
    // SAFETY: not NULL, and NUL-terminated and unchanged for 'a by this function's contract.
    unsafe { CStr::from_ptr(text) }
        .to_str()
        .map_err(|_| error::ERR_INVALID_UTF8)
}

/// Copies `value` and a NUL to `buffer`, or only reports the length needed.
///
/// # Safety
/// `buffer` is NULL or has room for `capacity` bytes; `length` is NULL or points to a writable
/// `size_t`.
pub(super) unsafe fn copy_out(
    value: &str,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> Result<(), i32> {
    if buffer.is_null() && (capacity > 0 || length.is_null()) {
        return Err(error::ERR_NULL_ARGUMENT);
    }
    if !length.is_null() {
        // SAFETY: not NULL, so the caller vouches for a size_t there. It need not be aligned.
        unsafe { length.write_unaligned(value.len()) };
    }
    if value.len() >= capacity {
        return Err(error::ERR_BUFFER_TOO_SMALL);
    }
    // SAFETY: `value.len() < capacity` and the caller vouches for `capacity` bytes at `buffer`,
    // which is not NULL since `capacity > 0`. Foreign memory does not overlap a Rust &str.
    unsafe {
        std::ptr::copy_nonoverlapping(value.as_ptr(), buffer.cast::<u8>(), value.len());
        buffer.add(value.len()).write(0);
    }
    Ok(())
}

/// Copies as many whole characters of `value` as fit, and a NUL.
///
/// # Safety
/// `buffer` is NULL or has room for `capacity` bytes.
pub(super) unsafe fn copy_cut(value: &str, buffer: *mut c_char, capacity: usize) {
    if buffer.is_null() || capacity == 0 {
        return;
    }
    let fits = &value[..value.floor_char_boundary(capacity - 1)];
    // SAFETY: `fits` and its NUL are at most `capacity` bytes, so this cannot be refused, and the
    // caller vouches for them.
    let _ = unsafe { copy_out(fits, buffer, capacity, std::ptr::null_mut()) };
}

/// The app's `user_data` pointer on its way to the network thread.
#[derive(Clone, Copy)]
pub(super) struct UserData(pub(super) *mut c_void);

// SAFETY: the library never reads or writes through the pointer. It hands it back to the app's
// callback, and the header says on which thread that runs.
unsafe impl Send for UserData {}
// SAFETY: as above; a shared reference gives out nothing but the pointer's value.
unsafe impl Sync for UserData {}

impl UserData {
    /// A method, so that closures capture the whole `UserData`, which is `Send`.
    pub(super) fn get(self) -> *mut c_void {
        self.0
    }
}
