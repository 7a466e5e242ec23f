//! The Rust API against a real server: what bindings/scenario does not show, since it is Rust's own.

#![allow(clippy::unwrap_used, reason = "tests")]

mod tim_server;

use std::future::Future;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use tim::{Client, Error, Event, error};
use tim_server::{APP, TimServer, user_sig};

fn config(server: &TimServer) -> String {
    format!(r#"{{"server_url": "{}", "sdk_app_id": {APP}}}"#, server.url)
}

/// Runs a future without a runtime: this thread sleeps until it is woken.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = Box::pin(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn a_call_can_be_awaited_without_a_runtime() {
    let server = TimServer::start();
    let client = Client::new(&config(&server)).unwrap();
    block_on(async {
        client.login("alice", &user_sig("alice")).await.unwrap();
        assert_eq!(client.login_user().as_deref(), Some("alice"));
        let refused = client.login("bob", &user_sig("alice")).await.unwrap_err();
        assert_eq!(refused.code(), error::ERR_USER_SIG_OTHER_USER);
    });
}

#[test]
fn an_error_says_what_happened_in_words_its_name_and_its_number() {
    let refused = Client::new(r#"{"server_url": "http://127.0.0.1:1"}"#).unwrap_err();
    assert_eq!(refused.name(), "TIM_ERR_INVALID_CONFIG");
    assert!(!refused.is_retryable());
    let text = refused.to_string();
    assert!(text.contains("sdk_app_id: missing"), "{text}");
    assert!(text.ends_with("(TIM_ERR_INVALID_CONFIG, 7719)"), "{text}");
}

#[test]
fn a_client_that_would_have_to_be_polled_is_refused_and_leaves_its_device_free() {
    let config = |delivery| {
        format!(
            r#"{{"server_url": "http://127.0.0.1:1", "sdk_app_id": 1, "device_id": "polled",
                "event_delivery": "{delivery}"}}"#
        )
    };
    let refused = Client::new(&config("poll")).unwrap_err();
    assert_eq!(refused.code(), error::ERR_INVALID_CONFIG);
    assert!(Client::new(&config("callback")).is_ok());
}

#[test]
fn a_call_that_is_waited_for_inside_a_handler_says_so_and_goes_on() {
    let server = TimServer::start();
    let client = Arc::new(Mutex::new(Some(Client::new(&config(&server)).unwrap())));
    let (waited, results) = channel();
    let inside = client.clone();
    let handler = move |event: Event| {
        if let (Event::Connection { .. }, Some(client)) = (event, &*inside.lock().unwrap()) {
            let _ = waited.send(client.logout().wait());
        }
    };
    let login = {
        let client = client.lock().unwrap();
        let client = client.as_ref().unwrap();
        client.on_event(handler).unwrap();
        client.login("alice", &user_sig("alice"))
    };
    let result: Result<(), Error> = results.recv().unwrap();
    assert_eq!(result.unwrap_err().code(), error::ERR_IN_CALLBACK);
    assert_eq!(
        login.wait().unwrap_err().code(),
        error::ERR_LOGGED_OUT_DURING_LOGIN
    );
    let last = client.lock().unwrap().take();
    drop(last);
}

#[test]
fn a_client_that_is_dropped_completes_its_calls_also_inside_its_own_handler() {
    let server = TimServer::start();
    let client = Arc::new(Mutex::new(Some(Client::new(&config(&server)).unwrap())));
    let (dropped, done) = channel();
    let inside = client.clone();
    let handler = move |_| {
        drop(inside.lock().unwrap().take());
        let _ = dropped.send(());
    };
    let login = {
        let client = client.lock().unwrap();
        let client = client.as_ref().unwrap();
        client.on_event(handler).unwrap();
        client.login("alice", &user_sig("alice"))
    };
    done.recv().unwrap();
    assert_eq!(login.wait().unwrap_err().code(), error::ERR_INTERRUPTED);

    let client = Client::new(&config(&server)).unwrap();
    let login = client.login("bob", &user_sig("bob"));
    drop(client);
    let ended = login.wait().map_err(|error| error.code());
    assert!(matches!(ended, Ok(()) | Err(error::ERR_INTERRUPTED)));
}
