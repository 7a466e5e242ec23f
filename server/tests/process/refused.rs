//! Servers that must refuse to start.

use super::program;
use std::path::Path;
use std::process::Command;

/// A server with these settings and arguments on the folder's `data`.
pub fn server_of(folder: &Path, settings: &str, arguments: &[&str]) -> Command {
    let file = folder.join("settings.toml");
    std::fs::write(&file, settings).unwrap();
    let mut server = program();
    server
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(folder.join("data"))
        .arg("--config")
        .arg(&file)
        .args(arguments);
    server
}

/// The message of a server that refuses to start.
pub fn refused(settings: &str, arguments: &[&str]) -> String {
    refused_on(tempfile::tempdir().unwrap().path(), settings, arguments)
}

/// The same on the folder's `data`.
pub fn refused_on(folder: &Path, settings: &str, arguments: &[&str]) -> String {
    let output = server_of(folder, settings, arguments).output().unwrap();
    assert!(!output.status.success() && output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}
