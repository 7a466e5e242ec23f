//! The programs of `examples/c/loops/`: one client in an event loop each, against a real server.

#![allow(clippy::unwrap_used, reason = "tests")]

mod c_program;
mod programs;
mod tim_server;

use c_program::How;
use programs::output_of;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;
use tim::error::{ERR_KICKED_OFFLINE, ERR_USER_SIG_EXPIRED, OK, message};
use tim_server::{APP, TimServer, client_of, laid_out, log_in, root, user_sig, user_sig_for};

/// How long a line may take to come.
const LONG: Duration = Duration::from_secs(60);

/// Every example, with the library of its loop.
const LOOPS: [(&str, Option<&str>); 3] = [
    ("epoll", None),
    ("libuv", Some("libuv")),
    ("game_loop", None),
];

/// Compiles an example into this folder without a warning.
fn compile((name, library): (&str, Option<&str>), into: &Path) -> PathBuf {
    let build = laid_out();
    let output = into.join(name);
    let mut cc = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
    cc.args(["-std=c11", "-D_POSIX_C_SOURCE=200809L", "-g"])
        .args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"])
        .arg(build.join("include"))
        .arg(root().join(format!("examples/c/loops/{name}.c")))
        .arg("-L")
        .arg(build.join("lib"))
        .arg("-ltim")
        .arg(format!("-Wl,-rpath,{}", build.join("lib").display()));
    if let Some(library) = library {
        let flags = output_of(Command::new("pkg-config").args(["--cflags", "--libs", library]));
        cc.args(flags.split_whitespace());
    }
    output_of(cc.arg("-o").arg(&output));
    output
}

/// An example that runs; its stdin is open.
struct Example {
    process: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Example {
    fn start(program: &Path, how: How, server: &TimServer, ticket: &str) -> Example {
        let mut process = c_program::command(program, how)
            .args([&server.url, &APP.to_string(), ticket])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines() {
                // The test may have failed already.
                let _ = sender.send(line.unwrap());
            }
        });
        let stdin = process.stdin.take();
        Example {
            process,
            stdin,
            lines,
        }
    }

    /// Waits for a line.
    fn prints(&self, wanted: &str) {
        loop {
            match self.lines.recv_timeout(LONG) {
                Ok(line) if line == wanted => return,
                Ok(_) => {}
                Err(error) => panic!("{wanted:?} was not printed: {error}"),
            }
        }
    }

    /// Waits until the program has ended well.
    fn ends(mut self) {
        loop {
            match self.lines.recv_timeout(LONG) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it goes on"),
            }
        }
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.process.kill();
    }
}

fn printed(what: &str, code: i32) -> String {
    format!("{what}: {} ({code})", message(code).to_str().unwrap())
}

/// Starts every example with this ticket of alice and does the same with each.
fn with_each(how: How, ticket: &str, act: impl Fn(&TimServer, Example)) {
    let directory = tempfile::tempdir().unwrap();
    let server = TimServer::start();
    for example in LOOPS {
        println!("{}", example.0);
        let program = compile(example, directory.path());
        act(&server, Example::start(&program, how, &server, ticket));
    }
}

#[test]
fn every_program_of_the_folder_is_run() {
    let folder = std::fs::read_dir(root().join("examples/c/loops")).unwrap();
    let mut files: Vec<_> = folder
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort_unstable();
    let mut run = LOOPS.map(|(name, _)| format!("{name}.c")).to_vec();
    run.push("alice.h".to_owned()); // what they include
    run.sort_unstable();
    assert_eq!(files, run);
}

#[test]
fn q_logs_out_and_ends_the_program_which_leaks_nothing() {
    with_each(How::Memcheck, &user_sig("alice"), |_, mut example| {
        example.prints(&printed("alice", OK));
        example.prints("connection: connected");
        example.stdin.as_mut().unwrap().write_all(b"q\n").unwrap();
        example.prints(&printed("logout", OK));
        example.ends();
    });
}

#[test]
fn the_end_of_its_input_logs_out_and_ends_the_program() {
    with_each(How::Shared, &user_sig("alice"), |_, mut example| {
        example.prints("connection: connected");
        drop(example.stdin.take());
        example.prints(&printed("logout", OK));
        example.ends();
    });
}

#[test]
fn a_kick_ends_the_program() {
    with_each(How::Shared, &user_sig("alice"), |server, example| {
        example.prints("connection: connected");
        let other = client_of(&server.url, APP, "");
        assert_eq!(log_in(&other, "alice", &user_sig("alice")), OK);
        example.prints(&printed("signed out", ERR_KICKED_OFFLINE));
        example.ends();
    });
}

#[test]
fn a_refused_ticket_ends_the_program() {
    with_each(How::Shared, &user_sig_for("alice", -1), |_, example| {
        example.prints(&printed("alice", ERR_USER_SIG_EXPIRED));
        example.ends();
    });
}
