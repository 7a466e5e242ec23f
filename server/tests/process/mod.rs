//! A `tim-server` process, and a plain HTTP client for it that sends exactly what a test says.

#![allow(dead_code, unused_imports, reason = "each test program uses its part")]

pub mod admin;
mod answer;
pub mod engine;
pub mod metrics;
pub mod page;
pub mod random;
pub mod refused;
mod requests;
pub mod resources;
pub mod tls;

pub use answer::{Answer, posted};
pub use requests::{instance, login, now_s, resume, ticket};

use serde_json::Value;
use socket2::{Domain, Socket, Type};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

pub const APP: u32 = 1_400_000_001;
pub const KEY: &str = "9c1fb6c3e1d94b2f8a5507d2ee4a6b7099c1fb6c3e1d94b2f8a5507d2ee4a6b7";

/// The program under test.
pub fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_tim-server"))
}

/// A running server with an app of its own; dropping it kills it.
pub struct Server {
    process: Child,
    pub directory: tempfile::TempDir,
    /// `127.0.0.1:PORT`.
    pub address: String,
    /// The address of its metrics, if there is one.
    pub metrics: Option<String>,
    /// That of the operator's listener, if there is one.
    pub admin: Option<String>,
    /// What it prints about fault injection.
    pub fault_injection: Option<String>,
    /// The lines of its log that no test has waited for yet.
    log: Mutex<Receiver<String>>,
}

impl Server {
    pub fn start() -> Server {
        Server::with("")
    }

    /// A server with these further settings, in TOML.
    pub fn with(settings: &str) -> Server {
        Store::Embedded.with(settings)
    }

    /// A node whose users are in the shared store at this address.
    pub fn node(store_url: &str, settings: &str) -> Server {
        Server::on(&format!("store = \"{store_url}\"\n{settings}"))
    }

    fn on(settings: &str) -> Server {
        Server::trusting(settings, None)
    }

    /// A server that speaks TLS with this certificate and key, in the files `cert` and `cert key`.
    pub fn with_tls(cert: &str, key: &str) -> Server {
        Server::with_tls_and(cert, key, "")
    }

    /// The same, with further settings.
    pub fn with_tls_and(cert: &str, key: &str, settings: &str) -> Server {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let settings = format!(
            "tls_cert = {:?}\ntls_key = {:?}\n{settings}",
            path("cert"),
            path("cert key")
        );
        for (name, text) in [
            ("cert", cert),
            ("cert key", key),
            ("key", KEY),
            ("settings.toml", &settings),
        ] {
            std::fs::write(path(name), text).unwrap();
        }
        Server::within(directory, "127.0.0.1:0", None)
    }

    /// A server that trusts these authorities for the store it connects to.
    pub fn trusting(settings: &str, authorities: Option<&Path>) -> Server {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("key"), KEY).unwrap();
        std::fs::write(directory.path().join("settings.toml"), settings).unwrap();
        Server::within(directory, "127.0.0.1:0", authorities)
    }

    fn within(directory: tempfile::TempDir, listen: &str, authorities: Option<&Path>) -> Server {
        Server::logging(directory, listen, authorities, "info", &[])
    }

    /// A server whose file operations in its data directory are recorded by a library.
    pub fn recorded(library: &Path, record: &Path, settings: &str) -> Server {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("key"), KEY).unwrap();
        std::fs::write(directory.path().join("settings.toml"), settings).unwrap();
        let mut command = Server::command(&directory, "127.0.0.1:0", "info");
        command
            .env("LD_PRELOAD", library)
            .env("TIM_RECORD_FILE", record)
            .env("TIM_RECORD_DIR", directory.path().join("data"));
        Server::ready(command.spawn().unwrap(), directory, "http")
    }

    /// A server with an operator's listener that logs at every level.
    pub fn talkative_with_admin() -> Server {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("key"), KEY).unwrap();
        std::fs::write(directory.path().join("settings.toml"), admin::SETTINGS).unwrap();
        Server::logging(directory, "127.0.0.1:0", None, "trace", &[])
    }

    fn logging(
        directory: tempfile::TempDir,
        listen: &str,
        authorities: Option<&Path>,
        level: &str,
        arguments: &[&str],
    ) -> Server {
        let path = |name: &str| directory.path().join(name);
        let mut command = Server::command(&directory, listen, level);
        let process = command
            .args(arguments)
            .envs(authorities.map(|file| ("SSL_CERT_FILE", file)))
            .spawn()
            .unwrap();
        let settings = std::fs::read_to_string(path("settings.toml")).unwrap();
        let scheme = match settings.contains("tls_cert") {
            true => "https",
            false => "http",
        };
        Server::ready(process, directory, scheme)
    }

    /// The command that starts a server with the files of this directory.
    fn command(directory: &tempfile::TempDir, listen: &str, level: &str) -> Command {
        let path = |name: &str| directory.path().join(name);
        let mut command = program();
        command
            .args(["serve", "--listen", listen])
            .args(["--sdk-app-id", &APP.to_string()])
            .arg("--secret-key-file")
            .arg(path("key"))
            .arg("--data-dir")
            .arg(path("data"))
            .arg("--config")
            .arg(path("settings.toml"))
            .env("TIM_SERVER_LOG", level)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// A started server, once it is ready.
    fn ready(mut process: Child, directory: tempfile::TempDir, scheme: &str) -> Server {
        let stderr = process.stderr.take().unwrap();
        let (lines, log) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                // Keeps reading, for tests that do not look at it.
                let _ = lines.send(line);
            }
        });
        let line = first_line(&mut process);
        let (address, admin) = addresses(&line, scheme);
        Server {
            process,
            directory,
            address,
            metrics: named(&line, "metrics"),
            admin,
            fault_injection: named(&line, "fault_injection"),
            log: Mutex::new(log),
        }
    }

    /// Kills the process, and starts it again on the same data and port.
    pub fn after_a_kill(self) -> Server {
        let address = self.address.clone();
        self.after_a_kill_at(&address)
    }

    /// The same on another port.
    pub fn after_a_kill_elsewhere(self) -> Server {
        self.after_a_kill_at("127.0.0.1:0")
    }

    fn after_a_kill_at(mut self, listen: &str) -> Server {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        let directory = std::mem::replace(&mut self.directory, tempfile::tempdir().unwrap());
        Server::within(directory, listen, None)
    }

    /// The same with other settings.
    pub fn after_a_kill_with(self, settings: &str) -> Server {
        let file = self.directory.path().join("settings.toml");
        let before = std::fs::read_to_string(&file).unwrap();
        // The users stay where they are.
        let store = before.lines().find(|line| line.starts_with("store = "));
        std::fs::write(&file, format!("{}\n{settings}", store.unwrap_or_default())).unwrap();
        self.after_a_kill()
    }

    /// The same, after changes to files in its data directory.
    pub fn after_a_kill_with_files(mut self, settings: &str, change: impl FnOnce(&Path)) -> Server {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        change(&in_data(&self.directory, ""));
        self.after_a_kill_with(settings)
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Waits for a log line that contains this.
    pub fn logged(&self, text: &str) -> String {
        let log = self.log.lock().unwrap();
        loop {
            let line = log.recv_timeout(Duration::from_secs(30));
            let line = line.unwrap_or_else(|_| panic!("{text:?} was not logged"));
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Its log until it exits, without lines already waited for.
    pub fn rest_of_the_log(&self) -> String {
        let log = self.log.lock().unwrap();
        log.iter()
            .flat_map(|line| [line, "\n".to_owned()])
            .collect()
    }

    /// Replaces a file beside the settings, or those themselves.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.directory.path().join(name), text).unwrap();
    }

    /// Replaces the settings and reloads them; waits until the log reports the result.
    pub fn reload(&self, settings: &str, logged: &str) -> String {
        self.write("settings.toml", settings);
        self.signal("HUP");
        self.logged(logged)
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.process.wait().unwrap()
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        stream
    }

    /// Posts a body and reads the head of the answer.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_text(path, &body.to_string())
    }

    pub fn post_text(&self, path: &str, body: &str) -> Answer {
        self.send(&posted(path, body))
    }

    /// Posts a body from another loopback address.
    pub fn post_from(&self, address: &str, path: &str, body: &Value) -> Answer {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let from: SocketAddr = format!("{address}:0").parse().unwrap();
        socket.bind(&from.into()).unwrap();
        let to: SocketAddr = self.address.parse().unwrap();
        socket.connect(&to.into()).unwrap();
        let mut stream = TcpStream::from(socket);
        stream
            .write_all(posted(path, &body.to_string()).as_bytes())
            .unwrap();
        Answer::read(stream)
    }

    /// Sends any text and reads the head of what comes back.
    pub fn send(&self, text: &str) -> Answer {
        let mut stream = self.connect();
        // The server may have answered and closed before all of it was sent.
        let _ = stream.write_all(text.as_bytes());
        Answer::read(stream)
    }

    /// Logs in, which must be accepted, and gives the open stream with its first event.
    pub fn log_in(&self, login: &Value) -> (Answer, Value) {
        let mut answer = self.post("/v1/login", login);
        if answer.status != 200 {
            panic!("refused: {}", answer.json());
        }
        let event = answer.session();
        (answer, event)
    }

    /// Resumes, which must be accepted.
    pub fn log_in_by(&self, resume: &Value) -> (Answer, Value) {
        let mut answer = self.post("/v1/resume", resume);
        assert_eq!(answer.status, 200);
        let event = answer.session();
        (answer, event)
    }

    /// The code of a refusal.
    pub fn refusal(&self, path: &str, body: &Value) -> (u16, i64) {
        let mut answer = self.post(path, body);
        assert_eq!(answer.header("tim-protocol"), Some("1"));
        let refusal = answer.json();
        (answer.status, refusal["code"].as_i64().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where a server keeps its users: tests of the rules run over each.
#[derive(Clone, Copy)]
pub enum Store {
    Embedded,
    Valkey,
}

impl Store {
    pub fn start(self) -> Server {
        self.with("")
    }

    /// A server with these further settings, and users of its own.
    pub fn with(self, settings: &str) -> Server {
        match self {
            Store::Embedded => Server::on(settings),
            Store::Valkey => Server::node(&engine::database(), settings),
        }
    }
}

/// Makes two tests of each function: one over each store.
#[macro_export]
macro_rules! over_each_store {
    ($($rule:ident)*) => {
        mod embedded {
            $(#[test] fn $rule() { super::$rule($crate::process::Store::Embedded); })*
        }
        mod valkey {
            $(#[test] fn $rule() { super::$rule($crate::process::Store::Valkey); })*
        }
    };
}

/// Everything that arrives until the other side closes.
pub fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset is an end as well.
    let _ = std::io::Read::read_to_end(stream, &mut bytes);
    bytes
}

/// The address in the only line that a server prints when it is ready.
pub fn ready_address(process: &mut Child, scheme: &str) -> String {
    ready_line(process, scheme).0
}

/// The address, and that of the operator's listener.
pub fn ready_line(process: &mut Child, scheme: &str) -> (String, Option<String>) {
    addresses(&first_line(process), scheme)
}

fn addresses(line: &str, scheme: &str) -> (String, Option<String>) {
    let address = named(line, scheme).unwrap_or_else(|| panic!("no ready line: {line:?}"));
    let admin = named(line, "admin").map(|url| url.replace("http://", ""));
    (address, admin)
}

/// The line itself.
pub fn first_line(process: &mut Child) -> String {
    let mut line = String::new();
    let stdout = process.stdout.as_mut().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    line
}

/// The address that a ready line gives under this name.
fn named(line: &str, name: &str) -> Option<String> {
    let mut places = line
        .trim_end()
        .strip_prefix("tim-server ready ")?
        .split(' ');
    places.find_map(|place| Some(place.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
}

/// A file of the data directory.
pub fn in_data(directory: &tempfile::TempDir, name: &str) -> PathBuf {
    directory.path().join("data").join(name)
}
