//! The log callback: one per process, with a level, silent by default.
//!
//! Lines are written on network threads alone, so that no call of the app ever runs its own log
//! callback beneath it. A line names no ticket, no token and no user id.

use crate::delivery::{Replaced, in_callback, run_callback};
use std::fmt::Arguments;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

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

struct State {
    callback: Option<LogCallback>,
    /// Counts the callbacks set; a running line knows which one it uses.
    generation: u64,
    /// The generation of each line that is being told now.
    running: Vec<u64>,
}

static STATE: Mutex<State> = Mutex::new(State {
    callback: None,
    generation: 0,
    running: Vec::new(),
});
static LINE_TOLD: Condvar = Condvar::new();

fn state() -> MutexGuard<'static, State> {
    STATE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Sets the callback, or removes it, and waits until the old one is not running, unless called
/// inside a callback.
pub fn set_callback(callback: Option<LogCallback>, min_level: Option<Level>) -> Replaced {
    let mut state = state();
    let level = match (&callback, min_level) {
        (Some(_), Some(level)) => level as u8,
        _ => OFF,
    };
    MIN_LEVEL.store(level, Ordering::Release);
    let old = std::mem::replace(&mut state.callback, callback);
    state.generation += 1;
    let newest = state.generation;
    if in_callback() {
        drop(state);
        return Replaced::MayBeRunning;
    }
    while state.running.iter().any(|generation| *generation < newest) {
        state = LINE_TOLD
            .wait(state)
            .unwrap_or_else(std::sync::PoisonError::into_inner);
    }
    drop(state);
    drop(old);
    Replaced::NotRunning
}

/// Tells a line. Called by the macros below.
pub(crate) fn tell(level: Level, line: Arguments<'_>) {
    if (level as u8) < MIN_LEVEL.load(Ordering::Acquire) {
        return;
    }
    let mut held = state();
    let Some(callback) = held.callback.clone() else {
        return;
    };
    let generation = held.generation;
    held.running.push(generation);
    drop(held);
    let line = line.to_string();
    run_callback(|| callback(level, &line));
    drop(callback);
    let mut held = state();
    if let Some(at) = held.running.iter().position(|g| *g == generation) {
        held.running.swap_remove(at);
    }
    drop(held);
    LINE_TOLD.notify_all();
}

/// The log, held over a fork so that the child finds it whole.
pub(crate) struct Held(MutexGuard<'static, State>);

/// Holds the log while the process forks.
pub(crate) fn hold() -> Held {
    Held(state())
}

impl Held {
    /// For the child: the threads that were telling lines are not there.
    pub(crate) fn forget_running(&mut self) {
        self.0.running.clear();
    }
}

macro_rules! debug { ($($line:tt)*) => { $crate::log::tell($crate::log::Level::Debug, format_args!($($line)*)) } }
macro_rules! info { ($($line:tt)*) => { $crate::log::tell($crate::log::Level::Info, format_args!($($line)*)) } }
pub(crate) use {debug, info};
