//! Records what a client delivers, in order, for tests that wait for it.

#![allow(dead_code, reason = "each test program uses its part")]

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tim::client::Client;
use tim::delivery::{Completion, Kind, Notice};
use tim::session::ConnectionStatus;

/// The longest that a test waits for something that must come.
pub const LONG: Duration = Duration::from_secs(60);

/// Everything that a client delivers, in order.
#[derive(Default)]
pub struct Recorder {
    notices: Mutex<Vec<Notice>>,
    more: Condvar,
}

impl Recorder {
    /// Records from now on.
    pub fn by(client: &Client) -> Arc<Recorder> {
        let recorder = Arc::new(Recorder::default());
        for kind in [
            Kind::Connection,
            Kind::KickedOffline,
            Kind::UserSigExpired,
            Kind::UserSigExpiring,
        ] {
            let recorder = recorder.clone();
            let keep = move |notice| {
                recorder.notices.lock().unwrap().push(notice);
                recorder.more.notify_all();
            };
            client.set_callback(kind, Some(Arc::new(keep))).unwrap();
        }
        recorder
    }

    /// A completion, and the receiver of its code and of how many notices came before it.
    pub fn completion(self: &Arc<Recorder>) -> (Completion, Receiver<(i32, usize)>) {
        let (done, result) = channel();
        let recorder = self.clone();
        // The test may have stopped waiting.
        let completion = move |code| _ = done.send((code, recorder.len()));
        (Box::new(completion), result)
    }

    /// Waits for a notice at or after the position `from`, and returns the position after it.
    pub fn wait(&self, from: usize, wanted: impl Fn(&Notice) -> bool) -> usize {
        self.wait_for(LONG, from, wanted)
            .unwrap_or_else(|all| panic!("waited in vain after {from}: {all:?}"))
    }

    /// The same within a limit; on failure, returns everything recorded.
    pub fn wait_for(
        &self,
        limit: Duration,
        from: usize,
        wanted: impl Fn(&Notice) -> bool,
    ) -> Result<usize, Vec<Notice>> {
        let found = |notices: &Vec<Notice>| notices.iter().skip(from).position(&wanted);
        let notices = self.notices.lock().unwrap();
        let (notices, _) = self
            .more
            .wait_timeout_while(notices, limit, |notices| found(notices).is_none())
            .unwrap();
        let place = found(&notices).map(|place| from + place + 1);
        place.ok_or_else(|| notices.clone())
    }

    pub fn len(&self) -> usize {
        self.notices.lock().unwrap().len()
    }

    pub fn since(&self, from: usize) -> Vec<Notice> {
        self.notices.lock().unwrap()[from..].to_vec()
    }

    pub fn connected(&self, from: usize) -> usize {
        self.wait(from, is_connected)
    }

    /// The notices that say that nobody is logged in any longer.
    pub fn sign_outs(&self) -> Vec<Notice> {
        let signs_out = |notice: &Notice| {
            matches!(
                notice,
                Notice::KickedOffline { .. } | Notice::UserSigExpired { .. }
            )
        };
        let mut all = self.since(0);
        all.retain(signs_out);
        all
    }

    /// There was no kick and no expiry.
    pub fn nobody_was_signed_out(&self) {
        assert_eq!(self.sign_outs(), []);
    }
}

pub fn is_connected(notice: &Notice) -> bool {
    is_connection(notice, ConnectionStatus::Connected, 0)
}

/// A connection event with this status and code.
pub fn is_connection(notice: &Notice, wanted: ConnectionStatus, wanted_code: i32) -> bool {
    matches!(notice, Notice::Connection { status, code, .. } if *status == wanted && *code == wanted_code)
}

/// The first login was kicked.
pub fn is_kick(notice: &Notice) -> bool {
    matches!(
        notice,
        Notice::KickedOffline {
            code: 6208,
            login_id: 1
        }
    )
}
