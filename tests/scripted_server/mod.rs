//! A server that answers as the test says, request by request: what a tim-server decides on its
//! own, or cannot be made to do.

#![allow(dead_code, reason = "each test program uses its part")]

use super::recorder::LONG;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};
use tim_proto::wire::{SessionEvent, StreamEvent};

/// The server's time at the start of every stream, in ms.
pub const SERVER_MS: i64 = 1_700_000_000_000;

/// The server; its threads end with the test's process.
pub struct ScriptedServer {
    pub url: String,
    requests: Receiver<ReceivedRequest>,
}

/// A request waiting for its answer. Dropping it closes its connection without one.
pub struct ReceivedRequest {
    pub path: String,
    pub body: Value,
    connection: TcpStream,
}

/// An open stream. Dropping it closes it.
pub struct OpenStream(TcpStream);

impl ScriptedServer {
    pub fn start() -> ScriptedServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (ask, requests) = channel();
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let ask = ask.clone();
                thread::spawn(move || {
                    // A client may give up while sending, and the test may be over.
                    if let Ok(request) = ReceivedRequest::read(connection) {
                        let _ = ask.send(request);
                    }
                });
            }
        });
        ScriptedServer { url, requests }
    }

    /// Waits for the next request.
    pub fn next(&self) -> ReceivedRequest {
        let request = self.requests.recv_timeout(LONG);
        request.unwrap_or_else(|_| panic!("nobody asks"))
    }

    /// Waits for the next request, which must be this one.
    pub fn next_on(&self, path: &str) -> ReceivedRequest {
        let request = self.next();
        assert_eq!(request.path, path, "{}", request.body);
        request
    }

    /// No request has arrived since.
    pub fn nobody_asks(&self) {
        if let Ok(request) = self.requests.try_recv() {
            panic!("{}: {}", request.path, request.body);
        }
    }
}

impl ReceivedRequest {
    fn read(mut connection: TcpStream) -> std::io::Result<ReceivedRequest> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            connection.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        connection.read_exact(&mut body)?;
        Ok(ReceivedRequest {
            path: head.split(' ').nth(1).unwrap().to_owned(),
            body: serde_json::from_slice(&body).unwrap(),
            connection,
        })
    }

    pub fn seq(&self) -> u64 {
        self.body["seq"].as_u64().unwrap()
    }

    pub fn login_no(&self) -> u64 {
        self.body["login_no"].as_u64().unwrap()
    }

    /// The ticket, if one was sent.
    pub fn user_sig(&self) -> Option<&str> {
        self.body["user_sig"].as_str()
    }

    /// The tokens of the sessions that end with this login.
    pub fn ended_tokens(&self) -> Vec<&str> {
        let ends = self.body["ends"].as_array().unwrap();
        ends.iter().filter_map(|e| e["session"].as_str()).collect()
    }

    /// Answers with any status, headers (each with its line's end) and body.
    pub fn answer(mut self, status: u16, headers: &str, body: &str) {
        let length = body.len();
        // The client may have given up.
        let _ = write!(
            self.connection,
            "HTTP/1.1 {status} Status\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
    }

    /// Refuses as the server does, with further headers.
    pub fn refuse(self, code: i32, headers: &str) {
        self.refuse_with(code, headers, Value::Null);
    }

    /// The same, naming who took the session over.
    pub fn refuse_with(self, code: i32, headers: &str, kick: Value) {
        let mut body = json!({
            "code": code,
            "message": "no",
            "instance": self.body["instance"].as_str().unwrap_or_default(),
            "seq": self.body["seq"],
        });
        if !kick.is_null() {
            body["kick"] = kick;
        }
        let headers = format!("Tim-Protocol: 1\r\nContent-Type: application/json\r\n{headers}");
        self.answer(401, &headers, &body.to_string());
    }

    /// Answers with `begin`, and then with `again` forever, as fast as the client reads it.
    pub fn flood(mut self, begin: &str, again: &[u8]) {
        let _ = self.connection.write_all(begin.as_bytes());
        flood(self.connection, again);
    }

    /// Confirms that the login has ended.
    pub fn end(self) {
        let body = json!({"code": 0, "seq": self.body["seq"]}).to_string();
        let headers = "Tim-Protocol: 1\r\nContent-Type: application/json\r\n";
        self.answer(200, headers, &body);
    }

    /// Accepts, for a day.
    pub fn accept(self) -> OpenStream {
        self.accept_with(|_| ())
    }

    /// Accepts with a modified session event. The token names the request.
    pub fn accept_with(mut self, change: impl FnOnce(&mut SessionEvent)) -> OpenStream {
        let mut event = SessionEvent {
            session: format!("token {}", self.seq()),
            epoch: 1,
            server_time_ms: SERVER_MS,
            heartbeat_ms: 25_000,
            spread_ms: 0,
            user_sig_expires_ms: SERVER_MS + 86_400_000,
            instance: self.body["instance"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            seq: self.seq(),
        };
        change(&mut event);
        let head = "HTTP/1.1 200 OK\r\nTim-Protocol: 1\r\n\
            Content-Type: text/event-stream\r\nConnection: close\r\n\r\n";
        let event = StreamEvent::Session(event).to_bytes();
        // The client may have given up.
        let _ = self
            .connection
            .write_all(&[head.as_bytes(), &event].concat());
        OpenStream(self.connection)
    }
}

/// Writes forever, until nobody reads it.
fn flood(mut connection: TcpStream, again: &[u8]) {
    let bytes = again.repeat(1 + 100_000 / again.len());
    thread::spawn(move || while connection.write_all(&bytes).is_ok() {});
}

impl OpenStream {
    /// Sends this forever.
    pub fn flood(self, again: &[u8]) {
        flood(self.0, again);
    }

    pub fn tell(&mut self, event: &StreamEvent) {
        self.0.write_all(&event.to_bytes()).unwrap();
    }

    /// Waits until the client has closed it.
    pub fn wait_until_left(mut self) {
        self.0.set_read_timeout(Some(LONG)).unwrap();
        // Reset or closed, the client has left it.
        let end = self.0.read(&mut [0]);
        assert!(!end.is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock));
    }

    /// The same while something is done repeatedly.
    pub fn wait_until_left_during(mut self, mut again: impl FnMut()) {
        let until = Instant::now() + LONG;
        self.0
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        loop {
            assert!(Instant::now() < until, "the stream is not left");
            again();
            match self.0.read(&mut [0]) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                _ => return,
            }
        }
    }

    /// Closes it in an orderly way.
    pub fn close(self) {
        self.0.shutdown(Shutdown::Both).unwrap();
    }
}

/// Who took a session over.
pub fn kick() -> Value {
    json!({"cause": "other_device", "platform": "iphone", "device_name": "another phone", "time_ms": SERVER_MS})
}
