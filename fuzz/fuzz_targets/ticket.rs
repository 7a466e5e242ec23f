//! Tickets: no text makes the reader panic, what is read says the same when it is made anew, and only
//! the key's own ticket verifies.

#![no_main]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use std::io::Write;
use tim_proto::user_sig::{self, UserSig};

const KEY: &str = "9c1fb6c3e1d94b2f8a5507d2ee4a6b7099c1fb6c3e1d94b2f8a5507d2ee4a6b7";
const OTHER_KEY: &str = "5d1c2b0a998f4e7766d3a1b2c4e5f60718293a4b5c6d7e8f9010aabbccddeeff";

/// Packs any bytes as a ticket: past the checksum, which the engine would hardly find.
fn packed(bytes: &[u8]) -> Option<String> {
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    zlib.write_all(bytes).ok()?;
    let base64 = STANDARD.encode(zlib.finish().ok()?);
    Some(base64.replace('+', "*").replace('/', "-").replace('=', "_"))
}

fn claims(sig: &UserSig) -> (&str, u32, i64, i64) {
    (&sig.user_id, sig.sdk_app_id, sig.issued_s, sig.expire_s)
}

fn check(token: &str) {
    let Ok(sig) = user_sig::parse(token) else {
        return;
    };
    sig.print();
    sig.is_expired(0);
    sig.is_expired(sig.expires_s());
    sig.verify_mac(OTHER_KEY);
    let made = user_sig::make(
        KEY,
        sig.sdk_app_id,
        &sig.user_id,
        sig.issued_s,
        sig.expire_s,
        None,
    );
    let Ok(made) = made else {
        return;
    };
    let Ok(again) = user_sig::parse(&made) else {
        panic!("what was made cannot be read");
    };
    assert_eq!(claims(&again), claims(&sig));
    assert!(again.verify_mac(KEY) && !again.verify_mac(OTHER_KEY));
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        check(text);
    }
    if let Some(token) = packed(bytes) {
        check(&token);
    }
});
