//! A client: its state machine behind a lock, its queue of callbacks, and its life from creation to the
//! closed event. The network thread and the app's threads meet here alone, so that every schedule of
//! them can be tried without a socket.
//!
//! The C functions in `ffi` are this API with other types. A client is found by its handle until it is
//! destroyed; dropping an `Arc<Client>` only drops a reference. Callbacks run on the client's network
//! thread, one at a time, with no lock held.

#[cfg(not(tim_shuttle))]
mod create;
mod destroy;
#[cfg(not(tim_shuttle))]
mod details;
#[cfg(not(tim_shuttle))]
mod live;

#[cfg(not(tim_shuttle))]
pub(crate) use live::{begin_anew, connection_status, find, login_status};
#[cfg(not(tim_shuttle))]
pub use {create::CreateError, live::destroy};

use crate::delivery::{Callback, Completion, Delivery, Kind, Replaced};
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

/// How long setting a callback waits for one that is running.
const SETTER_LIMIT: Duration = Duration::from_secs(5);

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

struct Inner {
    session: Session,
    /// To the network thread. Sent under this lock: tasks come in the order of the decisions.
    tasks: Sender<Task>,
    /// Set when closing has begun.
    reaper: Option<Reaper>,
    /// The closed event has been delivered: no callback runs any more.
    closed: bool,
    /// Where the library has panicked; the state machine is not asked any more.
    broken: Option<Panicked>,
    broken_told: bool,
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
    /// A client without its network thread, which receives `tasks`.
    pub(crate) fn new(
        host: Arc<Host>,
        handle: Handle,
        registry: &'static Registry<Client>,
        session: Session,
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
                broken_told: false,
            }),
            closed: Condvar::new(),
            delivery: Delivery::default(),
        }
    }

    /// The number that finds this client again.
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// Logs a user in; see `tim_login` in the header for the whole contract.
    pub fn login(&self, user_id: &str, user_sig: &str, done: Completion) -> Result<(), i32> {
        if !identity::is_user_id(user_id) {
            return Err(error::ERR_INVALID_USER_ID);
        }
        let (user_id, user_sig) = (user_id.to_owned(), ticket(user_sig)?);
        self.call(done, |call| Input::Login {
            call,
            user_id,
            user_sig,
        })
    }

    /// Logs the user out; see `tim_logout` in the header.
    pub fn logout(&self, done: Completion) -> Result<(), i32> {
        self.call(done, |call| Input::Logout { call })
    }

    /// Gives the session of the user who is logged in a new ticket; see `tim_renew_user_sig` in
    /// the header.
    pub fn renew_user_sig(&self, user_sig: &str, done: Completion) -> Result<(), i32> {
        let user_sig = ticket(user_sig)?;
        self.call(done, |call| Input::Renew { call, user_sig })
    }

    /// Says that the network changed, or that the app came to the foreground: the connection is
    /// tried at once.
    pub fn notify(&self) -> Result<(), i32> {
        let mut inner = lock(&self.inner);
        if inner.reaper.is_some() {
            return Err(error::ERR_CLOSING);
        }
        self.step_caught(&mut inner, Input::NetworkChanged);
        drop(inner);
        self.host.wake();
        Ok(())
    }

    fn call(&self, done: Completion, input: impl FnOnce(u64) -> Input) -> Result<(), i32> {
        let mut inner = lock(&self.inner);
        if inner.reaper.is_some() {
            return Err(error::ERR_CLOSING);
        }
        let call = match self.delivery.accept(done) {
            Ok(call) => call,
            Err(refused) => {
                // What the app's closure holds ends outside of the lock.
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

    /// Sets what runs at events of `kind`, and waits a while until the old callback is not running.
    pub fn set_callback(&self, kind: Kind, callback: Option<Callback>) -> Result<Replaced, i32> {
        if lock(&self.inner).reaper.is_some() {
            return Err(error::ERR_CLOSING);
        }
        Ok(self.delivery.set(kind, callback, SETTER_LIMIT))
    }

    /// Which login the status belongs to; 0 before the first.
    pub fn login_id(&self) -> u64 {
        lock(&self.inner).session.login_id()
    }

    /// The user who is logged in, or nothing.
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
    /// Tells the state machine what happened on the network.
    pub(crate) fn feed(&self, input: Input) {
        self.step(&mut lock(&self.inner), input);
    }

    /// When the state machine wants a tick.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        let inner = lock(&self.inner);
        match inner.broken {
            None => inner.session.next_deadline(),
            Some(_) => None,
        }
    }

    /// Runs one callback; `false` when none is due.
    pub(crate) fn deliver_next(&self) -> bool {
        self.delivery.deliver_next()
    }

    /// Whether a callback is due.
    pub(crate) fn has_deliveries(&self) -> bool {
        !self.delivery.is_empty()
    }

    /// Whether the client is being destroyed, or broken.
    pub(crate) fn is_closing(&self) -> bool {
        lock(&self.inner).reaper.is_some()
    }

    /// Where the library has panicked, once.
    pub(crate) fn take_panic_place(&self) -> Option<String> {
        let mut inner = lock(&self.inner);
        let place = inner.broken.as_ref()?.place.clone();
        (!std::mem::replace(&mut inner.broken_told, true)).then_some(place)
    }

    /// The library has panicked on the network thread.
    pub(crate) fn break_down(&self, panicked: Panicked) {
        self.break_down_locked(&mut lock(&self.inner), panicked);
    }
}

impl Client {
    /// One step of the state machine; its decisions take their places in the queues before any
    /// other step is made.
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
        // First of all: a callback may run as soon as it is queued, and its getters must not be behind it.
        let session = &inner.session;
        self.registry.publish(
            self.handle,
            session.login_status(),
            session.connection_status(),
        );
        for action in actions {
            // The receiver ends with the thread, when nothing is to be done any more.
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

    /// A step on a thread of the app's. After a panic the client is broken, and every accepted call,
    /// this one too, completes with [`error::ERR_PANIC`].
    fn step_caught(&self, inner: &mut Inner, input: Input) {
        if let Err(panicked) = panics::caught(|| self.step(inner, input)) {
            self.break_down_locked(inner, panicked);
        }
    }

    /// Ends a client whose code has panicked: its calls complete, the closed event follows, and the
    /// handle waits for its destroy.
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

/// A ticket whose form can be right, without what a file or a form has put around it.
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
