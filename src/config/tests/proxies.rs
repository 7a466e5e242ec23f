//! Proxies: of the configuration and of the environment.

use super::*;

#[test]
fn proxies_other_than_http_are_refused_clearly_and_no_password_is_repeated() {
    for bad in [
        "socks5://u:secret@a:1",
        "https://u:secret@a:1",
        "ftp://u:secret@a:1",
        "socks5h://u:secret@a:1",
        "u:secret@a:1/path",
        "http://u:secret@a:x",
        "http://u:secret%zz@a:1",
        "http://u%3a:secret@a:1",
    ] {
        let Err(message) = parse_proxy("proxy", bad) else {
            panic!("accepted: {bad}")
        };
        assert!(
            message.starts_with("proxy: ") && !message.contains("secret"),
            "{message}"
        );
    }
    assert!(
        refused(&with(r#""proxy": "socks5://a:1""#)).contains("SOCKS proxies are not supported")
    );
}

#[test]
fn a_proxy_url_in_the_wrong_place_is_not_repeated() {
    let url = "http://u:secret@p:1";
    for json in [
        format!("\"{url}\""),
        with(&format!(r#""login_timeout_ms": "{url}""#)),
        with(&format!(r#""platform": "{url}""#)),
        with(&format!(r#""reconnect": "{url}""#)),
        with(r#""ca_file": ["u:secret@p"]"#),
        with(&format!(r#""{url}": "proxy""#)),
        with(&format!(r#""{url}": 1, "{url}": 2"#)),
        format!(r#"{{"server_url": "{url}", "sdk_app_id": 1}}"#),
        format!(r#"{{"server_url": "http://a", "sdk_app_id": "{url}"}}"#),
    ] {
        let message = refused(&json);
        assert!(!message.contains("secret"), "{message}");
    }
}

#[test]
fn the_environment_is_read_only_when_the_configuration_says_so() {
    let server = ServerUrl::parse("http://im.example.com").unwrap();
    let read = |pairs: &'static [(&'static str, &'static str)]| {
        proxy_of_environment(&server, move |name| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    };
    let host = |proxy: Result<Option<Proxy>, String>| proxy.map(|p| p.map(|p| p.host));
    assert_eq!(
        host(read(&[("http_proxy", "http://p:1")])),
        Ok(Some("p".into()))
    );
    assert_eq!(
        host(read(&[("ALL_PROXY", "http://p:1")])),
        Ok(Some("p".into()))
    );
    assert_eq!(host(read(&[("HTTP_PROXY", "http://p:1")])), Ok(None));
    assert_eq!(host(read(&[("https_proxy", "http://p:1")])), Ok(None));
    for except in [
        "*",
        "im.example.com",
        ".example.com",
        "a, example.com",
        "*.example.com",
        "IM.example.com:80",
        "im.example.com.",
        "a b example.com",
    ] {
        let excepted = proxy_of_environment(&server, |name| match name {
            "http_proxy" => Some("http://p:1".to_owned()),
            "no_proxy" => Some(except.to_owned()),
            _ => None,
        });
        assert_eq!(host(excepted), Ok(None), "{except}");
    }
    for other in [
        "m.example.com",
        "ample.com",
        "im.example.com:81",
        "im",
        "",
        ",",
        ".",
        "*.",
    ] {
        let proxy = proxy_of_environment(&server, |name| match name {
            "http_proxy" => Some("http://p:1".to_owned()),
            "no_proxy" => Some(other.to_owned()),
            _ => None,
        });
        assert_eq!(host(proxy), Ok(Some("p".into())), "{other}");
    }
    // Without a scheme, and with what a file puts around it.
    assert_eq!(
        host(read(&[("http_proxy", " p:1\n")])),
        Ok(Some("p".into()))
    );
    let named = host(read(&[("ALL_PROXY", "socks5h://u:secret@p:1")])).unwrap_err();
    assert!(
        named.starts_with("ALL_PROXY: SOCKS") && !named.contains("secret"),
        "{named}"
    );
    let server = ServerUrl::parse("http://10.1.2.3").unwrap();
    for (except, is) in [
        ("10.0.0.0/8", true),
        ("10.1.2.3/32", true),
        ("0.0.0.0/0", true),
        ("10.1.2.2/31", true),
        ("10.1.2.4/32", false),
        ("11.0.0.0/8", false),
        ("10.0.0.0/33", false),
        ("10.0.0.0/", false),
        ("::/0", false),
        ("example.com/8", false),
    ] {
        assert_eq!(is_excepted(&server, except), is, "{except}");
    }
    let server = ServerUrl::parse("http://[2001:db8::1]").unwrap();
    for (except, is) in [
        ("2001:db8::/32", true),
        ("[2001:db8::]/32", true),
        ("::/0", true),
        ("2001:db9::/32", false),
        ("10.0.0.0/8", false),
    ] {
        assert_eq!(is_excepted(&server, except), is, "{except}");
    }
    let server = ServerUrl::parse("http://[::1]").unwrap();
    for except in ["::1", "[::1]", "[::1]:80"] {
        assert!(is_excepted(&server, except), "{except}");
    }
    assert!(
        host(read(&[("http_proxy", "socks5://p:1")]))
            .unwrap_err()
            .starts_with("http_proxy: SOCKS")
    );
}
