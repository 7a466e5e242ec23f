//! There is no fork: a process starts with none of another's memory, and inherits no socket of ours.

/// Registers nothing.
pub(crate) fn on_fork(_: extern "C" fn(), _: extern "C" fn(), _: extern "C" fn()) {}

/// Never called.
pub(crate) fn fork_begins() {}

/// Never called.
pub(crate) fn fork_is_over() {}

/// Never called.
pub(crate) fn close_inherited() {}

/// Never called.
pub(crate) fn exit_child() -> ! {
    std::process::exit(0)
}
