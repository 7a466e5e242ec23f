//! Session tokens: the server's notes on a session, under its own MAC, kept by the client.
//!
//! A token contains enough to re-create its session after a restart. Its MAC key belongs to the
//! store and signs nothing else.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::sync::Arc;
use tim_proto::Platform;

/// The format of this version's tokens.
const VERSION: &str = "1";

/// The content of a token. Its names are short because it travels with every resume.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    #[serde(rename = "a")]
    pub sdk_app_id: u32,
    #[serde(rename = "u")]
    pub user_id: String,
    #[serde(rename = "d")]
    pub device_id: Arc<str>,
    #[serde(rename = "p")]
    pub platform: Platform,
    #[serde(rename = "n")]
    pub device_name: Arc<str>,
    #[serde(rename = "s")]
    pub session_id: u64,
    #[serde(rename = "e")]
    pub epoch: u64,
    #[serde(rename = "l")]
    pub login_no: u64,
    /// When the ticket expires, in ms of Unix time.
    #[serde(rename = "x")]
    pub ends_ms: i64,
    /// The latest expiry in any token of the session.
    #[serde(rename = "m", default)]
    pub latest_end_ms: i64,
    /// The fingerprint of the policy that decided its login.
    #[serde(rename = "y", default)]
    pub policy: u32,
}

/// A key that signs tokens.
#[derive(Clone)]
pub struct TokenKey {
    /// Part of the token, so that an old key can be kept beside a new one.
    pub id: u32,
    pub secret: [u8; 32],
    pub made_ms: i64,
}

/// A new key starts signing after this long: by then every node has it.
pub const SETTLE_MS: i64 = 180_000;

/// How old token keys may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyAges {
    /// A key of this age gets a successor; `None`: never.
    pub renew_ms: Option<i64>,
    /// How long it verifies after that.
    pub keep_ms: i64,
}

impl KeyAges {
    /// For a start: creates a key only if there is none.
    pub fn only_first() -> KeyAges {
        KeyAges {
            renew_ms: None,
            keep_ms: i64::MAX,
        }
    }
}

/// The signing key, given the keys newest first.
pub fn signing(keys: &[TokenKey], now_ms: i64) -> Option<&TokenKey> {
    let settled = |key: &&TokenKey| key.made_ms.saturating_add(SETTLE_MS) <= now_ms;
    keys.iter().find(settled).or(keys.last())
}

/// Adds a successor to a newest key that is old enough, and drops keys whose tokens have expired.
/// Returns whether anything changed.
pub fn turn(
    keys: &mut Vec<TokenKey>,
    ages: &KeyAges,
    now_ms: i64,
    secret: impl FnOnce() -> Option<[u8; 32]>,
) -> bool {
    let before = keys.len();
    // A key verifies until its successor is old enough; the newest verifies without limit.
    let mut successor_ms = None;
    keys.retain(|key| {
        let since = successor_ms.replace(key.made_ms);
        since.is_none_or(|since: i64| {
            now_ms < since.saturating_add(SETTLE_MS).saturating_add(ages.keep_ms)
        })
    });
    let dropped = keys.len() < before;
    let newest = keys
        .first()
        .map_or((0, i64::MIN), |key| (key.id, key.made_ms));
    let due = |age_ms| now_ms >= newest.1.saturating_add(age_ms);
    if keys.is_empty() || ages.renew_ms.is_some_and(due) {
        let Some(secret) = secret() else {
            return dropped;
        };
        let id = newest.0 + 1;
        keys.insert(
            0,
            TokenKey {
                id,
                secret,
                made_ms: now_ms,
            },
        );
        return true;
    }
    dropped
}

impl TokenKey {
    /// The form in which a store keeps the key and its time.
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.secret[..], &self.made_ms.to_le_bytes()].concat()
    }

    /// Parses [`TokenKey::to_bytes`].
    pub fn from_bytes(id: u32, bytes: &[u8]) -> Option<TokenKey> {
        let (secret, made_ms) = bytes.split_first_chunk()?;
        Some(TokenKey {
            id,
            secret: *secret,
            made_ms: i64::from_le_bytes(made_ms.try_into().ok()?),
        })
    }

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
    // Serializing strings and numbers into memory cannot fail.
    let json = serde_json::to_vec(claims).unwrap_or_default();
    let mut token = String::with_capacity(64 + json.len().div_ceil(3) * 4);
    token.push_str(VERSION);
    token.push('.');
    token.push_str(&key.id.to_string());
    token.push('.');
    BASE64_URL_SAFE_NO_PAD.encode_string(json, &mut token);
    let mac = key.mac(&token).finalize().into_bytes();
    token.push('.');
    BASE64_URL_SAFE_NO_PAD.encode_string(mac, &mut token);
    token
}

/// Verifies a token against `keys`. `None` without further detail if no key signed it.
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
            made_ms: 0,
        }
    }

    const AGES: KeyAges = KeyAges {
        renew_ms: Some(1_000_000),
        keep_ms: 5_000_000,
    };

    /// The ids of the keys and of the signing one, after a turn at that time.
    fn turned(keys: &mut Vec<TokenKey>, now_ms: i64) -> (Vec<u32>, u32) {
        turn(keys, &AGES, now_ms, || Some([now_ms as u8; 32]));
        let ids = keys.iter().map(|key| key.id).collect();
        (ids, signing(keys, now_ms).unwrap().id)
    }

    #[test]
    fn the_first_key_signs_at_once_and_a_successor_once_every_node_has_it() {
        let mut keys = Vec::new();
        assert_eq!(turned(&mut keys, 0), (vec![1], 1));
        assert_eq!(turned(&mut keys, 999_999), (vec![1], 1));
        assert_eq!(turned(&mut keys, 1_000_000), (vec![2, 1], 1));
        assert_eq!(
            turned(&mut keys, 1_000_000 + SETTLE_MS - 1),
            (vec![2, 1], 1)
        );
        assert_eq!(turned(&mut keys, 1_000_000 + SETTLE_MS), (vec![2, 1], 2));
    }

    #[test]
    fn a_key_verifies_for_its_time_after_it_signed_last() {
        let mut keys = vec![key(2), key(1)];
        keys[0].made_ms = 1_000_000;
        let never = KeyAges {
            renew_ms: None,
            ..AGES
        };
        let end = 1_000_000 + SETTLE_MS + AGES.keep_ms;
        assert!(!turn(&mut keys, &never, end - 1, || None));
        let token = issue(&key(1), &claims());
        assert!(verify(&keys, &token).is_some());
        assert!(turn(&mut keys, &never, end, || None));
        assert!(verify(&keys, &token).is_none());
        assert!(
            !turn(&mut keys, &never, i64::MAX, || None),
            "the newest stays"
        );
        assert_eq!(keys.len(), 1);
    }

    #[test]
    fn where_there_is_no_randomness_the_old_key_goes_on() {
        let mut keys = vec![key(1)];
        assert!(!turn(&mut keys, &AGES, 9_000_000, || None));
        assert_eq!(signing(&keys, 9_000_000).unwrap().id, 1);
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
            latest_end_ms: 1_900_000_000_000,
            policy: 9,
        }
    }

    #[test]
    fn a_token_is_read_back_with_its_own_key_alone() {
        let token = issue(&key(1), &claims());
        assert!(verify(&[key(2), key(1)], &token) == Some(claims()));
        assert!(verify(&[key(2)], &token).is_none());
        let same_id = TokenKey {
            secret: [9; 32],
            ..key(1)
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
