//! Delivers completions and events to the app: one queue per client. With [`Mode::Callback`] the
//! client's network thread drains it, one callback at a time and with no lock held; with
//! [`Mode::Poll`] the app takes from it (`poll.rs`), and only the wake-up callback runs there.
//!
//! * Every accepted call completes once: `Delivery::accept` assigns the call its id and
//!   `Delivery::complete` retires it. At most `MAX_UNFINISHED` calls are unfinished at a time, which
//!   bounds the queue.
//! * A connection event replaces an older one still in the queue. Completions and endings are never
//!   dropped.
//! * Replacing a callback is a barrier: once `Delivery::set` has returned [`Replaced::NotRunning`],
//!   the old one is not running and will not run again.

mod poll;

pub use poll::Polled;

use crate::callback::{self, in_callback};
use crate::host::PendingSignal;
use crate::session::{CallId, ConnectionStatus, Event};
use crate::sync::{Condvar, Mutex, MutexGuard, lock, wait_while};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// How many accepted calls of a client may be unfinished, or finished but not yet delivered.
pub(crate) const MAX_UNFINISHED: usize = 64;

/// Runs when a call has finished, with its code.
pub type Completion = Box<dyn FnOnce(i32) + Send>;

/// How a client delivers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// By callbacks, on the client's network thread.
    #[default]
    Callback,
    /// The app takes what there is, on a thread of its own.
    Poll,
}

/// Where the completion of a call goes.
pub enum Reply {
    /// To this callback, with [`Mode::Callback`].
    Callback(Completion),
    /// To the app's polls, under this number, with [`Mode::Poll`].
    Polled(usize),
}

impl Reply {
    pub(crate) fn mode(&self) -> Mode {
        match self {
            Reply::Callback(_) => Mode::Callback,
            Reply::Polled(_) => Mode::Poll,
        }
    }
}

impl From<Completion> for Reply {
    fn from(completion: Completion) -> Reply {
        Reply::Callback(completion)
    }
}

/// Runs when an event is delivered.
pub type Callback = Arc<dyn Fn(Notice) + Send + Sync>;

/// What an event callback receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The connection changed.
    Connection {
        /// The new status.
        status: ConnectionStatus,
        /// 0, or the cause.
        code: i32,
        /// The login it belongs to.
        login_id: u64,
    },
    /// The ticket has expired or was refused.
    UserSigExpired {
        /// Why.
        code: i32,
        /// The login it belongs to.
        login_id: u64,
    },
    /// Another login took the session over, or the server ended it.
    KickedOffline {
        /// Why.
        code: i32,
        /// The login it belongs to.
        login_id: u64,
    },
    /// The ticket expires soon.
    UserSigExpiring {
        /// Seconds until it does.
        seconds_left: i64,
        /// The login it belongs to.
        login_id: u64,
    },
    /// The client is closed; nothing follows.
    Closed,
    /// There is something to poll.
    Pending,
}

/// The kinds of events, each with its own callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`Notice::Connection`].
    Connection,
    /// [`Notice::UserSigExpired`].
    UserSigExpired,
    /// [`Notice::KickedOffline`].
    KickedOffline,
    /// [`Notice::UserSigExpiring`].
    UserSigExpiring,
    /// [`Notice::Closed`].
    Closed,
    /// [`Notice::Pending`], the only one with [`Mode::Poll`].
    Pending,
}

const KINDS: usize = 6;

impl Kind {
    /// The mode in which such a callback runs.
    pub(crate) fn mode(self) -> Mode {
        match self {
            Kind::Pending => Mode::Poll,
            _ => Mode::Callback,
        }
    }
}

impl Notice {
    fn of(event: Event, login_id: u64) -> Notice {
        match event {
            Event::Connection { status, code } => Notice::Connection {
                status,
                code,
                login_id,
            },
            Event::UserSigExpired { code } => Notice::UserSigExpired { code, login_id },
            Event::KickedOffline { code } => Notice::KickedOffline { code, login_id },
            Event::UserSigExpiring { seconds_left } => Notice::UserSigExpiring {
                seconds_left,
                login_id,
            },
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Notice::Connection { .. } => Kind::Connection,
            Notice::UserSigExpired { .. } => Kind::UserSigExpired,
            Notice::KickedOffline { .. } => Kind::KickedOffline,
            Notice::UserSigExpiring { .. } => Kind::UserSigExpiring,
            Notice::Closed => Kind::Closed,
            Notice::Pending => Kind::Pending,
        }
    }
}

/// Whether a replaced callback may still be running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// It is not, and will not run again.
    NotRunning,
    /// It may be: the setter was called inside a callback and could not wait.
    MayBeRunning,
    /// It is, and the setter has waited as long as it may.
    StillRunning,
}

enum Item {
    Completion(Reply, i32),
    Notice(Notice),
}

#[derive(Default)]
struct State {
    last_call: CallId,
    /// Accepted but unfinished, oldest first.
    unfinished: Vec<(CallId, Reply)>,
    queue: VecDeque<Item>,
    completions_queued: usize,
    callbacks: [Option<Callback>; KINDS],
    /// The kind whose callback is running, and the number of that run.
    running: Option<(Kind, u64)>,
    runs: u64,
    /// With [`Mode::Poll`]: the wake-up callback is to run.
    wake_up_due: bool,
    /// Readable while the queue is not empty; made when the app asks for it.
    signal: Option<PendingSignal>,
    /// A thread is waiting in a poll.
    polling: bool,
    /// The closed event was taken.
    ended: bool,
}

/// The queue of one client.
#[derive(Default)]
pub(crate) struct Delivery {
    mode: Mode,
    state: Mutex<State>,
    run_ended: Condvar,
    /// With [`Mode::Poll`]: the queue is no longer empty.
    arrived: Condvar,
}

impl Delivery {
    pub(crate) fn new(mode: Mode) -> Delivery {
        Delivery {
            mode,
            ..Delivery::default()
        }
    }

    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    /// Accepts a call, or returns its reply if too many are unfinished.
    pub(crate) fn accept(&self, reply: Reply) -> Result<CallId, Reply> {
        let mut state = lock(&self.state);
        if state.unfinished.len() + state.completions_queued >= MAX_UNFINISHED {
            return Err(reply);
        }
        state.last_call += 1;
        let call = state.last_call;
        state.unfinished.push((call, reply));
        Ok(call)
    }

    /// Queues the completion of `call`.
    pub(crate) fn complete(&self, call: CallId, code: i32) {
        let mut state = lock(&self.state);
        let Some(at) = state.unfinished.iter().position(|(id, _)| *id == call) else {
            debug_assert!(false, "call {call} completes twice");
            return;
        };
        let (_, reply) = state.unfinished.remove(at);
        self.change_queue(&mut state, |state| {
            state.completions_queued += 1;
            state.queue.push_back(Item::Completion(reply, code));
        });
    }

    /// Queues the completion of every unfinished call, oldest first.
    pub(crate) fn complete_all(&self, code: i32) {
        self.change_queue(&mut lock(&self.state), |state| {
            state.completions_queued += state.unfinished.len();
            let unfinished = state.unfinished.drain(..);
            let completed = unfinished.map(|(_, reply)| Item::Completion(reply, code));
            state.queue.extend(completed);
        });
    }

    /// Queues an event.
    pub(crate) fn event(&self, event: Event, login_id: u64) {
        self.push(Notice::of(event, login_id));
    }

    /// Queues the last event: the client is closed.
    pub(crate) fn closed(&self) {
        self.push(Notice::Closed);
    }

    fn push(&self, notice: Notice) {
        self.change_queue(&mut lock(&self.state), |state| {
            // Coalesced: only the newest of each kind is delivered, at the tail of the queue.
            state
                .queue
                .retain(|item| !matches!(item, Item::Notice(n) if n.kind() == notice.kind()));
            state.queue.push_back(Item::Notice(notice));
        });
    }

    /// A new login has begun: undelivered events of earlier logins are dropped.
    pub(crate) fn drop_events(&self) {
        self.change_queue(&mut lock(&self.state), |state| {
            state
                .queue
                .retain(|item| matches!(item, Item::Completion(..) | Item::Notice(Notice::Closed)));
        });
    }

    /// Makes a change of the queue and wakes the app if it can now poll what it could not before.
    fn change_queue(&self, state: &mut State, change: impl FnOnce(&mut State)) {
        let was_empty = state.queue.is_empty();
        change(state);
        if self.mode == Mode::Callback || was_empty == state.queue.is_empty() {
            return;
        }
        state.wake_up_due = was_empty && state.callbacks[Kind::Pending as usize].is_some();
        if let Some(signal) = &mut state.signal {
            signal.set(was_empty);
        }
        // One thread polls at a time. Waking is a system call, so only a thread that waits is woken.
        if was_empty && state.polling {
            self.arrived.notify_one();
        }
    }

    /// Whether no callback is pending.
    pub(crate) fn is_idle(&self) -> bool {
        let state = lock(&self.state);
        match self.mode {
            Mode::Callback => state.queue.is_empty(),
            Mode::Poll => !state.wake_up_due,
        }
    }

    /// Runs the next pending callback; `false` if there is none. For one thread only.
    pub(crate) fn deliver_next(&self) -> bool {
        let mut state = lock(&self.state);
        let item = match self.mode {
            Mode::Callback => state.queue.pop_front(),
            Mode::Poll => {
                std::mem::take(&mut state.wake_up_due).then_some(Item::Notice(Notice::Pending))
            }
        };
        match item {
            None => return false,
            Some(Item::Completion(reply, code)) => {
                state.completions_queued -= 1;
                drop(state);
                if let Reply::Callback(completion) = reply {
                    callback::run(|| completion(code));
                }
            }
            Some(Item::Notice(notice)) => self.run(state, notice),
        }
        true
    }

    /// Runs the callback for a notice, if there is one, without the lock.
    fn run(&self, mut state: MutexGuard<'_, State>, notice: Notice) {
        let kind = notice.kind();
        let Some(callback) = state.callbacks[kind as usize].clone() else {
            return;
        };
        state.runs += 1;
        state.running = Some((kind, state.runs));
        drop(state);
        callback::run(move || {
            callback(notice);
            // The last reference to a replaced callback must be dropped before its setter returns.
            drop(callback);
        });
        lock(&self.state).running = None;
        self.run_ended.notify_all();
    }

    /// Replaces the callback of `kind` and waits for at most `limit` until the old one has
    /// finished; inside a callback it does not wait at all.
    pub(crate) fn set(&self, kind: Kind, callback: Option<Callback>, limit: Duration) -> Replaced {
        let mut state = lock(&self.state);
        let old = std::mem::replace(&mut state.callbacks[kind as usize], callback);
        if kind == Kind::Pending {
            // What is pending already wakes a new callback, too.
            state.wake_up_due = state.callbacks[kind as usize].is_some() && !state.queue.is_empty();
        }
        let running = state.running.filter(|(running, _)| *running == kind);
        let replaced = match running {
            _ if in_callback() => Replaced::MayBeRunning,
            None => Replaced::NotRunning,
            Some(run) => {
                let (unlocked, ended) = wait_while(&self.run_ended, state, limit, |state| {
                    state.running == Some(run)
                });
                state = unlocked;
                if ended {
                    Replaced::NotRunning
                } else {
                    Replaced::StillRunning
                }
            }
        };
        drop(state);
        // The app's closure is dropped outside the lock.
        drop(old);
        replaced
    }
}

#[cfg(all(test, not(tim_shuttle)))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
