//! The Rust API: what the crate's root exports. It wraps [`crate::client`], as `ffi` does for C.

mod call;
mod error;
mod event;

pub use crate::client::Hint;
pub use crate::session::{ConnectionStatus, LoginStatus};
pub use call::Call;
pub use error::Error;
pub use event::{Event, KickInfo};

use crate::client::{self, Client as Core};
use crate::delivery::{Callback, Kind, Notice, Replaced};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How long one attempt of closing waits.
const ATTEMPT: Duration = Duration::from_secs(1);

/// A client, which manages the login of one user. Dropping it closes it.
///
/// Calls may be made on any thread, also in handlers, and return at once: each gives a [`Call`] to
/// wait for or to await.
pub struct Client {
    core: Arc<Core>,
}

impl Client {
    /// Creates a client from its configuration, JSON text whose keys `include/tim.h` describes, and
    /// starts its network thread. Nothing is sent before [`Client::login`].
    ///
    /// The error says what is wrong with the configuration and what would be right.
    pub fn new(config_json: &str) -> Result<Client, Error> {
        let core = Core::with_callbacks(config_json);
        let core = core.map_err(|refused| Error::new(refused.code, refused.message))?;
        Ok(Client { core })
    }

    /// Logs a user in with a ticket from your backend.
    ///
    /// The call fails with the server's code if the server refuses the ticket, and with a network
    /// code if it cannot be reached within `login_timeout_ms`. For another user, it switches
    /// accounts; for the logged-in one, it renews the ticket.
    pub fn login(&self, user_id: &str, user_sig: &str) -> Call {
        Call::start(|done| self.core.login(user_id, user_sig, done))
    }

    /// Logs the user out. Nobody is logged in from now on; an error means that the server could not
    /// be told.
    pub fn logout(&self) -> Call {
        Call::start(|done| self.core.logout(done))
    }

    /// Replaces the ticket of the logged-in user, without interrupting the session.
    pub fn renew_user_sig(&self, user_sig: &str) -> Call {
        Call::start(|done| self.core.renew_user_sig(user_sig, done))
    }

    /// Sets what runs for each event, in place of what was set before; see [`Event`].
    ///
    /// It runs on the client's network thread: it must not wait for a [`Call`], and what it does
    /// holds up the next event. When this returns, the previous handler is not running, except
    /// inside a handler, where this cannot wait. Fails if a handler runs for longer than five
    /// seconds meanwhile.
    pub fn on_event(&self, handler: impl Fn(Event) + Send + Sync + 'static) -> Result<(), Error> {
        // The handler may be dropped after the client, so it does not own it.
        let core = Arc::downgrade(&self.core);
        let callback: Callback = Arc::new(move |notice: Notice| {
            let kick = |login_id| KickInfo::of(&*core.upgrade()?, login_id);
            if let Some(event) = Event::of(notice, kick) {
                handler(event);
            }
        });
        for kind in [
            Kind::Connection,
            Kind::UserSigExpired,
            Kind::KickedOffline,
            Kind::UserSigExpiring,
        ] {
            let replaced = self.core.set_callback(kind, Some(callback.clone()));
            if replaced.map_err(Error::of)? == Replaced::StillRunning {
                return Err(Error::of(crate::error::ERR_BUSY));
            }
        }
        Ok(())
    }

    /// Tells the library what it cannot see for itself.
    pub fn notify(&self, hint: Hint) -> Result<(), Error> {
        self.core.notify(hint).map_err(Error::of)
    }

    /// Whether somebody is logged in; `None` once the client has failed.
    pub fn login_status(&self) -> Option<LoginStatus> {
        let number = client::login_status(self.core.handle());
        let all = [
            LoginStatus::LoggedIn,
            LoginStatus::LoggingIn,
            LoginStatus::LoggedOut,
        ];
        all.into_iter().find(|status| *status as i32 == number)
    }

    /// The connection to the server; `None` once the client has failed.
    pub fn connection_status(&self) -> Option<ConnectionStatus> {
        let number = client::connection_status(self.core.handle());
        let all = [
            ConnectionStatus::Connected,
            ConnectionStatus::Disconnected,
            ConnectionStatus::Connecting,
            ConnectionStatus::ConnectFailed,
        ];
        all.into_iter().find(|status| *status as i32 == number)
    }

    /// The user who is logged in.
    pub fn login_user(&self) -> Option<String> {
        Some(self.core.login_user()).filter(|user| !user.is_empty())
    }

    /// Which login the status belongs to; events carry the same number. 0 before the first.
    pub fn login_id(&self) -> u64 {
        self.core.login_id()
    }

    /// The server's time, once it is known.
    pub fn server_time(&self) -> Option<SystemTime> {
        let ms = u64::try_from(self.core.server_time_ms()?).ok()?;
        Some(SystemTime::UNIX_EPOCH + Duration::from_millis(ms))
    }

    /// The latest error as JSON text: `login_id`, `code`, `phase`, `cause`, `address`,
    /// `retry_after_ms`; see `tim_get_last_error` in the header.
    pub fn last_error_json(&self) -> String {
        self.core.last_error_json()
    }
}

impl Drop for Client {
    /// Closes the client: pending calls fail with [`ERR_INTERRUPTED`](crate::error::ERR_INTERRUPTED).
    /// Does not log out. Waits until no handler runs; inside a handler it does not wait.
    fn drop(&mut self) {
        while client::destroy(self.core.handle(), ATTEMPT) == Err(crate::error::ERR_BUSY) {}
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("handle", &self.core.handle())
            .field("login_status", &self.login_status())
            .finish_non_exhaustive()
    }
}
