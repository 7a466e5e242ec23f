//! How sessions end, and what keeps them from coming back: floors.
//!
//! A floor is the highest ended epoch of a device. It is kept until the last token it stands for
//! has expired and can no longer be renewed.

use super::{Push, Pushed, Session, User, is_default};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use tim_proto::wire::{Kick, RequestNumber};

/// How many devices of a user have a floor of their own. Further ones share one.
const FLOORS_MAX: usize = 32;

/// The floors of a user's devices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Floors {
    /// Records that differ elsewhere share them.
    #[serde(skip_serializing_if = "is_default")]
    of_device: Arc<BTreeMap<Arc<str>, Floor>>,
    #[serde(skip_serializing_if = "is_default")]
    of_all: OfAll,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) all_ended: Option<AllEnded>,
}

/// The operator ended every session of the user, including unknown ones. Kept for good, because the
/// expiry of the last token is unknown.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct AllEnded {
    pub(super) epoch: u64,
    pub(super) code: i32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Floor {
    /// No session of the device with this epoch or an older one is alive.
    epoch: u64,
    /// When the last token that this stands for expires, in ms of Unix time. The floor is kept as
    /// long as that token can be renewed.
    until_ms: i64,
    /// Who took over the newest of them.
    #[serde(skip_serializing_if = "is_default")]
    kick: Option<Kick>,
    /// Whose login that was: its instance and number. A retry of it does not take it back.
    #[serde(skip_serializing_if = "is_default")]
    displaced: Option<(Arc<str>, u64)>,
    /// The device was away when that happened and does not know yet.
    #[serde(skip_serializing_if = "is_default")]
    notice: Option<Notice>,
}

/// Kicked while away: the device's next login is refused once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Notice {
    /// The login that was refused: its instance and number. Retries of it are refused, too.
    refused: Option<(Arc<str>, u64)>,
}

/// One floor for devices beyond the limit: epochs are unique within a user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
struct OfAll {
    epoch: u64,
    until_ms: i64,
    /// Sessions that stayed alive when the floor was raised.
    except: Vec<u64>,
}

impl Floors {
    pub(super) fn highest(&self) -> u64 {
        let of_devices = self.of_device.values().map(|floor| floor.epoch).max();
        let all_ended = self.all_ended.as_ref().map_or(0, |ended| ended.epoch);
        of_devices
            .unwrap_or(0)
            .max(self.of_all.epoch)
            .max(all_ended)
    }

    /// All sessions up to this epoch have ended, with this code.
    pub(super) fn end_all(&mut self, epoch: u64, code: i32) {
        self.all_ended = Some(AllEnded { epoch, code });
    }

    pub(super) fn differ_in_all_ended(&self, other: &Floors) -> bool {
        self.all_ended != other.all_ended
    }

    pub(super) fn all_have_ended(&self) -> bool {
        self.all_ended.is_some()
    }

    /// The code with which a session of this epoch ended, if all ended with it.
    pub(super) fn all_ended_with(&self, epoch: u64) -> Option<i32> {
        let ended = self.all_ended.as_ref();
        ended
            .filter(|ended| epoch <= ended.epoch)
            .map(|ended| ended.code)
    }

    /// Whether a session of this device and epoch has ended.
    pub(super) fn is_dead(&self, device_id: &str, epoch: u64) -> bool {
        let floor = self.of_device.get(device_id);
        floor.is_some_and(|floor| epoch <= floor.epoch)
            || (epoch <= self.of_all.epoch && !self.of_all.except.contains(&epoch))
            || self.all_ended_with(epoch).is_some()
    }

    /// Who took over the device's newest session.
    pub(super) fn kick(&self, device_id: &str) -> Option<Kick> {
        self.of_device.get(device_id)?.kick.clone()
    }

    /// Whether this is a retry of the login whose session was taken over, or of one before it.
    pub(super) fn displaced_login(&self, device_id: &str, number: &RequestNumber) -> bool {
        let floor = self.of_device.get(device_id);
        let displaced = floor.and_then(|floor| floor.displaced.as_ref());
        displaced.is_some_and(|(instance, login_no)| {
            **instance == *number.instance && number.login_no <= *login_no
        })
    }

    /// The device now knows that it was kicked.
    pub(super) fn notice_delivered(&mut self, device_id: &str) {
        if self.has_notice(device_id)
            && let Some(floor) = Arc::make_mut(&mut self.of_device).get_mut(device_id)
        {
            floor.notice = None;
        }
    }

    /// Whether this login is refused because its device was kicked while away. Only a later login
    /// by the app than the refused one uses the notice up.
    pub(super) fn refuses(&mut self, device_id: &str, instance: &str, login_no: u64) -> bool {
        if !self.has_notice(device_id) {
            return false;
        }
        let Some(floor) = Arc::make_mut(&mut self.of_device).get_mut(device_id) else {
            return false;
        };
        let Some(notice) = &mut floor.notice else {
            return false;
        };
        match &notice.refused {
            None => notice.refused = Some((instance.into(), login_no)),
            Some((refused, no)) if **refused == *instance && login_no <= *no => {}
            Some(_) => {
                floor.notice = None;
                return false;
            }
        }
        true
    }

    fn has_notice(&self, device_id: &str) -> bool {
        let floor = self.of_device.get(device_id);
        floor.is_some_and(|floor| floor.notice.is_some())
    }

    fn raise(&mut self, device_id: Arc<str>, ended: Ended, living: impl Iterator<Item = u64>) {
        let floors = Arc::make_mut(&mut self.of_device);
        let floor = floors.entry(device_id).or_default();
        if ended.epoch < floor.epoch {
            return;
        }
        // Raised again to the same epoch, it still knows who took whose session over.
        let same = ended.epoch == floor.epoch;
        let kick = ended.kick.or(floor.kick.take().filter(|_| same));
        *floor = Floor {
            epoch: ended.epoch,
            until_ms: floor.until_ms.max(ended.until_ms),
            kick,
            displaced: floor.displaced.take().filter(|_| same),
            notice: ended.reported_at_login.then(Notice::default),
        };
        if floors.len() > FLOORS_MAX {
            self.merge_lowest(living);
        }
    }

    /// Remembers whose login was taken over.
    fn remember(&mut self, session: &Session) {
        let floor = Arc::make_mut(&mut self.of_device).get_mut(&session.device_id);
        if let Some(floor) = floor.filter(|floor| floor.epoch == session.epoch) {
            floor.displaced = Some((session.instance.clone(), session.login_no));
        }
    }

    fn merge_lowest(&mut self, living: impl Iterator<Item = u64>) {
        let lowest = self.of_device.iter().min_by_key(|(_, floor)| floor.epoch);
        let Some(lowest) = lowest.map(|(device_id, _)| device_id.clone()) else {
            return;
        };
        let Some(floor) = Arc::make_mut(&mut self.of_device).remove(&lowest) else {
            return;
        };
        let all = &mut self.of_all;
        all.epoch = all.epoch.max(floor.epoch);
        all.until_ms = all.until_ms.max(floor.until_ms);
        let epoch = all.epoch;
        all.except = living.filter(|living| *living <= epoch).collect();
    }

    pub(super) fn forget(&mut self, now_ms: i64) {
        if self
            .of_device
            .values()
            .any(|floor| floor.until_ms <= now_ms)
        {
            Arc::make_mut(&mut self.of_device).retain(|_, floor| floor.until_ms > now_ms);
        }
        if self.of_all.until_ms <= now_ms {
            self.of_all = OfAll::default();
        }
    }
}

/// A session, or a device's past ones, as far as they could come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) epoch: u64,
    pub(super) until_ms: i64,
    pub(super) kick: Option<Kick>,
    pub(super) reported_at_login: bool,
}

impl User {
    /// Ends a session for good. With `kick`, the reader of its stream is told; if there is none,
    /// `notice` makes the device learn of it at its next login.
    pub(super) fn end(
        &mut self,
        session_id: u64,
        kick: Option<Kick>,
        notice: bool,
        pushes: &mut Vec<Push>,
    ) {
        let known = |s: &Session| s.session_id == session_id;
        let Some(at) = self.sessions.iter().position(known) else {
            return;
        };
        let session = self.sessions.remove(at);
        let ended = Ended {
            epoch: session.epoch,
            until_ms: session.latest_end_ms.max(session.ends_ms),
            kick: kick.clone(),
            reported_at_login: notice && session.stream.is_none(),
        };
        self.raise_floor(session.device_id.clone(), ended);
        if kick.is_some() {
            self.floors.remember(&session);
        }
        if let Some(to) = session.stream {
            let what = kick.map_or(Pushed::Closed, Pushed::Kicked);
            pushes.push(Push { to, what });
        }
    }

    /// No session of the device up to this one can come back.
    pub(super) fn raise_floor(&mut self, device_id: Arc<str>, ended: Ended) {
        let living = self.sessions.iter().map(|session| session.epoch);
        self.floors.raise(device_id, ended, living);
    }

    /// Logs a session out by its token's content, even if it is unknown here, for instance after a
    /// restart.
    pub fn log_out(
        &mut self,
        session_id: u64,
        device_id: &str,
        epoch: u64,
        ends_ms: i64,
        pushes: &mut Vec<Push>,
    ) {
        self.end(session_id, None, false, pushes);
        let ended = Ended {
            epoch,
            until_ms: ends_ms,
            kick: None,
            reported_at_login: false,
        };
        self.raise_floor(device_id.into(), ended);
    }

    /// Ends the session of a device with no known session: none so far can come back.
    pub(super) fn end_unknown(&mut self, device_id: &str, kick: &Kick, now_ms: i64) {
        // An unknown epoch is not above the clock, unless the clock was set back.
        let clock = u64::try_from(now_ms).unwrap_or(0);
        self.highest_epoch = self.highest_epoch.max(clock);
        let ended = Ended {
            epoch: self.highest_epoch,
            // The expiry of its token is unknown as well.
            until_ms: i64::MAX,
            kick: Some(kick.clone()),
            reported_at_login: false,
        };
        self.raise_floor(device_id.into(), ended);
    }

    /// Ends the session with this stream if its ticket has expired, and returns whether it did: a
    /// renewal may have come first.
    pub fn expire(&mut self, stream: super::StreamRef, now_ms: i64) -> bool {
        let before = self.sessions.len();
        // Its token has expired, too: nothing could come back.
        self.sessions
            .retain(|session| session.stream != Some(stream) || session.ends_ms >= now_ms);
        self.sessions.len() < before
    }

    /// Ends a client's logins up to this number, including those that have not arrived yet.
    pub fn end_login(
        &mut self,
        device_id: &str,
        instance: &str,
        login_no: u64,
        now_ms: i64,
        pushes: &mut Vec<Push>,
    ) {
        self.numbers.end(device_id, instance, login_no, now_ms);
        let ended: Vec<u64> = self
            .sessions
            .iter()
            .filter(|s| {
                *s.device_id == *device_id && *s.instance == *instance && s.login_no <= login_no
            })
            .map(|session| session.session_id)
            .collect();
        for session_id in ended {
            self.end(session_id, None, false, pushes);
        }
    }
}
