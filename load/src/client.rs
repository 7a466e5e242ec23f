//! A minimal HTTP client: its own cost must not count as the server's.

use memchr::memmem;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use tim_proto::{user_sig, wire};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The app for which tickets are made.
pub struct App {
    id: u32,
    key: String,
}

impl App {
    /// Reads `TIM_APP_ID` and the file `TIM_KEY_FILE`.
    pub fn from_environment() -> Result<App, String> {
        let get = |name: &str| std::env::var(name).map_err(|_| format!("{name} is not set"));
        let file = get("TIM_KEY_FILE")?;
        let key = std::fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
        Ok(App {
            id: get("TIM_APP_ID")?
                .parse()
                .map_err(|_| "TIM_APP_ID: expected a number".to_owned())?,
            key: key.trim_end().to_owned(),
        })
    }

    /// A ticket for an hour.
    pub fn ticket(&self, user_id: &str) -> Result<String, String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now_s = now.map_or(0, |now| now.as_secs() as i64);
        user_sig::make(&self.key, self.id, user_id, now_s, 3600, None)
            .map_err(|error| error.to_string())
    }

    /// A login by a separate client.
    pub fn login(&self, user_id: &str, device_id: &str) -> Result<Value, String> {
        Ok(json!({
            "sdk_app_id": self.id, "user_id": user_id, "user_sig": self.ticket(user_id)?,
            "device_id": device_id, "platform": "android", "device_name": "load",
            "intent": "interactive", "instance": instance()?, "login_no": 1, "seq": 1,
        }))
    }

    /// Login requests of this many users.
    pub fn logins(&self, prefix: &str, users: usize) -> Result<Logins, String> {
        let bodies = (0..users)
            .map(|at| Ok(self.login(&format!("{prefix}{at}"), "phone")?.to_string()))
            .collect::<Result<_, String>>()?;
        Ok(Logins { bodies, next: 0 })
    }
}

/// Logins of users in turn; each returns as a client that logs in once more.
pub struct Logins {
    bodies: Vec<String>,
    next: usize,
}

impl Logins {
    pub fn next(&mut self) -> String {
        let (turn, at) = (self.next / self.bodies.len(), self.next % self.bodies.len());
        self.next += 1;
        let body = &self.bodies[at];
        ["login_no", "seq"].iter().fold(body.clone(), |body, name| {
            let first = format!("\"{name}\":1");
            body.replacen(&first, &format!("\"{name}\":{}", turn + 1), 1)
        })
    }
}

/// A random number of a client.
pub fn instance() -> Result<String, String> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| error.to_string())?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A connection from which answers are read.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub async fn open(address: &str) -> Result<Connection, String> {
        let stream = TcpStream::connect(address).await;
        let stream = stream.map_err(|error| format!("{address}: {error}"))?;
        let _ = stream.set_nodelay(true);
        // A reset leaves no port in TIME_WAIT.
        let _ = stream.set_zero_linger();
        Ok(Connection {
            stream,
            buffer: Vec::new(),
        })
    }

    pub async fn post(&mut self, path: &str, body: &str) -> Result<(), String> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: tim\r\nTim-Protocol: 1\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let sent = self.stream.write_all(request.as_bytes()).await;
        sent.map_err(|error| error.to_string())
    }

    /// Reads on.
    async fn more(&mut self) -> Result<(), String> {
        let read = self.stream.read_buf(&mut self.buffer).await;
        match read.map_err(|error| error.to_string())? {
            0 => Err("the server closed the connection".to_owned()),
            _ => Ok(()),
        }
    }

    /// The status of an answer, and the length of its body if stated.
    pub async fn head(&mut self) -> Result<(u16, Option<usize>), String> {
        loop {
            if let Some(end) = memmem::find(&self.buffer, b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&self.buffer[..end]).to_lowercase();
                self.buffer.drain(..end + 4);
                let status = head.get(9..12).and_then(|status| status.parse().ok());
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
                return Ok((status.ok_or("not an answer")?, length));
            }
            self.more().await?;
        }
    }

    /// Reads a body of this length.
    pub async fn body(&mut self, length: usize) -> Result<(), String> {
        while self.buffer.len() < length {
            self.more().await?;
        }
        self.buffer.drain(..length);
        Ok(())
    }

    /// Reads the first block of a stream, whatever it is.
    pub async fn block(&mut self) -> Result<(), String> {
        while memmem::find(&self.buffer, b"\n\n").is_none() {
            self.more().await?;
        }
        Ok(())
    }

    /// The next event of a stream: its name and data. Skips heartbeats.
    pub async fn event(&mut self) -> Result<(String, Value), String> {
        loop {
            if let Some(end) = memmem::find(&self.buffer, b"\n\n") {
                let block = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
                self.buffer.drain(..end + 2);
                let field = |name: &str| {
                    block
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .map(str::trim)
                };
                if let (Some(name), Some(data)) = (field("event:"), field("data:")) {
                    let data = serde_json::from_str(data).map_err(|error| error.to_string())?;
                    return Ok((name.to_owned(), data));
                }
                continue;
            }
            self.more().await?;
        }
    }

    /// Logs in or resumes; returns the session event.
    pub async fn session(&mut self, path: &str, body: &str) -> Result<Value, String> {
        self.post(path, body).await?;
        let (status, _) = self.head().await?;
        if status != 200 {
            return Err(format!("HTTP {status}"));
        }
        Ok(self.event().await?.1)
    }
}

/// Logs in over a new connection.
pub async fn log_in(address: &str, login: &Value) -> Result<(Connection, Value), String> {
    let mut connection = Connection::open(address).await?;
    let session = connection
        .session(wire::LOGIN_PATH, &login.to_string())
        .await?;
    Ok((connection, session))
}
