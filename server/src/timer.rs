//! One clock for all streams: when each needs a heartbeat, and when its ticket expires. The
//! runtime's timers would cost more memory per stream, and two system calls per login.

use crate::outbox::{Message, Outbox};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Due messages are sent together, at most this often.
const GRAIN: Duration = Duration::from_millis(20);

/// One stream.
struct Entry {
    heartbeat: Duration,
    /// When its ticket expires; `None` beyond the clock's range, which a later resume will cover.
    ends: Option<Instant>,
    outbox: Outbox,
}

impl Entry {
    /// When something is next due.
    fn next(&self, now: Instant) -> Instant {
        let heartbeat = now + self.heartbeat;
        self.ends.map_or(heartbeat, |ends| heartbeat.min(ends))
    }

    /// Sends what is due. `false`: this was its last message.
    fn send_due(&self, now: Instant) -> bool {
        let ended = self.ends.is_some_and(|ends| ends <= now);
        let message = if ended {
            Message::Expiry
        } else {
            Message::Heartbeat
        };
        self.outbox.send(message).is_ok() && !ended
    }
}

#[derive(Default)]
struct Entries {
    /// By time and stream.
    by_time: BTreeMap<(Instant, u64), Entry>,
    /// When something is next due for each stream.
    times: HashMap<u64, Instant>,
    /// When the thread looks next, if it does so by itself. A stream that has ended does not move
    /// this, or each of a few logins would wake the thread.
    looks: Option<Instant>,
}

impl Entries {
    /// Returns when something is due.
    fn add(&mut self, stream_id: u64, entry: Entry, now: Instant) -> Instant {
        let at = entry.next(now);
        self.by_time.insert((at, stream_id), entry);
        self.times.insert(stream_id, at);
        at
    }

    fn remove(&mut self, stream_id: u64) {
        if let Some(at) = self.times.remove(&stream_id) {
            self.by_time.remove(&(at, stream_id));
        }
    }

    fn first(&self) -> Option<Instant> {
        self.by_time.first_key_value().map(|((at, _), _)| *at)
    }
}

/// The clock.
#[derive(Default)]
pub struct Timer {
    entries: Mutex<Entries>,
    earlier: Condvar,
}

impl Timer {
    /// Starts a clock with its own thread, for the life of the process.
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

    /// Starts the heartbeats of the stream behind `outbox`, and schedules the end of its ticket.
    pub fn add(&self, stream_id: u64, heartbeat: Duration, ends_in: Duration, outbox: Outbox) {
        let now = Instant::now();
        let entry = Entry {
            heartbeat,
            ends: now.checked_add(ends_in),
            outbox,
        };
        let mut entries = self.entries();
        let at = entries.add(stream_id, entry, now);
        if entries.looks.is_none_or(|looks| at < looks) {
            entries.looks = Some(at);
            drop(entries);
            self.earlier.notify_one();
        }
    }

    /// Drops a stream that has ended.
    pub fn remove(&self, stream_id: u64) {
        self.entries().remove(stream_id);
    }

    fn run(&self) {
        let mut entries = self.entries();
        loop {
            let now = Instant::now();
            let rest = entries.by_time.split_off(&(now, u64::MAX));
            let due = std::mem::replace(&mut entries.by_time, rest);
            for ((_, stream_id), entry) in due {
                if entry.send_due(now) {
                    entries.add(stream_id, entry, now);
                } else {
                    entries.times.remove(&stream_id);
                }
            }
            let wait = entries
                .first()
                .map(|at| at.saturating_duration_since(now).max(GRAIN));
            entries.looks = wait.map(|wait| now + wait);
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc::unbounded_channel;

    const SOON: Duration = Duration::from_millis(1);
    const NEVER: Duration = Duration::from_secs(3600);

    #[test]
    fn nothing_is_kept_of_a_stream_that_has_ended() {
        let timer = Timer::default();
        for stream_id in 0..1000 {
            let (outbox, _reader) = unbounded_channel();
            timer.add(stream_id, NEVER, NEVER, outbox);
            timer.remove(stream_id);
        }
        let entries = timer.entries();
        assert!(entries.by_time.is_empty() && entries.times.is_empty());
    }

    #[test]
    fn the_thread_is_woken_only_for_what_comes_before_it_looks_again() {
        let timer = Timer::default();
        let looks = || timer.entries().looks.unwrap();
        let add = |stream_id, heartbeat| {
            let (outbox, _) = unbounded_channel();
            timer.add(stream_id, heartbeat, NEVER, outbox);
        };
        add(1, NEVER / 2);
        let at = looks();
        timer.remove(1);
        add(2, NEVER);
        assert_eq!(looks(), at, "it looks early enough as it is");
        add(3, NEVER / 4);
        assert!(looks() < at);
    }

    #[test]
    fn a_stream_has_heartbeats_until_its_ticket_ends_and_then_its_expiry_alone() {
        let timer = Timer::start().unwrap();
        let (beating, mut beats) = unbounded_channel();
        timer.add(1, SOON, NEVER, beating);
        let (ending, mut end) = unbounded_channel();
        timer.add(2, NEVER, SOON, ending);
        for _ in 0..3 {
            assert!(matches!(beats.blocking_recv(), Some(Message::Heartbeat)));
        }
        assert!(matches!(end.blocking_recv(), Some(Message::Expiry)));
        assert!(end.blocking_recv().is_none(), "nobody else has its outbox");
        timer.remove(1);
        while let Some(message) = beats.blocking_recv() {
            assert!(matches!(message, Message::Heartbeat));
        }
        let entries = timer.entries();
        assert!(entries.by_time.is_empty() && entries.times.is_empty());
    }
}
