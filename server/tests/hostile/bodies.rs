//! Bodies that are not the protocol's: not UTF-8, not JSON, too deep, of the wrong types.

use crate::malformed::PATIENT;
use crate::process::{instance, login, resume};
use crate::talk::{answers, receive_all};
use crate::victim::Victim;
use serde_json::{Value, json};

const PATHS: [&str; 3] = ["/v1/login", "/v1/resume", "/v1/logout"];

/// Posts bytes; returns the status and the answer.
fn post(victim: &Victim, path: &str, body: &[u8]) -> (u16, Value) {
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nHost: tim\r\nContent-Length: {length}\r\n");
    let bytes = [head.as_bytes(), b"Connection: close\r\n\r\n", body].concat();
    let received = receive_all(&victim.address, &bytes);
    let (status, text) = answers(&received).pop().unwrap();
    (status, serde_json::from_str(&text).unwrap_or(json!(text)))
}

fn is_bad_request(victim: &Victim, path: &str, body: &[u8]) {
    let (status, refusal) = post(victim, path, body);
    let shown = String::from_utf8_lossy(&body[..body.len().min(200)]);
    assert_eq!(
        (status, &refusal["code"]),
        (400, &json!(70402)),
        "{path} {shown}: {refusal}"
    );
}

/// A valid body for each path, parts of which are replaced.
fn good(victim: &Victim, path: &str) -> Value {
    match path {
        "/v1/login" => login("alice", 1, 1, 1),
        "/v1/resume" => resume(&victim.lets_honest_clients_in().1, 1, 1, 2),
        _ => json!({"session": victim.lets_honest_clients_in().1["session"], "seq": 2}),
    }
}

#[test]
fn what_is_not_json_or_too_deep_is_refused() {
    let victim = Victim::with(PATIENT);
    let deep = |open: &str, count: usize| open.repeat(count).into_bytes();
    let nested = |open: &str, close: &str, count: usize| {
        format!("{}1{}", open.repeat(count), close.repeat(count)).into_bytes()
    };
    let inside = |value: Vec<u8>| [br#"{"seq": 1, "unknown": "#, &value[..], b"}"].concat();
    for body in [
        deep("[", 16 * 1024),
        deep("{\"a\":", 3000),
        deep("[{\"a\":", 2500),
        nested("[", "]", 8000),
        nested("{\"a\":", "}", 2500),
        inside(nested("[", "]", 8000)),
        inside(nested("{\"a\":", "}", 2500)),
        b"\xff\xfe{\0}\0".to_vec(),
        b"\xef\xbb\xbf{}".to_vec(),
        b"{\"user_id\": \"\xff\"}".to_vec(),
        b"{\"user_id\": \"\xc0\xaf\"}".to_vec(),
        b"{\"user_id\": \"\xed\xa0\x80\"}".to_vec(),
        br#"{"user_id": "\ud800"}"#.to_vec(),
        br#"{"user_id": "\u00"#.to_vec(),
        b"{\"user_id\": \"a\nb\"}".to_vec(),
        b"\0".repeat(1000),
        b"{}{}".to_vec(),
        b"{\"seq\": 1,}".to_vec(),
        b"{'seq': 1}".to_vec(),
        b"{\"seq\": 01}".to_vec(),
        b"{\"seq\": NaN}".to_vec(),
        format!("{{\"seq\": {}}}", "9".repeat(16_000)).into_bytes(),
        format!("{{\"seq\": 1e{}}}", "9".repeat(16_000)).into_bytes(),
        format!("{{\"seq\": 0.{}}}", "0".repeat(16_000)).into_bytes(),
        format!("\"{}\"", "\\u0000".repeat(2500)).into_bytes(),
    ] {
        for path in PATHS {
            is_bad_request(&victim, path, &body);
        }
    }
    victim.survives(1);
}

#[test]
fn values_of_wrong_types_are_refused_whatever_the_field() {
    let victim = Victim::with(PATIENT);
    let wrong = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1.5),
        json!(1e300),
        json!([]),
        json!({}),
        json!([[[[[[1]]]]]]),
        json!({"session": {"session": 1}}),
    ];
    for path in PATHS {
        let good = good(&victim, path);
        let fields: Vec<_> = good.as_object().unwrap().keys().cloned().collect();
        for field in fields {
            for value in &wrong {
                let mut body = good.clone();
                body[&field] = value.clone();
                is_bad_request(&victim, path, body.to_string().as_bytes());
            }
            let mut body = good.clone();
            body[&field] = if good[&field].is_string() {
                json!(1)
            } else {
                json!("1")
            };
            is_bad_request(&victim, path, body.to_string().as_bytes());
            let mut body = good.clone();
            body.as_object_mut().unwrap().remove(&field);
            if field != "device_name" {
                is_bad_request(&victim, path, body.to_string().as_bytes());
            }
        }
    }
    victim.survives(1);
}

#[test]
fn fields_beyond_their_bounds_are_refused_and_a_field_twice_as_well() {
    let victim = Victim::with(PATIENT);
    let long = "x".repeat(10_000);
    for (field, value) in [
        ("sdk_app_id", json!(4_294_967_296_u64)),
        ("device_id", json!(long)),
        ("device_id", json!("a\0b")),
        ("platform", json!(long)),
        ("intent", json!("Interactive")),
        ("instance", json!(long)),
        ("instance", json!("é".repeat(16))),
        ("instance", json!(instance(0xff).to_uppercase())),
        (
            "login_no",
            json!(18_446_744_073_709_551_615_u64)
                .to_string()
                .replace('5', "6")
                .into(),
        ),
        ("ends", json!([{"session": null}])),
        ("ends", json!("session")),
    ] {
        let mut body = login("alice", 1, 1, 1);
        body[field] = value;
        is_bad_request(&victim, "/v1/login", body.to_string().as_bytes());
    }
    let body = login("alice", 1, 1, 1).to_string();
    let twice = body.replacen('{', "{\"user_id\": \"bob\", ", 1);
    is_bad_request(&victim, "/v1/login", twice.as_bytes());
    victim.survives(1);
}

#[test]
fn the_largest_numbers_are_numbers() {
    let victim = Victim::with(PATIENT);
    let mut login = login("alice", 1, 1, 1);
    login["login_no"] = u64::MAX.into();
    login["seq"] = u64::MAX.into();
    let (_stream, session) = victim.log_in(&login);
    assert_eq!(session["seq"], u64::MAX);
    let (status, refusal) = post(&victim, "/v1/login", login.to_string().as_bytes());
    assert_eq!(
        (status, &refusal["code"]),
        (400, &json!(70402)),
        "the same again"
    );
    victim.survives(1);
}
