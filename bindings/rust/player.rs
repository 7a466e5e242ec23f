//! Plays bindings/scenario with the Rust API.

use std::collections::HashMap;
use std::error::Error;
use std::io::Write;
use tim::{Call, Client, ConnectionStatus, Event, Hint, LoginStatus};

/// Says one line at once.
fn say(fields: &[&str]) {
    let mut output = std::io::stdout().lock();
    let _ = writeln!(output, "{}", fields.join("\t"));
    let _ = output.flush();
}

fn login_status(status: Option<LoginStatus>) -> &'static str {
    match status {
        Some(LoginStatus::LoggedIn) => "logged_in",
        Some(LoginStatus::LoggingIn) => "logging_in",
        Some(LoginStatus::LoggedOut) => "logged_out",
        None => "closed",
    }
}

fn connection_status(status: Option<ConnectionStatus>) -> &'static str {
    match status {
        Some(ConnectionStatus::Connected) => "connected",
        Some(ConnectionStatus::Disconnected) => "disconnected",
        Some(ConnectionStatus::Connecting) => "connecting",
        Some(ConnectionStatus::ConnectFailed) => "connect_failed",
        None => "closed",
    }
}

fn report(name: &str, event: Event) {
    match event {
        Event::Connection { status, code, .. } => {
            let status = connection_status(Some(status));
            say(&["event", name, "connection", status, &code.to_string()]);
        }
        Event::KickedOffline { code, by, .. } => {
            let by = by.map(|by| by.device_name).unwrap_or_default();
            say(&["event", name, "kicked_offline", &code.to_string(), &by]);
        }
        Event::UserSigExpiring { seconds_left, .. } => {
            say(&[
                "event",
                name,
                "user_sig_expiring",
                &seconds_left.to_string(),
            ]);
        }
        Event::UserSigExpired { code, .. } => {
            say(&["event", name, "user_sig_expired", &code.to_string()]);
        }
        _ => {}
    }
}

fn done(name: &str, call: &str, result: Result<(), tim::Error>) {
    let code = result.map_or_else(|error| error.code(), |()| 0);
    say(&["done", name, call, &code.to_string()]);
}

/// Waits for the call beside the requests that follow.
fn finish(name: &str, request: &str, call: Call) {
    let (name, request) = (name.to_owned(), request.to_owned());
    std::thread::spawn(move || done(&name, &request, call.wait()));
}

fn created(name: &str, config: &str) -> Result<Client, tim::Error> {
    let client = Client::new(config)?;
    let owner = name.to_owned();
    client.on_event(move |event| report(&owner, event))?;
    Ok(client)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut clients = HashMap::new();
    for line in std::io::stdin().lines() {
        let line = line?;
        let fields: Vec<&str> = line.split('\t').collect();
        let (request, name) = (fields[0], *fields.get(1).unwrap_or(&""));
        if request == "exit" {
            std::process::exit(0);
        }
        if request == "new" {
            let client = created(name, fields[2]);
            done(
                name,
                request,
                client.map(|client| _ = clients.insert(name.to_owned(), client)),
            );
            continue;
        }
        if request == "close" {
            drop(clients.remove(name));
            done(name, request, Ok(()));
            continue;
        }
        let client = &clients[name];
        match (request, &fields[2..]) {
            ("login", [user_id, user_sig]) => {
                finish(name, request, client.login(user_id, user_sig))
            }
            ("logout", []) => finish(name, request, client.logout()),
            ("renew_user_sig", [user_sig]) => {
                finish(name, request, client.renew_user_sig(user_sig))
            }
            ("notify", ["foreground"]) => done(name, request, client.notify(Hint::Foreground)),
            ("login_status", []) => say(&[request, name, login_status(client.login_status())]),
            ("connection_status", []) => {
                say(&[request, name, connection_status(client.connection_status())]);
            }
            ("login_user", []) => say(&[request, name, &client.login_user().unwrap_or_default()]),
            _ => return Err(format!("no such request: {request}").into()),
        }
    }
    Ok(())
}
