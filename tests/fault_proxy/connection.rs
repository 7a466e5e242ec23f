//! One connection through the fault proxy: both directions, and how it breaks.

use super::Shared;
use super::fault::{Fault, Place};
use socket2::SockRef;
use std::io::{Read, Result, Write, copy, sink};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How many bytes still arrive before an answer breaks off.
const PART: usize = 5;
/// The time between the bytes of a drip.
const DRIP: Duration = Duration::from_millis(75);

/// A connection that is whole, until it is broken.
pub(super) struct Pipe {
    client: TcpStream,
    server: TcpStream,
    fault: Mutex<Option<Fault>>,
}

impl Pipe {
    fn fault(&self) -> Option<Fault> {
        *self.fault.lock().unwrap()
    }

    /// Breaks it from now on. A fault that acts on bytes acts on the next ones.
    pub(super) fn breaks(&self, fault: Fault) -> Result<()> {
        *self.fault.lock().unwrap() = Some(fault);
        match fault {
            Fault::Drop => self.client.shutdown(Shutdown::Write),
            Fault::Reset => {
                SockRef::from(&self.client).set_linger(Some(Duration::ZERO))?;
                // Nothing of this is visible on the line, but both directions end, and the last one
                // closes the socket, which resets.
                self.client.shutdown(Shutdown::Read)?;
                self.server.shutdown(Shutdown::Both)
            }
            _ => match fault.says() {
                Some(text) => (&self.client).write_all(text.as_bytes()),
                None => Ok(()),
            },
        }
    }

    /// Ends it both ways.
    pub(super) fn cut(&self) {
        // Either may have ended already.
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }

    /// Forwards what the server sends, until either end closes.
    fn carry(self: Arc<Pipe>, shared: &Shared) -> Result<()> {
        let up = self.clone();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = (&up.client).read(&mut bytes) {
                if up.fault().is_none() && (&up.server).write_all(&bytes[..length]).is_err() {
                    break;
                }
            }
            let _ = up.server.shutdown(Shutdown::Write);
        });
        let mut bytes = [0; 4096];
        loop {
            // Reset or closed, it has ended.
            let length = (&self.server).read(&mut bytes).unwrap_or(0);
            match self.fault() {
                None if length == 0 => break,
                None => (&self.client).write_all(&bytes[..length])?,
                Some(_) if length == 0 => return Ok(()),
                Some(Fault::Drip) => drip(&bytes[..length], &self.client, shared)?,
                Some(Fault::Truncate) => {
                    (&self.client).write_all(&bytes[..PART.min(length)])?;
                    self.breaks(Fault::Drop)?;
                }
                Some(_) => {}
            }
        }
        let _ = self.client.shutdown(Shutdown::Both);
        Ok(())
    }
}

fn drip(bytes: &[u8], mut client: &TcpStream, shared: &Shared) -> Result<()> {
    for byte in bytes {
        client.write_all(&[*byte])?;
        shared.count(|state| state.dripped += 1);
        thread::sleep(DRIP);
    }
    Ok(())
}

/// Serves a connection that breaks like this, or not at all.
pub(super) fn serve(
    client: TcpStream,
    upstream: &str,
    broken: Option<(Place, Fault)>,
    shared: &Shared,
) -> Result<()> {
    let connect = || TcpStream::connect(upstream);
    let Some((place, fault)) = broken else {
        let pipe = Arc::new(Pipe {
            client,
            server: connect()?,
            fault: Mutex::new(None),
        });
        shared.arrive(Some(&pipe));
        return pipe.carry(shared);
    };
    let mut request = Vec::new();
    match place {
        Place::Connect | Place::Stream => {}
        Place::Tls => _ = client.peek(&mut [0])?,
        _ => request = read_request(&client)?,
    }
    if matches!(place, Place::Connect | Place::Request) {
        shared.arrive(None);
        return break_off(fault, client, None, shared);
    }
    if place == Place::Tls && !matches!(fault, Fault::Drip | Fault::Truncate) {
        shared.arrive(None);
        return break_off(fault, client, None, shared);
    }
    let server = connect()?;
    match place {
        Place::Tls => {
            let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
            thread::spawn(move || copy(&mut from, &mut to));
        }
        _ => {
            (&server).write_all(&request)?;
            // The server has acted once it answers.
            server.peek(&mut [0])?;
        }
    }
    match place {
        Place::Head => pass(&server, &client, |seen| seen.len() == PART)?,
        Place::Body => {
            pass(&server, &client, |seen| seen.ends_with(b"\r\n\r\n"))?;
            pass(&server, &client, |seen| seen.len() == PART)?;
        }
        _ => {}
    }
    shared.arrive(None);
    break_off(fault, client, Some(server), shared)
}

/// Forwards bytes until there have been this many.
fn pass(
    mut server: &TcpStream,
    mut client: &TcpStream,
    enough: impl Fn(&[u8]) -> bool,
) -> Result<()> {
    let mut seen = Vec::new();
    while !enough(&seen) {
        let mut byte = [0];
        server.read_exact(&mut byte)?;
        client.write_all(&byte)?;
        seen.push(byte[0]);
    }
    Ok(())
}

/// Breaks a connection on which the server would speak next.
fn break_off(
    fault: Fault,
    mut client: TcpStream,
    server: Option<TcpStream>,
    shared: &Shared,
) -> Result<()> {
    match (fault, &server) {
        (Fault::Reset, _) => {
            SockRef::from(&client).set_linger(Some(Duration::ZERO))?;
            return Ok(());
        }
        (Fault::Drop, _) => client.shutdown(Shutdown::Write)?,
        (Fault::Drip, Some(server)) => {
            let mut bytes = [0; 4096];
            while let length @ 1.. = (&*server).read(&mut bytes)? {
                drip(&bytes[..length], &client, shared)?;
            }
        }
        (Fault::Truncate, Some(server)) => {
            pass(server, &client, |seen| seen.len() == PART)?;
            client.shutdown(Shutdown::Write)?;
        }
        _ => {
            if let Some(text) = fault.says() {
                client.write_all(text.as_bytes())?;
            }
        }
    }
    // Closed with bytes unread, it would be reset.
    copy(&mut client, &mut sink())?;
    Ok(())
}

/// A request's head and body.
fn read_request(mut client: &TcpStream) -> Result<Vec<u8>> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&request).to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .and_then(|length| length.trim().parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    client.read_exact(&mut body)?;
    request.extend(body);
    Ok(request)
}
