//! Statics that a forked child starts anew: what it inherits may be locked by a thread that it does
//! not have.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A static of one process, made when it is first asked for.
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

    /// The value of this process. Takes no lock: std's own ways to make a static once would wait in a
    /// child for a thread of the parent's.
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

    /// For the child of a fork: the value is the parent's, and stays as it is, since its locks may be
    /// held for ever.
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
