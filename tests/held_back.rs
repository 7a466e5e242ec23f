//! A middlebox that holds data back until more arrives: a session's events arrive all the same.

#![allow(clippy::unwrap_used, reason = "tests")]

mod recorder;
mod tim_server;

use recorder::{LONG, Recorder, is_kick};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use tim::error::OK;
use tim_server::{APP, TimServer, begin_login, begin_renewal, client_of, log_in, user_sig};

/// A proxy that passes each chunk of an answer on only when the next one has arrived.
fn holding_back(server: &TimServer) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = server.address().to_owned();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(&server).unwrap();
            let (mut asks, mut request) =
                (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut asks, &mut request));
            // The client may be gone.
            thread::spawn(move || _ = pass_on(server, client));
        }
    });
    url
}

fn pass_on(server: TcpStream, mut client: TcpStream) -> std::io::Result<()> {
    let mut server = BufReader::new(server);
    let (mut head, mut is_chunked) = (Vec::new(), false);
    loop {
        let mut line = Vec::new();
        server.read_until(b'\n', &mut line)?;
        let text = String::from_utf8_lossy(&line).to_lowercase();
        is_chunked |= text.starts_with("transfer-encoding:") && text.contains("chunked");
        head.extend(&line);
        if line.len() <= 2 {
            break;
        }
    }
    client.write_all(&head)?;
    if !is_chunked {
        std::io::copy(&mut server, &mut client)?;
        return Ok(());
    }
    let mut held = Vec::new();
    loop {
        let mut chunk = Vec::new();
        server.read_until(b'\n', &mut chunk)?;
        let text = String::from_utf8_lossy(&chunk).trim().to_owned();
        let Ok(length) = usize::from_str_radix(&text, 16) else {
            return Ok(());
        };
        let head = chunk.len();
        chunk.resize(head + length + 2, 0);
        server.read_exact(&mut chunk[head..])?;
        client.write_all(&held)?;
        held = chunk;
        if length == 0 {
            return client.write_all(&held);
        }
    }
}

#[test]
fn logins_renewals_and_kicks_arrive_through_a_middlebox_that_holds_each_chunk_back() {
    // No heartbeat comes to push anything.
    let server = TimServer::start();
    let client = client_of(&holding_back(&server), APP, "");
    let recorder = Recorder::by(&client);
    let logged_in = begin_login(&client, "alice");
    assert_eq!(
        logged_in.recv_timeout(LONG),
        Ok(OK),
        "{}",
        client.last_error_json()
    );
    recorder.connected(0);
    let renewed = begin_renewal(&client, &user_sig("alice"));
    assert_eq!(renewed.recv_timeout(LONG), Ok(OK));
    let other = client_of(&server.url, APP, "");
    assert_eq!(log_in(&other, "alice", &user_sig("alice")), OK);
    recorder.wait(0, is_kick);
}
