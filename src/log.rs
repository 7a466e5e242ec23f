//! The log callback: one per process, with a level, silent by default.
//!
//! Lines are written on network threads alone, so that no call of the app ever runs its own log
//! callback beneath it. A line names no ticket, no token and no user id.

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

/// How long setting the callback waits for lines that are being told.
const SETTER_LIMIT: Duration = Duration::from_secs(5);

/// How much a line matters. The numbers are those of the C API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Every step of a request.
    Debug = 3,
    /// What an operator would want to know afterwards.
    Info = 4,
    /// Trouble that the library deals with by itself.
    Warn = 5,
    /// A fault of the library.
    Error = 6,
}

impl Level {
    /// The level of that number.
    pub fn from_number(number: i32) -> Option<Level> {
        [Level::Debug, Level::Info, Level::Warn, Level::Error]
            .into_iter()
            .find(|level| *level as i32 == number)
    }
}

/// What takes the lines.
pub type LogCallback = Arc<dyn Fn(Level, &str) + Send + Sync>;

/// The least level that is told; above every level: none is.
static MIN_LEVEL: AtomicU8 = AtomicU8::new(OFF);
const OFF: u8 = u8::MAX;

#[derive(Default)]
struct State {
    callback: Option<LogCallback>,
    /// Counts the callbacks set; a running line knows which one it uses.
    generation: u64,
    /// The generation of each line that is being told now.
    running: Vec<u64>,
}

#[derive(Default)]
struct Log {
    state: Mutex<State>,
    line_told: Condvar,
}

static LOG: PerProcess<Log> = PerProcess::new(Log::default);

/// Sets the callback, or removes it, and waits a while until the old one is not running, unless called
/// inside a callback.
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
        let (state, ended) = wait_while(&log.line_told, state, SETTER_LIMIT, |state| {
            state.running.iter().any(|generation| *generation < newest)
        });
        drop(state);
        if ended {
            Replaced::NotRunning
        } else {
            Replaced::StillRunning
        }
    };
    // What the app's closure holds ends outside of the lock.
    drop(old);
    replaced
}

/// Tells a line. Called by the macros below.
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
        // The last reference to a replaced callback must be gone before its setter goes on.
        drop(callback);
    });
    let mut state = lock(&log.state);
    if let Some(at) = state.running.iter().position(|g| *g == generation) {
        state.running.swap_remove(at);
    }
    drop(state);
    log.line_told.notify_all();
}

thread_local! {
    /// The callback, while this thread forks: the child goes on with it.
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

/// After a fork, in the child, which has none of the threads that were telling lines.
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
