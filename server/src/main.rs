//! The program `tim-server`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    match tim_server::cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("tim-server: {message}");
            ExitCode::FAILURE
        }
    }
}
