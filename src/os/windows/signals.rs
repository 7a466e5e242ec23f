//! There are no signals that could reach a thread of the library.

/// Nothing is blocked.
#[derive(Clone, Copy)]
pub(crate) struct SignalMask;

impl SignalMask {
    pub(crate) fn current() -> SignalMask {
        SignalMask
    }

    /// Runs `body`.
    pub(crate) fn during<T>(&self, body: impl FnOnce() -> T) -> T {
        body()
    }
}

/// Runs `spawn`.
pub(crate) fn with_signals_blocked<T>(spawn: impl FnOnce() -> T) -> T {
    spawn()
}
