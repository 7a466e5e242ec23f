//! Panics of the library itself: caught before they reach anybody, silent, and known by their place.

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};

thread_local! {
    /// Whether this thread runs code of the library, and not of the app.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    /// Where the last panic of the library on this thread was.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// A panic that was caught.
#[derive(Debug)]
pub(crate) struct Panicked {
    /// File and line. Not the message, which could hold what must not be told.
    pub(crate) place: String,
}

/// Keeps the library's panics off stderr, which is the app's. Every other panic goes on to the hook
/// that was there.
pub(crate) fn silence_ours() {
    static DONE: AtomicBool = AtomicBool::new(false);
    // A panicking thread may not set a hook.
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
    // What a body leaves half done is given up by whoever calls this.
    let result = panic::catch_unwind(AssertUnwindSafe(body));
    INSIDE.set(was);
    result.map_err(|_| Panicked {
        place: PLACE.take(),
    })
}

/// Runs the app's code, whose panics are told as the app wants them told. They end here: they must
/// not end the network thread.
pub(crate) fn outside(body: impl FnOnce()) {
    let was = INSIDE.replace(false);
    let _ = panic::catch_unwind(AssertUnwindSafe(body));
    INSIDE.set(was);
}

/// A panic at a place of a test's choice.
#[cfg(test)]
pub(crate) mod provoked {
    use std::cell::RefCell;

    thread_local! {
        static AT: RefCell<Option<String>> = const { RefCell::new(None) };
    }

    /// From now on this thread panics where it reaches `place`, once.
    pub(crate) fn at(place: &str) {
        AT.set(Some(place.to_owned()));
    }

    /// Panics if this is the place.
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
