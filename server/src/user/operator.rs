//! The operator's decisions about a user: importing, deleting, kicking, banning, signing out.

use super::tickets::Ban;
use super::{Account, Push, Rules, User};
use crate::calendar::Day;
use tim_proto::code;
use tim_proto::wire::{Kick, KickCause};

/// What the operator knows about a user; missing fields stay unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    pub nick: Option<String>,
    pub face_url: Option<String>,
}

impl User {
    /// Creates an account, or changes the existing one.
    pub fn import(&mut self, profile: &Profile, rules: &Rules, now_ms: i64) {
        let account = self.register(rules, now_ms);
        if let Some(nick) = &profile.nick {
            account.nick.clone_from(nick);
        }
        if let Some(face_url) = &profile.face_url {
            account.face_url.clone_from(face_url);
        }
    }

    pub(super) fn register(&mut self, rules: &Rules, now_ms: i64) -> &mut Account {
        self.account.get_or_insert_with(|| Account {
            registered_ms: now_ms,
            registered_day: rules.time_zone.day(now_ms),
            nick: String::new(),
            face_url: String::new(),
        })
    }

    /// Removes the account, and returns whether there was one. A ban remains, and so does what
    /// voids tickets and sessions; a later login registers anew.
    pub fn delete(&mut self, now_ms: i64, pushes: &mut Vec<Push>) -> bool {
        if self.account.take().is_none() {
            return false;
        }
        self.devices = super::Devices::default();
        self.decides(now_ms);
        self.end_all(code::ACCOUNT_NOT_FOUND, now_ms, pushes);
        true
    }

    /// Ends every session and voids every ticket issued so far. `false` if there is no account.
    pub fn kick(&mut self, now_ms: i64, pushes: &mut Vec<Push>) -> bool {
        if self.account.is_none() {
            return false;
        }
        self.decides(now_ms);
        self.revoke_tickets(now_ms);
        self.end_all(code::USER_SIG_REVOKED, now_ms, pushes);
        true
    }

    /// Bans a user, who need not have an account yet.
    pub fn set_ban(&mut self, ban: Ban, now_ms: i64, pushes: &mut Vec<Push>) {
        self.decides(now_ms);
        self.ban = Some(ban);
        if self.ban(now_ms).is_some() {
            self.end_all(code::BANNED, now_ms, pushes);
        }
    }

    /// Lifts a ban, and returns whether there was one. What the ban ended stays ended.
    pub fn lift_ban(&mut self, now_ms: i64) -> bool {
        let was_banned = self.ban(now_ms).is_some();
        if self.ban.take().is_some() {
            self.decides(now_ms);
        }
        was_banned
    }

    /// Each decision gets a later time than the one before, whatever the clock says.
    fn decides(&mut self, now_ms: i64) {
        self.decided_ms = now_ms.max(self.decided_ms.saturating_add(1));
    }

    /// Signs one device out. `false` if it is not the user's.
    pub fn sign_out(&mut self, device_id: &str, now_ms: i64, pushes: &mut Vec<Push>) -> bool {
        let of_device = |user: &User| {
            let session = user.sessions.iter().find(|s| *s.device_id == *device_id)?;
            Some(session.session_id)
        };
        let kick = Kick {
            cause: KickCause::Operator,
            platform: None,
            device_name: String::new(),
            time_ms: now_ms,
        };
        if of_device(self).is_none() {
            if !self.devices.has(device_id) {
                return false;
            }
            // After a restart, its session may exist in a token only.
            self.end_unknown(device_id, &kick, now_ms);
        }
        while let Some(session_id) = of_device(self) {
            self.end(session_id, Some(kick.clone()), false, pushes);
        }
        true
    }

    /// Ends every session, known or unknown, with a code.
    fn end_all(&mut self, code: i32, now_ms: i64, pushes: &mut Vec<Push>) {
        // An unknown epoch is not above the clock, unless the clock was set back.
        let clock = u64::try_from(now_ms).unwrap_or(0);
        self.end_all_below(self.highest_epoch.max(clock), code, pushes);
    }

    /// A user arrived on this session: counts the user's day and records the device.
    pub(super) fn came(&mut self, session_id: u64, rules: &Rules, now_ms: i64) {
        let day: Day = rules.time_zone.day(now_ms);
        self.active_day = self.active_day.max(day);
        if let Some(session) = self.sessions.iter().find(|s| s.session_id == session_id) {
            self.devices.note(session, rules, now_ms);
        }
    }
}
