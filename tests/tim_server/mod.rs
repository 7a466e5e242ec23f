//! A real `tim-server` process for tests, with its own app, tickets and clients.

#![allow(dead_code, reason = "each test program uses its part")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{SystemTime, UNIX_EPOCH};
use tim::client::Client;
use tim::delivery::Completion;
use tim_proto::user_sig;

/// The app of every test server.
pub const APP: u32 = 1_400_000_001;
/// A key that is strong enough and belongs to nobody.
pub const KEY: &str = "9c1fb6c3e1d94b2f8a5507d2ee4a6b7099c1fb6c3e1d94b2f8a5507d2ee4a6b7";
/// Another one.
pub const OTHER_KEY: &str = "05f2a1d3b4c5968778695a4b3c2d1e0f05f2a1d3b4c5968778695a4b3c2d1e0f";

/// A server process; dropping it kills the process.
pub struct TimServer {
    process: Child,
    directory: tempfile::TempDir,
    /// `http://127.0.0.1:PORT`, or https.
    pub url: String,
    /// `127.0.0.1:PORT` of the operator's listener, if there is one.
    pub admin: Option<String>,
}

impl TimServer {
    /// A server with the app above on a free port.
    pub fn start() -> TimServer {
        TimServer::with(&[])
    }

    /// The same with further arguments.
    pub fn with(arguments: &[&str]) -> TimServer {
        TimServer::within(directory(), "127.0.0.1:0", arguments)
    }

    /// A server with these settings, in TOML.
    pub fn configured(settings: &str) -> TimServer {
        let directory = directory();
        let file = directory.path().join("settings.toml");
        std::fs::write(&file, settings).unwrap();
        let file = file.to_str().unwrap().to_owned();
        TimServer::within(directory, "127.0.0.1:0", &["--config", &file])
    }

    /// A server with fault injection.
    pub fn with_faults() -> TimServer {
        let directory = directory();
        let file = directory.path().join("settings.toml");
        std::fs::write(&file, "admins = [\"administrator\"]").unwrap();
        let file = file.to_str().unwrap().to_owned();
        let arguments = [
            "--enable-fault-injection",
            "--admin-listen",
            "0",
            "--config",
            &file,
        ];
        TimServer::within(directory, "127.0.0.1:0", &arguments)
    }

    /// Injects a fault.
    pub fn fault(&self, method: &str, path: &str, body: &str) {
        let (ticket, length) = (user_sig("administrator"), body.len());
        let request = format!(
            "{method} /v1/faults{path} HTTP/1.1\r\nHost: tim\r\nConnection: close\r\n\
             Authorization: Bearer {ticket}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let mut stream = TcpStream::connect(self.admin.as_ref().unwrap()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }

    fn within(directory: tempfile::TempDir, listen: &str, arguments: &[&str]) -> TimServer {
        let key_file = directory.path().join("key");
        std::fs::write(&key_file, KEY).unwrap();
        let mut process = Command::new(binary())
            .args(["serve", "--listen", listen, "--data-dir"])
            .arg(directory.path().join("data"))
            .args(["--sdk-app-id", &APP.to_string(), "--secret-key-file"])
            .arg(&key_file)
            .args(arguments)
            .env("TIM_SERVER_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = process.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let ready = line.trim_end().strip_prefix("tim-server ready ");
        let mut places = ready.unwrap_or_default().split(' ');
        let (scheme, address) = places
            .next()
            .and_then(|place| place.split_once('='))
            .unwrap_or_else(|| panic!("no ready line: {line:?}"));
        let url = format!("{scheme}://{address}");
        let admin = places.find_map(|place| place.strip_prefix("admin=http://"));
        let admin = admin.map(str::to_owned);
        TimServer {
            process,
            directory,
            url,
            admin,
        }
    }

    /// Kills the process as a power failure would, and starts it again with the same data and port.
    pub fn kill_and_start_again(mut self) -> TimServer {
        let address = self.address().to_owned();
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        let directory = std::mem::replace(&mut self.directory, self::directory());
        TimServer::within(directory, &address, &[])
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        self.url.split_once("://").unwrap().1
    }

    /// The process's id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Waits until the process has exited by itself.
    pub fn wait(&mut self) -> std::process::ExitStatus {
        self.process.wait().unwrap()
    }
}

impl Drop for TimServer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// The folder of this build: test programs are in its `deps`.
pub fn build_folder() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    program.ancestors().nth(2).unwrap().to_owned()
}

/// The server's program, of the same build as this test.
pub fn binary() -> PathBuf {
    let path = build_folder().join("tim-server");
    assert!(
        path.exists(),
        "{} is missing: cargo build --workspace",
        path.display()
    );
    path
}

/// What `make lib` built; `make test` says where.
pub fn laid_out() -> PathBuf {
    let build =
        std::env::var_os("TIM_BUILD_DIR").map_or_else(|| root().join("build"), PathBuf::from);
    let header = build.join("include/tim.h");
    assert!(header.exists(), "{} is missing: make lib", header.display());
    build
}

/// The root of the source tree.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Seconds of Unix time.
pub fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// A ticket valid for a day.
pub fn user_sig(user_id: &str) -> String {
    user_sig_for(user_id, 86_400)
}

/// A ticket valid for this many seconds from now; negative: expired.
pub fn user_sig_for(user_id: &str, expire_s: i64) -> String {
    user_sig_by(KEY, APP, user_id, expire_s)
}

/// A ticket with any key and app.
pub fn user_sig_by(key: &str, app: u32, user_id: &str, expire_s: i64) -> String {
    user_sig::make(key, app, user_id, now_s(), expire_s, None).unwrap()
}

/// A client of the server, configured with further keys, each after a comma.
pub fn client_of(url: &str, app: u32, more: &str) -> Arc<Client> {
    let config = format!("{{\"server_url\": \"{url}\", \"sdk_app_id\": {app}{more}}}");
    Client::create(&config).unwrap_or_else(|error| panic!("{config}: {error:?}"))
}

/// A completion, and the receiver of its code.
pub fn completion() -> (Completion, mpsc::Receiver<i32>) {
    let (done, result) = mpsc::channel();
    // The test may have stopped waiting.
    (Box::new(move |code| _ = done.send(code)), result)
}

/// Starts a login whose call is accepted.
pub fn begin_login(client: &Client, user_id: &str) -> mpsc::Receiver<i32> {
    let (done, result) = completion();
    client.login(user_id, &user_sig(user_id), done).unwrap();
    result
}

/// Starts a logout.
pub fn begin_logout(client: &Client) -> mpsc::Receiver<i32> {
    let (done, result) = completion();
    client.logout(done).unwrap();
    result
}

/// Starts a renewal.
pub fn begin_renewal(client: &Client, user_sig: &str) -> mpsc::Receiver<i32> {
    let (done, result) = completion();
    client.renew_user_sig(user_sig, done).unwrap();
    result
}

/// Logs in and waits: the code of the refusal at the call, or of the completion.
pub fn log_in(client: &Client, user_id: &str, user_sig: &str) -> i32 {
    let (done, result) = completion();
    match client.login(user_id, user_sig, done) {
        Ok(()) => result.recv().unwrap(),
        Err(code) => code,
    }
}

/// Logs out and waits.
pub fn log_out(client: &Client) -> i32 {
    let (done, result) = completion();
    match client.logout(done) {
        Ok(()) => result.recv().unwrap(),
        Err(code) => code,
    }
}
