//! The operator's requests, over the same records as the users' requests.

use super::Service;
use crate::audit::{Operator, Target};
use crate::calendar::Day;
use crate::clock::{now_ms, true_now_ms};
use crate::figures::Figures;
use crate::refused::Refused;
use crate::user::{Ban, Denied, Profile, Ticket, User};
use std::net::IpAddr;
use tim_proto::code;
use tim_proto::user_sig::{self, UserSig};

impl Service {
    /// Checks a ticket without a login, including whether it was revoked.
    pub async fn identify(
        &self,
        from: IpAddr,
        app: u32,
        user_id: &str,
        ticket: &str,
    ) -> Result<(), Refused> {
        let settings = self.settings.get();
        // An operator who moved the clock must be able to move it back.
        let now = true_now_ms();
        let sig = (self.tickets).check(&settings, from, app, user_id, ticket, now)?;
        self.check_not_signed_out(&sig)?;
        let ticket = mark(&sig);
        self.decide(user_id, |user, now, _| user.admit(ticket, now))
            .await?
            .map_err(denied)
    }

    /// The same, if only the ticket says whose it is.
    pub async fn identify_bearer(&self, from: IpAddr, ticket: &str) -> Result<String, Refused> {
        let user_id = user_sig::parse(ticket).map_or_else(|_| "-".into(), |sig| sig.user_id);
        let app = self.settings.get().app.sdk_app_id;
        self.identify(from, app, &user_id, ticket).await?;
        Ok(user_id)
    }

    /// Creates an account, or changes the existing one.
    pub async fn import(
        &self,
        by: &Operator,
        user_id: &str,
        profile: &Profile,
    ) -> Result<(), Refused> {
        let settings = self.settings.get();
        let imported = self.decide(user_id, |user, now, _| {
            user.import(profile, &settings.rules, now);
        });
        self.noted(by, "import", Target::user(user_id), imported.await, |()| {
            true
        })
    }

    /// Looks at a user's record.
    pub async fn look<T>(
        &self,
        user_id: &str,
        view: impl Fn(&User, i64) -> T,
    ) -> Result<T, Refused> {
        self.decide(user_id, |user, now, _| view(user, now)).await
    }

    /// Removes an account; `false` if there is none.
    pub async fn delete(&self, by: &Operator, user_id: &str) -> Result<bool, Refused> {
        let deleted = self.decide_for(user_id, Some(by.from), |user, now, pushes| {
            user.delete(now, pushes)
        });
        self.noted(
            by,
            "delete",
            Target::user(user_id),
            deleted.await,
            |found| *found,
        )
    }

    /// Ends every session and voids every ticket; `false` if there is no account.
    pub async fn kick(&self, by: &Operator, user_id: &str) -> Result<bool, Refused> {
        let kicked = self.decide_for(user_id, Some(by.from), |user, now, pushes| {
            user.kick(now, pushes)
        });
        self.noted(by, "kick", Target::user(user_id), kicked.await, |found| {
            *found
        })
    }

    /// Bans a user.
    pub async fn ban(&self, by: &Operator, user_id: &str, ban: &Ban) -> Result<(), Refused> {
        let banned = self.decide_for(user_id, Some(by.from), |user, now, pushes| {
            user.set_ban(ban.clone(), now, pushes);
        });
        self.noted(by, "ban", Target::user(user_id), banned.await, |()| true)
    }

    /// Lifts a ban; `false` if there was none.
    pub async fn lift_ban(&self, by: &Operator, user_id: &str) -> Result<bool, Refused> {
        let lifted = self.decide(user_id, |user, now, _| user.lift_ban(now));
        self.noted(
            by,
            "lift_ban",
            Target::user(user_id),
            lifted.await,
            |found| *found,
        )
    }

    /// Signs one device out; `false` if it is not the user's.
    pub async fn sign_out(
        &self,
        by: &Operator,
        user_id: &str,
        device_id: &str,
    ) -> Result<bool, Refused> {
        let signed_out = self.decide_for(user_id, Some(by.from), |user, now, pushes| {
            user.sign_out(device_id, now, pushes)
        });
        let target = Target {
            user_id: Some(user_id),
            device_id: Some(device_id),
        };
        self.noted(by, "sign_out", target, signed_out.await, |found| *found)
    }

    /// Ends every session of every user and voids every ticket issued so far.
    pub async fn sign_everybody_out(&self, by: &Operator) -> Result<(), Refused> {
        let signed_out = self.store.sign_everybody_out(now_ms()).await;
        self.apply_to_all();
        let signed_out = signed_out.map_err(Refused::from);
        self.noted(
            by,
            "sign_out_everybody",
            Target::default(),
            signed_out,
            |()| true,
        )
    }

    /// Creates a new key for session tokens and drops all others: clients log in with their tickets
    /// again.
    pub async fn replace_token_keys(&self, by: &Operator) -> Result<(), Refused> {
        let replaced = self.store.replace_token_keys(now_ms()).await;
        self.apply_to_all();
        let replaced = replaced.map_err(Refused::from);
        self.noted(
            by,
            "replace_token_keys",
            Target::default(),
            replaced,
            |()| true,
        )
    }

    /// Writes an administrator's change to the audit log, even if there was nothing to change.
    fn noted<T>(
        &self,
        by: &Operator,
        action: &str,
        target: Target<'_>,
        result: Result<T, Refused>,
        is_done: impl FnOnce(&T) -> bool,
    ) -> Result<T, Refused> {
        let code = match &result {
            Ok(done) if is_done(done) => 0,
            Ok(_) => code::ACCOUNT_NOT_FOUND,
            Err(refused) => refused.code,
        };
        self.settings.get().audit.note(by, action, target, code);
        result
    }

    /// Today, and the figures of the days up to it.
    pub async fn figures(&self, days: u32) -> Result<(Day, Figures), Refused> {
        let today = self.settings.get().rules.time_zone.day(now_ms());
        let since = today.before(days.saturating_sub(1));
        Ok((today, self.store.figures(since).await?))
    }

    /// Makes the figures durable at shutdown.
    pub async fn write_figures(&self) {
        if let Err(error) = self.store.figures(Day(u32::MAX)).await {
            tracing::error!("{error}");
        }
    }
}

/// What identifies a ticket.
pub(super) fn mark(sig: &UserSig) -> Ticket {
    Ticket {
        issued_s: sig.issued_s,
        print: sig.print(),
    }
}

/// The refusal of a user who is banned or revoked.
pub(super) fn denied(denied: Denied) -> Refused {
    match denied {
        Denied::Revoked => Refused::new(code::USER_SIG_REVOKED, "the ticket was revoked"),
        Denied::Banned(ban) if ban.reason.is_empty() => {
            Refused::new(code::BANNED, "the account is banned")
        }
        Denied::Banned(ban) => Refused::new(
            code::BANNED,
            format!("the account is banned: {}", ban.reason),
        ),
        Denied::Ended(code) => Refused::new(code, "the operator ended the session"),
    }
}
