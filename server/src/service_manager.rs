//! What the service manager that started the process is told: that it serves, that it ends, and now and
//! then that it lives (systemd's `Type=notify` and `WatchdogSec`). Without one nothing happens.

use sd_notify::NotifyState;
use std::time::Duration;

/// The server serves.
pub fn ready() {
    notify(NotifyState::Ready);
}

/// It is draining, and will end.
pub fn stopping() {
    notify(NotifyState::Stopping);
}

/// Says that the process lives, twice as often as it is asked for, for as long as it does.
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
