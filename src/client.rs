//! A client: the safe Rust API over everything below it. The C functions in `ffi` are this API
//! with other types.
//!
//! A client is found by its handle until it is destroyed; dropping a `Client` only drops a
//! reference. Callbacks run on the client's network thread, one at a time, with no lock held.

use crate::config::{self, Config};
use crate::core::{Core, Destroyed};
use crate::delivery::{self, Callback, Completion, Kind, Replaced};
use crate::error;
use crate::host::OsHost;
use crate::log;
use crate::network;
use crate::os;
use crate::registry::{self, DeviceKey, Handle, MAX_CLIENTS, Registry};
use crate::secret::Secret;
use crate::session::{Identity, Limits, Session};
use crate::sync::Arc;
use crate::transport::{self, HeldLookups};
use serde::Serialize;
use std::cell::RefCell;
use std::sync::Once;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tim_proto::wire::KickCause;
use tim_proto::{Platform, identity};

static WORDS: [AtomicU64; MAX_CLIENTS] = [const { AtomicU64::new(0) }; MAX_CLIENTS];
static REGISTRY: Registry<Core<OsHost>> = Registry::new(&WORDS);

/// A reference to a live client.
#[derive(Clone)]
pub struct Client {
    core: Arc<Core<OsHost>>,
}

/// Why no client was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateError {
    /// A code of the table.
    pub code: i32,
    /// What was wrong and what would be right.
    pub message: String,
}

impl CreateError {
    fn new(code: i32, message: impl Into<String>) -> CreateError {
        CreateError {
            code,
            message: message.into(),
        }
    }

    /// For a code whose text in the table says it all.
    fn of(code: i32) -> CreateError {
        CreateError::new(code, error::message(code).to_string_lossy())
    }
}

impl Client {
    /// Creates a client from its JSON configuration and starts its network thread.
    pub fn create(config_json: &str) -> Result<Client, CreateError> {
        prepare_for_fork();
        let config = config::parse(config_json)
            .map_err(|message| CreateError::new(error::ERR_INVALID_CONFIG, message))?;
        let mut random = [0; 24];
        getrandom::fill(&mut random)
            .map_err(|e| CreateError::new(error::ERR_SYSTEM, format!("no random numbers: {e}")))?;
        let host = OsHost::new()
            .map_err(|e| CreateError::new(error::ERR_SYSTEM, format!("no wake-up socket: {e}")))?;
        let handle = REGISTRY
            .reserve(DeviceKey {
                server_url: config.server_url.to_string(),
                sdk_app_id: config.sdk_app_id,
                device_id: config.device_id.clone(),
            })
            .map_err(CreateError::of)?;
        let session = session(&config, &random);
        let core = Arc::new(Core::new(host, handle, &REGISTRY, session));
        match network::start(core.clone(), config) {
            Ok(thread) => {
                core.host.keep_thread(thread);
                REGISTRY.fill(handle, core.clone());
                Ok(Client { core })
            }
            Err(message) => {
                REGISTRY.remove(handle);
                Err(CreateError::new(error::ERR_SYSTEM, message))
            }
        }
    }

    /// The number that finds this client again.
    pub fn handle(&self) -> Handle {
        self.core.handle()
    }

    /// Logs a user in; see `tim_login` in the header for the whole contract.
    pub fn login(&self, user_id: &str, user_sig: &str, done: Completion) -> Result<(), i32> {
        if !identity::is_user_id(user_id) {
            return Err(error::ERR_INVALID_USER_ID);
        }
        let user_sig = ticket(user_sig)?;
        self.core.login(user_id.to_owned(), user_sig, done)
    }

    /// Gives the session of the user who is logged in a new ticket; see `tim_renew_user_sig` in
    /// the header.
    pub fn renew_user_sig(&self, user_sig: &str, done: Completion) -> Result<(), i32> {
        self.core.renew_user_sig(ticket(user_sig)?, done)
    }

    /// Says that the network changed, or that the app came to the foreground: the connection is
    /// tried at once.
    pub fn notify(&self) -> Result<(), i32> {
        self.core.notify()
    }

    /// Logs the user out; see `tim_logout` in the header.
    pub fn logout(&self, done: Completion) -> Result<(), i32> {
        self.core.logout(done)
    }

    /// Sets what runs at events of `kind`, and waits until the old callback is not running.
    pub fn set_callback(&self, kind: Kind, callback: Option<Callback>) -> Result<Replaced, i32> {
        self.core.set_callback(kind, callback)
    }

    /// The login status, or 0 once the client is closing.
    pub fn login_status(&self) -> i32 {
        login_status(self.handle())
    }

    /// Which login the status belongs to; 0 before the first.
    pub fn login_id(&self) -> u64 {
        self.core.login_id()
    }

    /// The user who is logged in, or nothing.
    pub fn login_user(&self) -> String {
        self.core.login_user()
    }

    /// The server's Unix time in ms, once it is known.
    pub fn server_time_ms(&self) -> Option<i64> {
        self.core.server_time_ms()
    }

    /// Who took the last session over, as `tim_get_kick_info` gives it.
    pub fn kick_info_json(&self) -> String {
        #[derive(Serialize)]
        struct Told<'a> {
            login_id: u64,
            cause: KickCause,
            platform: Option<Platform>,
            device_name: &'a str,
            time_ms: i64,
        }
        let Some((login_id, kick)) = self.core.kick_info() else {
            return "{}".to_owned();
        };
        // Strings and numbers always serialize.
        serde_json::to_string(&Told {
            login_id,
            cause: kick.cause,
            platform: kick.platform,
            device_name: &kick.device_name,
            time_ms: kick.time_ms,
        })
        .unwrap_or_default()
    }

    /// What last went wrong, as `tim_get_last_error` gives it.
    pub fn last_error_json(&self) -> String {
        #[derive(Serialize)]
        struct Told<'a> {
            login_id: u64,
            code: i32,
            name: &'a str,
            message: &'a str,
            phase: &'a str,
            cause: &'a str,
            address: &'a str,
            retry_after_ms: u64,
        }
        let Some(last) = self.core.last_error() else {
            return "{}".to_owned();
        };
        // The table's texts are UTF-8, and strings and numbers always serialize.
        serde_json::to_string(&Told {
            login_id: last.login_id,
            code: last.code,
            name: error::name_of(last.code).to_str().unwrap_or_default(),
            message: error::message(last.code).to_str().unwrap_or_default(),
            phase: last.phase.name(),
            cause: &last.cause,
            address: &last.address,
            retry_after_ms: last.retry_after_ms,
        })
        .unwrap_or_default()
    }
}

/// A ticket whose form can be right.
fn ticket(user_sig: &str) -> Result<Secret, i32> {
    if user_sig.is_empty() {
        return Err(error::ERR_USER_SIG_EMPTY);
    }
    if user_sig.len() > identity::USER_SIG_MAX {
        return Err(error::ERR_USER_SIG_UNREADABLE);
    }
    Ok(Secret::new(user_sig))
}

fn session(config: &Config, random: &[u8; 24]) -> Session {
    let (instance, seed) = random.split_at(16);
    let instance = instance.iter().map(|byte| format!("{byte:02x}")).collect();
    Session::new(
        Identity {
            sdk_app_id: config.sdk_app_id,
            device_id: config.device_id.clone(),
            platform: config.platform,
            device_name: config.device_name.clone(),
            instance,
        },
        Limits {
            login_timeout_ms: config.login_timeout_ms,
            request_timeout_ms: config.request_timeout_ms,
            reconnect_first_ms: config.reconnect_first_ms,
            reconnect_max_ms: config.reconnect_max_ms,
            expiring_lead_s: config.user_sig_expiring_lead_s,
        },
        seed.iter()
            .fold(0, |seed, byte| seed << 8 | u64::from(*byte)),
    )
}

/// The client of a handle, or the code that says why there is none.
pub(crate) fn find(handle: Handle) -> Result<Client, i32> {
    Ok(Client {
        core: REGISTRY.get(handle)?,
    })
}

/// Destroys a client; see `tim_client_destroy` in the header.
pub fn destroy(handle: Handle, limit: Duration) -> Result<(), i32> {
    let core = REGISTRY.get_closing(handle)?;
    match core.destroy(limit) {
        Destroyed::Closing => Err(error::ERR_BUSY),
        Destroyed::Closed => {
            core.host.join_thread();
            Ok(())
        }
    }
}

/// The login status of a handle, or 0.
#[inline]
pub(crate) fn login_status(handle: Handle) -> i32 {
    REGISTRY.login_status(handle)
}

/// The connection status of a handle, or 0.
#[inline]
pub(crate) fn connection_status(handle: Handle) -> i32 {
    REGISTRY.connection_status(handle)
}

/// Every lock that a child could need.
struct Held {
    _registry: registry::Held<Core<OsHost>>,
    log: log::Held,
    lookups: HeldLookups,
}

thread_local! {
    /// What the forking thread holds from before the fork until after it, so that the child does
    /// not inherit a lock whose holder is not there.
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

fn prepare_for_fork() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| os::on_fork(before_fork, after_fork_in_parent, after_fork_in_child));
}

extern "C" fn before_fork() {
    let held = Held {
        _registry: REGISTRY.hold(),
        log: log::hold(),
        lookups: transport::hold_lookups(),
    };
    let _ = HELD.try_with(|place| place.replace(Some(held)));
}

extern "C" fn after_fork_in_parent() {
    let _ = HELD.try_with(|place| place.replace(None));
}

/// The parent's clients answer TIM_ERR_FORKED here, and their sockets, which the child would
/// otherwise keep open behind the parent's back, are closed.
extern "C" fn after_fork_in_child() {
    REGISTRY.mark_forked();
    os::close_inherited_sockets();
    delivery::forget_callback();
    let _ = HELD.try_with(|place| {
        if let Some(held) = place.borrow_mut().as_mut() {
            held.log.forget_running();
            held.lookups.forget_thread();
        }
        place.replace(None)
    });
}
