//! The log callback: one per process, with a level, silent by default.
//!
//! Lines are written on network threads only, so that the app's log callback never runs inside one
//! of its own calls. No line contains a ticket, a token or a user id.

use crate::callback::{self, RUNNING_LIMIT, in_callback};
use crate::delivery::Replaced;
use crate::fork;
use crate::os::PerProcess;
use crate::sync::{Condvar, Mutex, lock, wait_while};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt::Arguments;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

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

/// How many lines are kept for polls; the oldest are dropped.
const KEPT_MAX: usize = 256;

#[derive(Default)]
struct State {
    callback: Option<LogCallback>,
    /// The lowest level that `callback` gets.
    level: Option<Level>,
    /// Lines for polls, oldest first, and the lowest level that is kept.
    kept: VecDeque<(Level, String)>,
    kept_level: Option<Level>,
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

impl State {
    /// Lets through what the callback or the polls want.
    fn set_min_level(&self) {
        let wanted = [self.level, self.kept_level].into_iter().flatten().min();
        MIN_LEVEL.store(wanted.map_or(OFF, |level| level as u8), Ordering::Release);
    }
}

/// Sets or removes the callback and waits, within a limit, until the old one has finished; inside a
/// callback it does not wait.
pub fn set_callback(callback: Option<LogCallback>, min_level: Option<Level>) -> Replaced {
    fork::notice();
    let log = LOG.get();
    let mut state = lock(&log.state);
    state.level = min_level.filter(|_| callback.is_some());
    state.set_min_level();
    let old = std::mem::replace(&mut state.callback, callback);
    state.generation += 1;
    let newest = state.generation;
    let replaced = if in_callback() {
        drop(state);
        Replaced::MayBeRunning
    } else {
        let (state, ended) = wait_while(&log.line_written, state, RUNNING_LIMIT, |state| {
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

/// Keeps lines from `min_level` on for polls, or none, and passes the oldest one to `take`, which
/// removes it by returning `Ok`. `None` if there is none.
pub fn poll<E>(
    min_level: Option<Level>,
    take: impl FnOnce(Level, &str) -> Result<(), E>,
) -> Option<Result<(), E>> {
    fork::notice();
    let mut state = lock(&LOG.get().state);
    state.kept_level = min_level;
    state.set_min_level();
    let (level, line) = state.kept.front()?;
    let taken = take(*level, line);
    if taken.is_ok() {
        state.kept.pop_front();
    }
    Some(taken)
}

/// Delivers a line. Called through the macros below.
pub(crate) fn tell(level: Level, line: Arguments<'_>) {
    if (level as u8) < MIN_LEVEL.load(Ordering::Acquire) {
        return;
    }
    let log = LOG.get();
    let line = line.to_string();
    let mut state = lock(&log.state);
    if state.kept_level.is_some_and(|kept| kept <= level) {
        if state.kept.len() == KEPT_MAX {
            state.kept.pop_front();
        }
        state.kept.push_back((level, line.clone()));
    }
    let wanted = state.level.is_some_and(|least| least <= level);
    let Some(callback) = state.callback.clone().filter(|_| wanted) else {
        return;
    };
    let generation = state.generation;
    state.running.push(generation);
    drop(state);
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
    /// The callback and its level, while this thread forks: the child keeps them.
    static REMEMBERED: RefCell<Option<(LogCallback, Option<Level>)>> = const { RefCell::new(None) };
}

/// Before a fork.
pub(crate) fn remember() {
    let state = lock(&LOG.get().state);
    let callback = state
        .callback
        .clone()
        .map(|callback| (callback, state.level));
    drop(state);
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
    let mut state = lock(&LOG.get().state);
    if let Some((callback, level)) = remembered.ok().flatten() {
        (state.callback, state.level) = (Some(callback), level);
    }
    state.set_min_level();
}

macro_rules! debug { ($($line:tt)*) => { $crate::log::tell($crate::log::Level::Debug, format_args!($($line)*)) } }
macro_rules! error { ($($line:tt)*) => { $crate::log::tell($crate::log::Level::Error, format_args!($($line)*)) } }
macro_rules! warning { ($($line:tt)*) => { $crate::log::tell($crate::log::Level::Warn, format_args!($($line)*)) } }
macro_rules! info { ($($line:tt)*) => { $crate::log::tell($crate::log::Level::Info, format_args!($($line)*)) } }
pub(crate) use {debug, error, info, warning};
