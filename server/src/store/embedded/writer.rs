//! The threads that make records last. One writes the journal: what has come together while it was busy
//! is one group, on disk within one write. When a file of the journal is full, it goes on in the other
//! one, while the other thread takes what the full one holds into the database.

use super::counts::Counts;
use super::database::{self, Writes};
use super::epochs::Epochs;
use super::failed;
use super::journal::{self, Journal};
use crate::store::StoreError;
use crate::store::written::{Asker, Outcome, tell};
use crate::user::User;
use redb::Database;
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// A file of the journal is full when it has so many bytes: a few tens of thousands of logins, and as
/// much as a start after a crash takes in within a second.
const FULL: u64 = 16 * 1024 * 1024;
/// After a group the next one begins no sooner than this for each job but one, and not later than the
/// other. With many logins at once each write then stands for many; whoever comes alone never waits.
const GATHERING: Duration = Duration::from_micros(100);
const GATHERING_MAX: Duration = Duration::from_millis(4);
/// How long the next group waits after one that could not be written.
const AFTER_A_FAILURE: Duration = Duration::from_millis(100);
/// How long a file waits that could not be taken into the database.
const AGAIN: Duration = Duration::from_secs(1);

/// Something to be written.
pub struct Job {
    pub record: Option<(String, Arc<User>)>,
    pub counts: Counts,
    pub asker: Option<Asker>,
}

/// What the threads have done, and what went wrong.
pub struct Progress {
    /// The last job that is on disk, and all before it.
    written: AtomicU64,
    /// The last job that is in the database, and all before it.
    settled: AtomicU64,
    last_write: Mutex<Outcome>,
    last_settling: Mutex<Outcome>,
}

/// The way to the threads.
pub struct Writer {
    queue: Arc<Queue>,
    pub progress: Arc<Progress>,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    /// The one that writes.
    thread: OnceLock<Thread>,
}

#[derive(Default)]
struct Waiting {
    jobs: Vec<Job>,
    /// The number of the last job that came.
    last: u64,
    /// Who waits until all that came before is in the database.
    settlings: Vec<Option<Asker>>,
    /// The file that is not written to, where the other thread is not at it.
    spare: Option<Journal>,
    /// Nothing more will come.
    closed: bool,
}

/// A file of the journal that is to be taken into the database.
struct Full {
    journal: Journal,
    /// The last job of it.
    last: u64,
    settlings: Vec<Option<Asker>>,
}

impl Writer {
    /// Starts the threads over two empty files; the last group was numbered so.
    pub fn start(
        database: &Arc<Database>,
        epochs: &Arc<Epochs>,
        journals: [Journal; 2],
        last_group: u64,
    ) -> io::Result<Writer> {
        let [journal, spare] = journals;
        let queue = Arc::new(Queue::default());
        queue.waiting().spare = Some(spare);
        let progress = Arc::new(Progress::default());
        let (full, settles) = channel();
        let (for_settling, back, told) = (database.clone(), queue.clone(), progress.clone());
        thread::Builder::new()
            .name("settle".into())
            .spawn(move || settle(&for_settling, &settles, &back, &told))?;
        let mut writing = Writing {
            queue: queue.clone(),
            progress: progress.clone(),
            epochs: epochs.clone(),
            journal,
            last_group,
            last_job: 0,
            missed: Vec::new(),
            full,
            _database: database.clone(),
        };
        let handle = thread::Builder::new()
            .name("store".into())
            .spawn(move || writing.run())?;
        let _ = queue.thread.set(handle.thread().clone());
        Ok(Writer { queue, progress })
    }

    /// Hands a job over, and gives its number.
    pub fn send(&self, job: Job) -> u64 {
        let mut waiting = self.queue.waiting();
        waiting.jobs.push(job);
        waiting.last += 1;
        let number = waiting.last;
        drop(waiting);
        self.queue.wake();
        number
    }

    /// Has all that was sent taken into the database.
    pub fn settle(&self, asker: Option<Asker>) {
        self.queue.waiting().settlings.push(asker);
        self.queue.wake();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.waiting().closed = true;
        self.queue.wake();
    }
}

impl Default for Progress {
    fn default() -> Progress {
        Progress {
            written: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            last_write: Mutex::new(Ok(())),
            last_settling: Mutex::new(Ok(())),
        }
    }
}

impl Progress {
    /// Whether the job with this number is on disk, and all before it.
    pub fn is_written(&self, job: u64) -> bool {
        self.written.load(Ordering::SeqCst) >= job
    }

    /// Whether the job with this number is in the database, and all before it.
    pub fn is_settled(&self, job: u64) -> bool {
        self.settled.load(Ordering::SeqCst) >= job
    }

    /// What became of the last of both.
    pub fn last(&self) -> Result<(), StoreError> {
        lock(&self.last_write).clone()?;
        lock(&self.last_settling).clone()
    }
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.waiting)
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread that writes.
struct Writing {
    queue: Arc<Queue>,
    progress: Arc<Progress>,
    epochs: Arc<Epochs>,
    journal: Journal,
    last_group: u64,
    /// The last job that was taken.
    last_job: u64,
    /// What could not be written goes with what comes next: later decisions were taken over it.
    missed: Vec<Job>,
    full: Sender<Full>,
    /// Whoever opens the file next is not to find this thread at the journal.
    _database: Arc<Database>,
}

impl Writing {
    fn run(&mut self) {
        loop {
            let mut waiting = self.queue.waiting();
            let (jobs, closed) = (std::mem::take(&mut waiting.jobs), waiting.closed);
            self.last_job = waiting.last;
            let settlings = match waiting.spare {
                // The other thread is at it: they wait.
                None => Vec::new(),
                Some(_) => std::mem::take(&mut waiting.settlings),
            };
            drop(waiting);
            if jobs.is_empty() && settlings.is_empty() {
                if closed {
                    return;
                }
                thread::park();
                continue;
            }
            self.write(jobs);
            if !settlings.is_empty() || self.journal.len() >= FULL {
                self.turn(settlings);
            }
        }
    }

    /// Writes what has come, and says so to each.
    fn write(&mut self, jobs: Vec<Job>) {
        self.missed.extend(jobs);
        if self.missed.is_empty() {
            return;
        }
        let begun = Instant::now();
        let result = self.write_missed();
        if let Err(error) = &result {
            tracing::error!("the journal: {error}");
        }
        *lock(&self.progress.last_write) = result.clone();
        tell(self.missed.iter_mut().map(|job| job.asker.take()), &result);
        if result.is_err() {
            self.keep_the_newest();
            thread::sleep(AFTER_A_FAILURE);
        } else {
            let others = u32::try_from(self.missed.len() - 1).unwrap_or(u32::MAX);
            self.missed.clear();
            if others > 0 {
                let gathering = GATHERING.saturating_mul(others).min(GATHERING_MAX);
                thread::sleep(gathering.saturating_sub(begun.elapsed()));
            }
        }
    }

    /// What waits for the disk is not to grow with how long that takes: of each user the newest record
    /// is enough, and counts add up.
    fn keep_the_newest(&mut self) {
        let (mut counts, mut newest) = (Counts::default(), HashMap::new());
        for job in self.missed.drain(..) {
            counts.add(&job.counts);
            newest.extend(job.record);
        }
        let jobs = newest.into_iter().map(|record| Job {
            record: Some(record),
            counts: Counts::default(),
            asker: None,
        });
        self.missed.extend(jobs);
        self.missed.push(Job {
            record: None,
            counts,
            asker: None,
        });
    }

    fn write_missed(&mut self) -> Result<(), StoreError> {
        let mut counts = Counts::default();
        let (mut users, mut highest) = (Vec::new(), 0);
        for job in &self.missed {
            counts.add(&job.counts);
            if let Some((user_id, user)) = &job.record {
                users.push((user_id.as_str(), user.as_lasting()));
                highest = user.highest_epoch().max(highest);
            }
        }
        let epochs_below = self.epochs.bound_above(highest);
        let writes = Writes {
            users,
            counts: &counts,
            epochs_below,
        };
        let number = self.last_group + 1;
        let write = |buffer: &mut Vec<u8>| Ok(serde_json::to_writer(buffer, &writes)?);
        self.journal.add(number, write).map_err(failed)?;
        self.last_group = number;
        if let Some(below) = epochs_below {
            self.epochs.written(below);
        }
        (self.progress.written).store(self.last_job, Ordering::SeqCst);
        Ok(())
    }

    /// Goes on in the other file, unless the other thread is at that one still: then in this one, until
    /// it is there.
    fn turn(&mut self, settlings: Vec<Option<Asker>>) {
        if !self.missed.is_empty() {
            let why = failed("the journal cannot be written");
            return tell(settlings, &Err(why));
        }
        if self.journal.len() == 0 {
            return tell(settlings, &Ok(()));
        }
        let Some(spare) = self.queue.waiting().spare.take() else {
            return;
        };
        let full = Full {
            journal: std::mem::replace(&mut self.journal, spare),
            last: self.last_job,
            settlings,
        };
        // Its thread lives for as long as this one.
        let _ = self.full.send(full);
    }
}

/// Takes full files into the database, and gives them back empty.
fn settle(database: &Database, full: &Receiver<Full>, queue: &Queue, progress: &Progress) {
    while let Ok(mut full) = full.recv() {
        loop {
            let bytes = full.journal.bytes().map_err(failed);
            let settled =
                bytes.and_then(|bytes| database::settle(database, &journal::groups(&bytes)));
            let result = settled.map(|_| ());
            *lock(&progress.last_settling) = result.clone();
            tell(std::mem::take(&mut full.settlings), &result);
            match result {
                Ok(()) => break,
                Err(error) => tracing::error!("the database: {error}"),
            }
            thread::sleep(AGAIN);
        }
        progress.settled.store(full.last, Ordering::SeqCst);
        full.journal.rewind();
        queue.waiting().spare = Some(full.journal);
        queue.wake();
    }
}

#[cfg(test)]
mod tests;
