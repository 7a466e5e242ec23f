//! The app's backend, as the webhook finds it: it says what it was told, and answers as a test wants.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

pub struct Backend {
    listener: TcpListener,
}

/// A request that was not answered yet.
pub struct Request {
    body: Value,
    connection: BufReader<TcpStream>,
}

impl Backend {
    pub fn start() -> Backend {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Backend { listener }
    }

    pub fn settings(&self) -> String {
        let address = self.listener.local_addr().unwrap();
        format!("webhook_url = \"http://{address}/hook\"\n")
    }

    pub fn request(&self) -> Request {
        loop {
            let (stream, _) = self.listener.accept().unwrap();
            let patience = Duration::from_secs(30);
            stream.set_read_timeout(Some(patience)).unwrap();
            let mut connection = BufReader::new(stream);
            // A server that was killed may have connected and said nothing.
            if let Some(body) = read(&mut connection) {
                return Request { body, connection };
            }
        }
    }

    /// The user and the action of the next request, which is answered.
    pub fn action(&self) -> (String, String) {
        let request = self.request();
        let told = (request.user_id().to_owned(), request.action().to_owned());
        request.answer("200 OK");
        told
    }
}

fn read(connection: &mut BufReader<TcpStream>) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        connection
            .read_line(&mut line)
            .ok()
            .filter(|count| *count > 0)?;
        let line = line.trim_end().to_lowercase();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).ok()?;
    Some(serde_json::from_slice(&body).unwrap())
}

impl Request {
    pub fn user_id(&self) -> &str {
        self.body["Info"]["To_Account"].as_str().unwrap()
    }

    pub fn action(&self) -> &str {
        self.body["Info"]["Action"].as_str().unwrap()
    }

    pub fn answer(mut self, status: &str) {
        let text = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        self.connection
            .get_mut()
            .write_all(text.as_bytes())
            .unwrap();
    }
}
