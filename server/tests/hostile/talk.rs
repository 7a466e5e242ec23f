//! Raw bytes to a listener, and what comes back.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// How long a test waits for what the server must do.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends bytes and receives everything until the server closes by itself.
pub fn receive_all(address: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(address);
    // The server may have answered and closed before all of it was sent.
    let _ = stream.write_all(bytes);
    received(stream)
}

/// The same for a client that closes its sending side. The server drops what it was deciding.
pub fn receive_all_after_close(address: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(address);
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    received(stream)
}

/// Receives everything until the server closes; bytes it had not read by then make that a reset.
pub fn received(mut stream: TcpStream) -> Vec<u8> {
    let mut received = Vec::new();
    match stream.read_to_end(&mut received) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "it did not close"),
    }
    received
}

/// The status and body of each answer. An event stream, whose body has no length, is the last.
pub fn answers(bytes: &[u8]) -> Vec<(u16, String)> {
    let text = String::from_utf8_lossy(bytes);
    let mut rest: &str = &text;
    let mut answers = Vec::new();
    while let Some((head, after)) = rest.split_once("\r\n\r\n") {
        let status = head.strip_prefix("HTTP/1.").and_then(|line| line.get(2..5));
        let status = status.and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("not an answer: {head:?}"));
        let head = head.to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(after.len(), |length| length.parse().unwrap());
        answers.push((status, after[..length].to_owned()));
        rest = &after[length..];
    }
    answers
}

pub fn statuses(bytes: &[u8]) -> Vec<u16> {
    answers(bytes).iter().map(|(status, _)| *status).collect()
}
