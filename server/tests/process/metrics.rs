//! A server's metrics, as Prometheus reads them.

use super::Server;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// The status and the body at a path of the listener.
pub fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: tim\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

/// The figures by name and labels, as a reader of the format takes them.
pub fn figures(server: &Server) -> BTreeMap<String, f64> {
    let (status, text) = get(server.metrics.as_ref().unwrap(), "/metrics");
    assert_eq!(status, 200);
    assert!(text.ends_with("# EOF\n"));
    let mut types = BTreeMap::new();
    let mut figures = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(types.insert(name, kind).is_none(), "{name} twice");
        } else if !line.starts_with('#') {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let family = name.split('{').next().unwrap();
            let known = types.keys().any(|known| family.starts_with(known));
            assert!(known, "{line} has no type");
            let before = figures.insert(name.to_owned(), value.parse().unwrap());
            assert!(before.is_none(), "{name} twice");
        }
    }
    figures
}

/// Polls until a metric has the expected value.
pub fn becomes(server: &Server, name: &str, value: f64) {
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        let now = figures(server)[name];
        if now == value {
            return;
        }
        assert!(Instant::now() < patience, "{name} is {now}, not {value}");
    }
}

impl Server {
    /// One figure of a server with `metrics_listen`.
    pub fn figure(&self, name: &str) -> f64 {
        let figures = figures(self);
        *figures.get(name).unwrap_or_else(|| panic!("no {name}"))
    }

    /// Waits until a figure has this value.
    pub fn until_figure(&self, name: &str, value: f64) {
        let until = Instant::now() + Duration::from_secs(30);
        while self.figure(name) != value {
            assert!(Instant::now() < until, "{name}");
            std::thread::yield_now();
        }
    }
}
