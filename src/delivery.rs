//! From the state machine to the app: one queue per client, drained by its network thread, one
//! callback at a time and with no lock held.
//!
//! * Every accepted call completes once: `Delivery::accept` hands out the call's id and
//!   `Delivery::complete` takes it back. At most `MAX_UNFINISHED` are out at a time, which
//!   bounds the queue.
//! * A connection event replaces an older one that the app has not got yet. Completions and
//!   endings are never lost.
//! * Replacing a callback is a barrier: once `Delivery::set` has returned
//!   [`Replaced::NotRunning`], the old one does not run and will not run.

use crate::session::{CallId, ConnectionStatus, Event};
use crate::sync::{Arc, Condvar, Mutex, lock, thread_local, wait};
use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How many accepted calls of a client may be unfinished, or finished and not yet delivered.
pub(crate) const MAX_UNFINISHED: usize = 64;

/// What runs when a call has finished, with its code.
pub type Completion = Box<dyn FnOnce(i32) + Send>;

/// What runs when something happens.
pub type Callback = Arc<dyn Fn(Notice) + Send + Sync>;

/// What an event callback is given.
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
    /// The ticket has ended.
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
    /// The ticket ends soon.
    UserSigExpiring {
        /// Seconds until then.
        seconds_left: i64,
        /// The login it belongs to.
        login_id: u64,
    },
    /// The client is closed: nothing comes after this.
    Closed,
}

/// The kinds of event, each with one callback.
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
}

const KINDS: usize = 5;

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
}

thread_local! {
    static CALLBACK_DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Whether this thread is inside a callback of any client, or of the log.
pub(crate) fn in_callback() -> bool {
    CALLBACK_DEPTH.with(|depth| depth.get() > 0)
}

/// Forgets that this thread was inside a callback: for a forked child, which begins anew.
pub(crate) fn forget_callback() {
    CALLBACK_DEPTH.with(|depth| depth.set(0));
}

/// Runs the app's code, marked as being inside a callback. A panic of a Rust app's closure ends
/// here: it must not end the network thread.
pub(crate) fn run_callback(callback: impl FnOnce()) {
    CALLBACK_DEPTH.with(|depth| depth.set(depth.get() + 1));
    let _ = catch_unwind(AssertUnwindSafe(callback));
    CALLBACK_DEPTH.with(|depth| depth.set(depth.get().saturating_sub(1)));
}

enum Item {
    Completion(Completion, i32),
    Notice(Notice),
}

#[derive(Default)]
struct State {
    last_call: CallId,
    /// Accepted and not finished, oldest first.
    unfinished: Vec<(CallId, Completion)>,
    queue: VecDeque<Item>,
    completions_queued: usize,
    callbacks: [Option<Callback>; KINDS],
    /// The kind whose callback is running, and the number of that run.
    running: Option<(Kind, u64)>,
    runs: u64,
}

/// The queue of one client.
#[derive(Default)]
pub(crate) struct Delivery {
    state: Mutex<State>,
    run_ended: Condvar,
}

impl Delivery {
    /// Takes a call in. `None`: too many are unfinished.
    pub(crate) fn accept(&self, completion: Completion) -> Option<CallId> {
        let mut state = lock(&self.state);
        if state.unfinished.len() + state.completions_queued >= MAX_UNFINISHED {
            return None;
        }
        state.last_call += 1;
        let call = state.last_call;
        state.unfinished.push((call, completion));
        Some(call)
    }

    /// Queues the completion of `call`.
    pub(crate) fn complete(&self, call: CallId, code: i32) {
        let mut state = lock(&self.state);
        let Some(at) = state.unfinished.iter().position(|(id, _)| *id == call) else {
            debug_assert!(false, "call {call} completes twice");
            return;
        };
        let (_, completion) = state.unfinished.remove(at);
        state.completions_queued += 1;
        state.queue.push_back(Item::Completion(completion, code));
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
        let mut state = lock(&self.state);
        // Only the newest of a kind is told; it takes the place that its own time gives it.
        state
            .queue
            .retain(|item| !matches!(item, Item::Notice(n) if n.kind() == notice.kind()));
        state.queue.push_back(Item::Notice(notice));
    }

    /// A new login began: what the app has not been told of earlier ones is dropped.
    pub(crate) fn drop_events(&self) {
        lock(&self.state)
            .queue
            .retain(|item| matches!(item, Item::Completion(..) | Item::Notice(Notice::Closed)));
    }

    /// Whether nothing waits to be delivered.
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.state).queue.is_empty()
    }

    /// Runs the callback of the next item; `false` when there is none. For one thread only.
    pub(crate) fn deliver_next(&self) -> bool {
        let mut state = lock(&self.state);
        match state.queue.pop_front() {
            None => return false,
            Some(Item::Completion(completion, code)) => {
                state.completions_queued -= 1;
                drop(state);
                run_callback(|| completion(code));
            }
            Some(Item::Notice(notice)) => {
                let kind = notice.kind();
                let Some(callback) = state.callbacks[kind as usize].clone() else {
                    return true;
                };
                state.runs += 1;
                state.running = Some((kind, state.runs));
                drop(state);
                run_callback(|| callback(notice));
                // The last reference to a replaced callback must be gone before its setter goes on.
                drop(callback);
                lock(&self.state).running = None;
                self.run_ended.notify_all();
            }
        }
        true
    }

    /// Replaces the callback of `kind` and waits until the old one is not running, unless the
    /// caller is inside a callback itself.
    pub(crate) fn set(&self, kind: Kind, callback: Option<Callback>) -> Replaced {
        let mut state = lock(&self.state);
        let old = std::mem::replace(&mut state.callbacks[kind as usize], callback);
        if in_callback() {
            drop(state);
            return Replaced::MayBeRunning;
        }
        if let Some((running, run)) = state.running
            && running == kind
        {
            while state.running == Some((kind, run)) {
                state = wait(&self.run_ended, state);
            }
        }
        drop(state);
        drop(old);
        Replaced::NotRunning
    }
}

#[cfg(all(test, not(tim_shuttle)))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    fn connection(code: i32) -> Event {
        Event::Connection {
            status: ConnectionStatus::ConnectFailed,
            code,
        }
    }

    fn recorder(tx: &Sender<String>, name: &'static str) -> Completion {
        let tx = tx.clone();
        Box::new(move |code| tx.send(format!("{name} {code}")).unwrap())
    }

    fn watch(delivery: &Delivery, tx: &Sender<String>) {
        for kind in [Kind::Connection, Kind::UserSigExpired, Kind::Closed] {
            let tx = tx.clone();
            delivery.set(
                kind,
                Some(Arc::new(move |notice| {
                    tx.send(match notice {
                        Notice::Connection { code, .. } => format!("connection {code}"),
                        Notice::UserSigExpired { code, .. } => format!("expired {code}"),
                        other => format!("{other:?}").to_lowercase(),
                    })
                    .unwrap()
                })),
            );
        }
    }

    fn drain(delivery: &Delivery, rx: &Receiver<String>) -> Vec<String> {
        while delivery.deliver_next() {}
        rx.try_iter().collect()
    }

    #[test]
    fn items_are_delivered_in_the_order_in_which_they_happened() {
        let (tx, rx) = channel();
        let delivery = Delivery::default();
        watch(&delivery, &tx);
        let first = delivery.accept(recorder(&tx, "login")).unwrap();
        delivery.event(connection(9511), 1);
        delivery.complete(first, 0);
        delivery.event(Event::UserSigExpired { code: 70001 }, 1);
        delivery.closed();
        assert_eq!(
            drain(&delivery, &rx),
            ["connection 9511", "login 0", "expired 70001", "closed"]
        );
    }

    #[test]
    fn a_newer_connection_event_replaces_one_that_was_not_delivered() {
        let (tx, rx) = channel();
        let delivery = Delivery::default();
        watch(&delivery, &tx);
        delivery.event(connection(9511), 1);
        delivery.event(Event::UserSigExpired { code: 70001 }, 1);
        delivery.event(connection(9510), 1);
        assert_eq!(drain(&delivery, &rx), ["expired 70001", "connection 9510"]);
    }

    #[test]
    fn dropping_events_keeps_completions_and_the_closed_event() {
        let (tx, rx) = channel();
        let delivery = Delivery::default();
        watch(&delivery, &tx);
        let call = delivery.accept(recorder(&tx, "login")).unwrap();
        delivery.complete(call, 7700);
        delivery.event(connection(9511), 1);
        delivery.closed();
        delivery.drop_events();
        assert_eq!(drain(&delivery, &rx), ["login 7700", "closed"]);
    }

    #[test]
    fn the_65th_unfinished_or_undelivered_call_is_refused() {
        let (tx, rx) = channel();
        let delivery = Delivery::default();
        let calls: Vec<_> = (0..MAX_UNFINISHED)
            .map(|_| delivery.accept(recorder(&tx, "call")).unwrap())
            .collect();
        assert!(delivery.accept(recorder(&tx, "65th")).is_none());
        for call in calls {
            delivery.complete(call, 0);
        }
        assert!(
            delivery.accept(recorder(&tx, "65th")).is_none(),
            "finished, but not delivered"
        );
        assert!(delivery.deliver_next());
        assert!(delivery.accept(recorder(&tx, "again")).is_some());
        assert_eq!(drain(&delivery, &rx).len(), MAX_UNFINISHED);
    }

    #[test]
    fn a_completion_may_make_the_next_call() {
        let delivery = Arc::new(Delivery::default());
        for _ in 0..MAX_UNFINISHED {
            let inner = delivery.clone();
            let call = delivery.accept(Box::new(move |_| {
                assert!(inner.accept(Box::new(|_| ())).is_some());
            }));
            delivery.complete(call.unwrap(), 0);
        }
        while delivery.deliver_next() {}
        assert!(
            delivery.accept(Box::new(|_| ())).is_none(),
            "all 64 calls were made"
        );
    }

    #[test]
    fn a_panic_in_a_callback_does_not_reach_the_network_thread() {
        let (tx, rx) = channel();
        let delivery = Delivery::default();
        let first = delivery.accept(Box::new(|_| panic!("the app's fault")));
        delivery.complete(first.unwrap(), 0);
        let second = delivery.accept(recorder(&tx, "second"));
        delivery.complete(second.unwrap(), 0);
        assert_eq!(drain(&delivery, &rx), ["second 0"]);
        assert!(!in_callback());
    }

    #[test]
    fn a_setter_inside_a_callback_takes_effect_and_says_that_it_did_not_wait() {
        let (tx, rx) = channel();
        let delivery = Arc::new(Delivery::default());
        let inner = delivery.clone();
        delivery.set(
            Kind::Connection,
            Some(Arc::new(move |_| {
                tx.send(inner.set(Kind::Connection, None)).unwrap();
            })),
        );
        delivery.event(connection(1), 1);
        delivery.event(Event::UserSigExpired { code: 1 }, 1);
        while delivery.deliver_next() {}
        delivery.event(connection(2), 1);
        while delivery.deliver_next() {}
        assert_eq!(
            rx.try_iter().collect::<Vec<_>>(),
            [Replaced::MayBeRunning],
            "the second event met no callback"
        );
    }
}
