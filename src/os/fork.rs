//! Handlers around fork.

/// Has these called around every fork, for as long as the process lives.
pub(crate) fn on_fork(
    before: extern "C" fn(),
    in_parent: extern "C" fn(),
    in_child: extern "C" fn(),
) {
    // SAFETY: the functions live as long as the library, which is marked as not unloadable.
    unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
}

/// Ends a forked child, whose exit handlers are the parent's business.
pub(crate) fn exit_child() -> ! {
    // SAFETY: ends the process; nothing of it is used afterwards.
    unsafe { libc::_exit(0) }
}
