//! Keeps the library in memory, since FreeLibrary would unmap code that its threads may still run.

use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleHandleExW,
};

/// Lasts until the process ends.
pub(crate) fn stay_loaded() {
    let mut module = std::ptr::null_mut();
    // SAFETY: with this flag, the name is an address, which is one of this library's code; `module` is
    // ours.
    unsafe {
        GetModuleHandleExW(
            GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN,
            stay_loaded as fn() as *const u16,
            &mut module,
        )
    };
}
