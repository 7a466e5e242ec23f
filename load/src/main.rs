//! Load for `make bench-server`: logins, held streams, kicks and returns, from one process; the
//! script runs several. Each mode prints one line of `name=value` pairs.

#![forbid(unsafe_code)]

mod client;
mod hold;
mod kicks;
mod logins;

use client::App;
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "usage:
  tim-load logins ADDR SECONDS CLIENTS USERS PREFIX   new connections, each logs in and goes;
                                                      users take turns
  tim-load posts ADDR SECONDS CLIENTS                 the same bytes to a server that answers 200
  tim-load kept ADDR SECONDS CLIENTS                  logouts over kept connections
  tim-load hold ADDR COUNT PREFIX                     holds streams, resumes them, until stdin ends
  tim-load kicks ADDR OTHER_ADDR COUNT                two devices take a session from each other
TIM_APP_ID and TIM_KEY_FILE name the app.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tim-load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), String> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| {
        text.parse::<usize>()
            .map_err(|_| format!("{text}?\n{USAGE}"))
    };
    let time = |text: &str| Ok::<_, String>(Duration::from_secs(number(text)? as u64));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    match arguments[..] {
        ["logins", address, seconds, clients, users, prefix] => {
            let logins = App::from_environment()?.logins(prefix, number(users)?)?;
            runtime.block_on(logins::new_connections(
                address,
                time(seconds)?,
                number(clients)?,
                logins,
            ))
        }
        ["posts", address, seconds, clients] => {
            let logins = App::from_environment()?.logins("nobody", 1000)?;
            runtime.block_on(logins::new_connections(
                address,
                time(seconds)?,
                number(clients)?,
                logins,
            ))
        }
        ["kept", address, seconds, clients] => {
            let app = App::from_environment()?;
            runtime.block_on(logins::kept_connections(
                address,
                time(seconds)?,
                number(clients)?,
                &app,
            ))
        }
        ["hold", address, count, prefix] => {
            let app = App::from_environment()?;
            runtime.block_on(hold::run(address, number(count)?, prefix, &app))
        }
        ["kicks", address, other, count] => {
            let app = App::from_environment()?;
            runtime.block_on(kicks::run(address, other, number(count)?, &app))
        }
        _ => Err(USAGE.to_owned()),
    }
}
