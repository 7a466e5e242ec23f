//! Logs alice in.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [_, url, app_id, ticket] = &std::env::args().collect::<Vec<_>>()[..] else {
        return Err("arguments: the server's URL, the app's id and alice's ticket".into());
    };
    let config = format!(r#"{{"server_url": "{url}", "sdk_app_id": {app_id}}}"#);
    let client = tim::Client::new(&config)?;
    client.on_event(|event| eprintln!("{event:?}"))?;
    client.login("alice", ticket).wait()?;
    println!("{}: logged in", client.login_user().unwrap_or_default());
    Ok(())
}
