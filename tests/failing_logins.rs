//! Logins that cannot succeed, over real sockets: each ends with the code of its cause, says how
//! far it got, and can be cancelled wherever it waits.

#![allow(clippy::unwrap_used, reason = "tests")]

mod fault_proxy;
mod tim_server;

use fault_proxy::{Fault, FaultProxy, Place, black_hole};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;
use tim::client::{self, Client};
use tim::error::*;
use tim_server::{APP, TimServer, begin_login, client_of, log_in, log_out, user_sig};

/// Long enough for what answers, short for what does not.
const SHORT: &str = r#", "login_timeout_ms": 400"#;

fn last_error(client: &Client) -> Value {
    serde_json::from_str(&client.last_error_json()).unwrap()
}

/// A login that ends with this code in this phase and leaves nobody logged in.
fn fails(client: &Client, code: i32, phase: &str) {
    assert_eq!(
        log_in(client, "alice", &user_sig("alice")),
        code,
        "{}",
        client.last_error_json()
    );
    let last = last_error(client);
    assert_eq!(
        (last["code"].as_i64(), last["phase"].as_str()),
        (Some(i64::from(code)), Some(phase)),
        "{last}"
    );
    assert!(!last["cause"].as_str().unwrap().is_empty());
    assert_eq!(client.login_status(), 3);
}

#[test]
fn what_is_not_there_is_named() {
    fails(
        &client_of("http://127.0.0.1:1", APP, SHORT),
        ERR_CONNECT_REFUSED,
        "connect",
    );
    fails(
        &client_of("http://no-such-host.invalid", APP, SHORT),
        ERR_NAME_NOT_FOUND,
        "resolve",
    );
    // A broadcast address cannot be connected to.
    let nowhere = client_of(
        "http://255.255.255.255:7700",
        APP,
        r#", "login_timeout_ms": 400, "allow_plaintext": true"#,
    );
    fails(&nowhere, ERR_NETWORK_UNREACHABLE, "connect");
    let (address, _kept) = black_hole();
    fails(
        &client_of(&format!("http://{address}"), APP, SHORT),
        ERR_CONNECT_TIMEOUT,
        "connect",
    );
}

#[test]
fn plaintext_to_another_machine_is_refused_unless_it_is_allowed() {
    let client = client_of("http://192.0.2.1:7700", APP, SHORT);
    assert_eq!(
        log_in(&client, "alice", &user_sig("alice")),
        ERR_PLAINTEXT_REFUSED
    );
    let server = TimServer::start();
    // The name is not what counts, the address is.
    let client = client_of(&server.url.replace("127.0.0.1", "localhost"), APP, "");
    assert_eq!(log_in(&client, "alice", &user_sig("alice")), OK);
}

#[test]
fn a_fault_that_goes_away_within_the_deadline_costs_a_login_nothing_but_time() {
    let server = TimServer::start();
    for fault in [Fault::Reset, Fault::Drop, Fault::Page502] {
        let proxy = FaultProxy::start(server.address());
        proxy.breaks(Place::Request, fault);
        let client = client_of(&proxy.url(), APP, "");
        let result = begin_login(&client, "alice");
        proxy.wait_for_arrival(0);
        proxy.heals();
        assert_eq!(result.recv().unwrap(), OK, "{fault:?}");
    }
}

/// Where a login waits forever, and a client that waits there.
fn blocked(server: &TimServer) -> Vec<(&'static str, String, Option<FaultProxy>)> {
    let silent = |place| {
        let proxy = FaultProxy::start(server.address());
        proxy.breaks(place, Fault::HalfOpen);
        proxy
    };
    let (tls, proxied) = (silent(Place::Tls), silent(Place::Tls));
    let (head, event) = (silent(Place::Answer), silent(Place::Body));
    vec![
        (
            "tls",
            format!(
                r#"{{"server_url": "https://{}", "sdk_app_id": {APP}}}"#,
                tls.address()
            ),
            Some(tls),
        ),
        (
            "proxy",
            format!(
                r#"{{"server_url": "{}", "sdk_app_id": {APP}, "allow_plaintext": true, "proxy": "http://{}"}}"#,
                server.url,
                proxied.address()
            ),
            Some(proxied),
        ),
        (
            "answer",
            format!(r#"{{"server_url": "{}", "sdk_app_id": {APP}}}"#, head.url()),
            Some(head),
        ),
        (
            "first event",
            format!(
                r#"{{"server_url": "{}", "sdk_app_id": {APP}}}"#,
                event.url()
            ),
            Some(event),
        ),
    ]
}

#[test]
fn a_login_is_cancelled_by_logout_wherever_it_waits() {
    let server = TimServer::start();
    for (phase, config, proxy) in blocked(&server) {
        let client = Client::create(&config).unwrap();
        let result = begin_login(&client, "alice");
        proxy.as_ref().unwrap().wait_for_arrival(0);
        assert_eq!(log_out(&client), OK, "{phase}");
        assert_eq!(
            result.recv().unwrap(),
            ERR_LOGGED_OUT_DURING_LOGIN,
            "{phase}"
        );
        assert_eq!(client.login_status(), 3);
    }
}

#[test]
fn a_login_is_cancelled_by_destroy_wherever_it_waits() {
    let server = TimServer::start();
    let (address, _kept) = black_hole();
    let mut all = blocked(&server);
    all.push((
        "connect",
        format!(r#"{{"server_url": "http://{address}", "sdk_app_id": {APP}}}"#),
        None,
    ));
    all.push((
        "look-up",
        format!(r#"{{"server_url": "http://slow.invalid", "sdk_app_id": {APP}}}"#),
        None,
    ));
    for (phase, config, proxy) in all {
        let client = Client::create(&config).unwrap();
        let result = begin_login(&client, "alice");
        if let Some(proxy) = &proxy {
            proxy.wait_for_arrival(0);
        }
        assert_eq!(
            client::destroy(client.handle(), Duration::from_secs(60)),
            Ok(()),
            "{phase}"
        );
        assert_eq!(
            result.try_recv().unwrap(),
            ERR_INTERRUPTED,
            "before destroy has returned"
        );
    }
}

/// An HTTP proxy that answers every CONNECT with this.
fn connect_proxy(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                client.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            client.write_all(answer.as_bytes()).unwrap();
        }
    });
    address.to_string()
}

#[test]
fn a_proxy_that_refuses_is_named() {
    let config = |proxy: &str| {
        format!(r#", "login_timeout_ms": 400, "allow_plaintext": true, "proxy": "http://{proxy}""#)
    };
    for (answer, code) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
            ERR_PROXY_AUTH,
        ),
        ("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", ERR_PROXY),
        ("hello\r\n\r\n", ERR_PROXY),
    ] {
        let client = client_of(
            "http://127.0.0.1:7700",
            APP,
            &config(&connect_proxy(answer)),
        );
        fails(&client, code, "proxy");
    }
    let client = client_of("http://127.0.0.1:7700", APP, &config("127.0.0.1:1"));
    fails(&client, ERR_CONNECT_REFUSED, "connect");
}

#[test]
fn a_proxy_that_only_the_environment_names_is_not_used() {
    // This test's process has its own environment; the variable stays set for its other tests,
    // which must not care either.
    let server = TimServer::start();
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "a_login_of_this_environment",
            "--include-ignored",
        ])
        .env("HTTP_PROXY", "http://127.0.0.1:1")
        .env("ALL_PROXY", "http://127.0.0.1:1")
        .env("TIM_TEST_SERVER_URL", &server.url)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

#[test]
#[ignore = "run by the test above, with an environment"]
fn a_login_of_this_environment() {
    let url = std::env::var("TIM_TEST_SERVER_URL").unwrap();
    assert_eq!(
        log_in(&client_of(&url, APP, ""), "alice", &user_sig("alice")),
        OK
    );
}
