//! What a client tells its app, kept in order, for tests that wait for it.

#![allow(dead_code, reason = "each test program uses its part")]

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tim::client::Client;
use tim::delivery::{Completion, Kind, Notice};
use tim::session::ConnectionStatus;

/// No test waits longer for what must come.
pub const LONG: Duration = Duration::from_secs(60);

/// Everything that a client tells, in order.
#[derive(Default)]
pub struct Told {
    notices: Mutex<Vec<Notice>>,
    more: Condvar,
}

impl Told {
    /// From now on.
    pub fn by(client: &Client) -> Arc<Told> {
        let told = Arc::new(Told::default());
        for kind in [
            Kind::Connection,
            Kind::KickedOffline,
            Kind::UserSigExpired,
            Kind::UserSigExpiring,
        ] {
            let told = told.clone();
            let keep = move |notice| {
                told.notices.lock().unwrap().push(notice);
                told.more.notify_all();
            };
            client.set_callback(kind, Some(Arc::new(keep))).unwrap();
        }
        told
    }

    /// A completion, and where its code comes, with how many notices were told before it.
    pub fn completion(self: &Arc<Told>) -> (Completion, Receiver<(i32, usize)>) {
        let (done, result) = channel();
        let told = self.clone();
        // Nobody may wait for it any more.
        let completion = move |code| _ = done.send((code, told.len()));
        (Box::new(completion), result)
    }

    /// Waits for a notice from the place `from` on, and gives the place behind it.
    pub fn wait(&self, from: usize, wanted: impl Fn(&Notice) -> bool) -> usize {
        self.wait_for(LONG, from, wanted)
            .unwrap_or_else(|all| panic!("waited in vain after {from}: {all:?}"))
    }

    /// The same within a limit; in vain, it gives all that was told.
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

    /// What told that nobody is logged in any more.
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

    /// No kick and no expiry was told.
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
