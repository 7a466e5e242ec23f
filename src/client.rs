//! A client: its state machine behind a lock, its queue of callbacks, and its life from creation to
//! the closed event. The network thread and the app's threads meet only here, so that every
//! interleaving of them can be tested without a socket.
//!
//! The C functions in `ffi` are this API with C types. A handle finds a client until it is
//! destroyed; dropping an `Arc<Client>` only drops a reference. Callbacks run on the client's
//! network thread, one at a time, with no lock held.

#[cfg(not(tim_shuttle))]
mod create;
mod destroy;
#[cfg(not(tim_shuttle))]
mod details;
#[cfg(not(tim_shuttle))]
mod live;

#[cfg(not(tim_shuttle))]
pub(crate) use live::{begin_anew, connection_status, find, find_closing, login_status};
#[cfg(not(tim_shuttle))]
pub use {create::CreateError, live::destroy, live::find_by_name};

use crate::callback::RUNNING_LIMIT;
use crate::delivery::{Callback, Delivery, Kind, Mode, Polled, Replaced, Reply};
use crate::error;
use crate::host::Host;
use crate::panics::{self, Panicked};
use crate::registry::{Handle, Registry};
use crate::secret::Secret;
use crate::session::{Action, Input, Request, Session};
use crate::sync::{Arc, Condvar, Mutex, Sender, lock};
use destroy::Reaper;
use std::time::Duration;
use tim_proto::{edges, identity};

/// Work for the network thread.
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

struct Inner {
    session: Session,
    /// To the network thread. Sent under this lock, so that tasks arrive in the order of the
    /// decisions.
    tasks: Sender<Task>,
    /// Set once closing has begun.
    reaper: Option<Reaper>,
    /// The closed event has been delivered; no more callbacks run.
    closed: bool,
    /// Where the library panicked; the state machine is no longer used.
    broken: Option<Panicked>,
    broken_reported: bool,
}

/// What an app may know about the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// The device changed networks.
    NetworkChanged,
    /// The app came to the foreground.
    Foreground,
}

/// One account's login in this process.
pub struct Client {
    pub(crate) host: Arc<Host>,
    handle: Handle,
    registry: &'static Registry<Client>,
    inner: Mutex<Inner>,
    closed: Condvar,
    delivery: Delivery,
}

// What the app calls.
impl Client {
    /// A client without its network thread, which will receive `tasks`.
    pub(crate) fn new(
        host: Arc<Host>,
        handle: Handle,
        registry: &'static Registry<Client>,
        session: Session,
        mode: Mode,
        tasks: Sender<Task>,
    ) -> Client {
        Client {
            host,
            handle,
            registry,
            inner: Mutex::new(Inner {
                session,
                tasks,
                reaper: None,
                closed: false,
                broken: None,
                broken_reported: false,
            }),
            closed: Condvar::new(),
            delivery: Delivery::new(mode),
        }
    }

    /// The number by which C finds this client.
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// How this client delivers.
    pub fn mode(&self) -> Mode {
        self.delivery.mode()
    }

    /// Logs a user in; see `tim_login` in the header for the whole contract.
    pub fn login(&self, user_id: &str, user_sig: &str, done: impl Into<Reply>) -> Result<(), i32> {
        if !identity::is_user_id(user_id) {
            return Err(error::ERR_INVALID_USER_ID);
        }
        let (user_id, user_sig) = (user_id.to_owned(), ticket(user_sig)?);
        self.call(done.into(), |call| Input::Login {
            call,
            user_id,
            user_sig,
        })
    }

    /// Logs the user out; see `tim_logout` in the header.
    pub fn logout(&self, done: impl Into<Reply>) -> Result<(), i32> {
        self.call(done.into(), |call| Input::Logout { call })
    }

    /// Replaces the ticket of the logged-in user; see `tim_renew_user_sig` in the header.
    pub fn renew_user_sig(&self, user_sig: &str, done: impl Into<Reply>) -> Result<(), i32> {
        let user_sig = ticket(user_sig)?;
        self.call(done.into(), |call| Input::Renew { call, user_sig })
    }

    /// Passes on what the app knows about the device; see `tim_notify` in the header.
    pub fn notify(&self, hint: Hint) -> Result<(), i32> {
        let mut inner = lock(&self.inner);
        if inner.reaper.is_some() {
            return Err(error::ERR_CLOSING);
        }
        let input = match hint {
            Hint::NetworkChanged => Input::NetworkChanged,
            Hint::Foreground => Input::Foreground,
        };
        self.step_caught(&mut inner, input);
        drop(inner);
        self.host.wake();
        Ok(())
    }

    fn call(&self, done: Reply, input: impl FnOnce(u64) -> Input) -> Result<(), i32> {
        if done.mode() != self.mode() {
            return Err(error::ERR_WRONG_DELIVERY_MODE);
        }
        let mut inner = lock(&self.inner);
        if inner.reaper.is_some() {
            return Err(error::ERR_CLOSING);
        }
        let call = match self.delivery.accept(done) {
            Ok(call) => call,
            Err(refused) => {
                // The app's closure is dropped outside the lock.
                drop(inner);
                drop(refused);
                return Err(error::ERR_TOO_MANY_CALLS);
            }
        };
        self.step_caught(&mut inner, input(call));
        drop(inner);
        self.host.wake();
        Ok(())
    }

    /// Sets the callback for events of `kind` and waits, within a limit, until the old one has
    /// finished.
    pub fn set_callback(&self, kind: Kind, callback: Option<Callback>) -> Result<Replaced, i32> {
        if kind.mode() != self.mode() {
            return Err(error::ERR_WRONG_DELIVERY_MODE);
        }
        if lock(&self.inner).reaper.is_some() {
            return Err(error::ERR_CLOSING);
        }
        let replaced = self.delivery.set(kind, callback, RUNNING_LIMIT);
        if kind == Kind::Pending {
            self.host.wake();
        }
        Ok(replaced)
    }

    /// Takes the next completion or event, waiting up to `limit`; see `tim_poll_event` in the
    /// header. Taking the closed event frees the handle.
    pub fn poll(&self, limit: Duration) -> Result<Polled, i32> {
        let polled = self.delivery.poll(limit)?;
        if polled == Polled::Notice(crate::delivery::Notice::Closed) {
            self.end_polling();
        }
        Ok(polled)
    }

    /// The descriptor that is readable while there is something to poll; see `tim_get_wakeup_fd`
    /// in the header.
    pub fn wake_up_fd(&self) -> Result<i32, i32> {
        self.delivery.signal_fd()
    }

    /// The login that the status belongs to; 0 before the first.
    pub fn login_id(&self) -> u64 {
        lock(&self.inner).session.login_id()
    }

    /// The logged-in user, or an empty string.
    pub fn login_user(&self) -> String {
        let inner = lock(&self.inner);
        inner.session.login_user().unwrap_or_default().to_owned()
    }

    /// The server's Unix time in ms, once it is known.
    pub fn server_time_ms(&self) -> Option<i64> {
        let now = self.host.now();
        lock(&self.inner).session.server_time_ms(now)
    }
}

// What the network thread calls.
impl Client {
    /// Feeds the state machine what happened on the network.
    pub(crate) fn feed(&self, input: Input) {
        self.step(&mut lock(&self.inner), input);
    }

    /// When the state machine needs its next tick.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        let inner = lock(&self.inner);
        match inner.broken {
            None => inner.session.next_deadline(),
            Some(_) => None,
        }
    }

    /// Runs one callback; `false` if none is pending.
    pub(crate) fn deliver_next(&self) -> bool {
        self.delivery.deliver_next()
    }

    /// Whether a callback is pending.
    pub(crate) fn has_deliveries(&self) -> bool {
        !self.delivery.is_idle()
    }

    /// Whether the client is being destroyed, or has panicked.
    pub(crate) fn is_closing(&self) -> bool {
        lock(&self.inner).reaper.is_some()
    }

    /// Where the library panicked; returned once.
    pub(crate) fn take_panic_place(&self) -> Option<String> {
        let mut inner = lock(&self.inner);
        let place = inner.broken.as_ref()?.place.clone();
        (!std::mem::replace(&mut inner.broken_reported, true)).then_some(place)
    }

    /// Handles a panic of the library on the network thread.
    pub(crate) fn break_down(&self, panicked: Panicked) {
        self.break_down_locked(&mut lock(&self.inner), panicked);
    }
}

impl Client {
    /// One step of the state machine. Its decisions are queued before the next step can begin.
    fn step(&self, inner: &mut Inner, input: Input) {
        if inner.broken.is_some() {
            return;
        }
        #[cfg(test)]
        panics::provoked::here(match input {
            Input::Destroy => "step destroy",
            Input::Answer { .. } => "step answer",
            _ => "step",
        });
        let actions = inner.session.handle(input, self.host.now());
        // Publish first: a callback may run as soon as it is queued, and must not see older values
        // from the getters.
        let session = &inner.session;
        self.registry.publish(
            self.handle,
            session.login_status(),
            session.connection_status(),
        );
        for action in actions {
            // The receiver goes away with the thread, when there is nothing left to do.
            match action {
                Action::Send {
                    seq,
                    request,
                    deadline_ms,
                } => {
                    let _ = inner.tasks.send(Task::Send {
                        seq,
                        request,
                        deadline_ms,
                    });
                }
                Action::Abandon { seq } => {
                    let _ = inner.tasks.send(Task::Abandon { seq });
                }
                Action::Complete { call, code } => self.delivery.complete(call, code),
                Action::Event { event, login_id } => self.delivery.event(event, login_id),
                Action::DropEarlierEvents => self.delivery.drop_events(),
            }
        }
    }

    /// A step on one of the app's threads. After a panic the client is unusable, and every accepted
    /// call, this one included, completes with [`error::ERR_PANIC`].
    fn step_caught(&self, inner: &mut Inner, input: Input) {
        if let Err(panicked) = panics::caught(|| self.step(inner, input)) {
            self.break_down_locked(inner, panicked);
        }
    }

    /// Closes a client whose code has panicked: its calls complete, the closed event follows, and
    /// the handle stays until it is destroyed.
    fn break_down_locked(&self, inner: &mut Inner, panicked: Panicked) {
        inner.broken = Some(panicked);
        self.delivery.complete_all(error::ERR_PANIC);
        if inner.reaper.is_none() {
            inner.reaper = Some(Reaper::Destroy);
            self.registry.begin_closing(self.handle);
            self.delivery.closed();
        }
    }
}

/// A ticket of valid form, without the white space that files and web forms add around it.
fn ticket(user_sig: &str) -> Result<Secret, i32> {
    let user_sig = edges::trimmed(user_sig);
    if user_sig.is_empty() {
        return Err(error::ERR_USER_SIG_EMPTY);
    }
    if user_sig.len() > identity::USER_SIG_MAX {
        return Err(error::ERR_USER_SIG_UNREADABLE);
    }
    Ok(Secret::new(user_sig))
}

#[cfg(all(test, tim_shuttle))]
mod schedules;
