//! How long a kick takes: from the moment a login is sent to the moment the victim reads it.

use crate::client::{App, log_in};
use std::time::Instant;

/// Two devices of one user, each on its node, take the session from each other.
pub async fn run(address: &str, other: &str, count: usize, app: &App) -> Result<(), String> {
    let mut logins = [app.login("kicks", "phone")?, app.login("kicks", "tablet")?];
    let mut times_us = Vec::new();
    let (mut victim, _) = log_in(address, &logins[0]).await?;
    for turn in 1..=count {
        let at = turn % 2;
        let login = &mut logins[at];
        login["login_no"] = (turn + 1).into();
        login["seq"] = (turn + 1).into();
        let node = [address, other][at];
        let sent = Instant::now();
        let (login, kick) = tokio::join!(log_in(node, login), async {
            let event = victim.event().await;
            (event, sent.elapsed())
        });
        let (name, _) = kick.0?;
        if name != "kicked" {
            return Err(format!("expected a kick, got {name}"));
        }
        times_us.push(kick.1.as_secs_f64() * 1e6);
        victim = login?.0;
    }
    times_us.sort_by(f64::total_cmp);
    let part = |share: f64| times_us[((times_us.len() - 1) as f64 * share) as usize];
    println!(
        "p50_us={:.0} p99_us={:.0} count={count}",
        part(0.5),
        part(0.99)
    );
    Ok(())
}
