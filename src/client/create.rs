//! Creates a client: configuration, handle, network thread.

use super::{Client, live};
use crate::config::{self, Config};
use crate::delivery::Mode;
use crate::error;
use crate::fork;
use crate::host::Host;
use crate::network;
use crate::os;
use crate::panics;
use crate::registry::DeviceKey;
use crate::session::{Identity, Limits, Session};
use crate::sync::{Arc, channel};

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

    /// For a code whose own message says it all.
    fn of(code: i32) -> CreateError {
        CreateError::new(code, error::message(code).to_string_lossy())
    }
}

impl Client {
    /// Creates a client from its JSON configuration and starts its network thread.
    pub fn create(config_json: &str) -> Result<Arc<Client>, CreateError> {
        Client::of(configured(config_json)?)
    }

    /// Creates a client whose events are delivered to callbacks.
    pub(crate) fn with_callbacks(config_json: &str) -> Result<Arc<Client>, CreateError> {
        let config = configured(config_json)?;
        if config.event_delivery != Mode::Callback {
            let text = r#"event_delivery: expected "callback", which takes a handler"#;
            return Err(CreateError::new(error::ERR_INVALID_CONFIG, text));
        }
        Client::of(config)
    }

    fn of(config: Config) -> Result<Arc<Client>, CreateError> {
        let mut random = [0; 24];
        getrandom::fill(&mut random)
            .map_err(|e| CreateError::new(error::ERR_SYSTEM, format!("no random numbers: {e}")))?;
        let host = Host::new()
            .map_err(|e| CreateError::new(error::ERR_SYSTEM, format!("no wake-up socket: {e}")))?;
        let registry = live::registry();
        let handle = registry
            .reserve(
                DeviceKey {
                    server_url: config.server_url.to_string(),
                    sdk_app_id: config.sdk_app_id,
                    device_id: config.device_id.clone(),
                },
                config.name.clone(),
            )
            .map_err(CreateError::of)?;
        let (tasks, received) = channel();
        let session = session(&config, &random);
        let client = Arc::new(Client::new(
            Arc::new(host),
            handle,
            registry,
            session,
            config.event_delivery,
            tasks,
        ));
        match network::start(client.clone(), received, config) {
            Ok(thread) => {
                client.host.keep_thread(thread);
                registry.fill(handle, client.clone());
                Ok(client)
            }
            Err(message) => {
                registry.remove(handle);
                Err(CreateError::new(error::ERR_SYSTEM, message))
            }
        }
    }

    /// The login status, or 0 once the client is closing.
    pub fn login_status(&self) -> i32 {
        live::login_status(self.handle)
    }
}

fn configured(config_json: &str) -> Result<Config, CreateError> {
    os::stay_loaded();
    fork::prepare();
    panics::silence_ours();
    config::parse(config_json)
        .map_err(|message| CreateError::new(error::ERR_INVALID_CONFIG, message))
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
