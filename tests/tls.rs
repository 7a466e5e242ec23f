//! https:// and proxies: what is accepted, what is refused, and by which code.

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
fn a_server_without_tls_has_the_code_of_the_handshake() {
    let plain = TimServer::start();
    let url = plain.url.replace("http://", "https://");
    let client = client_of(&url, APP, r#", "login_timeout_ms": 400"#);
    assert_eq!(log_in(&client, "alice", &user_sig("alice")), ERR_TLS);
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
    let config = format!("{proxy}{}", authority.trusted());
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
