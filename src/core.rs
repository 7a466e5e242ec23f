//! What a client is without a network: its state machine behind a lock, its delivery, its life
//! from creation to the closed event. The network thread and the app's threads meet here alone,
//! so that every schedule of them can be tried without a socket.

use crate::delivery::{Callback, Completion, Delivery, Kind, Replaced, in_callback};
use crate::error;
use crate::registry::{Handle, Registry};
use crate::secret::Secret;
use crate::session::{Action, Input, LastError, Now, Request, Session};
use crate::sync::{Condvar, Mutex, MutexGuard, lock, wait, wait_for};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tim_proto::wire::Kick;

/// What the core needs of the world.
pub(crate) trait Host: Send + Sync + 'static {
    /// The time that the state machine is told.
    fn now(&self) -> Now;
    /// Wakes the network thread: there is something to deliver or to do.
    fn wake(&self);
}

/// What the network thread is asked to do.
#[derive(Debug)]
pub(crate) enum Task {
    /// Send a request.
    Send {
        seq: u64,
        request: Request,
        deadline_ms: u64,
    },
    /// Drop a request, or close the stream that it opened.
    Abandon { seq: u64 },
}

/// Who takes the client out of the registry once it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reaper {
    /// The network thread: destroy only began the closing.
    NetworkThread,
    /// A destroy that waits, or that will be called again.
    Destroy,
}

struct Inner {
    session: Session,
    tasks: VecDeque<Task>,
    /// Set when closing has begun.
    reaper: Option<Reaper>,
    /// The closed event has been delivered: no callback runs any more.
    closed: bool,
}

/// A client without its network thread.
pub(crate) struct Core<H: Host> {
    pub(crate) host: H,
    handle: Handle,
    registry: &'static Registry<Core<H>>,
    inner: Mutex<Inner>,
    closed: Condvar,
    delivery: Delivery,
}

/// What came of a destroy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Destroyed {
    /// Nothing runs any more.
    Closed,
    /// Closing has begun.
    Closing,
}

impl<H: Host> Core<H> {
    pub(crate) fn new(
        host: H,
        handle: Handle,
        registry: &'static Registry<Core<H>>,
        session: Session,
    ) -> Core<H> {
        Core {
            host,
            handle,
            registry,
            inner: Mutex::new(Inner {
                session,
                tasks: VecDeque::new(),
                reaper: None,
                closed: false,
            }),
            closed: Condvar::new(),
            delivery: Delivery::default(),
        }
    }

    pub(crate) fn handle(&self) -> Handle {
        self.handle
    }

    // What the app calls.

    pub(crate) fn login(
        &self,
        user_id: String,
        user_sig: Secret,
        done: Completion,
    ) -> Result<(), i32> {
        self.call(done, |call| Input::Login {
            call,
            user_id,
            user_sig,
        })
    }

    pub(crate) fn logout(&self, done: Completion) -> Result<(), i32> {
        self.call(done, |call| Input::Logout { call })
    }

    pub(crate) fn renew_user_sig(&self, user_sig: Secret, done: Completion) -> Result<(), i32> {
        self.call(done, |call| Input::Renew { call, user_sig })
    }

    /// The network may be another one, or the app has come to the foreground.
    pub(crate) fn notify(&self) -> Result<(), i32> {
        let mut inner = lock(&self.inner);
        if inner.reaper.is_some() {
            return Err(error::ERR_CLOSING);
        }
        self.step(&mut inner, Input::NetworkChanged);
        drop(inner);
        self.host.wake();
        Ok(())
    }

    fn call(&self, done: Completion, input: impl FnOnce(u64) -> Input) -> Result<(), i32> {
        let mut inner = lock(&self.inner);
        if inner.reaper.is_some() {
            return Err(error::ERR_CLOSING);
        }
        let call = self
            .delivery
            .accept(done)
            .ok_or(error::ERR_TOO_MANY_CALLS)?;
        self.step(&mut inner, input(call));
        drop(inner);
        self.host.wake();
        Ok(())
    }

    pub(crate) fn set_callback(
        &self,
        kind: Kind,
        callback: Option<Callback>,
    ) -> Result<Replaced, i32> {
        if lock(&self.inner).reaper.is_some() {
            return Err(error::ERR_CLOSING);
        }
        Ok(self.delivery.set(kind, callback))
    }

    pub(crate) fn login_id(&self) -> u64 {
        lock(&self.inner).session.login_id()
    }

    pub(crate) fn login_user(&self) -> String {
        let inner = lock(&self.inner);
        inner.session.login_user().unwrap_or_default().to_owned()
    }

    pub(crate) fn last_error(&self) -> Option<LastError> {
        lock(&self.inner).session.last_error().cloned()
    }

    pub(crate) fn kick_info(&self) -> Option<(u64, Kick)> {
        let inner = lock(&self.inner);
        let (login_id, kick) = inner.session.kick_info()?;
        Some((login_id, kick.clone()))
    }

    pub(crate) fn server_time_ms(&self) -> Option<i64> {
        let now = self.host.now();
        lock(&self.inner).session.server_time_ms(now)
    }

    /// Begins the closing and, outside of callbacks, waits for its end as long as `limit`.
    pub(crate) fn destroy(&self, limit: Duration) -> Destroyed {
        let waits = !limit.is_zero() && !in_callback();
        let mut inner = lock(&self.inner);
        let first = inner.reaper.is_none();
        if first {
            self.registry.begin_closing(self.handle);
            self.step(&mut inner, Input::Destroy);
            self.delivery.closed();
        }
        if first || (waits && !inner.closed) {
            inner.reaper = Some(if waits {
                Reaper::Destroy
            } else {
                Reaper::NetworkThread
            });
        }
        if first {
            self.host.wake();
        }
        if !waits {
            return Destroyed::Closing;
        }
        // A limit beyond what the clock can add is no limit.
        let until = Instant::now().checked_add(limit);
        while !inner.closed {
            inner = match until {
                None => wait(&self.closed, inner),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Destroyed::Closing;
                    }
                    wait_for(&self.closed, inner, left)
                }
            };
        }
        drop(inner);
        self.registry.remove(self.handle);
        Destroyed::Closed
    }

    // What the network thread calls.

    /// Tells the state machine what happened on the network.
    pub(crate) fn feed(&self, input: Input) {
        self.step(&mut lock(&self.inner), input);
    }

    /// What there is to do now, in order.
    pub(crate) fn take_tasks(&self) -> VecDeque<Task> {
        std::mem::take(&mut lock(&self.inner).tasks)
    }

    /// When the state machine wants a tick.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        lock(&self.inner).session.next_deadline()
    }

    /// Runs one callback; `false` when none is due.
    pub(crate) fn deliver_next(&self) -> bool {
        self.delivery.deliver_next()
    }

    /// Whether a callback is due.
    pub(crate) fn has_deliveries(&self) -> bool {
        !self.delivery.is_empty()
    }

    /// Whether the app has begun to destroy the client.
    pub(crate) fn is_closing(&self) -> bool {
        lock(&self.inner).reaper.is_some()
    }

    /// The network thread's last words: every callback has run. Destroy returns, and the handle
    /// of a client that nobody waits for is freed.
    pub(crate) fn finish(&self) {
        let mut inner = lock(&self.inner);
        debug_assert!(inner.reaper.is_some() && !self.has_deliveries());
        inner.closed = true;
        let reaper = inner.reaper;
        drop(inner);
        self.closed.notify_all();
        if reaper == Some(Reaper::NetworkThread) {
            self.registry.remove(self.handle);
        }
    }

    /// One step of the state machine; its decisions take their places in the queues before any
    /// other step is made.
    fn step(&self, inner: &mut MutexGuard<'_, Inner>, input: Input) {
        let actions = inner.session.handle(input, self.host.now());
        // First of all: a callback may run as soon as it is queued, and its getters must not be behind it.
        let session = &inner.session;
        self.registry.publish(
            self.handle,
            session.login_status(),
            session.connection_status(),
        );
        for action in actions {
            match action {
                Action::Send {
                    seq,
                    request,
                    deadline_ms,
                } => inner.tasks.push_back(Task::Send {
                    seq,
                    request,
                    deadline_ms,
                }),
                Action::Abandon { seq } => inner.tasks.push_back(Task::Abandon { seq }),
                Action::Complete { call, code } => self.delivery.complete(call, code),
                Action::Event { event, login_id } => self.delivery.event(event, login_id),
                Action::DropEarlierEvents => self.delivery.drop_events(),
            }
        }
    }
}

#[cfg(all(test, tim_shuttle))]
mod schedules;
