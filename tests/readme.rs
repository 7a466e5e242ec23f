//! The README's examples run as printed and do what the README says.

#![allow(clippy::unwrap_used, reason = "tests")]

mod programs;
mod tim_server;

use programs::output_of;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use tim_server::{APP, TimServer, laid_out, root, user_sig};

/// The first block of that language.
fn block<'a>(text: &'a str, language: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

#[test]
fn the_example_is_ten_lines_compiles_as_printed_and_logs_in() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let source = block(&readme, "c");
    assert!(
        source.lines().count() <= 11,
        "two includes and about ten lines"
    );
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("alice.c"), source).unwrap();

    let command = readme
        .lines()
        .find(|line| line.starts_with("cc alice.c"))
        .unwrap()
        .replace("build/", &format!("{}/", laid_out().display()))
        .replace("$PWD/", "");
    let compiled = Command::new("sh")
        .args(["-c", &command])
        .current_dir(&directory)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&compiled.stderr);
    assert!(
        compiled.status.success() && errors.is_empty(),
        "{command}\n{errors}"
    );

    let server = TimServer::start();
    // Line by line, as on a terminal.
    let mut program = Command::new("stdbuf")
        .args(["-oL", "./alice"])
        .arg(format!(
            "{{\"server_url\": \"{}\", \"sdk_app_id\": {APP}}}",
            server.url
        ))
        .arg(user_sig("alice"))
        .current_dir(&directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(program.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "alice: success (0)\n");
    assert!(readme.contains(&format!("prints `{}`", line.trim_end())));
    program.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert!(program.wait().unwrap().success());
}

/// Runs an example of another language with a configuration and alice's ticket.
fn run(interpreter: &str, language: &str) -> String {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let source = block(&readme, language);
    assert!(source.lines().count() <= 11, "{language}: about ten lines");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("alice");
    let source = source.replace("build/", &format!("{}/", laid_out().display()));
    std::fs::write(&file, source).unwrap();
    let server = TimServer::start();
    output_of(
        Command::new(interpreter)
            .arg(file)
            .arg(format!(
                "{{\"server_url\": \"{}\", \"sdk_app_id\": {APP}}}",
                server.url
            ))
            .arg(user_sig("alice")),
    )
}

#[test]
fn the_example_in_python_logs_in() {
    assert_eq!(run("python3", "python"), "alice: 0 (success)\n");
}

#[test]
fn the_example_in_luajit_logs_in() {
    assert_eq!(run("luajit", "lua"), "alice: logged in\n");
}
