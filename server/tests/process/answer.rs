//! HTTP as a test writes and reads it: a request as text, an answer piece by piece.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;

pub fn posted(path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: tim\r\nTim-Protocol: 1\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// An answer whose body is read piece by piece.
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    body: BufReader<TcpStream>,
    text: String,
}

impl Answer {
    pub fn read(stream: TcpStream) -> Answer {
        let mut body = BufReader::new(stream);
        let mut line = String::new();
        body.read_line(&mut line).unwrap();
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("not an answer: {line:?}"));
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            body.read_line(&mut line).unwrap();
            match line.trim_end().split_once(": ") {
                Some((name, value)) => headers.push((name.to_lowercase(), value.to_owned())),
                None => break,
            }
        }
        Answer {
            status,
            headers,
            body,
            text: String::new(),
        }
    }

    /// What comes after all that was read.
    pub fn into_connection(self) -> BufReader<TcpStream> {
        self.body
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    }

    pub fn json(&mut self) -> Value {
        serde_json::from_str(&self.text()).unwrap()
    }

    /// The whole body.
    pub fn text(&mut self) -> String {
        let length = self.header("content-length").unwrap().parse().unwrap();
        let mut body = vec![0; length];
        self.body.read_exact(&mut body).unwrap();
        String::from_utf8(body).unwrap()
    }

    /// One chunk; none at the end of the stream.
    fn chunk(&mut self) -> Option<String> {
        let mut line = String::new();
        self.body.read_line(&mut line).unwrap();
        let length = usize::from_str_radix(line.trim_end(), 16).ok()?;
        let mut chunk = vec![0; length + 2];
        self.body.read_exact(&mut chunk).unwrap();
        chunk.truncate(length);
        (length > 0).then(|| String::from_utf8(chunk).unwrap())
    }

    /// The next block of the stream: an event with its data, or a heartbeat; none at its end.
    pub fn block(&mut self) -> Option<String> {
        while !self.text.contains("\n\n") {
            let chunk = self.chunk()?;
            self.text.push_str(&chunk);
        }
        let (block, rest) = self.text.split_once("\n\n").unwrap();
        let (block, rest) = (block.to_owned(), rest.to_owned());
        self.text = rest;
        Some(block)
    }

    /// The session event at the start of a stream, and the comment that pushes it through.
    pub fn session(&mut self) -> Value {
        let (name, event) = self.event().unwrap();
        assert_eq!(name, "session");
        assert_eq!(self.block().as_deref(), Some(": hb"));
        event
    }

    /// The next event, skipping heartbeats.
    pub fn event(&mut self) -> Option<(String, Value)> {
        loop {
            let block = self.block()?;
            if block.starts_with(':') {
                continue;
            }
            let (name, data) = block.split_once("\ndata: ").unwrap();
            let name = name.strip_prefix("event: ").unwrap();
            return Some((name.to_owned(), serde_json::from_str(data).unwrap()));
        }
    }
}
