//! UserSig, the ticket: made by an app's own server with the app's key, checked by tim-server.
//!
//! The form is the one of the public generators for version 2.0: JSON in zlib in base64 with
//! three letters changed. They differ in key order, white space, escapes and compression level;
//! all of that is accepted. Zero values may be left out. The MAC covers four or five lines that
//! are built from the values, so what the JSON looks like does not matter.

use crate::identity;
use base64::Engine;
use base64::alphabet::Alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_STANDARD;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::fmt;

/// The most that a ticket may inflate to. A real one stays below 1 kB.
const JSON_MAX: usize = 16 * 1024;
/// The least length of a key, in bytes.
const KEY_MIN: usize = 32;
/// The least number of different bytes in a key.
const KEY_VARIETY_MIN: usize = 8;
/// Keys that stand in public code or documentation.
const PUBLIC_KEYS: [&str; 1] = ["5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e"];

/// base64 in which `*`, `-` and `_` stand for `+`, `/` and `=`; not the URL-safe one of RFC 4648.
/// The padding is turned back before decoding.
fn engine() -> GeneralPurpose {
    const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789*-";
    const ALPHABET: Alphabet = match Alphabet::new(LETTERS) {
        Ok(alphabet) => alphabet,
        Err(_) => panic!("64 different letters"),
    };
    GeneralPurpose::new(
        &ALPHABET,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
    )
}

/// A ticket that was read. Whether it is genuine says [`UserSig::verify_mac`].
#[derive(Clone, PartialEq, Eq)]
pub struct UserSig {
    /// Whom it lets in.
    pub user_id: String,
    /// Into which app.
    pub sdk_app_id: u32,
    /// When it was made, in seconds of Unix time.
    pub issued_s: i64,
    /// How long it holds, in seconds.
    pub expire_s: i64,
    /// The base64 text of the extra data for rooms, which the MAC covers as it stands.
    userbuf: Option<String>,
    mac: Vec<u8>,
}

/// The JSON of a ticket.
#[derive(Serialize, Deserialize)]
struct Json {
    #[serde(rename = "TLS.ver", default)]
    version: String,
    #[serde(rename = "TLS.identifier", default)]
    user_id: String,
    #[serde(rename = "TLS.sdkappid", default)]
    sdk_app_id: u32,
    #[serde(rename = "TLS.expire", default)]
    expire_s: i64,
    #[serde(rename = "TLS.time", default)]
    issued_s: i64,
    #[serde(
        rename = "TLS.userbuf",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    userbuf: Option<String>,
    #[serde(rename = "TLS.sig")]
    mac: String,
}

/// Why a ticket cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Over 4,096 bytes.
    TooLong,
    /// Not base64 with the three letters changed.
    Base64,
    /// Not one whole zlib stream, or one that inflates beyond all reason.
    Zlib,
    /// Not the JSON of a ticket.
    Json,
    /// A user id that no user has.
    UserId,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unreadable::TooLong => "the ticket is longer than 4096 bytes",
            Unreadable::Base64 => "the ticket is not in the base64 of UserSig: was it cut?",
            Unreadable::Zlib => "the ticket is not one whole zlib stream: was it cut?",
            Unreadable::Json => "the ticket does not hold the JSON of a UserSig",
            Unreadable::UserId => {
                "the ticket's user id is empty, too long or has control characters"
            }
        })
    }
}

impl std::error::Error for Unreadable {}

/// Why a ticket cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MakeError {
    /// 1 to 32 bytes without control characters.
    UserId,
    /// The extra data makes it longer than 4,096 bytes.
    TooLong,
}

impl fmt::Display for MakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MakeError::UserId => "a user id has 1 to 32 bytes of UTF-8 and no control characters",
            MakeError::TooLong => "the ticket would be longer than 4096 bytes",
        })
    }
}

impl std::error::Error for MakeError {}

/// Why a key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeakKey {
    /// Under 32 bytes.
    Short,
    /// Under 8 different bytes.
    Monotonous,
    /// It stands in public code or documentation.
    Public,
}

impl fmt::Display for WeakKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            WeakKey::Short => "the key is shorter than 32 bytes",
            WeakKey::Monotonous => "the key has fewer than 8 different bytes",
            WeakKey::Public => "the key is publicly known",
        };
        write!(f, "{what}; use 64 random hexadecimal digits")
    }
}

impl std::error::Error for WeakKey {}

/// Whether a key is fit to sign tickets.
pub fn check_key(key: &str) -> Result<(), WeakKey> {
    let mut seen = [false; 256];
    for byte in key.bytes() {
        seen[usize::from(byte)] = true;
    }
    if key.len() < KEY_MIN {
        Err(WeakKey::Short)
    } else if seen.iter().filter(|seen| **seen).count() < KEY_VARIETY_MIN {
        Err(WeakKey::Monotonous)
    } else if PUBLIC_KEYS
        .iter()
        .any(|public| public.eq_ignore_ascii_case(key))
    {
        Err(WeakKey::Public)
    } else {
        Ok(())
    }
}

/// Makes a ticket. `key` is the key's text as it stands, not what its hexadecimal digits say.
pub fn make(
    key: &str,
    sdk_app_id: u32,
    user_id: &str,
    issued_s: i64,
    expire_s: i64,
    userbuf: Option<&[u8]>,
) -> Result<String, MakeError> {
    if !identity::is_user_id(user_id) {
        return Err(MakeError::UserId);
    }
    let mut sig = UserSig {
        user_id: user_id.to_owned(),
        sdk_app_id,
        issued_s,
        expire_s,
        userbuf: userbuf.map(|bytes| BASE64_STANDARD.encode(bytes)),
        mac: Vec::new(),
    };
    sig.mac = sig.hmac(key).finalize().into_bytes().to_vec();
    let token = sig.to_token();
    if token.len() > identity::USER_SIG_MAX {
        return Err(MakeError::TooLong);
    }
    Ok(token)
}

/// Reads a ticket. Its MAC and its time are not checked.
pub fn parse(token: &str) -> Result<UserSig, Unreadable> {
    if token.len() > identity::USER_SIG_MAX {
        return Err(Unreadable::TooLong);
    }
    let zlib = decode(token)?;
    let json: Json = serde_json::from_slice(&inflate(&zlib)?).map_err(|_| Unreadable::Json)?;
    let mac = BASE64_STANDARD.decode(&json.mac);
    if !identity::is_user_id(&json.user_id) {
        return Err(Unreadable::UserId);
    }
    Ok(UserSig {
        user_id: json.user_id,
        sdk_app_id: json.sdk_app_id,
        issued_s: json.issued_s,
        expire_s: json.expire_s,
        userbuf: json.userbuf,
        mac: mac.map_err(|_| Unreadable::Json)?,
    })
}

impl UserSig {
    /// Whether `key` made it. Takes the same time wherever the MACs differ.
    pub fn verify_mac(&self, key: &str) -> bool {
        self.hmac(key).verify_slice(&self.mac).is_ok()
    }

    /// Its last second, in seconds of Unix time.
    pub fn expires_s(&self) -> i64 {
        self.issued_s.saturating_add(self.expire_s)
    }

    /// Whether its time has passed. In its last second it still holds.
    pub fn is_expired(&self, now_s: i64) -> bool {
        now_s > self.expires_s()
    }

    fn hmac(&self, key: &str) -> Hmac<Sha256> {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("any length");
        let mut line = |name: &str, value: &str| {
            mac.update(format!("TLS.{name}:{value}\n").as_bytes());
        };
        line("identifier", &self.user_id);
        line("sdkappid", &self.sdk_app_id.to_string());
        line("time", &self.issued_s.to_string());
        line("expire", &self.expire_s.to_string());
        if let Some(userbuf) = &self.userbuf {
            line("userbuf", userbuf);
        }
        mac
    }

    fn to_token(&self) -> String {
        let json = Json {
            version: "2.0".to_owned(),
            user_id: self.user_id.clone(),
            sdk_app_id: self.sdk_app_id,
            expire_s: self.expire_s,
            issued_s: self.issued_s,
            userbuf: self.userbuf.clone(),
            mac: BASE64_STANDARD.encode(&self.mac),
        };
        // Strings and numbers only: writing them as JSON into memory cannot fail.
        encode(&deflate(&serde_json::to_vec(&json).unwrap_or_default()))
    }
}

fn encode(zlib: &[u8]) -> String {
    engine().encode(zlib).replace('=', "_")
}

fn decode(token: &str) -> Result<Vec<u8>, Unreadable> {
    if token.contains('=') {
        return Err(Unreadable::Base64);
    }
    engine()
        .decode(token.replace('_', "="))
        .map_err(|_| Unreadable::Base64)
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    // Room for the bytes as they are: zlib stores what it cannot make smaller.
    let mut zlib = Vec::with_capacity(bytes.len() + bytes.len() / 8 + 64);
    let mut compress = Compress::new(Compression::default(), true);
    // Into memory with enough room, compressing cannot fail.
    let _ = compress.compress_vec(bytes, &mut zlib, FlushCompress::Finish);
    zlib
}

/// Inflates one whole zlib stream with nothing behind it, up to a bound.
fn inflate(zlib: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let mut json = Vec::with_capacity(JSON_MAX);
    let mut decompress = Decompress::new(true);
    let status = decompress.decompress_vec(zlib, &mut json, FlushDecompress::Finish);
    let whole = decompress.total_in() == zlib.len() as u64;
    match status {
        Ok(Status::StreamEnd) if whole => Ok(json),
        _ => Err(Unreadable::Zlib),
    }
}

#[cfg(test)]
mod tests;
