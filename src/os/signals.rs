//! Threads that leave signals to the app.

/// Runs `spawn` with all signals blocked, so that the threads it starts are born with them
/// blocked: signals are the app's, and go to its own threads.
pub(crate) fn with_signals_blocked<T>(spawn: impl FnOnce() -> T) -> T {
    // SAFETY: all-zero is room for a sigset_t; sigfillset makes it a valid one, and
    // pthread_sigmask stores the old mask in the other.
    let (mut all, mut old): (libc::sigset_t, libc::sigset_t) =
        unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    // SAFETY: both are ours; the calls change the mask of this thread alone.
    unsafe {
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut old);
    }
    let result = spawn();
    // SAFETY: `old` is the mask that was stored above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &old, std::ptr::null_mut()) };
    result
}
