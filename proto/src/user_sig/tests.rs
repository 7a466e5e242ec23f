//! What a ticket is: the published examples, what generators differ in, and what is never made.

use super::*;
use proptest::prelude::*;

mod refused;

const APP: u32 = 1_400_000_000;
const KEY: &str = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";
const NOW: i64 = 1_700_000_000;
const WEEK: i64 = 604_800;

// Vectors 1, 2 and 4 as the packages printed them, and 1 as a generator that stores would.
const V1_PY: &str = "eJyrVgrxCdYrSy1SslJQMtIzUNJRAItkpqTmlWSmZUIkEnMyk1NhUsUp2YkFBZkpQAlDEwMogMqlVhRkFqUCZcwMTCzgoiWZuSAxQ3M01cWZ6SDT3QpDLU3zfbyNXbX18wJLKrXd051CfSITA5Ms3PMDs8pDkqtyMyLM9X38022VagEQrDHR";
const V1_NODE: &str = "eJyrVgrxCdYrSy1SslIy0jNQ0gHzM1NS80oy0zLBwok5mcmpUInilOzEgoLMFCUrQxMDKIDIlGTmpipZGZqjiqZWFGQWpSpZmRmYWMDEijPTlayU3ApDLU3zfbyNXbX18wJLKrXd051CfSITA5Ms3PMDs8pDkqtyMyLM9X38022VagGeaTBx";
const V1_STORED: &str = "eAEBqABX-3siVExTLnZlciI6IjIuMCIsIlRMUy5pZGVudGlmaWVyIjoiYWxpY2UiLCJUTFMuc2RrYXBwaWQiOjE0MDAwMDAwMDAsIlRMUy5leHBpcmUiOjYwNDgwMCwiVExTLnRpbWUiOjE3MDAwMDAwMDAsIlRMUy5zaWciOiJGcVU5NW9MSzNFKy9uUXR5K0dnQlVMWWFRYjhHb1Fqd1Rjem1oWDcvTE9nPSJ9Ct0YMHs_";
const V2_PY: &str = "eJxdjsEKgkAQhl9F9mroKotK4GFJjajAKAyP5m41WLbpakb07qmZh-7TzPfNMPNCu9VWq3mBpgoyNYwmSk*A8VzCEb4iuUDKf6pkWSIEsFYYBA8ZHG8EFLw1FibOSCVcO2bYf9NVyYtDdewuUEqDeN*I2Ix2aUbalub*PGLLvvR02sd1xyfg1K2tSS1PdpRunmqgGrhi5-LxdPZ3X79J05uFISwwISK2Auqi9wdVl0JC";
const V2_NODE: &str = "eJxVjUsLgkAUhf-L3RY6yqAx4OKSGlFBUSguzRntYo-JV0b03wOzRWd1zvctzgsO673RqQoE2AaD6bBJqmtDOQ04PVOmRlHLMtWaJAiLszFf09BFgbDcf6p6TZUC4TA**7G2VtWxzUEAIoZJ3OvEjg5ZyRERr8Eikquh*iYO8bzfORUgYMO7pnCjbPechBOLtfJUP56z*B6Yt8b259stLRnnOnFC9OD9ASKPQKI_";
const V4_PY: &str = "eJyrVgrxCdYrSy1SslJQMtIzUNJRAItkpqTmlWSmZUIkYkrNTY0sYkrNjIzN4w1haopTshMLCjJTgCoMTQygACqXWlGQWZQKlLEwM4ELlmTmgoQMzdEUF2emg2yxsMgLN6hMzfP2KnULjwh2TQvMM40qCQ4ILkjUzvPOLTZ2NzX0zq*IiLQotlWqBQBqfTPZ";
const V4_NODE: &str = "eJyrVgrxCdYrSy1SslIy0jNQ0gHzM1NS80oy0zLBws*nrHjWsT3eECpXnJKdWFCQmaJkZWhiAAUQmZLM3FQlK0NzVNHUioLMolQlKwszE5hQcWa6kpWShUVeuEFlap63V6lbeESwa1pgnmlUSXBAcEGidp53brGxu6mhd35FRKRFsa1SLQAgGDN3";

const ALL: [&str; 7] = [V1_PY, V1_NODE, V1_STORED, V2_PY, V2_NODE, V4_PY, V4_NODE];

fn read(token: &str) -> UserSig {
    parse(token).unwrap_or_else(|e| panic!("{token}: {e}"))
}

/// Everything that the MAC covers.
fn signed(ticket: &UserSig) -> (String, u32, i64, i64, Option<String>) {
    (
        ticket.user_id.clone(),
        ticket.sdk_app_id,
        ticket.issued_s,
        ticket.expire_s,
        ticket.userbuf.clone(),
    )
}

/// Packs any JSON text as a ticket.
fn token_of(json: impl AsRef<[u8]>) -> String {
    packed(json.as_ref(), Compression::default())
}

fn packed(json: &[u8], level: Compression) -> String {
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), level);
    zlib.write_all(json).unwrap();
    to_token(&zlib.finish().unwrap())
}

/// The compressed bytes in a ticket.
fn compressed(token: &str) -> Vec<u8> {
    let base64 = token.replace('*', "+").replace('-', "/").replace('_', "=");
    STANDARD.decode(base64).unwrap()
}

/// The JSON text in a ticket.
fn json_of(token: &str) -> String {
    let text = |json: &[u8]| String::from_utf8(json.to_vec()).ok();
    inflated(&compressed(token), text).unwrap()
}

/// The userbuf for a room, as the documentation lays it out; big-endian.
fn room_userbuf(
    account: &str,
    app: u32,
    room: Result<u32, &str>,
    until_s: u32,
    rights: u32,
) -> Vec<u8> {
    let mut bytes = vec![u8::from(room.is_err())];
    let length = |text: &str| u16::try_from(text.len()).unwrap().to_be_bytes();
    bytes.extend(length(account));
    bytes.extend(account.as_bytes());
    for number in [app, room.unwrap_or(0), until_s, rights, 0] {
        bytes.extend(number.to_be_bytes());
    }
    if let Err(name) = room {
        bytes.extend(length(name));
        bytes.extend(name.as_bytes());
    }
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn vector_1_is_read_from_every_generator_and_made_anew() {
    let content =
        "TLS.identifier:alice\nTLS.sdkappid:1400000000\nTLS.time:1700000000\nTLS.expire:604800\n";
    let mac = "16a53de682cadc4fbf9d0b72f8680150b61a41bf06a108f04dcce6857eff2ce8";
    let made = make(KEY, APP, "alice", NOW, WEEK, None).unwrap();
    for token in [V1_PY, V1_NODE, V1_STORED, &made] {
        let ticket = read(token);
        assert_eq!(signed(&ticket), ("alice".to_owned(), APP, NOW, WEEK, None));
        assert_eq!(ticket.signed_text(), content);
        assert_eq!(hex(&ticket.sig), mac);
        assert!(ticket.verify_mac(KEY));
    }
    assert!(
        json_of(&made).contains("\"TLS.sig\":\"FqU95oLK3E+/nQty+GgBULYaQb8GoQjwTczmhX7/LOg=\"")
    );
}

#[test]
fn vector_2_signs_the_userbuf_of_a_numeric_room() {
    let userbuf = room_userbuf("alice", APP, Ok(10_000), 1_700_604_800, 255);
    assert_eq!(
        hex(&userbuf),
        "000005616c69636553724e0000002710655d2b80000000ff00000000"
    );
    let mac = "338bed83b55c432f85fb5d2e761b30cbc5aa13fa2dd8308f3e2234e38a58e850";
    let made = make(KEY, APP, "alice", NOW, WEEK, Some(&userbuf)).unwrap();
    for token in [V2_PY, V2_NODE, &made] {
        let ticket = read(token);
        assert_eq!(
            ticket.userbuf.as_deref(),
            Some("AAAFYWxpY2VTck4AAAAnEGVdK4AAAAD/AAAAAA==")
        );
        assert_eq!(hex(&ticket.sig), mac);
        assert!(ticket.verify_mac(KEY));
    }
}

#[test]
fn vector_3_signs_the_userbuf_of_a_named_room() {
    let userbuf = room_userbuf("alice", APP, Err("room-1"), 1_700_604_800, 42);
    assert_eq!(
        hex(&userbuf),
        "010005616c69636553724e0000000000655d2b800000002a000000000006726f6f6d2d31"
    );
    let ticket = read(&make(KEY, APP, "alice", NOW, WEEK, Some(&userbuf)).unwrap());
    assert_eq!(
        hex(&ticket.sig),
        "425ba99848dcaeb4efe0030ce334a78f6451bad8234f3895b9353fc2cb27b346"
    );
    assert!(ticket.verify_mac(KEY));
}

#[test]
fn vector_4_has_a_user_id_beyond_ascii() {
    let made = make(KEY, APP, "用户_1", NOW, 86_400, None).unwrap();
    for token in [V4_PY, V4_NODE, &made] {
        let ticket = read(token);
        assert_eq!(ticket.user_id, "用户_1");
        assert_eq!(
            hex(&ticket.sig),
            "f3c9d6d327a7289b855974847d09f966d48f4a96be9ca9acdc6e752a8c5763cb"
        );
        assert!(ticket.verify_mac(KEY));
    }
}

#[test]
fn a_ticket_is_good_through_its_last_second() {
    let ticket = read(V1_PY);
    assert_eq!(ticket.expires_s(), 1_700_604_800);
    assert!(!ticket.is_expired(1_700_604_800));
    assert!(ticket.is_expired(1_700_604_801));
}

#[test]
fn the_end_of_a_ticket_stops_at_the_ends_of_time() {
    let at = |issued, expire| read(&make(KEY, APP, "alice", issued, expire, None).unwrap());
    assert_eq!(at(i64::MAX, 1).expires_s(), i64::MAX);
    assert_eq!(at(i64::MIN, -1).expires_s(), i64::MIN);
    assert!(at(NOW, -1).is_expired(NOW));
}

#[test]
fn white_space_key_order_escapes_and_compression_are_free() {
    let sig = "FqU95oLK3E+\\/nQty+GgBULYaQb8GoQjwTczmhX7\\/LOg=";
    let json = format!(
        " {{\n\t\"TLS.sig\" : \"{sig}\", \"TLS.expire\": 604800, \"TLS.time\": 1700000000,\r\n\
         \"TLS.sdkappid\":1400000000 , \"TLS.identifier\": \"\\u0061lice\", \"TLS.ver\": \"2.0\"}}\n\n"
    );
    for level in 0..=9 {
        assert!(read(&packed(json.as_bytes(), Compression::new(level))).verify_mac(KEY));
    }
    assert!(packed(json.as_bytes(), Compression::none()).starts_with("eAE"));
}

#[test]
fn unknown_fields_are_ignored() {
    let json = json_of(V1_NODE).replacen('{', r#"{"TLS.new":{"a":[1.5,null]},"#, 1);
    assert!(read(&token_of(json)).verify_mac(KEY));
}

#[test]
fn omitted_values_are_zero() {
    let whole = make(KEY, 0, "alice", 0, 0, None).unwrap();
    let json = json_of(&whole);
    let short = ["TLS.sdkappid", "TLS.time", "TLS.expire"]
        .iter()
        .fold(json.clone(), |json, name| {
            json.replace(&format!("\"{name}\":0,"), "")
        });
    assert_eq!(short.len(), json.len() - 17 - 13 - 15);
    let ticket = read(&token_of(short));
    assert_eq!(signed(&ticket), signed(&read(&whole)));
    assert!(ticket.verify_mac(KEY));
}

#[test]
fn no_ticket_is_made_for_what_is_no_user_id() {
    for bad in ["", "a\nb", "0123456789_0123456789_0123456789_"] {
        assert_eq!(make(KEY, APP, bad, NOW, WEEK, None), Err(MakeError::UserId));
    }
}

#[test]
fn no_ticket_is_made_that_would_be_too_long_to_read() {
    // Not to be compressed: what a hash chain gives.
    let noise: Vec<u8> = (0..200u32)
        .flat_map(|n| {
            let mut mac = Hmac::<Sha256>::new_from_slice(b"noise").unwrap();
            mac.update(&n.to_be_bytes());
            mac.finalize().into_bytes()
        })
        .collect();
    let mut longest = 0;
    for length in (0..noise.len()).step_by(61) {
        match make(KEY, APP, "alice", NOW, WEEK, Some(&noise[..length])) {
            Ok(token) => {
                assert!(read(&token).verify_mac(KEY));
                longest = length;
            }
            Err(e) => assert_eq!(e, MakeError::TooLong),
        }
    }
    assert!((1500..3000).contains(&longest), "{longest}");
    assert_eq!(
        make(KEY, APP, "alice", NOW, WEEK, Some(&vec![0; 1 << 20])),
        Err(MakeError::TooLong),
        "compresses well, but inflates to more than is read"
    );
}

#[test]
fn a_key_has_32_bytes_and_8_different_ones_and_is_not_published() {
    let good = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
    assert_eq!(check_key(good), Ok(()));
    assert_eq!(check_key(&good[1..]), Err(WeakKey::Short(31)));
    assert_eq!(check_key(""), Err(WeakKey::Short(0)));
    assert_eq!(check_key(&"01234567".repeat(4)), Ok(()));
    assert_eq!(check_key(&"0123456".repeat(5)), Err(WeakKey::Monotonous(7)));
    assert_eq!(check_key(KEY), Err(WeakKey::Public));
    assert_eq!(check_key(&KEY.to_uppercase()), Err(WeakKey::Public));
    assert_eq!(check_key(&format!("{KEY}\n")), Err(WeakKey::Public));
}

#[test]
fn the_error_for_a_weak_key_says_what_is_wrong_and_what_would_be_right_without_the_key() {
    for (key, wrong) in [
        ("hunter2", "7 bytes"),
        (&*"ab".repeat(32), "only 2 different bytes"),
        (&"a".repeat(32), "a single byte"),
        (KEY, "publicly known"),
    ] {
        let text = check_key(key).unwrap_err().to_string();
        assert!(
            text.contains(wrong) && text.contains("random key of at least 32 bytes"),
            "{text}"
        );
        assert!(!text.contains(key));
    }
}

proptest! {
    #[test]
    fn what_was_made_is_read_back(
        key in "\\PC{0,80}",
        app in any::<u32>(),
        user in "\\PC{1,10}",
        issued in any::<i64>(),
        expire in any::<i64>(),
        userbuf in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200)),
    ) {
        prop_assume!(is_user_id(&user));
        let token = make(&key, app, &user, issued, expire, userbuf.as_deref()).unwrap();
        let ticket = read(&token);
        let text = userbuf.map(|bytes| STANDARD.encode(bytes));
        prop_assert_eq!(signed(&ticket), (user, app, issued, expire, text));
        prop_assert!(ticket.verify_mac(&key));
        let other_key = key + "x";
        prop_assert!(!ticket.verify_mac(&other_key));
        prop_assert_eq!(ticket.expires_s(), issued.saturating_add(expire));
    }
}
