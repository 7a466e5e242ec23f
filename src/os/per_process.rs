//! Statics that a forked child starts anew: what it inherits may be locked by a thread that it does
//! not have.

use std::process;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A static of one process, made when it is first asked for.
pub(crate) struct PerProcess<T: 'static> {
    current: AtomicPtr<Owned<T>>,
    /// Told whether a value of the parent's is there.
    make: fn(bool) -> T,
}

struct Owned<T> {
    process: u32,
    value: T,
}

impl<T: Send + Sync> PerProcess<T> {
    pub(crate) const fn new(make: fn(bool) -> T) -> PerProcess<T> {
        PerProcess {
            current: AtomicPtr::new(ptr::null_mut()),
            make,
        }
    }

    /// The value of this process. Asks for the process itself: an at-fork handler of the app may run
    /// in the child before ours.
    pub(crate) fn get(&self) -> &'static T {
        let process = process::id();
        let mut found = self.current.load(Ordering::Acquire);
        loop {
            // SAFETY: `current` is null or came from `Box::into_raw` below, and what was put there is
            // never freed.
            if let Some(owned) = unsafe { found.as_ref() }
                && owned.process == process
            {
                return &owned.value;
            }
            let value = (self.make)(!found.is_null());
            let made = Box::into_raw(Box::new(Owned { process, value }));
            match self
                .current
                .compare_exchange(found, made, Ordering::AcqRel, Ordering::Acquire)
            {
                // The parent's value is left as it is: its locks may be held for ever.
                Ok(_) => found = made,
                Err(newer) => {
                    // SAFETY: `made` is from `Box::into_raw` above and nobody else has seen it.
                    drop(unsafe { Box::from_raw(made) });
                    found = newer;
                }
            }
        }
    }

    /// For the child of a fork: the value is the parent's.
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
        static VALUE: PerProcess<Mutex<u32>> = PerProcess::new(|_| Mutex::new(0));
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
