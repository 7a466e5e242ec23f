//! Keeps the library in memory, since dlclose would unmap code that its threads may still run.

/// The linker has marked the library as not to be unloaded, see build.rs.
#[cfg(not(target_vendor = "apple"))]
pub(crate) fn stay_loaded() {}

/// Apple's linker has no such mark.
#[cfg(target_vendor = "apple")]
pub(crate) fn stay_loaded() {
    // SAFETY: all-zero is room for a Dl_info.
    let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
    // SAFETY: the address is one of this library's code, and `info` is ours. The path that the call
    // gives is static as long as the library is loaded, and dlopen finds it loaded.
    unsafe {
        if libc::dladdr(stay_loaded as fn() as *const libc::c_void, &mut info) != 0 {
            libc::dlopen(
                info.dli_fname,
                libc::RTLD_LAZY | libc::RTLD_NOLOAD | libc::RTLD_NODELETE,
            );
        }
    }
}
