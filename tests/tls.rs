//! https:// and proxies: what is accepted, what is refused, and by which code.

#![allow(clippy::unwrap_used, reason = "tests")]

mod fault_proxy;
mod tim_server;

use fault_proxy::{Fault, FaultProxy, Place};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use tim::client::Client;
use tim::error::*;
use tim_server::{APP, TimServer, client_of, log_in, log_out, user_sig};

/// A private authority with a certificate of its own.
struct Authority {
    directory: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Authority {
        let directory = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(directory.path().join("ca.pem"), certificate.pem()).unwrap();
        let issuer = Issuer::new(params, key);
        Authority { directory, issuer }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// A server whose certificate is for these names, good until this year.
    fn server(&self, names: &[&str], until: i32) -> TimServer {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let path = |name: &str| self.directory.path().join(name);
        std::fs::write(path("cert.pem"), certificate.pem()).unwrap();
        std::fs::write(path("key.pem"), key.serialize_pem()).unwrap();
        let text = |name: &str| path(name).to_str().unwrap().to_owned();
        TimServer::with(&[
            "--tls-cert",
            &text("cert.pem"),
            "--tls-key",
            &text("key.pem"),
        ])
    }

    fn client(&self, url: &str) -> Client {
        let file = self.file();
        client_of(
            url,
            APP,
            &format!(
                r#", "login_timeout_ms": 2000, "ca_file": "{}""#,
                file.display()
            ),
        )
    }
}

#[test]
fn a_server_of_a_private_authority_is_reached_with_its_ca_file() {
    let authority = Authority::new();
    let server = authority.server(&["localhost", "127.0.0.1"], 2100);
    assert!(server.url.starts_with("https://"), "{}", server.url);
    let client = authority.client(&server.url);
    assert_eq!(log_in(&client, "alice", &user_sig("alice")), OK);
    assert_eq!(log_out(&client), OK);
    let by_name = authority.client(&server.url.replace("127.0.0.1", "localhost"));
    assert_eq!(log_in(&by_name, "alice", &user_sig("alice")), OK);
}

#[test]
fn a_certificate_that_is_not_accepted_ends_the_login_at_once_and_says_why() {
    let authority = Authority::new();
    let good = authority.server(&["127.0.0.1"], 2100);
    let refused = |client: Client, why: &str| {
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
    refused(Authority::new().client(&good.url), "not accepted");
    let other_name = authority.server(&["example.com"], 2100);
    refused(authority.client(&other_name.url), "another name");
    let expired = authority.server(&["127.0.0.1"], 2021);
    refused(authority.client(&expired.url), "expired");
}

#[test]
fn what_is_not_tls_has_the_code_of_the_handshake() {
    let plain = TimServer::start();
    let url = plain.url.replace("http://", "https://");
    let client = client_of(&url, APP, r#", "login_timeout_ms": 400"#);
    assert_eq!(log_in(&client, "alice", &user_sig("alice")), ERR_TLS);
    let proxy = FaultProxy::start(plain.address());
    for (fault, code) in [
        (Fault::Garbage, ERR_TLS),
        (Fault::Silent, ERR_RESPONSE_TIMEOUT),
        (Fault::Close, ERR_TLS),
        (Fault::Reset, ERR_CONNECTION_RESET),
    ] {
        proxy.breaks(Place::FirstBytes, fault);
        let client = client_of(
            &format!("https://{}", proxy.address()),
            APP,
            r#", "login_timeout_ms": 400"#,
        );
        assert_eq!(
            log_in(&client, "alice", &user_sig("alice")),
            code,
            "{fault:?}: {}",
            client.last_error_json()
        );
    }
}

/// A forward proxy that opens tunnels, and tells what it was asked with.
fn tunnel() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (asked, requests) = mpsc::channel();
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
            let _ = asked.send(head);
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
    let (address, asked) = tunnel();
    let authority = Authority::new();
    let tls = authority.server(&["127.0.0.1"], 2100);
    let plain = TimServer::start();
    let proxy = format!(r#", "proxy": "http://user:pass%21@{address}""#);
    let config = format!(r#"{proxy}, "ca_file": "{}""#, authority.file().display());
    assert_eq!(
        log_in(
            &client_of(&tls.url, APP, &config),
            "alice",
            &user_sig("alice")
        ),
        OK
    );
    let head = asked.recv().unwrap();
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
