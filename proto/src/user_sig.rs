//! UserSig tickets, version 2: making, reading and verifying them in the format of the public
//! generators.
//!
//! A ticket is a JSON object, zlib-compressed, in base64 with `*`, `-` and `_` for `+`, `/` and `=`
//! (not the url-safe alphabet of RFC 4648). Its MAC covers a separate text rather than the JSON, so
//! key order, white space, escapes and compression level are free, and generators differ in them.

use crate::identity::{USER_SIG_MAX, is_user_id};
use base64::Engine;
use base64::alphabet::Alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD, STANDARD};
use flate2::{Compression, Decompress, FlushDecompress, Status};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::cell::RefCell;
use std::fmt;
use std::io::Write;

#[cfg(test)]
mod tests;

/// The alphabet of tickets.
const TOKEN: GeneralPurpose = GeneralPurpose::new(
    &match Alphabet::new("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789*-") {
        Ok(alphabet) => alphabet,
        Err(_) => panic!("64 different characters"),
    },
    NO_PAD,
);
const PAD: char = '_';

/// The most that a ticket may hold when inflated, in bytes. A genuine ticket holds hardly more than
/// its own length; the limit is there for zip bombs.
const JSON_MAX: usize = 2 * USER_SIG_MAX;

/// Publicly known keys: the one in the public generators' own examples, and the one in this
/// project's test fixtures.
const PUBLIC_KEYS: [&str; 2] = [
    "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e",
    "84b5f4e40d73b39498bd822e4a9c619d517c1ea462f375716745cbffed3bf3dd",
];

/// A parsed ticket. Its fields are only claims until [`UserSig::verify_mac`] returns true.
///
/// It has no `Debug`: printing the signature amounts to printing the ticket.
pub struct UserSig {
    /// Whom the ticket is for. Free of control characters, but otherwise as found: possibly empty,
    /// or longer than a user id may be.
    pub user_id: String,
    /// The app that the ticket is for.
    pub sdk_app_id: u32,
    /// When the ticket was issued, in seconds of Unix time.
    pub issued_s: i64,
    /// How long the ticket is good for after that, in seconds.
    pub expire_s: i64,
    /// The userbuf in base64, which is signed in this form.
    userbuf: Option<String>,
    /// The MAC that the ticket claims, of any length.
    sig: Vec<u8>,
}

/// The JSON inside a ticket, in the order in which it is written. Some generators omit numbers that
/// are 0 and strings that are empty.
#[derive(Serialize, Deserialize)]
struct Fields {
    #[serde(rename = "TLS.ver", default)]
    version: String,
    #[serde(rename = "TLS.identifier", default)]
    user_id: String,
    #[serde(rename = "TLS.sdkappid", default)]
    sdk_app_id: u32,
    #[serde(rename = "TLS.time", default)]
    issued_s: i64,
    #[serde(rename = "TLS.expire", default)]
    expire_s: i64,
    #[serde(
        rename = "TLS.userbuf",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    userbuf: Option<String>,
    #[serde(rename = "TLS.sig")]
    sig: String,
}

/// Why no ticket was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MakeError {
    /// [`is_user_id`] refuses the user id.
    UserId,
    /// The userbuf is so long that the ticket would exceed [`USER_SIG_MAX`] bytes.
    TooLong,
}

/// The text is not a ticket: empty, over [`USER_SIG_MAX`] bytes, truncated, modified, or for a user
/// id with control characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// Why a key may not sign tickets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WeakKey {
    /// Under 32 bytes; holds the number of bytes.
    Short(usize),
    /// Under 8 different bytes; holds their number.
    Monotonous(usize),
    /// Published, as an example or in a test.
    Public,
}

/// Makes a ticket for `user_id`, valid for `expire_s` seconds from `issued_s` (seconds of Unix
/// time). `key` is the text of the key file. `userbuf` is signed with the rest and otherwise left
/// alone.
pub fn make(
    key: &str,
    sdk_app_id: u32,
    user_id: &str,
    issued_s: i64,
    expire_s: i64,
    userbuf: Option<&[u8]>,
) -> Result<String, MakeError> {
    if !is_user_id(user_id) {
        return Err(MakeError::UserId);
    }
    let mut ticket = UserSig {
        user_id: user_id.to_owned(),
        sdk_app_id,
        issued_s,
        expire_s,
        userbuf: userbuf.map(|bytes| STANDARD.encode(bytes)),
        sig: Vec::new(),
    };
    ticket.sig = ticket.mac(key).finalize().into_bytes().to_vec();
    encode(&ticket).ok_or(MakeError::TooLong)
}

/// Parses a ticket. [`UserSig::verify_mac`] says whether it is genuine.
pub fn parse(token: &str) -> Result<UserSig, Unreadable> {
    if token.len() > USER_SIG_MAX {
        return Err(Unreadable);
    }
    let compressed = from_token(token).ok_or(Unreadable)?;
    let fields: Fields = inflated(&compressed, |json| serde_json::from_slice(json).ok())?;
    // A line feed would let two different sets of fields share one signed text.
    let userbuf = fields.userbuf.as_deref().unwrap_or_default();
    if [&fields.user_id, userbuf]
        .iter()
        .any(|text| text.chars().any(char::is_control))
    {
        return Err(Unreadable);
    }
    Ok(UserSig {
        user_id: fields.user_id,
        sdk_app_id: fields.sdk_app_id,
        issued_s: fields.issued_s,
        expire_s: fields.expire_s,
        userbuf: fields.userbuf,
        sig: STANDARD.decode(fields.sig).map_err(|_| Unreadable)?,
    })
}

impl UserSig {
    /// Whether this key signed exactly these fields. Takes equally long for every wrong signature.
    pub fn verify_mac(&self, key: &str) -> bool {
        self.mac(key).verify_slice(&self.sig).is_ok()
    }

    /// Identifies a ticket whose MAC has been verified: two with the same number have the same
    /// content.
    pub fn print(&self) -> u64 {
        let mut first = [0; 8];
        for (byte, of_sig) in first.iter_mut().zip(&self.sig) {
            *byte = *of_sig;
        }
        u64::from_le_bytes(first)
    }

    /// The last second of Unix time at which the ticket is valid.
    pub fn expires_s(&self) -> i64 {
        self.issued_s.saturating_add(self.expire_s)
    }

    /// Whether the ticket has expired at `now_s`, in seconds of Unix time.
    pub fn is_expired(&self, now_s: i64) -> bool {
        now_s > self.expires_s()
    }

    /// The MAC over the signed text: one line per field, each ended by a line feed.
    fn mac(&self, key: &str) -> Hmac<Sha256> {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("any key length");
        mac.update(self.signed_text().as_bytes());
        mac
    }

    fn signed_text(&self) -> String {
        let mut text = format!(
            "TLS.identifier:{}\nTLS.sdkappid:{}\nTLS.time:{}\nTLS.expire:{}\n",
            self.user_id, self.sdk_app_id, self.issued_s, self.expire_s
        );
        if let Some(userbuf) = &self.userbuf {
            text.push_str("TLS.userbuf:");
            text.push_str(userbuf);
            text.push('\n');
        }
        text
    }
}

/// Whether a key may sign tickets: at least 32 bytes, at least 8 different ones, not published.
pub fn check_key(key: &str) -> Result<(), WeakKey> {
    let different = key
        .bytes()
        .collect::<std::collections::BTreeSet<u8>>()
        .len();
    if PUBLIC_KEYS
        .iter()
        .any(|known| known.eq_ignore_ascii_case(key.trim()))
    {
        Err(WeakKey::Public)
    } else if key.len() < 32 {
        Err(WeakKey::Short(key.len()))
    } else if different < 8 {
        Err(WeakKey::Monotonous(different))
    } else {
        Ok(())
    }
}

/// The ticket's text; `None` if it would be too long.
fn encode(ticket: &UserSig) -> Option<String> {
    let json = serde_json::to_vec(&Fields {
        version: "2.0".to_owned(),
        user_id: ticket.user_id.clone(),
        sdk_app_id: ticket.sdk_app_id,
        issued_s: ticket.issued_s,
        expire_s: ticket.expire_s,
        userbuf: ticket.userbuf.clone(),
        sig: STANDARD.encode(&ticket.sig),
    })
    .ok()
    .filter(|json| json.len() <= JSON_MAX)?;
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(&json).ok()?;
    let token = to_token(&zlib.finish().ok()?);
    (token.len() <= USER_SIG_MAX).then_some(token)
}

/// Base64 in the alphabet of tickets.
fn to_token(compressed: &[u8]) -> String {
    let mut token = TOKEN.encode(compressed);
    while !token.len().is_multiple_of(4) {
        token.push(PAD);
    }
    token
}

/// Decodes a token; `None` if a different text encodes the same bytes.
fn from_token(token: &str) -> Option<Vec<u8>> {
    let text = token.trim_end_matches(PAD);
    let is_padded = token.len().is_multiple_of(4) && token.len() - text.len() < 3;
    is_padded.then(|| TOKEN.decode(text).ok())?
}

/// Reads what a zlib stream holds: exactly one whole stream, checksum included, with nothing after
/// it.
fn inflated<T>(compressed: &[u8], read: impl FnOnce(&[u8]) -> Option<T>) -> Result<T, Unreadable> {
    thread_local! {
        // Allocated once per thread: its 50 KiB take longer to set up than a ticket takes to read.
        // The buffer has one byte more than a ticket may fill and never grows, so that a longer
        // stream does not reach its end.
        static INFLATING: RefCell<(Decompress, Vec<u8>)> =
            RefCell::new((Decompress::new(true), Vec::with_capacity(JSON_MAX + 1)));
    }
    INFLATING.with_borrow_mut(|(zlib, json)| {
        zlib.reset(true);
        json.clear();
        let status = zlib
            .decompress_vec(compressed, json, FlushDecompress::Finish)
            .map_err(|_| Unreadable)?;
        let whole = status == Status::StreamEnd && zlib.total_in() == compressed.len() as u64;
        if whole && json.len() <= JSON_MAX {
            read(json).ok_or(Unreadable)
        } else {
            Err(Unreadable)
        }
    })
}

impl fmt::Display for MakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MakeError::UserId => "a user id has 1 to 32 bytes of UTF-8 and no control characters",
            MakeError::TooLong => "the userbuf is too long: a ticket has at most 4096 bytes",
        })
    }
}

impl std::error::Error for MakeError {}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "not a UserSig ticket: expected the text that a UserSig generator printed, \
             whole and unchanged, of at most 4096 bytes",
        )
    }
}

impl std::error::Error for Unreadable {}

impl fmt::Display for WeakKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WeakKey::Short(length) => write!(f, "the key has {length} bytes")?,
            WeakKey::Monotonous(1) => write!(f, "the key repeats a single byte")?,
            WeakKey::Monotonous(count) => write!(f, "the key has only {count} different bytes")?,
            WeakKey::Public => f.write_str("the key is publicly known")?,
        }
        f.write_str(
            ": anybody could guess it and make tickets. Use a random key of at least 32 bytes, \
             at least 8 of them different, for example from: openssl rand -hex 32",
        )
    }
}

impl std::error::Error for WeakKey {}
