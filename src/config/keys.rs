//! The keys of the configuration and the types of their values, as serde reads them.

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Value, error::Category};
use std::fmt;
use tim_proto::edges;

/// One field per key; `None` if it is absent or null.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    #[serde(default, deserialize_with = "trimmed")]
    pub(super) server_url: Option<String>,
    #[serde(default, deserialize_with = "whole::<1, 4_294_967_295, _>")]
    pub(super) sdk_app_id: Option<u64>,
    #[serde(default, deserialize_with = "text")]
    pub(super) name: Option<String>,
    #[serde(default, deserialize_with = "trimmed")]
    pub(super) event_delivery: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) device_id: Option<String>,
    #[serde(default, deserialize_with = "trimmed")]
    pub(super) platform: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(super) device_name: Option<String>,
    #[serde(default, deserialize_with = "whole::<100, 600_000, _>")]
    pub(super) login_timeout_ms: Option<u64>,
    #[serde(default, deserialize_with = "whole::<100, 600_000, _>")]
    pub(super) request_timeout_ms: Option<u64>,
    #[serde(default, deserialize_with = "reconnect")]
    pub(super) reconnect: Reconnect,
    /// At most 30 days.
    #[serde(default, deserialize_with = "whole::<1, 2_592_000, _>")]
    pub(super) user_sig_expiring_lead_s: Option<u64>,
    #[serde(default, deserialize_with = "text")]
    pub(super) ca_file: Option<String>,
    #[serde(default, deserialize_with = "truth")]
    pub(super) system_roots: Option<bool>,
    #[serde(default, deserialize_with = "trimmed")]
    pub(super) proxy: Option<String>,
    #[serde(default, deserialize_with = "truth")]
    pub(super) allow_plaintext: Option<bool>,
}

/// The value of `reconnect`.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reconnect {
    #[serde(default, deserialize_with = "whole::<10, 3_600_000, _>")]
    pub(super) first_ms: Option<u64>,
    #[serde(default, deserialize_with = "whole::<10, 3_600_000, _>")]
    pub(super) max_ms: Option<u64>,
}

/// Reads the keys. The error is one sentence. It never repeats a URL, which may hold a password.
pub(super) fn read(json: &str) -> Result<Keys, String> {
    if !json.starts_with('{') {
        return Err(match serde_json::from_str(json) {
            Ok(other) => format!(
                "the configuration is not a JSON object: expected one in braces, found {}",
                kind(&other)
            ),
            Err(error) => format!("the configuration is not JSON: {error}"),
        });
    }
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let keys: Keys = serde_path_to_error::deserialize(&mut deserializer).map_err(mistake)?;
    deserializer
        .end()
        .map_err(|error| format!("the configuration is not JSON: {error}"))?;
    Ok(keys)
}

/// A mistake as one sentence: the key, what was expected there, what was found.
fn mistake(error: serde_path_to_error::Error<serde_json::Error>) -> String {
    let key = error.path().to_string();
    let error = error.into_inner();
    if error.classify() != Category::Data {
        return format!("the configuration is not JSON: {error}");
    }
    let message = error.to_string();
    if message.starts_with("duplicate field") {
        return message;
    }
    let place = format!(" at line {} column {}", error.line(), error.column());
    let cause = message.strip_suffix(&place).unwrap_or(&message);
    match cause.strip_prefix("unknown field `") {
        Some(unknown) => unknown_key(&key, unknown),
        None => format!("{key}: {cause}"),
    }
}

/// A sentence on an unknown key: "KEY`, expected one of `KNOWN`, ..." at `path`.
fn unknown_key(path: &str, serde_says: &str) -> String {
    let (key, expected) = serde_says.rsplit_once("`, expected ").unwrap_or_default();
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    let parent = path.strip_suffix(key).unwrap_or(path).trim_end_matches('.');
    let prefix = if parent.is_empty() {
        String::new()
    } else {
        format!("{parent}.")
    };
    let nearest = known
        .iter()
        .map(|known| (strsim::levenshtein(key, known), known))
        .min()
        .filter(|(edits, _)| *edits <= 3)
        .map_or_else(
            || ".".to_owned(),
            |(_, nearest)| format!("; did you mean \"{prefix}{nearest}\"?"),
        );
    format!(
        "{prefix}{}: unknown key{nearest} Known keys: {}",
        named(key),
        known.join(", ")
    )
}

/// A key for a message. If key and value are swapped, the key may be a password.
fn named(key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ');
    if !key.is_empty() && key.len() <= 40 && key.chars().all(plain) {
        key.to_owned()
    } else {
        format!("a key of {} bytes", key.len())
    }
}

// The types of values.

fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    value(from, "a string", |value| value.as_str().map(str::to_owned))
}

/// A string without the white space around it.
fn trimmed<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(text(from)?.map(|text| edges::trimmed(&text).to_owned()))
}

fn truth<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    value(from, "true or false", Value::as_bool)
}

/// A whole number in any notation that JSON has for it: 1000, 1000.0 or 1e3.
fn whole<'de, const LEAST: u64, const MOST: u64, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<u64>, D::Error> {
    /// From here on a float cannot represent every whole number.
    const EXACT_MAX: f64 = (1_u64 << 53) as f64;
    let expected = format!("a whole number from {LEAST} to {MOST}");
    value(from, &expected, |value| {
        let number = value.as_u64().or_else(|| {
            let float = value.as_f64()?;
            ((0.0..=EXACT_MAX).contains(&float) && float.fract() == 0.0).then_some(float as u64)
        });
        number.filter(|number| (LEAST..=MOST).contains(number))
    })
}

fn value<'de, D: Deserializer<'de>, T>(
    from: D,
    expected: &str,
    take: impl FnOnce(&Value) -> Option<T>,
) -> Result<Option<T>, D::Error> {
    let value = Value::deserialize(from)?;
    if value.is_null() {
        return Ok(None);
    }
    let taken = take(&value);
    if taken.is_none() {
        let found = shown(&value);
        return Err(D::Error::custom(format!(
            "expected {expected}, found {found}"
        )));
    }
    Ok(taken)
}

fn reconnect<'de, D: Deserializer<'de>>(from: D) -> Result<Reconnect, D::Error> {
    struct Object;

    impl<'de> Visitor<'de> for Object {
        type Value = Reconnect;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object like {\"first_ms\": 1000, \"max_ms\": 60000}")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Reconnect, A::Error> {
            Reconnect::deserialize(MapAccessDeserializer::new(map))
        }

        fn visit_unit<E>(self) -> Result<Reconnect, E> {
            Ok(Reconnect::default())
        }

        // serde's own message would repeat the text.
        fn visit_str<E: Error>(self, _: &str) -> Result<Reconnect, E> {
            Err(E::invalid_type(
                serde::de::Unexpected::Other("a string"),
                &self,
            ))
        }
    }

    from.deserialize_any(Object)
}

/// A value for a message: short ones in full, others by their kind. A string that may be a URL is not
/// repeated, since it may hold a password.
pub(super) fn shown(value: &Value) -> String {
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
