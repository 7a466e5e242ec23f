//! A panic in the library's own code, in each phase of its work: calls complete, the client closes,
//! the log gets a line, and stderr stays empty.

use crate::client::{self, Client};
use crate::delivery::{Kind, Notice, Reply};
use crate::error;
use crate::log::{self, Level};
use crate::panics::provoked;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Places where the network thread can be.
const PHASES: &[(&str, &str)] = &[
    ("Resolve", "http://name.invalid:1"),
    ("Connect", "http://SERVER"),
    ("Proxy", "http://behind.invalid"),
    ("Tls", "https://SERVER"),
    ("Send", "http://SERVER"),
    ("Response", "http://SERVER"),
    ("Stream", "http://SERVER"),
];
const LONG: Duration = Duration::from_secs(60);

/// The process has one log callback, so these tests run one at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(|held| held.into_inner())
}

/// A server that accepts the login and keeps the stream open.
fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut bytes = [0; 4096];
            let length = connection.read(&mut bytes).unwrap_or(0);
            let request = String::from_utf8_lossy(&bytes[..length]).into_owned();
            let instance = request.split("\"instance\":\"").nth(1).unwrap_or_default();
            let instance = instance.split('"').next().unwrap_or_default().to_owned();
            let event = format!(
                "event: session\ndata: {{\"session\":\"t\",\"epoch\":1,\"server_time_ms\":1,\
                 \"heartbeat_ms\":25000,\"spread_ms\":0,\"user_sig_expires_ms\":9999999999999,\
                 \"instance\":\"{instance}\",\"seq\":1}}\n\n"
            );
            let head =
                "HTTP/1.1 200 OK\r\nTim-Protocol: 1\r\nContent-Type: text/event-stream\r\n\r\n";
            let _ = connection.write_all(head.as_bytes());
            let _ = connection.write_all(event.as_bytes());
            std::thread::spawn(move || {
                let _ = connection.read(&mut bytes);
            });
        }
    });
    address
}

fn create(url: &str, more: &str) -> Arc<Client> {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    Client::create(&format!(
        r#"{{"server_url": "{url}", "sdk_app_id": 1400000001, "device_id": "panics-{number}"{more}}}"#
    ))
    .unwrap()
}

/// Records what is delivered to the app, in order.
fn watch(client: &Client, sent: &Sender<String>) {
    let tx = sent.clone();
    let closed = Arc::new(move |notice| {
        assert_eq!(notice, Notice::Closed);
        tx.send("closed".to_owned()).unwrap();
    });
    client.set_callback(Kind::Closed, Some(closed)).unwrap();
}

/// The error lines that were logged.
fn log_errors() -> Receiver<String> {
    let (tx, rx) = mpsc::channel();
    let tell: log::LogCallback = Arc::new(move |_, line: &str| tx.send(line.to_owned()).unwrap());
    log::set_callback(Some(tell), Some(Level::Error));
    rx
}

fn completion(sent: &Sender<String>, name: &'static str) -> crate::delivery::Completion {
    let sent = sent.clone();
    Box::new(move |code| sent.send(format!("{name} {code}")).unwrap())
}

/// Makes the network thread panic at `place`, through a callback that runs on it.
fn panic_on_the_network_thread(client: &Client, place: &str) {
    let place = place.to_owned();
    let provoke = Arc::new(move |_| provoked::at(&place));
    client
        .set_callback(Kind::Connection, Some(provoke))
        .unwrap();
}

fn is_broken(
    client: &Client,
    sent: &Receiver<String>,
    expected: &[&str],
    errors: &Receiver<String>,
) {
    for expected in expected {
        assert_eq!(&sent.recv_timeout(LONG).unwrap(), expected);
    }
    let line = errors.recv_timeout(LONG).unwrap();
    assert!(line.contains("panics.rs:"), "{line}");
    assert!(!line.contains("secret"), "{line}");
    assert_eq!(
        client.logout(Reply::Callback(Box::new(|_| ()))),
        Err(error::ERR_CLOSING)
    );
    assert_eq!(client::destroy(client.handle(), LONG), Ok(()));
    assert!(sent.try_recv().is_err(), "nothing follows the closed event");
    log::set_callback(None, None);
}

fn in_phase(phase: &str, url: &str) {
    let _alone = alone();
    let server = server();
    let url = url.replace("SERVER", &server);
    let more = match phase {
        "Proxy" => format!(r#", "allow_plaintext": true, "proxy": "http://{server}""#),
        _ => r#", "allow_plaintext": true"#.to_owned(),
    };
    let client = create(&url, &more);
    let ((sent, received), errors) = (mpsc::channel(), log_errors());
    watch(&client, &sent);
    panic_on_the_network_thread(&client, phase);
    client
        .login("alice", "ticket", completion(&sent, "login"))
        .unwrap();
    is_broken(&client, &received, &["login 7712", "closed"], &errors);
}

#[test]
fn a_panic_in_any_phase_of_a_request_completes_the_calls_and_closes_the_client() {
    for (phase, url) in PHASES {
        in_phase(phase, url);
    }
}

#[test]
fn a_panic_on_an_open_stream_closes_the_client() {
    let _alone = alone();
    let client = create(&format!("http://{}", server()), "");
    let ((sent, received), errors) = (mpsc::channel(), log_errors());
    watch(&client, &sent);
    let logged_in = sent.clone();
    let done = Box::new(move |code| {
        logged_in.send(format!("login {code}")).unwrap();
        provoked::at("Stream");
    });
    client
        .login("alice", "ticket", Reply::Callback(done))
        .unwrap();
    is_broken(&client, &received, &["login 0", "closed"], &errors);
}

#[test]
fn a_panic_of_the_state_machine_on_the_network_thread_does_too() {
    let _alone = alone();
    let client = create(&format!("http://{}", server()), "");
    let ((sent, received), errors) = (mpsc::channel(), log_errors());
    watch(&client, &sent);
    panic_on_the_network_thread(&client, "step answer");
    client
        .login("alice", "ticket", completion(&sent, "login"))
        .unwrap();
    is_broken(&client, &received, &["login 7712", "closed"], &errors);
}

#[test]
fn a_panic_of_the_state_machine_on_the_apps_thread_does_too() {
    let _alone = alone();
    let client = create("http://127.0.0.1:1", "");
    let ((sent, received), errors) = (mpsc::channel(), log_errors());
    watch(&client, &sent);
    provoked::at("step");
    client
        .login("alice", "ticket", completion(&sent, "login"))
        .unwrap();
    is_broken(&client, &received, &["login 7712", "closed"], &errors);
}

#[test]
fn a_panic_while_destroying_ends_the_client_all_the_same() {
    let _alone = alone();
    let client = create("http://127.0.0.1:1", "");
    let ((sent, received), errors) = (mpsc::channel(), log_errors());
    watch(&client, &sent);
    provoked::at("step destroy");
    assert_eq!(client::destroy(client.handle(), LONG), Ok(()));
    assert_eq!(received.try_recv().unwrap(), "closed");
    assert!(errors.recv_timeout(LONG).unwrap().contains("panics.rs:"));
    log::set_callback(None, None);
}

#[test]
fn the_librarys_panics_write_nothing_to_stderr() {
    let own = std::env::current_exe().unwrap();
    let tests = "network::tests::a_panic_in_any_phase";
    let output = Command::new(own)
        .args([tests, "--nocapture"])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("1 passed"), "{stdout}");
    assert!(!stderr.contains("panicked"), "{stderr}");
}
