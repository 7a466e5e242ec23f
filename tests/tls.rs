//! https:// and proxies: what is accepted, what is refused, and with which code.

#![allow(clippy::unwrap_used, reason = "tests")]

mod authority;
mod tim_server;

use authority::Authority;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use tim::client::Client;
use tim::error::*;
use tim_server::{APP, TimServer, client_of, log_in, log_out, user_sig};

/// A client that trusts this authority.
fn trusting(authority: &Authority, url: &str) -> Arc<Client> {
    let trusted = authority.trusted();
    client_of(url, APP, &format!(r#", "login_timeout_ms": 2000{trusted}"#))
}

#[test]
fn a_server_of_a_private_authority_is_reached_with_its_ca_file() {
    let authority = Authority::new();
    let server = authority.server(&["localhost", "127.0.0.1"], 2100);
    assert!(server.url.starts_with("https://"), "{}", server.url);
    let client = trusting(&authority, &server.url);
    assert_eq!(log_in(&client, "alice", &user_sig("alice")), OK);
    assert_eq!(log_out(&client), OK);
    let by_name = trusting(&authority, &server.url.replace("127.0.0.1", "localhost"));
    assert_eq!(log_in(&by_name, "alice", &user_sig("alice")), OK);
}

#[test]
fn a_certificate_that_is_not_accepted_ends_the_login_at_once_and_says_why() {
    let authority = Authority::new();
    let good = authority.server(&["127.0.0.1"], 2100);
    let refused = |client: Arc<Client>, why: &str| {
        assert_eq!(
            log_in(&client, "alice", &user_sig("alice")),
            ERR_CERTIFICATE
        );
        let last = client.last_error_json();
        assert!(
            last.contains(why) && last.contains(r#""phase":"tls""#),
            "{last}"
        );
    };
    refused(client_of(&good.url, APP, ""), "issuer is not known");
    refused(trusting(&Authority::new(), &good.url), "not accepted");
    let other_name = authority.server(&["example.com"], 2100);
    refused(trusting(&authority, &other_name.url), "another name");
    let expired = authority.server(&["127.0.0.1"], 2021);
    refused(trusting(&authority, &expired.url), "expired");
}

#[test]
fn a_certificate_that_is_its_own_authority_is_taken_by_its_ca_file() {
    let (itself, server) = Authority::itself(&["localhost", "127.0.0.1"], 2100);
    let client = trusting(&itself, &server.url);
    assert_eq!(log_in(&client, "alice", &user_sig("alice")), OK);
    // Also beside other certificates.
    let both = tempfile::NamedTempFile::new().unwrap();
    let other = Authority::new();
    let files = [other.file("ca.pem"), itself.file("ca.pem")];
    let pem = files.map(|file| std::fs::read(file).unwrap()).concat();
    std::fs::write(&both, pem).unwrap();
    let more = format!(r#", "ca_file": "{}""#, both.path().display());
    let client = client_of(&server.url, APP, &more);
    assert_eq!(log_in(&client, "alice", &user_sig("alice")), OK);
}

#[test]
fn a_certificate_that_is_its_own_authority_is_held_to_all_other_rules() {
    let refused = |client: Arc<Client>, why: &str| {
        let code = log_in(&client, "alice", &user_sig("alice"));
        assert_eq!(code, ERR_CERTIFICATE, "{why}");
        let last = client.last_error_json();
        assert!(last.contains(why), "{last}");
    };
    let (other_name, server) = Authority::itself(&["example.com"], 2100);
    refused(trusting(&other_name, &server.url), "another name");
    let (expired, server) = Authority::itself(&["127.0.0.1"], 2021);
    refused(trusting(&expired, &server.url), "expired");
    let (_, server) = Authority::itself(&["127.0.0.1"], 2100);
    refused(trusting(&Authority::new(), &server.url), "CA:TRUE");
    // The same key and names, but another certificate.
    let (almost, _) = Authority::itself(&["127.0.0.1"], 2100);
    refused(trusting(&almost, &server.url), "CA:TRUE");
}

#[test]
fn a_ca_file_that_cannot_be_read_is_reported_when_the_client_is_created() {
    let authority = Authority::new();
    let good = std::fs::read_to_string(authority.file("ca.pem")).unwrap();
    let begin = "-----BEGIN CERTIFICATE-----\n";
    let end = "-----END CERTIFICATE-----\n";
    let cases = [
        (String::new(), "at least one certificate"),
        ("no PEM".to_owned(), "at least one certificate"),
        (format!("{begin}!!!!\n{end}"), "certificate 1"),
        (
            format!("{begin}AAAA\n{end}"),
            "certificate 1 cannot be read",
        ),
        (
            format!("{good}{begin}AAAA\n{end}"),
            "certificate 2 cannot be read",
        ),
        (format!("{good}{begin}AAAA\n"), "certificate 2"),
    ];
    for (pem, why) in cases {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, &pem).unwrap();
        let path = file.path().display();
        for url in ["https://localhost", "http://localhost"] {
            let config =
                format!(r#"{{"server_url": "{url}", "sdk_app_id": {APP}, "ca_file": "{path}"}}"#);
            let Err(error) = Client::create(&config) else {
                panic!("{pem}");
            };
            assert_eq!(error.code, ERR_INVALID_CONFIG);
            let names = error.message.contains("ca_file") && error.message.contains(why);
            assert!(names, "{pem}: {}", error.message);
        }
    }
}

#[test]
fn a_client_trusts_the_systems_authorities_if_configured_to() {
    let authority = Authority::new();
    let server = authority.server(&["127.0.0.1"], 2100);
    // The variable applies to the whole process.
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "within_a_system", "--ignored", "--nocapture"])
        .env("SSL_CERT_FILE", authority.file("ca.pem"))
        .env("TIM_TEST_SERVER_URL", &server.url)
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && stdout.contains("1 passed"),
        "{stdout}"
    );
}

#[test]
#[ignore = "run by the test above"]
fn within_a_system() {
    let url = std::env::var("TIM_TEST_SERVER_URL").unwrap();
    let code = |more: &str| log_in(&client_of(&url, APP, more), "alice", &user_sig("alice"));
    assert_eq!(code(r#", "system_roots": true"#), OK);
    assert_eq!(code(r#", "system_roots": false"#), ERR_CERTIFICATE);
    assert_eq!(code(""), ERR_CERTIFICATE);
    let other = Authority::new();
    let beside = format!(r#"{}, "system_roots": true"#, other.trusted());
    assert_eq!(code(&beside), OK, "beside those of ca_file");
}

/// A server that takes a request inside TLS and answers with this forever.
fn flooding(authority: &Authority, begin: &'static str, again: &'static [u8]) -> String {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
    let _ = authority.server(&["127.0.0.1"], 2100);
    let certificate = CertificateDer::from_pem_file(authority.file("cert.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(authority.file("key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let (listener, config) = (TcpListener::bind("127.0.0.1:0").unwrap(), Arc::new(config));
    let url = format!("https://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let connection = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, socket);
            let bytes = again.repeat(1 + 50_000 / again.len());
            thread::spawn(move || {
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(begin.as_bytes());
                while stream.write_all(&bytes).is_ok() {}
            });
        }
    });
    url
}

#[test]
fn a_flood_within_tls_keeps_neither_a_deadline_nor_a_destroy_waiting() {
    const STREAM: &str =
        "HTTP/1.1 200 OK\r\nTim-Protocol: 1\r\nContent-Type: text/event-stream\r\n\r\n";
    let authority = Authority::new();
    for (begin, again) in [(STREAM, ":x\n"), ("", "HTTP/1.1 100 Continue\r\n\r\n")] {
        let url = flooding(&authority, begin, again.as_bytes());
        let client = trusting(&authority, &url);
        let code = log_in(&client, "alice", &user_sig("alice"));
        assert!(
            [ERR_RESPONSE_TIMEOUT, ERR_NOT_TIM_SERVER].contains(&code),
            "{}",
            client.last_error_json()
        );
        let trusted = authority.trusted();
        let slow = format!(r#", "login_timeout_ms": 600000{trusted}"#);
        let client = client_of(&url, APP, &slow);
        let _result = tim_server::begin_login(&client, "alice");
        let limit = std::time::Duration::from_secs(60);
        assert_eq!(tim::client::destroy(client.handle(), limit), Ok(()));
    }
}

#[test]
fn a_server_without_tls_has_the_code_of_the_handshake() {
    let plain = TimServer::start();
    let url = plain.url.replace("http://", "https://");
    let client = client_of(&url, APP, r#", "login_timeout_ms": 400"#);
    assert_eq!(log_in(&client, "alice", &user_sig("alice")), ERR_TLS);
}

/// A forward proxy that opens tunnels and reports the requests it received.
fn tunnel() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (request, requests) = mpsc::channel();
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                client.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).unwrap();
            let target = head.split(' ').nth(1).unwrap().to_owned();
            let _ = request.send(head);
            let server = TcpStream::connect(target).unwrap();
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            for (mut from, mut to) in [
                (client.try_clone().unwrap(), server.try_clone().unwrap()),
                (server, client),
            ] {
                thread::spawn(move || std::io::copy(&mut from, &mut to));
            }
        }
    });
    (address, requests)
}

#[test]
fn a_proxy_with_a_password_carries_plain_and_tls_logins() {
    let (address, request) = tunnel();
    let authority = Authority::new();
    let tls = authority.server(&["127.0.0.1"], 2100);
    let plain = TimServer::start();
    let proxy = format!(r#", "proxy": "http://user:pass%21@{address}""#);
    let config = format!("{proxy}{}", authority.trusted());
    assert_eq!(
        log_in(
            &client_of(&tls.url, APP, &config),
            "alice",
            &user_sig("alice")
        ),
        OK
    );
    let head = request.recv().unwrap();
    assert!(
        head.starts_with(&format!("CONNECT {} ", tls.address())),
        "{head}"
    );
    // user:pass! in base64
    assert!(
        head.to_lowercase().contains("proxy-authorization: basic"),
        "{head}"
    );
    assert!(head.contains("dXNlcjpwYXNzIQ=="), "{head}");
    let config = format!(r#"{proxy}, "allow_plaintext": true"#);
    assert_eq!(
        log_in(
            &client_of(&plain.url, APP, &config),
            "alice",
            &user_sig("alice")
        ),
        OK
    );
}
