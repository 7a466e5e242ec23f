//! The writing thread. Whatever arrives while it is busy becomes one transaction, on disk with one
//! write.

use super::counts::Counts;
use super::database::{self, Group};
use super::epochs::Epochs;
use super::events::{Changes, Events};
use super::failed;
use crate::event::Event;
use crate::store::StoreError;
use crate::store::written::{Asker, Outcome, tell};
use crate::user::User;
use rusqlite::Connection;
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// After a group, the next one starts no sooner than this per job of it beyond the first, with an
/// upper limit. With many logins at once, each write then serves many; a single one never waits.
const GATHERING: Duration = Duration::from_micros(100);
const GATHERING_MAX: Duration = Duration::from_millis(4);
/// How long a failed write waits for the next attempt.
const RETRY: Duration = Duration::from_millis(250);

/// Something to write.
#[derive(Default)]
pub struct Job {
    pub record: Option<(String, Arc<User>)>,
    pub counts: Counts,
    /// Numbered.
    pub events: Vec<(u64, Event)>,
    /// Delivered events.
    pub delivered: Vec<u64>,
    pub asker: Option<Asker>,
}

/// Another use of the connection, between two transactions.
type Task = Box<dyn FnOnce(&mut Connection) + Send>;

/// How far the thread has got, and what went wrong.
pub struct Progress {
    /// The last job on disk; all before it are, too.
    written: AtomicU64,
    /// Whether the last write failed.
    fails: AtomicBool,
    last_write: Mutex<Outcome>,
}

/// The handle of the thread, which ends when this is dropped.
pub struct Writer {
    queue: Arc<Queue>,
    pub progress: Arc<Progress>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    jobs: Vec<Job>,
    tasks: Vec<Task>,
    /// The number of the last job received.
    last: u64,
    /// Nothing more will come.
    closed: bool,
}

impl Writer {
    /// Starts the thread.
    pub fn start(
        connection: Connection,
        epochs: &Arc<Epochs>,
        events: &Arc<Events>,
    ) -> io::Result<Writer> {
        let queue = Arc::new(Queue::default());
        let progress = Arc::new(Progress {
            written: AtomicU64::new(0),
            fails: AtomicBool::new(false),
            last_write: Mutex::new(Ok(())),
        });
        let mut writing = Writing {
            queue: queue.clone(),
            progress: progress.clone(),
            epochs: epochs.clone(),
            events: events.clone(),
            connection,
            last_job: 0,
            missed: Vec::new(),
        };
        let thread = thread::Builder::new()
            .name("store".into())
            .spawn(move || writing.run())?;
        Ok(Writer {
            queue,
            progress,
            thread: Some(thread),
        })
    }

    /// Queues a job and returns its number.
    pub fn send(&self, job: Job) -> u64 {
        let mut waiting = self.queue.waiting();
        waiting.jobs.push(job);
        waiting.last += 1;
        let number = waiting.last;
        drop(waiting);
        self.wake();
        number
    }

    /// Runs something on the thread with its connection.
    pub async fn run<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (done, result) = oneshot::channel();
        self.queue.waiting().tasks.push(Box::new(move |connection| {
            // The caller may have stopped waiting.
            let _ = done.send(task(connection));
        }));
        self.wake();
        match result.await {
            Ok(result) => result.map_err(failed),
            Err(_) => Err(failed("its thread has ended")),
        }
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.waiting().closed = true;
        self.wake();
        // Once this returns, the file is closed and another store can open it.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Progress {
    /// Whether the job with this number, and all before it, are on disk.
    pub fn is_written(&self, job: u64) -> bool {
        self.written.load(Ordering::SeqCst) >= job
    }

    /// Why nothing can be written at the moment.
    pub fn failure(&self) -> Option<StoreError> {
        if !self.fails.load(Ordering::SeqCst) {
            return None;
        }
        lock(&self.last_write).clone().err()
    }
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.waiting)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Writing {
    queue: Arc<Queue>,
    progress: Arc<Progress>,
    epochs: Arc<Epochs>,
    events: Arc<Events>,
    connection: Connection,
    /// The last job taken.
    last_job: u64,
    /// What could not be written goes with what comes next: later decisions were based on it.
    missed: Vec<Job>,
}

impl Writing {
    fn run(&mut self) {
        loop {
            let (jobs, tasks, closed) = {
                let mut waiting = self.queue.waiting();
                self.last_job = waiting.last;
                let jobs = std::mem::take(&mut waiting.jobs);
                (jobs, std::mem::take(&mut waiting.tasks), waiting.closed)
            };
            let is_idle = jobs.is_empty() && tasks.is_empty();
            if is_idle && closed {
                return;
            }
            if is_idle && self.missed.is_empty() {
                thread::park();
                continue;
            }
            self.write(jobs);
            for task in tasks {
                task(&mut self.connection);
            }
        }
    }

    /// Writes what has arrived and what failed before, and notifies those who wait.
    fn write(&mut self, jobs: Vec<Job>) {
        self.missed.extend(jobs);
        if self.missed.is_empty() {
            return;
        }
        let begun = Instant::now();
        let result = self.write_missed();
        let failed_before = self.progress.fails.load(Ordering::SeqCst);
        match &result {
            Err(error) if !failed_before => tracing::error!("{error}"),
            Ok(()) if failed_before => tracing::info!("the store can be written again"),
            _ => {}
        }
        lock(&self.progress.last_write).clone_from(&result);
        (self.progress.fails).store(result.is_err(), Ordering::SeqCst);
        if result.is_ok() {
            let written = self.missed.iter_mut();
            self.events
                .written(written.flat_map(|job| std::mem::take(&mut job.events)));
        }
        tell(self.missed.iter_mut().map(|job| job.asker.take()), &result);
        if result.is_err() {
            self.keep_the_newest();
            thread::sleep(RETRY);
        } else {
            let others = u32::try_from(self.missed.len() - 1).unwrap_or(u32::MAX);
            self.missed.clear();
            if others > 0 {
                let gathering = GATHERING.saturating_mul(others).min(GATHERING_MAX);
                thread::sleep(gathering.saturating_sub(begun.elapsed()));
            }
        }
    }

    /// What waits for the disk must not grow with the time that takes: per user the newest record
    /// is enough, and counts add up.
    fn keep_the_newest(&mut self) {
        let (mut rest, mut newest) = (Job::default(), HashMap::new());
        for job in self.missed.drain(..) {
            rest.counts.add(&job.counts);
            rest.events.extend(job.events);
            rest.delivered.extend(job.delivered);
            newest.extend(job.record);
        }
        let jobs = newest.into_iter().map(|record| Job {
            record: Some(record),
            ..Job::default()
        });
        self.missed.extend(jobs);
        self.missed.push(rest);
    }

    fn write_missed(&mut self) -> Result<(), StoreError> {
        let (mut counts, mut events, mut highest) = (Counts::default(), Changes::default(), 0);
        // The newest record of each user, in the tree's order, so that each page is written once.
        let mut users = HashMap::new();
        for job in &self.missed {
            counts.add(&job.counts);
            if let Some((user_id, user)) = &job.record {
                users.insert(user_id.as_str(), user);
                highest = user.highest_epoch().max(highest);
            }
            events
                .added
                .extend(job.events.iter().map(|(id, event)| (*id, event)));
            events.delivered.extend(&job.delivered);
        }
        let mut users: Vec<_> = users
            .into_iter()
            .map(|(user_id, user)| (user_id, user.as_lasting()))
            .collect();
        users.sort_unstable_by_key(|(user_id, _)| *user_id);
        let epochs_below = self.epochs.bound_above(highest);
        let group = Group {
            users,
            counts,
            epochs_below,
            events,
        };
        database::write(&mut self.connection, &group).map_err(failed)?;
        if let Some(below) = epochs_below {
            self.epochs.written(below);
        }
        (self.progress.written).store(self.last_job, Ordering::SeqCst);
        Ok(())
    }
}
