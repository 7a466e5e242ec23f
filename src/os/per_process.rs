//! Statics that a forked child creates anew: an inherited one may be locked by a thread that the
//! child does not have.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A static per process, created on first use.
pub(crate) struct PerProcess<T: 'static> {
    current: AtomicPtr<T>,
    make: fn() -> T,
}

impl<T: Send + Sync> PerProcess<T> {
    pub(crate) const fn new(make: fn() -> T) -> PerProcess<T> {
        PerProcess {
            current: AtomicPtr::new(ptr::null_mut()),
            make,
        }
    }

    /// The value of this process. Takes no lock: with std's own one-time initialization, a child
    /// might wait for a thread of its parent's.
    pub(crate) fn get(&self) -> &'static T {
        // SAFETY: `current` is null or came from `Box::into_raw` below, and what was put there is never
        // freed.
        if let Some(value) = unsafe { self.current.load(Ordering::Acquire).as_ref() } {
            return value;
        }
        let made = Box::into_raw(Box::new((self.make)()));
        let put = self.current.compare_exchange(
            ptr::null_mut(),
            made,
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        match put {
            // SAFETY: `made` is from `Box::into_raw` above, and is never freed from now on.
            Ok(_) => unsafe { &*made },
            Err(others) => {
                // SAFETY: `made` is from `Box::into_raw` above and nobody else has seen it.
                drop(unsafe { Box::from_raw(made) });
                // SAFETY: another thread's, put there by the exchange above, and never freed.
                unsafe { &*others }
            }
        }
    }

    /// In the child of a fork, abandons the parent's value, whose locks may be held forever.
    pub(crate) fn forget(&self) {
        self.current.store(ptr::null_mut(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn a_value_is_made_once_and_anew_after_it_was_forgotten() {
        static VALUE: PerProcess<Mutex<u32>> = PerProcess::new(|| Mutex::new(0));
        let threads: Vec<_> = (0..8)
            .map(|_| std::thread::spawn(|| *VALUE.get().lock().unwrap() += 1))
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(*VALUE.get().lock().unwrap(), 8);
        let held = VALUE.get().lock().unwrap();
        VALUE.forget();
        assert_eq!(
            *VALUE.get().lock().unwrap(),
            0,
            "not locked, and not what was before"
        );
        drop(held);
    }
}
