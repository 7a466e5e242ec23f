//! Notifies the service manager that started the process: ready, stopping, and alive now and then
//! (systemd's `Type=notify` and `WatchdogSec`). Without one, nothing happens.

use sd_notify::NotifyState;
use std::time::Duration;

/// The server is serving.
pub fn ready() {
    notify(NotifyState::Ready);
}

/// The server is draining and will exit.
pub fn stopping() {
    notify(NotifyState::Stopping);
}

/// Reports that the process is alive, twice as often as required, for the life of the process.
pub async fn watchdog() {
    let Some(within) = sd_notify::watchdog_enabled() else {
        return;
    };
    let mut every = tokio::time::interval((within / 2).max(Duration::from_millis(1)));
    loop {
        every.tick().await;
        notify(NotifyState::Watchdog);
    }
}

fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!("the service manager: {error}");
    }
}
