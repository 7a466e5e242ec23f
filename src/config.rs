//! The JSON configuration: defaults, ranges, and one clear sentence for each mistake.

mod address;
mod keys;
#[cfg(feature = "tls")]
mod trust;

pub(crate) use address::ServerUrl;

use crate::delivery::Mode;
#[cfg(feature = "tls")]
use crate::transport::Trust;
use crate::transport::{Endpoint, Proxy};
#[cfg(not(feature = "tls"))]
use keys::Keys;
use keys::shown;
use tim_proto::{Platform, edges, identity};

/// A checked configuration.
pub(crate) struct Config {
    pub(crate) server_url: ServerUrl,
    pub(crate) sdk_app_id: u32,
    pub(crate) name: Option<String>,
    pub(crate) event_delivery: Mode,
    pub(crate) device_id: String,
    pub(crate) platform: Platform,
    pub(crate) device_name: String,
    pub(crate) login_timeout_ms: u64,
    pub(crate) request_timeout_ms: u64,
    pub(crate) reconnect_first_ms: u64,
    pub(crate) reconnect_max_ms: u64,
    pub(crate) user_sig_expiring_lead_s: Option<u32>,
    #[cfg(feature = "tls")]
    trust: Option<Trust>,
    proxy: Option<Proxy>,
    allow_plaintext: bool,
}

impl Config {
    /// Where the server is and how to reach it.
    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint {
            https: self.server_url.https,
            host: self.server_url.host.clone(),
            port: self.server_url.port,
            path_prefix: self.server_url.path_prefix.clone(),
            #[cfg(feature = "tls")]
            trust: self.trust.clone(),
            proxy: self.proxy.clone(),
            allow_plaintext: self.allow_plaintext,
        }
    }
}

/// Parses a configuration. The error is one sentence that says what is wrong and how to fix it. It
/// never repeats a proxy's password.
pub(crate) fn parse(json: &str) -> Result<Config, String> {
    let json = edges::trimmed(json);
    if json.is_empty() {
        return Err("the configuration is empty: expected JSON like \
                    {\"server_url\": \"https://im.example.com\", \"sdk_app_id\": 1400000000}"
            .to_owned());
    }
    let keys = keys::read(json)?;
    let missing = |key: &str, want: &str| format!("{key}: missing; expected {want}");
    let server_url = keys.server_url.as_deref();
    let server_url = server_url.ok_or_else(|| missing("server_url", "a string"))?;
    let server_url = ServerUrl::parse(server_url)?;
    let sdk_app_id = keys.sdk_app_id.and_then(|id| u32::try_from(id).ok());
    let sdk_app_id =
        sdk_app_id.ok_or_else(|| missing("sdk_app_id", "a whole number from 1 to 4294967295"))?;
    let (reconnect_first_ms, reconnect_max_ms) = reconnect(&keys.reconnect)?;
    #[cfg(not(feature = "tls"))]
    no_tls(&keys)?;
    Ok(Config {
        sdk_app_id,
        name: keys.name.as_deref().map(name).transpose()?,
        event_delivery: event_delivery(keys.event_delivery.as_deref())?,
        device_id: device_id(keys.device_id.as_deref())?,
        platform: platform(keys.platform.as_deref())?,
        device_name: identity::device_name(keys.device_name.as_deref().unwrap_or_default()),
        login_timeout_ms: keys.login_timeout_ms.unwrap_or(15_000),
        request_timeout_ms: keys.request_timeout_ms.unwrap_or(5_000),
        reconnect_first_ms,
        reconnect_max_ms,
        user_sig_expiring_lead_s: keys
            .user_sig_expiring_lead_s
            .and_then(|lead| u32::try_from(lead).ok()),
        #[cfg(feature = "tls")]
        trust: trust::read(&keys, server_url.https)?,
        proxy: match keys.proxy.as_deref() {
            None => None,
            Some("env") => {
                address::proxy_of_environment(&server_url, |name| std::env::var(name).ok())?
            }
            Some(url) => Some(address::parse_proxy("proxy", url)?),
        },
        allow_plaintext: keys.allow_plaintext.unwrap_or(false),
        server_url,
    })
}

/// The first and the longest wait before a reconnect.
fn reconnect(keys: &keys::Reconnect) -> Result<(u64, u64), String> {
    let first_ms = keys.first_ms.unwrap_or(1_000);
    let max_ms = keys.max_ms.unwrap_or(60_000.max(first_ms));
    if max_ms < first_ms {
        return Err(format!(
            "reconnect.max_ms: expected at least reconnect.first_ms ({first_ms}), found {max_ms}"
        ));
    }
    Ok((first_ms, max_ms))
}

/// A text of 1 to 64 bytes without control characters.
fn short(key: &str, given: &str) -> Result<String, String> {
    let text = edges::without_line_ends(given);
    if identity::is_device_id(text) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{key}: expected 1 to 64 bytes without control characters, found {}",
            described(given)
        ))
    }
}

fn name(given: &str) -> Result<String, String> {
    short("name", given)
}

fn event_delivery(given: Option<&str>) -> Result<Mode, String> {
    match given {
        None | Some("callback") => Ok(Mode::Callback),
        Some("poll") => Ok(Mode::Poll),
        Some(other) => Err(format!(
            "event_delivery: expected \"callback\" or \"poll\", found {}",
            shown(&other.into())
        )),
    }
}

fn device_id(given: Option<&str>) -> Result<String, String> {
    if let Some(given) = given {
        return short("device_id", given);
    }
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| format!("no random device_id: {error}"))?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn platform(name: Option<&str>) -> Result<Platform, String> {
    let Some(name) = name else {
        return Ok(Platform::of_this_system());
    };
    Platform::from_name(name).ok_or_else(|| {
        let names = Platform::ALL.map(Platform::name).join(", ");
        format!(
            "platform: expected one of {names}, found {}",
            shown(&name.into())
        )
    })
}

#[cfg(not(feature = "tls"))]
fn no_tls(keys: &Keys) -> Result<(), String> {
    let key = match keys {
        _ if keys.ca_file.is_some() => "ca_file",
        _ if keys.system_roots.is_some() => "system_roots",
        _ => return Ok(()),
    };
    Err(format!("{key}: this build of libtim has no TLS"))
}

/// A text's length and what is wrong at its edges, for a message that must not repeat the text.
fn described(text: &str) -> String {
    let edge = edges::named(text).map(|edge| format!(" and {edge}"));
    format!(
        "a text that has {} bytes{}",
        text.len(),
        edge.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests;
