//! Each mistake gets its own sentence.

mod proxies;

use super::address::{is_excepted, parse_proxy, proxy_of_environment};
use super::*;

fn refused(json: &str) -> String {
    match parse(json) {
        Ok(_) => panic!("accepted: {json}"),
        Err(message) => message,
    }
}

fn with(extra: &str) -> String {
    format!(r#"{{"server_url": "http://localhost:7700", "sdk_app_id": 1400000000, {extra}}}"#)
}

fn accepted(extra: &str) -> Config {
    parse(&with(extra)).unwrap_or_else(|message| panic!("{message}"))
}

#[test]
fn two_keys_suffice_and_the_rest_has_defaults() {
    let config = parse(r#"{"server_url": "http://LOCALHOST/", "sdk_app_id": 4294967295}"#)
        .unwrap_or_else(|message| panic!("{message}"));
    assert_eq!(config.server_url.to_string(), "http://localhost:80");
    assert_eq!(config.sdk_app_id, u32::MAX);
    assert_eq!(config.device_id.len(), 32);
    assert_eq!(config.platform, Platform::of_this_system());
    assert_eq!(
        (config.login_timeout_ms, config.request_timeout_ms),
        (15_000, 5_000)
    );
    assert_eq!(
        (config.reconnect_first_ms, config.reconnect_max_ms),
        (1_000, 60_000)
    );
    assert!(config.user_sig_expiring_lead_s.is_none() && !config.allow_plaintext);
}

#[test]
fn every_key_is_read() {
    let config = accepted(
        r#""device_id": "d", "platform": "ipad", "device_name": "n",
           "login_timeout_ms": 100, "request_timeout_ms": 600000,
           "reconnect": {"first_ms": 10, "max_ms": 20}, "user_sig_expiring_lead_s": 7,
           "proxy": "http://u:p%40@proxy:3128", "allow_plaintext": true"#,
    );
    assert_eq!(
        (config.device_id.as_str(), config.device_name.as_str()),
        ("d", "n")
    );
    assert_eq!(config.platform, Platform::Ipad);
    assert_eq!(
        (config.login_timeout_ms, config.request_timeout_ms),
        (100, 600_000)
    );
    assert_eq!(
        (config.reconnect_first_ms, config.reconnect_max_ms),
        (10, 20)
    );
    assert_eq!(config.user_sig_expiring_lead_s, Some(7));
    let endpoint = config.endpoint();
    assert!(endpoint.allow_plaintext && !endpoint.https && endpoint.port == 7700);
    let proxy = endpoint.proxy.unwrap();
    assert_eq!((proxy.host.as_str(), proxy.port), ("proxy", 3128));
    let (user, password) = proxy.credentials.unwrap();
    assert_eq!((user.as_str(), password.reveal()), ("u", "p@"));
}

#[test]
fn a_random_device_id_is_another_one_each_time() {
    assert_ne!(
        accepted(r#""device_name": """#).device_id,
        accepted(r#""device_name": """#).device_id
    );
}

#[test]
fn an_unknown_key_is_named_and_the_nearest_known_one_too() {
    let message = refused(&with(r#""sever_url": 1"#));
    assert!(
        message.starts_with(r#"sever_url: unknown key; did you mean "server_url"?"#),
        "{message}"
    );
    let message = refused(&with(r#""reconnect": {"max": 1}"#));
    assert!(
        message.starts_with(r#"reconnect.max: unknown key; did you mean "reconnect.max_ms"?"#),
        "{message}"
    );
    assert!(
        refused(&with(r#""zzzzzzzzzzzz": 1"#))
            .starts_with("zzzzzzzzzzzz: unknown key. Known keys: server_url, sdk_app_id")
    );
    assert!(refused(&with(r#""": 1"#)).starts_with("a key of 0 bytes: unknown key."));
}

#[test]
fn events_are_delivered_by_callbacks_or_polls() {
    assert_eq!(accepted(r#""name": null"#).event_delivery, Mode::Callback);
    for (text, mode) in [("callback", Mode::Callback), ("poll", Mode::Poll)] {
        let config = accepted(&format!(r#""event_delivery": "{text}""#));
        assert_eq!(config.event_delivery, mode);
    }
    assert_eq!(
        refused(&with(r#""event_delivery": "push""#)),
        r#"event_delivery: expected "callback" or "poll", found "push""#
    );
}

#[test]
fn a_name_has_1_to_64_bytes_without_control_characters() {
    assert_eq!(accepted(r#""name": null"#).name, None);
    assert_eq!(accepted(r#""name": "main""#).name.as_deref(), Some("main"));
    let message = refused(&with(r#""name": """#));
    assert!(
        message.starts_with("name: expected 1 to 64 bytes"),
        "{message}"
    );
}

#[test]
fn a_key_given_twice_is_named() {
    for (json, key) in [
        (r#"{"sdk_app_id": 1, "sdk_app_id": 2}"#, "sdk_app_id"),
        (
            &with(r#""reconnect": {"first_ms": 20, "first_ms": 30}"#),
            "first_ms",
        ),
    ] {
        let message = refused(json);
        assert!(
            message.starts_with(&format!("duplicate field `{key}` at line 1 column ")),
            "{message}"
        );
    }
}

#[test]
fn what_is_not_a_json_object_is_reported_with_its_place() {
    assert!(refused("{\n\"server_url\": }").contains("line 2"));
    assert!(refused("[]").contains("not a JSON object: expected one in braces, found an array"));
    assert!(refused("{} x").contains("trailing characters at line 1 column 4"));
    assert!(refused(&"[".repeat(100_000)).contains("recursion limit"));
    assert!(refused("  ").contains("is empty"));
}

#[test]
fn a_missing_key_is_named() {
    assert_eq!(
        refused(r#"{"sdk_app_id": 1}"#),
        "server_url: missing; expected a string"
    );
    assert!(refused(r#"{"server_url": "http://a"}"#).starts_with("sdk_app_id: missing"));
}

#[test]
fn an_app_id_is_a_whole_number_from_1_to_4294967295() {
    for bad in [
        "0",
        "4294967296",
        "-1",
        "1.5",
        "1e10",
        "-1.0",
        "\"abc\"",
        "[1]",
    ] {
        let message = refused(&format!(
            r#"{{"server_url": "http://a", "sdk_app_id": {bad}}}"#
        ));
        assert!(
            message.starts_with("sdk_app_id: expected a whole number from 1 to 4294967295, found "),
            "{message}"
        );
    }
}

#[test]
fn numbers_have_ranges_and_types() {
    for (extra, key) in [
        (r#""login_timeout_ms": 99"#, "login_timeout_ms"),
        (r#""login_timeout_ms": 600001"#, "login_timeout_ms"),
        (r#""request_timeout_ms": "5s""#, "request_timeout_ms"),
        (r#""reconnect": {"first_ms": 9}"#, "reconnect.first_ms"),
        (r#""reconnect": {"max_ms": 3600001}"#, "reconnect.max_ms"),
        (
            r#""user_sig_expiring_lead_s": 0"#,
            "user_sig_expiring_lead_s",
        ),
    ] {
        let message = refused(&with(extra));
        assert!(
            message.starts_with(&format!("{key}: expected a whole number from")),
            "{message}"
        );
    }
    assert!(
        refused(&with(r#""reconnect": {"first_ms": 500, "max_ms": 400}"#))
            .contains("at least reconnect.first_ms (500)")
    );
    assert!(refused(&with(r#""reconnect": 1"#)).contains("expected an object like"));
    assert!(
        refused(&with(r#""allow_plaintext": 1"#))
            .starts_with("allow_plaintext: expected true or false")
    );
    assert!(refused(&with(r#""device_name": 1"#)).starts_with("device_name: expected a string"));
}

#[test]
fn names_of_devices_follow_the_one_rule() {
    for (key, value) in [
        ("device_id", "".to_owned()),
        ("device_id", "x".repeat(65)),
        ("device_id", "a\\nb".to_owned()),
    ] {
        let message = refused(&with(&format!(r#""{key}": "{value}""#)));
        assert!(
            message.starts_with(&format!("{key}: expected")),
            "{message}"
        );
    }
    let inside = refused(&with(r#""device_id": "a\tb ""#));
    assert!(
        inside.ends_with("found a text that has 4 bytes and ends with a blank"),
        "{inside}"
    );
}

#[test]
fn no_device_name_is_refused() {
    for (given, name) in [
        ("Anna\\u2019s iPhone", "Anna\u{2019}s iPhone"),
        ("\\u0007a\\nb\\n", "a b"),
        (&"\u{624b}".repeat(40), &"\u{624b}".repeat(21)),
    ] {
        assert_eq!(
            accepted(&format!(r#""device_name": "{given}""#)).device_name,
            name
        );
    }
}

#[test]
fn what_files_and_forms_put_around_a_text_is_no_part_of_it() {
    for (begin, end) in [
        ("\u{feff}", ""),
        ("", "\n"),
        ("\u{feff} \r\n", "\u{a0}\r\n"),
    ] {
        let json = format!("{begin}{}{end}", with(r#""device_id": "d""#));
        assert_eq!(
            parse(&json).map(|config| config.device_id),
            Ok("d".to_owned())
        );
    }
    let config = parse(
        r#"{"server_url": "\ufeffhttp://a:1 \n", "sdk_app_id": 1, "device_id": "tablet\r\n",
            "platform": "ipad\n", "proxy": " http://p:2\n"}"#,
    );
    let config = config.unwrap();
    assert_eq!(config.server_url.to_string(), "http://a:1");
    assert_eq!(
        (config.device_id.as_str(), config.platform),
        ("tablet", Platform::Ipad)
    );
    assert_eq!(config.endpoint().proxy.map(|proxy| proxy.port), Some(2));
}

#[test]
fn null_means_left_out() {
    let message = refused(&with(r#""zzzzzzzzzzzz": 1"#));
    let (_, known) = message.split_once("Known keys: ").unwrap();
    let all = known
        .split(", ")
        .filter(|key| !["server_url", "sdk_app_id"].contains(key))
        .map(|key| format!(r#""{key}": null"#))
        .collect::<Vec<_>>()
        .join(", ");
    assert_eq!(accepted(&all).login_timeout_ms, 15_000);
    let inner = accepted(r#""reconnect": {"first_ms": null, "max_ms": null}"#);
    assert_eq!(
        (inner.reconnect_first_ms, inner.reconnect_max_ms),
        (1_000, 60_000)
    );
    let missing = refused(r#"{"server_url": null, "sdk_app_id": 1}"#);
    assert_eq!(missing, "server_url: missing; expected a string");
    let missing = refused(r#"{"server_url": "http://a", "sdk_app_id": null}"#);
    assert!(missing.starts_with("sdk_app_id: missing"), "{missing}");
}

#[test]
fn a_whole_number_may_be_written_as_a_float() {
    for (number, value) in [("2000.0", 2_000), ("2e3", 2_000), ("1.5e3", 1_500)] {
        let config = accepted(&format!(r#""login_timeout_ms": {number}"#));
        assert_eq!(config.login_timeout_ms, value);
    }
    let app = r#"{"server_url": "http://a", "sdk_app_id": 1400000001.0}"#;
    assert_eq!(
        parse(app).map(|config| config.sdk_app_id),
        Ok(1_400_000_001)
    );
    let message = refused(&with(r#""login_timeout_ms": 2000.5"#));
    assert!(message.contains("found 2000.5"), "{message}");
}

#[test]
fn a_platform_is_one_of_the_list() {
    assert!(
        refused(&with(r#""platform": "Linux""#))
            .contains("android, iphone, ipad, windows, mac, linux, web")
    );
}

#[test]
fn a_server_url_is_http_or_https_with_a_host_and_perhaps_a_path() {
    for (url, shown) in [
        ("http://[::1]:7700", "http://[::1]:7700"),
        (
            "http://im.example.com/login/",
            "http://im.example.com:80/login",
        ),
        ("HTTP://127.0.0.1:1", "http://127.0.0.1:1"),
    ] {
        assert_eq!(ServerUrl::parse(url).unwrap().to_string(), shown);
    }
    for bad in [
        "im.example.com",
        "ftp://a",
        "http://",
        "http://:80",
        "http://a:0",
        "http://a:65536",
        "http://u:p@a",
        "http://a?b",
        "http://a#b",
        "http://::1",
        "http://[::1",
        "http://[a]",
        "http://[::1]x",
        "http://a b",
        "http://ä",
        "http://a:+80",
        "http://a:",
        "http://..",
        "http://.a",
        "http://a..b",
        "http://a/ä",
        "http://a/\"x\"",
    ] {
        let message = ServerUrl::parse(bad).unwrap_err();
        assert!(
            message.starts_with("server_url: ") && message.contains("expected something like"),
            "{message}"
        );
    }
}

#[cfg(feature = "tls")]
#[test]
fn https_has_port_443_by_default() {
    assert_eq!(
        ServerUrl::parse("https://a").unwrap().to_string(),
        "https://a:443"
    );
}

#[cfg(not(feature = "tls"))]
#[test]
fn https_is_refused_without_tls() {
    assert!(
        ServerUrl::parse("https://a")
            .unwrap_err()
            .contains("has no TLS")
    );
}

#[cfg(feature = "tls")]
#[test]
fn a_ca_file_must_be_there_and_hold_a_certificate() {
    assert!(
        refused(&with(r#""ca_file": "/does/not/exist""#))
            .starts_with("ca_file: \"/does/not/exist\" cannot be read")
    );
    assert!(refused(&with(r#""ca_file": "/""#)).contains("expected an ordinary file"));
    let path = std::env::temp_dir().join(format!("libtim-no-certificate-{}", std::process::id()));
    std::fs::write(&path, "nothing").unwrap();
    let message = refused(&with(&format!(
        r#""ca_file": {:?}"#,
        path.to_str().unwrap()
    )));
    std::fs::remove_file(&path).unwrap();
    assert!(
        message.contains("at least one certificate in PEM form"),
        "{message}"
    );
}
