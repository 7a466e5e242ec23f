//! Vectors of the public generators, and what a verifier must bear.

use super::*;
use proptest::prelude::*;

const APP: u32 = 1_400_000_000;
const TIME: i64 = 1_700_000_000;
/// The public packages' own demo key: [`check_key`] refuses it.
const DEMO_KEY: &str = PUBLIC_KEYS[0];
const KEY: &str = "8ca1c9d37b6e4f50a2d4e6f8091b3c5d7e9fa1b2c3d4e5f60718293a4b5c6d7e";

/// User alice, a week; from the generators for Python and Node, and stored, with Go's order.
const ALICE: [&str; 3] = [
    "eJyrVgrxCdYrSy1SslJQMtIzUNJRAItkpqTmlWSmZUIkEnMyk1NhUsUp2YkFBZkpQAlDEwMogMqlVhRkFqUCZcwMTCzgoiWZuSAxQ3M01cWZ6SDT3QpDLU3zfbyNXbX18wJLKrXd051CfSITA5Ms3PMDs8pDkqtyMyLM9X38022VagEQrDHR",
    "eJyrVgrxCdYrSy1SslIy0jNQ0gHzM1NS80oy0zLBwok5mcmpUInilOzEgoLMFCUrQxMDKIDIlGTmpipZGZqjiqZWFGQWpSpZmRmYWMDEijPTlayU3ApDLU3zfbyNXbX18wJLKrXd051CfSITA5Ms3PMDs8pDkqtyMyLM9X38022VagGeaTBx",
    "eAEBqABX-3siVExTLnZlciI6IjIuMCIsIlRMUy5pZGVudGlmaWVyIjoiYWxpY2UiLCJUTFMuc2RrYXBwaWQiOjE0MDAwMDAwMDAsIlRMUy5leHBpcmUiOjYwNDgwMCwiVExTLnRpbWUiOjE3MDAwMDAwMDAsIlRMUy5zaWciOiJGcVU5NW9MSzNFKy9uUXR5K0dnQlVMWWFRYjhHb1Fqd1Rjem1oWDcvTE9nPSJ9Ct0YMHs_",
];
/// The same with the extra data of a numeric room; Python and Node.
const ALICE_ROOM: [&str; 2] = [
    "eJxdjsEKgkAQhl9F9mroKotK4GFJjajAKAyP5m41WLbpakb07qmZh-7TzPfNMPNCu9VWq3mBpgoyNYwmSk*A8VzCEb4iuUDKf6pkWSIEsFYYBA8ZHG8EFLw1FibOSCVcO2bYf9NVyYtDdewuUEqDeN*I2Ix2aUbalub*PGLLvvR02sd1xyfg1K2tSS1PdpRunmqgGrhi5-LxdPZ3X79J05uFISwwISK2Auqi9wdVl0JC",
    "eJxVjUsLgkAUhf-L3RY6yqAx4OKSGlFBUSguzRntYo-JV0b03wOzRWd1zvctzgsO673RqQoE2AaD6bBJqmtDOQ04PVOmRlHLMtWaJAiLszFf09BFgbDcf6p6TZUC4TA**7G2VtWxzUEAIoZJ3OvEjg5ZyRERr8Eikquh*iYO8bzfORUgYMO7pnCjbPechBOLtfJUP56z*B6Yt8b259stLRnnOnFC9OD9ASKPQKI_",
];
/// User 用户_1, a day; Python and Node.
const NON_ASCII: [&str; 2] = [
    "eJyrVgrxCdYrSy1SslJQMtIzUNJRAItkpqTmlWSmZUIkYkrNTY0sYkrNjIzN4w1haopTshMLCjJTgCoMTQygACqXWlGQWZQKlLEwM4ELlmTmgoQMzdEUF2emg2yxsMgLN6hMzfP2KnULjwh2TQvMM40qCQ4ILkjUzvPOLTZ2NzX0zq*IiLQotlWqBQBqfTPZ",
    "eJyrVgrxCdYrSy1SslIy0jNQ0gHzM1NS80oy0zLBws*nrHjWsT3eECpXnJKdWFCQmaJkZWhiAAUQmZLM3FQlK0NzVNHUioLMolQlKwszE5hQcWa6kpWShUVeuEFlap63V6lbeESwa1pgnmlUSXBAcEGidp53brGxu6mhd35FRKRFsa1SLQAgGDN3",
];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(digits: &str) -> Vec<u8> {
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn vector_1_plain() {
    for token in ALICE {
        let sig = parse(token).unwrap();
        assert_eq!((sig.user_id.as_str(), sig.sdk_app_id), ("alice", APP));
        assert_eq!((sig.issued_s, sig.expire_s), (TIME, 604_800));
        assert_eq!(
            hex(&sig.mac),
            "16a53de682cadc4fbf9d0b72f8680150b61a41bf06a108f04dcce6857eff2ce8"
        );
        assert!(sig.verify_mac(DEMO_KEY) && !sig.verify_mac(KEY));
    }
}

#[test]
fn vector_1_holds_through_its_last_second() {
    let sig = parse(ALICE[0]).unwrap();
    assert_eq!(sig.expires_s(), 1_700_604_800);
    assert!(!sig.is_expired(1_700_604_800) && sig.is_expired(1_700_604_801));
}

#[test]
fn vector_2_with_a_numeric_room() {
    let userbuf = unhex("000005616c69636553724e0000002710655d2b80000000ff00000000");
    for token in ALICE_ROOM {
        let sig = parse(token).unwrap();
        assert_eq!(sig.userbuf, Some(BASE64_STANDARD.encode(&userbuf)));
        assert_eq!(
            hex(&sig.mac),
            "338bed83b55c432f85fb5d2e761b30cbc5aa13fa2dd8308f3e2234e38a58e850"
        );
        assert!(sig.verify_mac(DEMO_KEY));
        let mut without = sig;
        without.userbuf = None;
        assert!(
            !without.verify_mac(DEMO_KEY),
            "the MAC covers the extra data"
        );
    }
}

#[test]
fn vector_3_with_a_named_room() {
    let userbuf = unhex("010005616c69636553724e0000000000655d2b800000002a000000000006726f6f6d2d31");
    let token = make(DEMO_KEY, APP, "alice", TIME, 604_800, Some(&userbuf)).unwrap();
    assert_eq!(
        hex(&parse(&token).unwrap().mac),
        "425ba99848dcaeb4efe0030ce334a78f6451bad8234f3895b9353fc2cb27b346"
    );
}

#[test]
fn vector_4_non_ascii() {
    for token in NON_ASCII {
        let sig = parse(token).unwrap();
        assert_eq!(sig.user_id, "用户_1");
        assert_eq!(
            hex(&sig.mac),
            "f3c9d6d327a7289b855974847d09f966d48f4a96be9ca9acdc6e752a8c5763cb"
        );
        assert!(sig.verify_mac(DEMO_KEY));
    }
}

fn token_of(json: &str) -> String {
    encode(&deflate(json.as_bytes()))
}

/// A ticket whose JSON is written as `write` likes, with the right MAC.
fn signed(sig: &UserSig, write: impl Fn(&str) -> String) -> String {
    let mac = sig.hmac(KEY).finalize().into_bytes();
    token_of(&write(&BASE64_STANDARD.encode(mac)))
}

fn plain(user_id: &str, issued_s: i64, expire_s: i64) -> UserSig {
    UserSig {
        user_id: user_id.to_owned(),
        sdk_app_id: APP,
        issued_s,
        expire_s,
        userbuf: None,
        mac: Vec::new(),
    }
}

#[test]
fn order_white_space_escapes_and_a_line_feed_do_not_matter() {
    let alice = plain("alice/用", TIME, 60);
    let tokens = [
        signed(&alice, |mac| {
            format!(
                r#"{{"TLS.sig":"{mac}","TLS.ver":"2.0","TLS.time":{TIME},"TLS.expire":60,"TLS.sdkappid":{APP},"TLS.identifier":"alice/用"}}{}"#,
                "\n"
            )
        }),
        signed(&alice, |mac| {
            format!(
                r#"{{ "TLS.ver" : "2.0", "TLS.identifier": "alice\/\u7528", "TLS.sdkappid": {APP}, "TLS.expire": 60, "TLS.time": {TIME}, "TLS.sig": "{}" }}"#,
                mac.replace('/', "\\/")
            )
        }),
    ];
    for token in tokens {
        assert!(parse(&token).unwrap().verify_mac(KEY));
    }
}

#[test]
fn zero_values_may_be_left_out() {
    let token = signed(&plain("alice", TIME, 0), |mac| {
        format!(
            r#"{{"TLS.ver":"2.0","TLS.identifier":"alice","TLS.sdkappid":{APP},"TLS.time":{TIME},"TLS.sig":"{mac}"}}"#
        )
    });
    let sig = parse(&token).unwrap();
    assert!(sig.verify_mac(KEY) && sig.expire_s == 0);
}

#[test]
fn a_line_feed_in_a_user_id_cannot_forge_the_signed_lines() {
    // The text that is signed for this user id is that of alice with another app and time.
    let forged = "alice\nTLS.sdkappid:1\nTLS.time:1";
    assert_eq!(
        make(KEY, APP, forged, TIME, 60, None),
        Err(MakeError::UserId)
    );
    let token = signed(&plain(forged, TIME, 60), |mac| {
        format!(
            r#"{{"TLS.identifier":"alice\nTLS.sdkappid:1\nTLS.time:1","TLS.sdkappid":{APP},"TLS.time":{TIME},"TLS.expire":60,"TLS.sig":"{mac}"}}"#
        )
    });
    assert_eq!(parse(&token).err(), Some(Unreadable::UserId));
}

#[test]
fn bytes_behind_the_zlib_stream_are_refused() {
    let mut zlib = decode(ALICE[0]).unwrap();
    zlib.push(0);
    assert_eq!(parse(&encode(&zlib)).err(), Some(Unreadable::Zlib));
}

#[test]
fn a_truncated_ticket_is_refused_at_every_length() {
    for length in 0..ALICE[0].len() {
        assert!(parse(&ALICE[0][..length]).is_err());
    }
}

#[test]
fn a_ticket_that_inflates_beyond_its_bound_is_refused() {
    let bomb = encode(&deflate(&vec![b' '; JSON_MAX * 100]));
    assert!(bomb.len() < identity::USER_SIG_MAX, "small on the wire");
    assert_eq!(parse(&bomb).err(), Some(Unreadable::Zlib));
}

#[test]
fn a_ticket_over_4096_bytes_is_refused() {
    assert_eq!(parse(&"e".repeat(4097)).err(), Some(Unreadable::TooLong));
    // Bytes that zlib cannot make smaller.
    let mut state = 1u32;
    let userbuf: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(4000)
    .collect();
    assert_eq!(
        make(KEY, APP, "alice", TIME, 60, Some(&userbuf)),
        Err(MakeError::TooLong)
    );
}

#[test]
fn what_is_not_a_ticket_is_refused() {
    for (token, why) in [
        ("", Unreadable::Zlib),
        ("=", Unreadable::Base64),
        ("a b", Unreadable::Base64),
        ("AAAA", Unreadable::Zlib),
        (&token_of("[]"), Unreadable::Json),
        (&token_of("{}"), Unreadable::Json),
        (
            &token_of(r#"{"TLS.identifier":"a","TLS.sdkappid":"1","TLS.sig":""}"#),
            Unreadable::Json,
        ),
        (
            &token_of(r#"{"TLS.identifier":"a","TLS.time":1.5,"TLS.sig":""}"#),
            Unreadable::Json,
        ),
        (
            &token_of(r#"{"TLS.identifier":"a","TLS.sig":"!"}"#),
            Unreadable::Json,
        ),
        (
            &token_of(r#"{"TLS.identifier":"","TLS.sig":""}"#),
            Unreadable::UserId,
        ),
    ] {
        assert_eq!(parse(token).err(), Some(why), "{token}");
    }
}

/// deflate leaves bits unused: some changes of one letter give the same fields. None gives others.
#[test]
fn a_change_of_one_letter_is_refused_or_changes_nothing_that_is_signed() {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789*-_";
    let mut refused = 0;
    for token in [ALICE[0], ALICE[1], ALICE[2], NON_ASCII[0]] {
        let genuine = parse(token).unwrap();
        for at in 0..token.len() {
            for letter in LETTERS
                .iter()
                .filter(|letter| **letter != token.as_bytes()[at])
            {
                let mut changed = token.as_bytes().to_vec();
                changed[at] = *letter;
                match parse(std::str::from_utf8(&changed).unwrap()) {
                    Ok(sig) if sig.verify_mac(DEMO_KEY) => assert!(sig == genuine),
                    _ => refused += 1,
                }
            }
        }
    }
    assert!(refused > 50_000);
}

#[test]
fn weak_keys_are_refused() {
    assert_eq!(check_key(KEY), Ok(()));
    assert_eq!(check_key(&KEY[..31]), Err(WeakKey::Short));
    assert_eq!(check_key(&"abcdefg".repeat(9)), Err(WeakKey::Monotonous));
    assert_eq!(check_key(DEMO_KEY), Err(WeakKey::Public));
    assert_eq!(check_key(&DEMO_KEY.to_uppercase()), Err(WeakKey::Public));
    for weak in [WeakKey::Short, WeakKey::Monotonous, WeakKey::Public] {
        assert!(
            weak.to_string()
                .ends_with("use 64 random hexadecimal digits")
        );
    }
}

proptest! {
    #[test]
    fn what_is_made_is_read_back_and_verifies(
        user_id in "[a-z用 /]{1,10}",
        sdk_app_id: u32,
        issued_s: i64,
        expire_s: i64,
        userbuf: Option<[u8; 30]>,
    ) {
        let token = make(KEY, sdk_app_id, &user_id, issued_s, expire_s, userbuf.as_ref().map(|b| &b[..])).unwrap();
        let sig = parse(&token).unwrap();
        prop_assert!(sig.verify_mac(KEY));
        prop_assert_eq!((sig.user_id, sig.sdk_app_id, sig.issued_s, sig.expire_s), (user_id, sdk_app_id, issued_s, expire_s));
    }

    #[test]
    fn a_ticket_encoded_again_with_another_value_does_not_verify(change in 0..5, by in 1i64..1000) {
        let mut sig = parse(ALICE_ROOM[0]).unwrap();
        match change {
            0 => sig.user_id = format!("alice{by}"),
            1 => sig.sdk_app_id += by as u32,
            2 => sig.issued_s += by,
            3 => sig.expire_s += by,
            _ => sig.userbuf = Some(by.to_string()),
        }
        prop_assert!(!parse(&sig.to_token()).unwrap().verify_mac(DEMO_KEY));
    }

    #[test]
    fn garbage_is_refused_without_a_panic(token in "[A-Za-z0-9*_-]{0,300}", bytes: Vec<u8>) {
        let _ = parse(&token);
        let _ = parse(&encode(&bytes));
        let _ = parse(&token_of(&String::from_utf8_lossy(&bytes)));
    }
}
