//! Handlers around fork.

/// Registers functions to run around every fork, for the life of the process.
pub(crate) fn on_fork(
    before: extern "C" fn(),
    in_parent: extern "C" fn(),
    in_child: extern "C" fn(),
) {
    // SAFETY: the functions live as long as the library, which is marked as not unloadable.
    unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
}

/// Ends a forked child without running exit handlers, which are the parent's.
pub(crate) fn exit_child() -> ! {
    // SAFETY: ends the process; nothing of it is used afterwards.
    unsafe { libc::_exit(0) }
}
