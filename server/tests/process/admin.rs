//! The operator's requests, exactly as a test writes them.

use super::{APP, Answer, Server, Store, now_s, ticket};
use serde_json::Value;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;
use tim_proto::user_sig;

/// The settings that enable the operator's listener.
pub const SETTINGS: &str = "admin_listen = \"0\"\nadmins = [\"administrator\"]\n";

impl Store {
    /// A server with an operator's listener and these further settings.
    pub fn with_admin(self, settings: &str) -> Server {
        self.with(&format!("{SETTINGS}{settings}"))
    }

    /// A server with fault injection.
    pub fn with_faults(self, settings: &str) -> Server {
        match self {
            Store::Embedded => Server::with_faults(settings),
            Store::Valkey => {
                let store = super::engine::database();
                Server::with_faults(&format!("store = \"{store}\"\n{settings}"))
            }
        }
    }
}

impl Server {
    /// A server with an operator's listener and these further settings.
    pub fn with_admin(settings: &str) -> Server {
        Store::Embedded.with_admin(settings)
    }

    /// A server with fault injection and these further settings.
    pub fn with_faults(settings: &str) -> Server {
        let directory = tempfile::tempdir().unwrap();
        let settings = format!("{SETTINGS}{settings}");
        std::fs::write(directory.path().join("key"), super::KEY).unwrap();
        std::fs::write(directory.path().join("settings.toml"), settings).unwrap();
        let arguments = ["--enable-fault-injection"];
        Server::logging(directory, "127.0.0.1:0", None, "info", &arguments)
    }

    /// Injects a fault; the request must succeed.
    pub fn fault(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.own(method, &format!("/v1/faults{path}"), &body.to_string());
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// Sends any text to the operator's listener and reads the head of what comes back.
    pub fn send_admin(&self, text: &str) -> Answer {
        let mut stream = TcpStream::connect(self.admin.as_ref().unwrap()).unwrap();
        let patience = Duration::from_secs(30);
        stream.set_read_timeout(Some(patience)).unwrap();
        // The server may have answered and closed before all of it was sent.
        let _ = stream.write_all(text.as_bytes());
        Answer::read(stream)
    }

    /// An administrator's request to the reference system's paths.
    pub fn reference(&self, path: &str, body: &Value) -> Value {
        self.reference_by("POST", path, &admin_query(), &body.to_string())
    }

    /// The same with any method, query and body.
    pub fn reference_by(&self, method: &str, path: &str, query: &str, body: &str) -> Value {
        let length = body.len();
        let mut answer = self.send_admin(&format!(
            "{method} /v4/{path}?{query} HTTP/1.1\r\nHost: tim\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
        assert_eq!(answer.status, 200, "always");
        answer.json()
    }

    /// An administrator's request to the server's own paths.
    pub fn own(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let ticket = ticket("administrator", 3600);
        self.own_by(
            method,
            path,
            &format!("Authorization: Bearer {ticket}\r\n"),
            body,
        )
    }

    /// The same without a body, with a ticket of another app.
    pub fn own_with(&self, ticket: &str, method: &str, path: &str) -> (u16, Value) {
        let header = format!("Authorization: Bearer {ticket}\r\n");
        self.own_by(method, path, &header, "")
    }

    /// The same with any headers.
    pub fn own_by(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, Value) {
        let length = body.len();
        let mut answer = self.send_admin(&format!(
            "{method} {path} HTTP/1.1\r\nHost: tim\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        ));
        (answer.status, answer.json())
    }

    /// What the server's own path says of a user.
    pub fn user(&self, user_id: &str) -> Value {
        let (status, user) = self.own("GET", &format!("/v1/users/{user_id}"), "");
        assert_eq!(status, 200, "{user}");
        user
    }
}

/// The query of a valid request.
pub fn admin_query() -> String {
    query_of(APP, "administrator", &ticket("administrator", 3600))
}

pub fn query_of(app: u32, user_id: &str, ticket: &str) -> String {
    format!(
        "sdkappid={app}&identifier={user_id}&usersig={ticket}&random=4294967295&contenttype=json"
    )
}

/// A ticket issued this many seconds ago.
pub fn ticket_made(ago_s: i64, user_id: &str) -> String {
    user_sig::make(super::KEY, APP, user_id, now_s() - ago_s, 3600, None).unwrap()
}
