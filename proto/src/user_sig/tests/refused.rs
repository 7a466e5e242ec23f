//! What is no ticket, and what no longer verifies once it was changed.

use super::*;

const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789*-_+/=\n\0";

fn refused(token: &str) -> bool {
    parse(token).is_err()
}

#[test]
fn numbers_are_integers_in_range() {
    let json = json_of(V1_NODE);
    for (from, to) in [
        (":1400000000", ":\"1400000000\""),
        (":1400000000", ":1400000000.0"),
        (":1400000000", ":14e8"),
        (":1400000000", ":5695967296"),
        (":1400000000", ":-1"),
        (":1400000000", ":01400000000"),
        (":1700000000", ":1700000000.5"),
        (":1700000000", ":9223372036854775808"),
        (":604800", ":true"),
        (":604800", ":null"),
        (":604800", ":604800.0"),
    ] {
        assert!(json.contains(from));
        assert!(refused(&token_of(json.replace(from, to))), "{to}");
    }
}

#[test]
fn a_field_that_comes_twice_is_refused() {
    let json = json_of(V1_NODE).replacen('{', r#"{"TLS.identifier":"bob","#, 1);
    assert!(refused(&token_of(json)));
}

#[test]
fn control_characters_in_signed_text_are_refused() {
    let json = json_of(V2_NODE);
    for bad in ["\\n", "\\u0000", "\\u007f", "\\u0085"] {
        let user = json.replace("\"alice\"", &format!("\"ali{bad}ce\""));
        let userbuf = json.replace("\"AAAF", &format!("\"{bad}AAAF"));
        assert!(user != json && userbuf != json);
        assert!(refused(&token_of(user)), "{bad}");
        assert!(refused(&token_of(userbuf)), "{bad}");
    }
}

#[test]
fn a_line_feed_in_a_user_id_cannot_stand_for_other_fields() {
    // The text that the key signs for alice, read as that of a user whose id holds the first lines.
    let genuine = read(V1_NODE);
    let forged = "alice\\nTLS.sdkappid:1400000000\\nTLS.time:1700000000\\nTLS.expire:604800";
    assert!(genuine.signed_text().contains("alice\nTLS.sdkappid"));
    assert!(refused(&token_of(
        json_of(V1_NODE).replace("\"alice\"", &format!("\"{forged}\""))
    )));
}

#[test]
fn what_is_no_ticket_is_refused() {
    for bad in [
        "", "_", "____", "alice", "eJ", "eJyr", "null", "用户", " ", "\0",
    ] {
        assert!(refused(bad), "{bad:?}");
    }
    for json in [
        "",
        "null",
        "[]",
        "{}",
        "\"x\"",
        "{\"TLS.ver\":\"2.0\"}",
        "{\"TLS.sig\":\"%\"}",
    ] {
        assert!(refused(&token_of(json)), "{json}");
    }
    assert!(
        refused(&format!("{V1_PY}\n")),
        "a line feed is not part of a ticket"
    );
    assert!(refused(&format!(" {V1_PY}")));
    assert!(
        refused(&token_of(
            "{\"TLS.identifier\":\"\\ud800\",\"TLS.sig\":\"\"}"
        )),
        "lone surrogate"
    );
    assert!(
        refused(&token_of(b"{\"TLS.identifier\":\"\xff\",\"TLS.sig\":\"\"}")),
        "not UTF-8"
    );
    assert!(refused(&token_of("[".repeat(JSON_MAX))), "deep nesting");
}

#[test]
fn a_ticket_without_a_signature_is_refused_and_one_with_a_short_one_fails_the_mac() {
    let json = json_of(V1_NODE);
    let from = json.find(",\"TLS.sig\"").unwrap();
    assert!(refused(&token_of(format!("{}}}", &json[..from]))));
    for sig in ["", "FqU95oLK3E8="] {
        let ticket = read(&token_of(format!(
            "{},\"TLS.sig\":\"{sig}\"}}",
            &json[..from]
        )));
        assert!(!ticket.verify_mac(KEY));
    }
}

#[test]
fn every_truncation_is_refused() {
    for token in ALL {
        for end in 0..token.len() {
            assert!(refused(&token[..end]), "{end} of {token}");
        }
        let bytes = compressed(token);
        for end in 0..bytes.len() {
            assert!(refused(&to_token(&bytes[..end])), "{end} bytes of {token}");
        }
    }
}

#[test]
fn bytes_after_the_compressed_data_are_refused() {
    for token in ALL {
        for extra in [&b"\0"[..], b"\n", &compressed(token)] {
            assert!(refused(&to_token(&[&compressed(token), extra].concat())));
        }
    }
}

#[test]
fn the_alphabet_is_that_of_tickets_only() {
    let standard = V1_PY.replace('*', "+").replace('-', "/").replace('_', "=");
    let with_symbols = V2_PY.replace('*', "+");
    assert!(V2_PY.contains('*') && refused(&with_symbols));
    assert_eq!(standard, V1_PY, "this one has no symbols");
    assert!(refused(&V1_STORED.replace('_', "=")) && refused(&V1_STORED.replace('-', "/")));
    assert!(refused(V1_STORED.trim_end_matches('_')), "padding is kept");
}

#[test]
fn a_ticket_has_at_most_4096_bytes() {
    // Stored, so that the length is ours to choose: 3072 bytes are 4096 of base64.
    let of_length = |bytes: usize| {
        let json = json_of(V1_NODE);
        let padding = bytes - packed_length(json.len());
        packed(
            format!("{json}{}", " ".repeat(padding)).as_bytes(),
            Compression::none(),
        )
    };
    assert_eq!(of_length(3072).len(), 4096);
    assert!(read(&of_length(3072)).verify_mac(KEY));
    assert_eq!(of_length(3073).len(), 4100);
    assert!(refused(&of_length(3073)));
    assert!(refused(&"A".repeat(1 << 20)));
}

/// Header and checksum of zlib and the header of one stored block, around so many bytes.
fn packed_length(json: usize) -> usize {
    2 + 5 + json + 4
}

#[test]
fn a_zlib_bomb_is_refused() {
    let json = json_of(V1_NODE);
    let with_spaces = |spaces| token_of(format!("{json}{}", " ".repeat(spaces)));
    assert!(
        read(&with_spaces(JSON_MAX - json.len())).verify_mac(KEY),
        "the most that may be"
    );
    assert!(refused(&with_spaces(JSON_MAX - json.len() + 1)));
    let bomb = with_spaces(1 << 20);
    assert!(bomb.len() < USER_SIG_MAX && refused(&bomb));
}

#[test]
fn a_preset_dictionary_is_refused() {
    // FDICT set, with the header's check made right again.
    let mut bytes = compressed(V1_PY);
    bytes[1] = 0x20;
    bytes[1] +=
        31 - (u8::try_from((u16::from(bytes[0]) * 256 + u16::from(bytes[1])) % 31).unwrap());
    assert!(refused(&to_token(&bytes)));
}

#[test]
fn a_ticket_changed_in_one_character_is_refused_or_has_the_same_signed_fields() {
    for token in [V1_PY, V1_STORED, V2_NODE, V4_NODE] {
        let fields = signed(&read(token));
        for at in 0..token.len() {
            for &character in ALPHABET {
                let mut changed = token.to_owned().into_bytes();
                changed[at] = character;
                let changed = String::from_utf8(changed).unwrap();
                if let Ok(ticket) = parse(&changed) {
                    assert_eq!(signed(&ticket), fields, "{changed}");
                    assert!(ticket.verify_mac(KEY));
                }
            }
        }
    }
}

#[test]
fn a_re_encoded_ticket_with_a_changed_field_fails_the_mac() {
    let json = json_of(V2_NODE);
    for (from, to) in [
        ("\"alice\"", "\"alicf\""),
        ("\"alice\"", "\"alice \""),
        ("\"alice\"", "\"\""),
        (":1400000000", ":1400000001"),
        (":1700000000", ":1700000001"),
        (":604800", ":6048000"),
        ("\"AAAF", "\"AAAG"),
        ("AAAAAA==\"", "AAAAAA=\""),
        ("\"TLS.userbuf\"", "\"TLS.other\""),
        ("\"TLS.sig\":\"M", "\"TLS.sig\":\"N"),
    ] {
        assert!(json.contains(from), "{from}");
        let ticket = read(&token_of(json.replace(from, to)));
        assert!(!ticket.verify_mac(KEY), "{to}");
    }
    let with_userbuf = json_of(V1_NODE).replacen('{', "{\"TLS.userbuf\":\"\",", 1);
    assert!(
        !read(&token_of(with_userbuf)).verify_mac(KEY),
        "an empty userbuf is signed too"
    );
    assert!(read(&token_of(json)).verify_mac(KEY));
}

proptest! {
    #[test]
    fn garbage_is_refused_without_a_panic(text in "\\PC{0,300}") {
        prop_assert!(refused(&text));
    }

    #[test]
    fn garbage_in_the_alphabet_is_refused_without_a_panic(text in "eJ[A-Za-z0-9*-]{2,1200}__?") {
        prop_assert!(refused(&text));
    }

    #[test]
    fn garbage_inside_good_zlib_is_refused_without_a_panic(
        json in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        prop_assert!(refused(&token_of(&json)));
    }

    #[test]
    fn changed_json_never_verifies_with_other_fields(at in 0usize..300, byte in any::<u8>()) {
        let json = json_of(V2_NODE).into_bytes();
        let mut changed = json.clone();
        let at = at % json.len();
        changed[at] = byte;
        if let Ok(ticket) = parse(&token_of(&changed)) && ticket.verify_mac(KEY) {
            prop_assert_eq!(signed(&ticket), signed(&read(V2_NODE)));
        }
    }
}
