//! The JSON configuration: its keys, defaults and ranges, and one clear sentence per mistake.

mod address;
mod json;
#[cfg(feature = "tls")]
mod trust;

pub(crate) use address::ServerUrl;

#[cfg(feature = "tls")]
use crate::transport::Trust;
use crate::transport::{Endpoint, Proxy};
use serde_json::{Map, Value};
use tim_proto::{Platform, edges, identity};

/// The keys, in the order of the documentation.
const KEYS: [&str; 14] = [
    "server_url",
    "sdk_app_id",
    "device_id",
    "platform",
    "device_name",
    "event_delivery",
    "login_timeout_ms",
    "request_timeout_ms",
    "reconnect",
    "user_sig_expiring_lead_s",
    "ca_file",
    "system_roots",
    "proxy",
    "allow_plaintext",
];
const RECONNECT_KEYS: [&str; 2] = ["first_ms", "max_ms"];

/// The shortest and longest of a time limit: 100 ms to 10 minutes.
const TIMEOUT_MS: (u64, u64) = (100, 600_000);
/// The shortest and longest of a wait before a reconnect: 10 ms to an hour.
const RECONNECT_MS: (u64, u64) = (10, 3_600_000);
/// The longest lead of `user_sig_expiring`: 30 days.
const LEAD_MAX_S: u64 = 30 * 86_400;
/// A checked configuration.
pub(crate) struct Config {
    pub(crate) server_url: ServerUrl,
    pub(crate) sdk_app_id: u32,
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
    /// Where the server is and how to get there.
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

/// Reads a configuration. The error is one sentence: what was wrong and what would be right. It
/// never repeats a proxy's password.
pub(crate) fn parse(json: &str) -> Result<Config, String> {
    let json = edges::trimmed(json);
    if json.is_empty() {
        return Err("the configuration is empty: expected JSON like \
                    {\"server_url\": \"https://im.example.com\", \"sdk_app_id\": 1400000000}"
            .to_owned());
    }
    let object = match json::read(json)? {
        Value::Object(object) => object,
        other => {
            return Err(format!(
                "the configuration is not a JSON object: expected one in braces, found {}",
                kind(&other)
            ));
        }
    };
    known_keys(&object, &KEYS, "")?;
    let object = Keys(&object, "");
    let server_url = ServerUrl::parse(object.required_word("server_url")?)?;
    let reconnect = match object.get("reconnect") {
        None => Map::new(),
        Some(Value::Object(inner)) => inner.clone(),
        Some(other) => {
            return Err(format!(
                "reconnect: expected an object like {{\"first_ms\": 1000, \"max_ms\": 60000}}, \
                 found {}",
                shown(other)
            ));
        }
    };
    known_keys(&reconnect, &RECONNECT_KEYS, "reconnect.")?;
    let reconnect = Keys(&reconnect, "reconnect.");
    let reconnect_first_ms = reconnect.number("first_ms", RECONNECT_MS, 1_000)?;
    let reconnect_max_ms =
        reconnect.number("max_ms", RECONNECT_MS, 60_000.max(reconnect_first_ms))?;
    if reconnect_max_ms < reconnect_first_ms {
        return Err(format!(
            "reconnect.max_ms: expected at least reconnect.first_ms ({reconnect_first_ms}), \
             found {reconnect_max_ms}"
        ));
    }
    event_delivery(&object)?;
    #[cfg(not(feature = "tls"))]
    no_tls(&object)?;
    Ok(Config {
        sdk_app_id: app_id(&object)?,
        device_id: device_id(&object)?,
        platform: platform(&object)?,
        device_name: device_name(&object)?,
        login_timeout_ms: object.number("login_timeout_ms", TIMEOUT_MS, 15_000)?,
        request_timeout_ms: object.number("request_timeout_ms", TIMEOUT_MS, 5_000)?,
        reconnect_first_ms,
        reconnect_max_ms,
        user_sig_expiring_lead_s: lead(&object)?,
        #[cfg(feature = "tls")]
        trust: trust::read(&object, server_url.https)?,
        proxy: match object.word("proxy")? {
            None => None,
            Some("env") => {
                address::proxy_of_environment(&server_url, |name| std::env::var(name).ok())?
            }
            Some(url) => Some(address::parse_proxy("proxy", url)?),
        },
        allow_plaintext: object.truth("allow_plaintext")?.unwrap_or(false),
        server_url,
    })
}

fn app_id(object: &Keys<'_>) -> Result<u32, String> {
    const WANT: &str = "a whole number from 1 to 4294967295";
    let Some(value) = object.get("sdk_app_id") else {
        return Err(format!("sdk_app_id: missing; expected {WANT}"));
    };
    let number = whole(value).and_then(|number| u32::try_from(number).ok());
    number
        .filter(|number| *number > 0)
        .ok_or_else(|| format!("sdk_app_id: expected {WANT}, found {}", shown(value)))
}

fn device_id(object: &Keys<'_>) -> Result<String, String> {
    if let Some(given) = object.text("device_id")? {
        let device_id = edges::without_line_ends(given);
        return if identity::is_device_id(device_id) {
            Ok(device_id.to_owned())
        } else {
            Err(format!(
                "device_id: expected 1 to 64 bytes without control characters, found {}",
                told(given)
            ))
        };
    }
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| format!("no random device_id: {error}"))?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn device_name(object: &Keys<'_>) -> Result<String, String> {
    let name = object.text("device_name")?.unwrap_or_default();
    Ok(identity::device_name(name))
}

fn platform(object: &Keys<'_>) -> Result<Platform, String> {
    let Some(name) = object.word("platform")? else {
        return Ok(Platform::of_this_system());
    };
    Platform::from_name(name).ok_or_else(|| {
        let names = Platform::ALL.map(Platform::name).join(", ");
        format!(
            "platform: expected one of {names}, found {}",
            shown(&Value::from(name))
        )
    })
}

fn event_delivery(object: &Keys<'_>) -> Result<(), String> {
    match object.word("event_delivery")? {
        None | Some("callback") => Ok(()),
        Some(other) => Err(format!(
            "event_delivery: this version knows \"callback\" alone, found {}",
            shown(&Value::from(other))
        )),
    }
}

fn lead(object: &Keys<'_>) -> Result<Option<u32>, String> {
    if object.get("user_sig_expiring_lead_s").is_none() {
        return Ok(None);
    }
    let seconds = object.number("user_sig_expiring_lead_s", (1, LEAD_MAX_S), 0)?;
    Ok(u32::try_from(seconds).ok())
}

#[cfg(not(feature = "tls"))]
fn no_tls(object: &Keys<'_>) -> Result<(), String> {
    match ["ca_file", "system_roots"]
        .iter()
        .find(|key| object.get(key).is_some())
    {
        None => Ok(()),
        Some(key) => Err(format!("{key}: this build of libtim has no TLS")),
    }
}

/// The keys of one object, and what stands before them in messages.
struct Keys<'a>(&'a Map<String, Value>, &'static str);

impl Keys<'_> {
    /// The value of a key; null says that it is left out.
    fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    fn text(&self, key: &str) -> Result<Option<&str>, String> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(format!(
                "{}{key}: expected a string, found {}",
                self.1,
                shown(other)
            )),
        }
    }

    /// A text that neither begins nor ends with blanks of its own.
    fn word(&self, key: &str) -> Result<Option<&str>, String> {
        Ok(self.text(key)?.map(edges::trimmed))
    }

    fn required_word(&self, key: &str) -> Result<&str, String> {
        self.word(key)?
            .ok_or_else(|| format!("{}{key}: missing; expected a string", self.1))
    }

    fn truth(&self, key: &str) -> Result<Option<bool>, String> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(truth)) => Ok(Some(*truth)),
            Some(other) => Err(format!(
                "{}{key}: expected true or false, found {}",
                self.1,
                shown(other)
            )),
        }
    }

    fn number(&self, key: &str, (least, most): (u64, u64), default: u64) -> Result<u64, String> {
        let Some(value) = self.get(key) else {
            return Ok(default);
        };
        whole(value)
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| {
                format!(
                    "{}{key}: expected a whole number from {least} to {most}, found {}",
                    self.1,
                    shown(value)
                )
            })
    }
}

/// A whole number, in whatever form JSON has it: 1000, 1000.0 or 1e3.
fn whole(value: &Value) -> Option<u64> {
    /// Above that a float does not hold every whole number.
    const EXACT_MAX: f64 = (1_u64 << 53) as f64;
    value.as_u64().or_else(|| {
        let float = value.as_f64()?;
        ((0.0..=EXACT_MAX).contains(&float) && float.fract() == 0.0).then_some(float as u64)
    })
}

/// How long a text is and what it has at an edge, for a message that does not repeat it.
fn told(text: &str) -> String {
    let edge = edges::named(text).map(|edge| format!(" and {edge}"));
    format!(
        "a text that has {} bytes{}",
        text.len(),
        edge.unwrap_or_default()
    )
}

/// What was found, for a message: short values themselves, of others their kind. A URL may hold a
/// password and may stand under the wrong key.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if text.len() > 40 || text.contains("://") || text.contains('@') => {
            kind(value).to_owned()
        }
        Value::Array(_) | Value::Object(_) => kind(value).to_owned(),
        short => short.to_string(),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A key as a message names it. Whoever mixed up key and value may have put a password there.
fn named(key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ');
    if !key.is_empty() && key.len() <= 40 && key.chars().all(plain) {
        key.to_owned()
    } else {
        format!("a key of {} bytes", key.len())
    }
}

fn known_keys(object: &Map<String, Value>, known: &[&str], prefix: &str) -> Result<(), String> {
    let Some(unknown) = object.keys().find(|key| !known.contains(&key.as_str())) else {
        return Ok(());
    };
    let nearest = known
        .iter()
        .map(|key| (edits(unknown, key), key))
        .min()
        .filter(|(edits, _)| *edits <= 3)
        .map_or_else(
            || ".".to_owned(),
            |(_, key)| format!("; did you mean \"{prefix}{key}\"?"),
        );
    Err(format!(
        "{prefix}{}: unknown key{nearest} Known keys: {}",
        named(unknown),
        known.join(", ")
    ))
}

/// How many letters must be added, taken or changed to make one text of the other.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (at, from) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (to_at, to) in b.bytes().enumerate() {
            let change = diagonal + usize::from(from != to);
            diagonal = row[to_at + 1];
            row[to_at + 1] = change.min(diagonal + 1).min(row[to_at] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests;
