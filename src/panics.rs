//! Panics in the library itself: caught before they reach the app, silent, and identified by their
//! place.

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};

thread_local! {
    /// Whether this thread is running the library's code rather than the app's.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    /// Where the library last panicked on this thread.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// A caught panic.
#[derive(Debug)]
pub(crate) struct Panicked {
    /// File and line, but not the message, which might contain a secret.
    pub(crate) place: String,
}

/// Keeps the library's panics off stderr, which belongs to the app. Every other panic goes to the
/// hook that was set before.
pub(crate) fn silence_ours() {
    static DONE: AtomicBool = AtomicBool::new(false);
    // A panicking thread must not set a hook.
    if std::thread::panicking() || DONE.swap(true, Ordering::AcqRel) {
        return;
    }
    let others = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !INSIDE.get() {
            return others(info);
        }
        let place = info.location().map(ToString::to_string);
        PLACE.set(place.unwrap_or_default());
    }));
}

/// Runs the library's own code.
pub(crate) fn caught<T>(body: impl FnOnce() -> T) -> Result<T, Panicked> {
    let was = INSIDE.replace(true);
    // Callers discard whatever the body left half done.
    let result = panic::catch_unwind(AssertUnwindSafe(body));
    INSIDE.set(was);
    result.map_err(|_| Panicked {
        place: PLACE.take(),
    })
}

/// Runs the app's code, whose panics are reported by the app's own hook. They stop here, so that
/// they do not end the network thread.
pub(crate) fn outside(body: impl FnOnce()) {
    let was = INSIDE.replace(false);
    let _ = panic::catch_unwind(AssertUnwindSafe(body));
    INSIDE.set(was);
}

/// A panic at a place that a test chooses.
#[cfg(test)]
pub(crate) mod provoked {
    use std::cell::RefCell;

    thread_local! {
        static AT: RefCell<Option<String>> = const { RefCell::new(None) };
    }

    /// Makes this thread panic once, when it next reaches `place`.
    pub(crate) fn at(place: &str) {
        AT.set(Some(place.to_owned()));
    }

    /// Panics if this is the chosen place.
    pub(crate) fn here(place: &str) {
        if AT.with_borrow(|at| at.as_deref() == Some(place)) {
            AT.set(None);
            panic!("provoked at {place}, and the message names a secret");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_the_library_is_known_by_its_place_alone() {
        silence_ours();
        let panicked = caught(|| panic!("ticket eJw")).unwrap_err();
        assert!(panicked.place.contains("panics.rs:"), "{}", panicked.place);
        assert!(!panicked.place.contains("eJw"));
    }

    #[test]
    fn a_panic_of_the_app_ends_where_it_was_called() {
        let returned = caught(|| {
            outside(|| panic!("the app's fault"));
            1
        });
        assert_eq!(returned.unwrap(), 1);
    }
}
