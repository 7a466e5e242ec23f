//! Tickets of the public generators, as their packages printed them under a fixed clock
//! (`tests/tickets/README.md`), are read and verified.

#![cfg(feature = "user-sig")]

use serde_json::Value;
use tim_proto::identity::is_user_id;
use tim_proto::user_sig::{WeakKey, check_key, parse};

const KEY: &str = include_str!("fixtures/key");
const PYPI: &str = include_str!("fixtures/pypi-tls-sig-api-v2-1.1.jsonl");
const NPM: &str = include_str!("fixtures/npm-tls-sig-api-v2-1.0.2.jsonl");

/// One line of a fixture file.
fn lines(text: &str) -> impl Iterator<Item = Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}")))
}

#[test]
fn tickets_of_both_generators_verify_with_their_fields() {
    for (text, package, version, count) in [
        (PYPI, "pypi tls-sig-api-v2", "1.1", 4 * 4 * 2),
        (NPM, "npm tls-sig-api-v2", "1.0.2", 4 * 4 * 3),
    ] {
        assert_eq!(text.lines().count(), count);
        for line in lines(text) {
            assert_eq!(line["package"], package);
            assert_eq!(line["version"], version);
            let ticket =
                parse(line["user_sig"].as_str().unwrap()).unwrap_or_else(|e| panic!("{line}: {e}"));
            assert_eq!(ticket.user_id, line["user_id"].as_str().unwrap());
            assert!(is_user_id(&ticket.user_id));
            assert_eq!(
                u64::from(ticket.sdk_app_id),
                line["sdk_app_id"].as_u64().unwrap()
            );
            assert_eq!(ticket.issued_s, line["issued_s"].as_i64().unwrap());
            assert_eq!(ticket.expire_s, line["expire_s"].as_i64().unwrap());
            assert!(ticket.verify_mac(KEY.trim_end()), "{line}");
        }
    }
}

#[test]
fn the_same_tickets_fail_with_another_key_and_with_changed_fields() {
    for line in lines(PYPI).chain(lines(NPM)) {
        let token = line["user_sig"].as_str().unwrap();
        let read = || parse(token).unwrap_or_else(|e| panic!("{line}: {e}"));
        assert!(
            !read().verify_mac(KEY),
            "the line feed of the key file is not of the key"
        );
        let mut ticket = read();
        ticket.user_id.push('x');
        assert!(!ticket.verify_mac(KEY.trim_end()), "{line}");
        let mut ticket = read();
        ticket.sdk_app_id += 1;
        assert!(!ticket.verify_mac(KEY.trim_end()), "{line}");
        let mut ticket = read();
        ticket.issued_s += 1;
        assert!(!ticket.verify_mac(KEY.trim_end()), "{line}");
        let mut ticket = read();
        ticket.expire_s += 1;
        assert!(!ticket.verify_mac(KEY.trim_end()), "{line}");
    }
}

#[test]
fn the_fixtures_hold_names_of_every_kind_and_tickets_with_and_without_userbuf() {
    for text in [PYPI, NPM] {
        assert!(lines(text).any(|line| line["userbuf"].is_null()));
        assert!(lines(text).any(|line| line["userbuf"].is_string()));
        assert!(lines(text).any(|line| !line["user_id"].as_str().unwrap().is_ascii()));
        assert!(lines(text).any(|line| line["user_id"].as_str().unwrap().len() == 32));
    }
}

#[test]
fn the_key_of_the_fixtures_is_refused_as_publicly_known() {
    assert_eq!(check_key(KEY.trim_end()), Err(WeakKey::Public));
}
