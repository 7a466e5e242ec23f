//! Ten thousand connections that are opened and abandoned: honest clients get in beside them,
//! memory is bounded, and the limit on connections holds.

use crate::malformed::PATIENT;
use crate::process::Answer;
use crate::process::metrics::becomes;
use crate::process::resources::all_files;
use crate::talk::connect;
use crate::victim::Victim;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

/// This many, if the system allows a process that many files.
const MANY: u64 = 10_000;
/// For everything else a process has open.
const OTHER_FILES: u64 = 1_000;
/// Beside the half-open ones.
const HONEST: u64 = 20;
/// What a connection uses that has sent nothing, or part of a head: the HTTP library's buffers of 8
/// KiB, one of them only once a head has begun, and its state.
const IDLE_BYTES: u64 = 16 * 1024;

/// How many half-open connections are possible here.
fn count() -> u64 {
    let files = all_files();
    let count = MANY.min(files.saturating_sub(OTHER_FILES));
    if count < MANY {
        println!("only {count} half-open connections: a process may have {files} files here");
    }
    count
}

#[test]
fn ten_thousand_connections_left_silent_or_in_half_a_head_keep_nobody_out() {
    let count = count();
    let limit = count + HONEST;
    let metrics = "metrics_listen = \"127.0.0.1:0\"\n";
    let victim = Victim::with(&format!("{PATIENT}{metrics}limits.connections = {limit}"));
    becomes(&victim, "tim_connections", 0.0);
    let half_open: Vec<TcpStream> = (0..count)
        .map(|at| {
            let mut stream = connect(&victim.address);
            if at % 2 == 0 {
                let half = b"POST /v1/login HTTP/1.1\r\nHost: tim\r\nContent-Le";
                stream.write_all(half).unwrap();
            }
            stream
        })
        .collect();
    let mut honest: Vec<_> = (0..HONEST)
        .map(|_| victim.lets_honest_clients_in())
        .collect();
    becomes(&victim, "tim_connections", (count + HONEST) as f64);
    victim.has_taken_up_at_most(limit * IDLE_BYTES);
    // Now every slot is taken.
    for _ in 0..10 {
        let turned_away = Answer::read(connect(&victim.address));
        assert_eq!(turned_away.status, 503);
        assert_eq!(turned_away.header("retry-after"), Some("5"));
    }
    drop(honest.pop());
    becomes(&victim, "tim_connections", (limit - 1) as f64);
    honest.push(victim.lets_honest_clients_in());
    // Nobody was cut off to make room.
    for mut stream in half_open {
        stream.set_nonblocking(true).unwrap();
        let open = stream.read(&mut [0; 1]).unwrap_err();
        assert_eq!(open.kind(), ErrorKind::WouldBlock);
    }
    becomes(&victim, "tim_connections", HONEST as f64);
    victim.lets_honest_clients_in();
    victim.has_taken_up_at_most(limit * IDLE_BYTES);
}
