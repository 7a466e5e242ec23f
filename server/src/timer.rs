//! One clock for all streams: when a stream wants a heartbeat, and when its ticket ends. Timers of
//! the runtime would cost each stream more memory, and each login two system calls.

use crate::stream::{Letter, Letters};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Due streams are told together, this often at most.
const GRAIN: Duration = Duration::from_millis(20);

/// One stream. It stays until the first time that finds it ended.
struct Entry {
    heartbeat: Duration,
    /// The end of its ticket; none beyond what the clock can tell, which comes with a later resume.
    ends: Option<Instant>,
    letters: Letters,
}

impl Entry {
    /// When the stream is to be told something next.
    fn next(&self, now: Instant) -> Instant {
        let heartbeat = now + self.heartbeat;
        self.ends.map_or(heartbeat, |ends| heartbeat.min(ends))
    }

    /// Tells the stream what it is time for. `false`: nothing comes after it.
    fn tell(&self, now: Instant) -> bool {
        let ended = self.ends.is_some_and(|ends| ends <= now);
        let letter = if ended {
            Letter::Expiry
        } else {
            Letter::Heartbeat
        };
        self.letters.send(letter).is_ok() && !ended
    }
}

#[derive(Default)]
struct Entries {
    /// By time; the number tells entries of the same time apart.
    by_time: BTreeMap<(Instant, u64), Entry>,
    last: u64,
}

impl Entries {
    fn add(&mut self, entry: Entry, now: Instant) -> (Instant, u64) {
        self.last += 1;
        let key = (entry.next(now), self.last);
        self.by_time.insert(key, entry);
        key
    }
}

/// The clock.
#[derive(Default)]
pub struct Timer {
    entries: Mutex<Entries>,
    earlier: Condvar,
}

impl Timer {
    /// A clock with a thread of its own, which lasts as long as the process.
    pub fn start() -> io::Result<Arc<Timer>> {
        let timer = Arc::new(Timer::default());
        let for_thread = timer.clone();
        thread::Builder::new()
            .name("timer".into())
            .spawn(move || for_thread.run())?;
        Ok(timer)
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on the stream behind `letters` gets its heartbeats, and is told when its ticket has
    /// ended.
    pub fn add(&self, heartbeat: Duration, ends_in: Duration, letters: Letters) {
        let now = Instant::now();
        let entry = Entry {
            heartbeat,
            ends: now.checked_add(ends_in),
            letters,
        };
        let mut entries = self.entries();
        let first = entries.by_time.first_key_value().map(|(key, _)| *key);
        let key = entries.add(entry, now);
        drop(entries);
        if first.is_none_or(|first| key < first) {
            self.earlier.notify_one();
        }
    }

    fn run(&self) {
        let mut entries = self.entries();
        loop {
            let now = Instant::now();
            let rest = entries.by_time.split_off(&(now, u64::MAX));
            let due = std::mem::replace(&mut entries.by_time, rest);
            for entry in due.into_values() {
                if entry.tell(now) {
                    entries.add(entry, now);
                }
            }
            let wait = entries
                .by_time
                .first_key_value()
                .map(|((at, _), _)| at.saturating_duration_since(now).max(GRAIN));
            entries = match wait {
                None => self
                    .earlier
                    .wait(entries)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(wait) => match self.earlier.wait_timeout(entries, wait) {
                    Ok((entries, _)) => entries,
                    Err(poisoned) => poisoned.into_inner().0,
                },
            };
        }
    }
}
