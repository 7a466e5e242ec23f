//! The live clients of this process, by handle.

use super::Client;
use super::destroy::Destroyed;
use crate::callback::in_callback;
use crate::delivery::Mode;
use crate::error;
use crate::fork;
use crate::os::PerProcess;
use crate::registry::{Handle, Registry, Words};
use crate::sync::Arc;
use std::time::Duration;

static WORDS: Words = Words::new();
static REGISTRY: PerProcess<Registry<Client>> = PerProcess::new(|| Registry::new(&WORDS));

pub(super) fn registry() -> &'static Registry<Client> {
    fork::notice();
    REGISTRY.get()
}

/// In the child of a fork, the parent's clients are not its own.
pub(crate) fn begin_anew() {
    WORDS.mark_forked();
    REGISTRY.forget();
}

/// The client of a handle, or the code that says why there is none.
pub(crate) fn find(handle: Handle) -> Result<Arc<Client>, i32> {
    registry().get(handle)
}

/// The client of a handle, even while it is closing.
pub(crate) fn find_closing(handle: Handle) -> Result<Arc<Client>, i32> {
    registry().get_closing(handle)
}

/// The handle of the client with that name, and whether it is closing.
pub fn find_by_name(name: &str) -> Option<(Handle, bool)> {
    registry().find(name)
}

/// Destroys a client; see `tim_client_destroy` in the header.
pub fn destroy(handle: Handle, limit: Duration) -> Result<(), i32> {
    let client = registry().get_closing(handle)?;
    match client.destroy(limit) {
        Destroyed::Closing if client.mode() == Mode::Poll => Err(error::ERR_CLOSING),
        Destroyed::Closing if in_callback() => Err(error::ERR_IN_CALLBACK),
        Destroyed::Closing => Err(error::ERR_BUSY),
        Destroyed::Closed => {
            client.host.join_thread();
            Ok(())
        }
    }
}

/// The login status of a handle, or 0.
#[inline]
pub(crate) fn login_status(handle: Handle) -> i32 {
    WORDS.login_status(handle)
}

/// The connection status of a handle, or 0.
#[inline]
pub(crate) fn connection_status(handle: Handle) -> i32 {
    WORDS.connection_status(handle)
}
