//! Session tokens: what the server wrote about a session, under its own MAC, in the client's keep.
//!
//! A token carries enough to re-create its session after a restart. Its MAC key is the store's own
//! and signs nothing else.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use tim_proto::Platform;

/// The form of the tokens of this version.
const VERSION: &str = "1";

/// What a token says. Its names are short: it travels with every resume.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    #[serde(rename = "a")]
    pub sdk_app_id: u32,
    #[serde(rename = "u")]
    pub user_id: String,
    #[serde(rename = "d")]
    pub device_id: String,
    #[serde(rename = "p")]
    pub platform: Platform,
    #[serde(rename = "n")]
    pub device_name: String,
    #[serde(rename = "s")]
    pub session_id: u64,
    #[serde(rename = "e")]
    pub epoch: u64,
    #[serde(rename = "l")]
    pub login_no: u64,
    /// The end of the ticket, in ms of Unix time.
    #[serde(rename = "x")]
    pub ends_ms: i64,
}

/// A key for tokens.
#[derive(Clone)]
pub struct TokenKey {
    /// Stands in the token, so that an old key can be kept beside a new one.
    pub id: u32,
    pub secret: [u8; 32],
}

impl TokenKey {
    fn mac(&self, text: &str) -> Hmac<Sha256> {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).expect("any length");
        mac.update(b"libtim session token\n");
        mac.update(text.as_bytes());
        mac
    }
}

/// Writes a token.
pub fn issue(key: &TokenKey, claims: &Claims) -> String {
    // Strings and numbers only: writing them as JSON into memory cannot fail.
    let json = serde_json::to_vec(claims).unwrap_or_default();
    let text = format!(
        "{VERSION}.{}.{}",
        key.id,
        BASE64_URL_SAFE_NO_PAD.encode(json)
    );
    let mac = key.mac(&text).finalize().into_bytes();
    format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(mac))
}

/// Reads a token that one of `keys` made; nothing else tells anything.
pub fn verify(keys: &[TokenKey], token: &str) -> Option<Claims> {
    let (text, mac) = token.rsplit_once('.')?;
    let mut parts = text.split('.');
    let (version, id, json) = (parts.next()?, parts.next()?, parts.next()?);
    if version != VERSION || parts.next().is_some() {
        return None;
    }
    let key = keys.iter().find(|key| key.id.to_string() == id)?;
    let mac = BASE64_URL_SAFE_NO_PAD.decode(mac).ok()?;
    key.mac(text).verify_slice(&mac).ok()?;
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(json).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: u32) -> TokenKey {
        TokenKey {
            id,
            secret: [id as u8; 32],
        }
    }

    fn claims() -> Claims {
        Claims {
            sdk_app_id: 1,
            user_id: "用户".into(),
            device_id: "d".into(),
            platform: Platform::Web,
            device_name: "Anna's phone".into(),
            session_id: 7,
            epoch: 1_700_000_000_000,
            login_no: 3,
            ends_ms: 1_800_000_000_000,
        }
    }

    #[test]
    fn a_token_is_read_back_with_its_own_key_alone() {
        let token = issue(&key(1), &claims());
        assert!(verify(&[key(2), key(1)], &token) == Some(claims()));
        assert!(verify(&[key(2)], &token).is_none());
        let same_id = TokenKey {
            id: 1,
            secret: [9; 32],
        };
        assert!(verify(&[same_id], &token).is_none());
    }

    #[test]
    fn a_token_changed_anywhere_is_none() {
        let token = issue(&key(1), &claims());
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(verify(&[key(1)], &changed).is_none(), "letter {at}");
        }
        for cut in ["", ".", "1.1", "1.1.e30", "1.1.e30."] {
            assert!(verify(&[key(1)], cut).is_none());
        }
    }
}
