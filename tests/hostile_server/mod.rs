//! A server that treats each request differently: it accepts, refuses, kicks, expires, floods,
//! drips, stalls, talks nonsense, closes, resets, and is sometimes absent.

use serde_json::Value;
use socket2::SockRef;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Its threads end with it, or with the clients they serve.
pub struct HostileServer {
    pub url: String,
    ended: Arc<AtomicBool>,
}

/// How long an idle stream lives, and how long slow behaviour takes.
const A_WHILE: Duration = Duration::from_millis(200);
const HEAD: &str = "HTTP/1.1 200 OK\r\nTim-Protocol: 1\r\nContent-Type: text/event-stream\r\n\r\n";

impl HostileServer {
    pub fn start(seed: u64) -> HostileServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ended = Arc::new(AtomicBool::new(false));
        let chance = Arc::new(Chance(AtomicU64::new(seed)));
        let is_over = ended.clone();
        thread::spawn(move || {
            let mut listener = Some(listener);
            while !is_over.load(Ordering::Relaxed) {
                let Some(live) = &listener else {
                    // Dead for a moment.
                    thread::sleep(Duration::from_millis(20));
                    listener = TcpListener::bind(address).ok();
                    continue;
                };
                let Ok((connection, _)) = live.accept() else {
                    continue;
                };
                let (chance, is_over) = (chance.clone(), is_over.clone());
                let dies = chance.below(400) == 0;
                thread::spawn(move || _ = serve(connection, &chance, &is_over));
                if dies {
                    listener = None;
                }
            }
        });
        let url = format!("http://{address}");
        HostileServer { url, ended }
    }
}

impl Drop for HostileServer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

struct Chance(AtomicU64);

impl Chance {
    /// Any number below `limit`.
    fn below(&self, limit: u64) -> u64 {
        let state = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let mut mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % limit
    }

    fn one_of<T: Copy>(&self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

fn serve(mut connection: TcpStream, chance: &Chance, ended: &AtomicBool) -> std::io::Result<()> {
    connection.set_nodelay(true)?;
    connection.set_read_timeout(Some(Duration::from_secs(60)))?;
    match chance.below(30) {
        // Before any request.
        0 => return Ok(()),
        1 => return reset(&connection),
        2 => return stall(connection),
        _ => {}
    }
    let (path, body) = request(&mut connection)?;
    let end = json_answer(200, &format!(r#"{{"code": 0, "seq": {}}}"#, body["seq"]));
    let refusal = |code: u64| {
        let (instance, seq) = (&body["instance"], &body["seq"]);
        json_answer(
            401,
            &format!(
                r#"{{"code": {code}, "message": "no", "instance": {instance}, "seq": {seq}}}"#
            ),
        )
    };
    match chance.below(24) {
        0 => return Ok(()),
        1 => return reset(&connection),
        2 => return stall(connection),
        3 => return drip(connection, &session(&body, chance)),
        4 => return connection.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"),
        5 => {
            let after = chance.one_of(&["0", "1", "soon", "99999999999999999999"]);
            let head = format!("HTTP/1.1 503 No\r\nTim-Protocol: 1\r\nRetry-After: {after}\r\n");
            let body = r#"{"code": 7724, "message": "", "instance": "", "seq": 0}"#;
            return write!(
                connection,
                "{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
        }
        6 => return connection.write_all(b"\x00\xff\xfe nonsense\r\n\r\n"),
        7 => return flood(connection, b"HTTP/1.1 100 Continue\r\n\r\n", ended),
        8 => {
            connection.write_all(HEAD.as_bytes())?;
            return flood(connection, b":x\n", ended);
        }
        9..12 => {
            let code =
                chance.one_of(&[70001, 70003, 70009, 70013, 6208, 70114, 70050, 60008, 1, 0]);
            return connection.write_all(refusal(code).as_bytes());
        }
        _ => {}
    }
    if path.ends_with("logout") {
        return connection.write_all(end.as_bytes());
    }
    connection.write_all(session(&body, chance).as_bytes())?;
    match chance.below(8) {
        0 => Ok(()),
        1 => reset(&connection),
        2 => flood(connection, b":x\n", ended),
        3 => flood(
            connection,
            b"event: spread\ndata: {\"spread_ms\": 1}\n\n",
            ended,
        ),
        4 => {
            thread::sleep(Duration::from_millis(chance.below(20)));
            connection.write_all(
                b"event: kicked\ndata: {\"cause\": \"other_device\", \"platform\": \"ipad\", \
                  \"device_name\": \"\", \"time_ms\": 1}\n\n",
            )
        }
        5 => {
            thread::sleep(Duration::from_millis(chance.below(20)));
            connection.write_all(
                b"event: user_sig_expired\ndata: {\"code\": 70001, \"message\": \"\"}\n\n",
            )
        }
        6 => connection.write_all(b"event: kicked\ndata: nonsense\n\n"),
        _ => stall(connection),
    }
}

/// The path and the body.
fn request(connection: &mut TcpStream) -> std::io::Result<(String, Value)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        connection.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.and_then(|length| length.parse().ok()).unwrap_or(0)];
    connection.read_exact(&mut body)?;
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    Ok((path, serde_json::from_slice(&body).unwrap_or_default()))
}

fn json_answer(status: u16, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} Status\r\nTim-Protocol: 1\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// An acceptance, with numbers of all sizes.
fn session(body: &Value, chance: &Chance) -> String {
    const NOW_MS: i64 = 1_700_000_000_000;
    let heartbeat = chance.one_of(&[0, 100, 25_000, u64::MAX]);
    let spread = chance.one_of(&[0, 5, u64::MAX]);
    let expires = chance.one_of(&[
        NOW_MS + 86_400_000,
        NOW_MS + 300,
        NOW_MS - 1,
        i64::MAX,
        i64::MIN,
    ]);
    let instance = body["instance"].as_str().unwrap_or_default();
    format!(
        "{HEAD}event: session\ndata: {{\"session\": \"token\", \"epoch\": {}, \"server_time_ms\": {NOW_MS}, \
         \"heartbeat_ms\": {heartbeat}, \"spread_ms\": {spread}, \"user_sig_expires_ms\": {expires}, \
         \"instance\": \"{instance}\", \"seq\": {}}}\n\n",
        chance.one_of(&[1, 2, u64::MAX]),
        body["seq"],
    )
}

/// Waits until the client is gone.
fn stall(mut connection: TcpStream) -> std::io::Result<()> {
    while connection.read(&mut [0; 512])? > 0 {}
    Ok(())
}

fn drip(mut connection: TcpStream, text: &str) -> std::io::Result<()> {
    for byte in text.bytes() {
        connection.write_all(&[byte])?;
        thread::sleep(Duration::from_micros(500));
    }
    stall(connection)
}

fn flood(mut connection: TcpStream, again: &[u8], ended: &AtomicBool) -> std::io::Result<()> {
    let bytes = again.repeat(20_000 / again.len());
    let until = std::time::Instant::now() + A_WHILE;
    while std::time::Instant::now() < until && !ended.load(Ordering::Relaxed) {
        connection.write_all(&bytes)?;
    }
    Ok(())
}

fn reset(connection: &TcpStream) -> std::io::Result<()> {
    SockRef::from(connection).set_linger(Some(Duration::ZERO))
}
