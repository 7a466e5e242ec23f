//! The number of this process, without a system call for each look.

#[cfg(any(target_os = "linux", target_os = "android"))]
use std::ptr;
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// The number of the calling process, also right after a fork that runs no handlers.
///
/// Linux keeps it in memory that a child finds zero. Apple's systems have none such, but a getpid that
/// makes no system call.
pub(crate) fn process_id() -> u32 {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let known = known();
        let id = known.map_or(0, |known| known.load(Ordering::Relaxed));
        if id != 0 {
            return id;
        }
        let id = std::process::id();
        if let Some(known) = known {
            known.store(id, Ordering::Relaxed);
        }
        id
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    std::process::id()
}

/// The word that a child finds zero; `None` where there is no such memory: before Linux 4.14, and in
/// some emulators.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn known() -> Option<&'static AtomicU32> {
    static WORD: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());
    /// In place of the word where there is none.
    static NONE: AtomicU32 = AtomicU32::new(0);

    let mut word = WORD.load(Ordering::Acquire);
    if word.is_null() {
        let made = wiped_page().unwrap_or_else(|| ptr::from_ref(&NONE).cast_mut());
        let put = WORD.compare_exchange(ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire);
        // The page of a thread that was later stays unused: it happens once at most.
        word = put.map_or_else(|others| others, |_| made);
    }
    let is_word = !ptr::eq(word, &NONE);
    // SAFETY: the start of a page from `wiped_page`, aligned, readable, writable and never unmapped.
    is_word.then(|| unsafe { &*word })
}

/// A page of zeros that is one again in every child.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn wiped_page() -> Option<*mut AtomicU32> {
    /// MADV_WIPEONFORK, which libc lacks for some targets.
    const WIPE_ON_FORK: libc::c_int = 18;
    // Within one page, whatever the size of pages.
    const LENGTH: usize = 4096;
    // SAFETY: asks for new memory, wherever the kernel likes.
    let page = unsafe {
        libc::mmap(
            ptr::null_mut(),
            LENGTH,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if page == libc::MAP_FAILED {
        return None;
    }
    // SAFETY: the page is ours alone.
    let advise = |advice| unsafe { libc::madvise(page, LENGTH, advice) };
    // qemu's user mode accepts whatever it does not know, and ignores it.
    let is_ignored = advise(-1) == 0;
    if is_ignored || advise(WIPE_ON_FORK) != 0 {
        // SAFETY: nothing refers to the page.
        unsafe { libc::munmap(page, LENGTH) };
        return None;
    }
    Some(page.cast())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_no_handler_told_of_knows_its_own_number() {
        assert_eq!(process_id(), std::process::id());
        // SAFETY: the child makes system calls alone, and ends.
        let child = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
        let child = child as libc::pid_t;
        if child == 0 {
            let knows = process_id() == std::process::id();
            // SAFETY: ends the child.
            unsafe { libc::_exit(if knows { 0 } else { 1 }) };
        }
        let mut status = -1;
        // SAFETY: our child, and a place for its status.
        unsafe { libc::waitpid(child, &mut status, 0) };
        assert_eq!(status, 0);
        assert_eq!(process_id(), std::process::id());
    }
}
