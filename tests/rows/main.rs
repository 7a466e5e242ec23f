//! The rows of the login table (docs/login-states.md) over real sockets: a scripted server answers
//! each request as its row says.

#![allow(clippy::unwrap_used, reason = "tests")]

mod connection;
mod endings;
mod login;
mod logout;
#[path = "../recorder/mod.rs"]
mod recorder;
mod renewal;
#[path = "../scripted_server/mod.rs"]
mod scripted_server;
#[path = "../tim_server/mod.rs"]
mod tim_server;

use recorder::{Recorder, is_connection, is_kick};
use scripted_server::{OpenStream, ScriptedServer, kick};
use serde_json::Value;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use tim::client::{Client, Hint};
use tim::delivery::Notice;
use tim::error::OK;
use tim::session::ConnectionStatus;
use tim_proto::wire::{EndEvent, SessionEvent, StreamEvent};
use tim_server::{APP, client_of, completion};

/// Reconnects are quick.
const QUICK: &str = r#", "reconnect": {"first_ms": 20, "max_ms": 100}"#;
/// Reconnects take minutes: an earlier one did not wait.
const SLOW: &str = r#", "reconnect": {"first_ms": 600000, "max_ms": 600000}"#;

/// A server, a client of it with further configuration, and a recorder of what the client delivers.
fn scene(more: &str) -> (ScriptedServer, Arc<Client>, Arc<Recorder>) {
    let server = ScriptedServer::start();
    let client = client_of(&server.url, APP, more);
    let recorder = Recorder::by(&client);
    (server, client, recorder)
}

/// The ticket that the scripted server expects.
fn ticket_of(user: &str) -> String {
    format!("ticket of {user}")
}

/// Starts a login whose call is accepted.
fn begin_login(client: &Client, user: &str) -> Receiver<i32> {
    let (done, result) = completion();
    client.login(user, &ticket_of(user), done).unwrap();
    result
}

/// Alice, who is logged in.
struct Alice {
    server: ScriptedServer,
    client: Arc<Client>,
    recorder: Arc<Recorder>,
    /// How many notices there were until then.
    seen: usize,
}

/// Alice, and the stream that holds her.
fn alice(more: &str) -> (Alice, OpenStream) {
    alice_with(more, |_| ())
}

/// The same, with a modified session event.
fn alice_with(more: &str, change: impl FnOnce(&mut SessionEvent)) -> (Alice, OpenStream) {
    let (server, client, recorder) = scene(more);
    let login = begin_login(&client, "alice");
    let stream = server.next_on("/v1/login").accept_with(change);
    assert_eq!(login.recv().unwrap(), OK);
    let seen = recorder.connected(0);
    let alice = Alice {
        server,
        client,
        recorder,
        seen,
    };
    (alice, stream)
}

impl Alice {
    fn is_logged_in(&self) {
        is(&self.client, 1, "alice");
        assert_eq!(self.client.login_id(), 1);
        self.recorder.nobody_was_signed_out();
    }

    /// The session lives on this stream: a kick on it reaches her.
    fn is_reached_on(&self, mut stream: OpenStream) {
        self.is_logged_in();
        stream.tell(&kicked());
        self.recorder.wait(self.seen, is_kick);
    }

    /// Her resume or its renewal has failed, with this code.
    fn failed_with(&self, code: i32) {
        self.recorder.wait(self.seen, |notice| {
            is_connection(notice, ConnectionStatus::ConnectFailed, code)
        });
    }

    /// This, and nothing else, ended the session.
    fn is_signed_out(&self, by: Notice) {
        self.recorder.wait(self.seen, |notice| *notice == by);
        is(&self.client, 3, "");
        assert_eq!(self.recorder.sign_outs(), [by]);
    }
}

/// The login status and user.
fn is(client: &Client, status: i32, user: &str) {
    let now = (client.login_status(), client.login_user());
    assert_eq!(now, (status, user.to_owned()));
}

fn last_error(client: &Client) -> Value {
    serde_json::from_str(&client.last_error_json()).unwrap()
}

fn kicked_offline(code: i32) -> Notice {
    Notice::KickedOffline { code, login_id: 1 }
}

fn user_sig_expired(code: i32) -> Notice {
    Notice::UserSigExpired { code, login_id: 1 }
}

/// The events of the stream.
fn kicked() -> StreamEvent {
    StreamEvent::Kicked(serde_json::from_value(kick()).unwrap())
}

fn end(code: i32) -> EndEvent {
    EndEvent {
        code,
        message: String::new(),
    }
}
