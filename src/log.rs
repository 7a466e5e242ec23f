//! The log callback: one per process, with a level, silent by default.
//!
//! Lines are written on network threads only, so that the app's log callback never runs inside one
//! of its own calls. No line contains a ticket, a token or a user id.

use crate::callback::{self, in_callback};
use crate::delivery::Replaced;
use crate::fork;
use crate::os::PerProcess;
use crate::sync::{Condvar, Mutex, lock, wait_while};
use std::cell::RefCell;
use std::fmt::Arguments;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// How long setting the callback waits for lines being delivered.
const SETTER_LIMIT: Duration = Duration::from_secs(5);

/// The severity of a line. The numbers are those of the C API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Every step of a request.
    Debug = 3,
    /// Notable events.
    Info = 4,
    /// Problems that the library handles itself.
    Warn = 5,
    /// A bug in the library.
    Error = 6,
}

impl Level {
    /// The level with that number.
    pub fn from_number(number: i32) -> Option<Level> {
        [Level::Debug, Level::Info, Level::Warn, Level::Error]
            .into_iter()
            .find(|level| *level as i32 == number)
    }
}

/// The app's log callback.
pub type LogCallback = Arc<dyn Fn(Level, &str) + Send + Sync>;

/// The lowest level that is delivered; above every level, logging is off.
static MIN_LEVEL: AtomicU8 = AtomicU8::new(OFF);
const OFF: u8 = u8::MAX;

#[derive(Default)]
struct State {
    callback: Option<LogCallback>,
    /// Counts the callbacks set, so that a line being delivered knows which one it uses.
    generation: u64,
    /// The generation of each line being delivered.
    running: Vec<u64>,
}

#[derive(Default)]
struct Log {
    state: Mutex<State>,
    line_written: Condvar,
}

static LOG: PerProcess<Log> = PerProcess::new(Log::default);

/// Sets or removes the callback and waits, within a limit, until the old one has finished; inside a
/// callback it does not wait.
pub fn set_callback(callback: Option<LogCallback>, min_level: Option<Level>) -> Replaced {
    let level = match (&callback, min_level) {
        (Some(_), Some(level)) => level as u8,
        _ => OFF,
    };
    fork::notice();
    let log = LOG.get();
    let mut state = lock(&log.state);
    MIN_LEVEL.store(level, Ordering::Release);
    let old = std::mem::replace(&mut state.callback, callback);
    state.generation += 1;
    let newest = state.generation;
    let replaced = if in_callback() {
        drop(state);
        Replaced::MayBeRunning
    } else {
        let (state, ended) = wait_while(&log.line_written, state, SETTER_LIMIT, |state| {
            state.running.iter().any(|generation| *generation < newest)
        });
        drop(state);
        if ended {
            Replaced::NotRunning
        } else {
            Replaced::StillRunning
        }
    };
    // The app's closure is dropped outside the lock.
    drop(old);
    replaced
}

/// Delivers a line. Called through the macros below.
pub(crate) fn tell(level: Level, line: Arguments<'_>) {
    if (level as u8) < MIN_LEVEL.load(Ordering::Acquire) {
        return;
    }
    let log = LOG.get();
    let mut state = lock(&log.state);
    let Some(callback) = state.callback.clone() else {
        return;
    };
    let generation = state.generation;
    state.running.push(generation);
    drop(state);
    let line = line.to_string();
    callback::run(move || {
        callback(level, &line);
        // The last reference to a replaced callback must be dropped before its setter returns.
        drop(callback);
    });
    let mut state = lock(&log.state);
    if let Some(at) = state.running.iter().position(|g| *g == generation) {
        state.running.swap_remove(at);
    }
    drop(state);
    log.line_written.notify_all();
}

thread_local! {
    /// The callback, while this thread forks: the child keeps it.
    static REMEMBERED: RefCell<Option<LogCallback>> = const { RefCell::new(None) };
}

/// Before a fork.
pub(crate) fn remember() {
    let callback = lock(&LOG.get().state).callback.clone();
    let _ = REMEMBERED.try_with(|remembered| remembered.replace(callback));
}

/// After a fork, in the parent.
pub(crate) fn forget_remembered() {
    let _ = REMEMBERED.try_with(|remembered| remembered.take());
}

/// After a fork, in the child, which has none of the threads that were delivering lines.
pub(crate) fn begin_anew() {
    LOG.forget();
    let remembered = REMEMBERED.try_with(|remembered| remembered.take());
    lock(&LOG.get().state).callback = remembered.ok().flatten();
}

macro_rules! debug { ($($line:tt)*) => { $crate::log::tell($crate::log::Level::Debug, format_args!($($line)*)) } }
macro_rules! error { ($($line:tt)*) => { $crate::log::tell($crate::log::Level::Error, format_args!($($line)*)) } }
macro_rules! warning { ($($line:tt)*) => { $crate::log::tell($crate::log::Level::Warn, format_args!($($line)*)) } }
macro_rules! info { ($($line:tt)*) => { $crate::log::tell($crate::log::Level::Info, format_args!($($line)*)) } }
pub(crate) use {debug, error, info, warning};
