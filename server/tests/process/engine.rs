//! A Valkey or Redis for tests: the one at `TIM_TEST_REDIS_URL`, or one that is started here and
//! ends with the test.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How many databases a test program may use.
const DATABASES: usize = 1000;

/// A separate engine; dropping it kills it, as does the end of the process.
pub struct Engine {
    /// A shell that kills the engine when its input ends.
    keeper: Child,
    pub port: u16,
    directory: Option<tempfile::TempDir>,
}

impl Engine {
    pub fn start() -> Engine {
        Engine::with("")
    }

    /// An empty engine with further arguments.
    pub fn with(arguments: &str) -> Engine {
        Engine::on(free_port(), arguments)
    }

    /// An empty engine on this port, with further arguments.
    pub fn on(port: u16, arguments: &str) -> Engine {
        Engine::within(tempfile::tempdir().unwrap(), port, arguments)
    }

    /// An engine on this port with the data of another one, whose place it takes.
    pub fn in_place_of(port: u16, other: Engine) -> Engine {
        assert_eq!(other.command("REPLICAOF NO ONE"), "+OK");
        assert_eq!(other.command("SAVE"), "+OK");
        let directory = tempfile::tempdir().unwrap();
        let dump = other.directory.as_ref().unwrap().path().join("dump.rdb");
        std::fs::copy(dump, directory.path().join("dump.rdb")).unwrap();
        drop(other);
        Engine::within(directory, port, "")
    }

    /// A replica of this engine.
    pub fn replica(&self) -> Engine {
        let replica = Engine::with(&format!("--replicaof 127.0.0.1 {}", self.port));
        let until = Instant::now() + Duration::from_secs(30);
        while !self.info("replication").contains("state=online") {
            assert!(Instant::now() < until, "the replica does not follow");
            thread::sleep(Duration::from_millis(5));
        }
        replica
    }

    /// A sentinel that watches this engine as `main` and requires this password.
    pub fn sentinel(&self, password: &str) -> Engine {
        let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
        let settings = format!(
            "bind 127.0.0.1\nport {port}\nrequirepass {password}\n\
             sentinel monitor main 127.0.0.1 {watched} 1\n\
             sentinel down-after-milliseconds main 300\n\
             sentinel failover-timeout main 2000\n",
            watched = self.port,
        );
        std::fs::write(directory.path().join("sentinel.conf"), settings).unwrap();
        Engine::run(directory, port, "sentinel.conf --sentinel")
    }

    fn within(directory: tempfile::TempDir, port: u16, arguments: &str) -> Engine {
        let arguments = format!(
            "--port {port} --bind 127.0.0.1 --databases {DATABASES} --save --appendonly no \
             --repl-diskless-sync-delay 0 {arguments}"
        );
        Engine::run(directory, port, &arguments)
    }

    fn run(directory: tempfile::TempDir, port: u16, arguments: &str) -> Engine {
        let program = ["valkey-server", "redis-server"]
            .into_iter()
            .find(|name| {
                let found = Command::new(name)
                    .arg("--version")
                    .stdout(Stdio::null())
                    .status();
                found.is_ok()
            })
            .unwrap_or_else(|| {
                panic!("expected valkey-server or redis-server on the PATH, or TIM_TEST_REDIS_URL")
            });
        let keeper = Command::new("sh")
            .args(["-c", "$0 $1 >/dev/null 2>&1 & cat; kill -9 $!", program])
            .arg(arguments)
            .current_dir(directory.path())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let engine = Engine {
            keeper,
            port,
            directory: Some(directory),
        };
        engine.wait_until_it_answers();
        engine
    }

    fn wait_until_it_answers(&self) {
        let until = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < until, "the engine did not start");
            thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills the engine, with everything it held. Returns what is needed to start it again.
    pub fn kill(mut self) -> u16 {
        self.end();
        self.port
    }

    fn end(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
        self.directory = None;
    }

    /// Sends a command and gives the reply's first line.
    pub fn command(&self, line: &str) -> String {
        use std::io::{BufRead, BufReader, Write};
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(format!("{line}\r\n").as_bytes()).unwrap();
        let mut reply = String::new();
        BufReader::new(stream).read_line(&mut reply).unwrap();
        reply.trim_end().to_owned()
    }
}

impl Engine {
    /// A section of what the engine says about itself.
    pub fn info(&self, section: &str) -> String {
        use std::io::{BufRead, BufReader, Read, Write};
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream
            .write_all(format!("INFO {section}\r\n").as_bytes())
            .unwrap();
        let mut reply = BufReader::new(stream);
        let mut head = String::new();
        reply.read_line(&mut head).unwrap();
        let length = head.trim_end().strip_prefix('$').unwrap().parse().unwrap();
        let mut text = vec![0; length];
        reply.read_exact(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    /// Pauses the engine until the guard is dropped: it is alive but accepts nothing.
    pub fn stopped(&self) -> Stopped {
        let info = self.info("server");
        let pid = info
            .lines()
            .find_map(|line| line.strip_prefix("process_id:"));
        let pid = pid.unwrap().trim().to_owned();
        signal("STOP", &pid);
        Stopped { pid }
    }
}

/// A paused engine.
pub struct Stopped {
    pid: String,
}

impl Drop for Stopped {
    fn drop(&mut self) {
        signal("CONT", &self.pid);
    }
}

fn signal(name: &str, pid: &str) {
    let mut kill = Command::new("kill");
    assert!(kill.args(["-s", name, pid]).status().unwrap().success());
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.end();
    }
}

/// A port that is free at the moment.
pub fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port()
}

/// The address of a database that nobody else in this test program uses.
pub fn database() -> String {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let database = NEXT.fetch_add(1, Ordering::Relaxed);
    assert!(database < DATABASES);
    let url = match std::env::var("TIM_TEST_REDIS_URL") {
        Ok(url) => url,
        Err(_) => ENGINE.get_or_init(Engine::start).url(),
    };
    format!("{url}/{database}")
}
