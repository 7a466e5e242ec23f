//! The app's backend as the webhook sees it: it reports the requests it received, and answers as a
//! test wants.

#![allow(dead_code, reason = "each test program uses its part")]

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// The app's backend.
pub struct Backend {
    listener: TcpListener,
}

/// What it received: the query and the body.
pub struct Received {
    pub query: String,
    pub body: Value,
    connection: BufReader<TcpStream>,
}

impl Backend {
    pub fn start() -> Backend {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Backend { listener }
    }

    pub fn settings(&self) -> String {
        let address = self.listener.local_addr().unwrap();
        format!("webhook_url = \"http://{address}/hook?mine=1\"\n")
    }

    /// The next request, not answered yet.
    pub fn request(&self) -> Received {
        loop {
            let (stream, _) = self.listener.accept().unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(30)))
                .unwrap();
            // A killed server may have connected and sent nothing, or only a part.
            if let Some(received) = Received::read(BufReader::new(stream)) {
                return received;
            }
        }
    }

    /// The next request, answered.
    pub fn received(&self) -> Received {
        let mut received = self.request();
        received.answer("200 OK");
        received
    }

    /// The user and action of the next request, answered.
    pub fn action(&self) -> (String, String) {
        let received = self.received();
        (received.user_id().to_owned(), received.action().to_owned())
    }

    /// Action, reason and kicked devices of the next request, which must be alice's.
    pub fn change(&self) -> (String, String, Vec<String>) {
        let received = self.received();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let kicked = received.body["KickedDevice"].as_array().cloned();
        let kicked = kicked.unwrap_or_default();
        let info = &received.body["Info"];
        assert_eq!(info["To_Account"], "alice");
        (
            text(&info["Action"]),
            text(&info["Reason"]),
            kicked
                .iter()
                .map(|device| text(&device["Platform"]))
                .collect(),
        )
    }
}

impl Received {
    fn read(mut connection: BufReader<TcpStream>) -> Option<Received> {
        let mut next_line = || {
            let mut line = String::new();
            let length = connection.read_line(&mut line).ok()?;
            (length > 0).then_some(line)
        };
        let line = next_line()?;
        let target = line.strip_prefix("POST /hook?mine=1&").unwrap();
        let query = target.strip_suffix(" HTTP/1.1\r\n").unwrap().to_owned();
        let mut length = 0;
        loop {
            let line = next_line()?.trim_end().to_lowercase();
            match line.split_once(": ") {
                Some(("content-length", value)) => length = value.parse().unwrap(),
                Some(("content-type", value)) => assert_eq!(value, "application/json"),
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        connection.read_exact(&mut body).ok()?;
        Some(Received {
            query,
            body: serde_json::from_slice(&body).unwrap(),
            connection,
        })
    }

    pub fn user_id(&self) -> &str {
        self.body["Info"]["To_Account"].as_str().unwrap()
    }

    pub fn action(&self) -> &str {
        self.body["Info"]["Action"].as_str().unwrap()
    }

    pub fn answer(&mut self, status: &str) {
        let body = match status {
            "204 No Content" => "",
            _ => r#"{"ActionStatus":"OK","ErrorCode":0,"ErrorInfo":""}"#,
        };
        let length = body.len();
        let text = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        self.connection
            .get_mut()
            .write_all(text.as_bytes())
            .unwrap();
    }

    pub fn parameter(&self, name: &str) -> &str {
        let mut pairs = self
            .query
            .split('&')
            .filter_map(|pair| pair.split_once('='));
        pairs.find(|(known, _)| *known == name).unwrap().1
    }
}
