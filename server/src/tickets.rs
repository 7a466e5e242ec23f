//! Checks tickets in the documented order, and makes clients with too many failures wait.

mod known;

use crate::clock::true_now_ms;
use crate::refused::Refused;
use crate::settings::Settings;
use crate::throttle::Throttle;
use known::Known;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tim_proto::code;
use tim_proto::user_sig::{self, UserSig};
use tim_proto::{edges, identity};

/// How far a ticket's time may be ahead of this server's clock.
const AHEAD_S: i64 = 300;

/// Checks tickets.
#[derive(Default)]
pub struct Tickets {
    throttle: Mutex<Throttle>,
    known: Mutex<Known>,
}

impl Tickets {
    /// Checks the ticket that `user_id` presents. Only the ticket itself decides whether it is
    /// accepted: what others did from the same address only affects the answer to a failed one.
    pub fn check(
        &self,
        settings: &Settings,
        from: IpAddr,
        app: u32,
        user_id: &str,
        token: &str,
        now_ms: i64,
    ) -> Result<Arc<UserSig>, Refused> {
        let checked = self.check_ticket(settings, app, user_id, token, now_ms);
        let checked = checked.map_err(|refused| {
            // An expired ticket, or one with an old key, is no guess.
            let guessed = matches!(
                refused.code,
                code::USER_SIG_UNREADABLE
                    | code::USER_SIG_OTHER_APP
                    | code::USER_SIG_OTHER_USER
                    | code::USER_SIG_WRONG_KEY
            );
            if !guessed {
                return refused;
            }
            let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
            match throttle.failed(from, user_id, &settings.failures, Instant::now()) {
                None => refused,
                Some(wait) => Refused {
                    retry_after_ms: i64::try_from(wait.as_millis()).ok(),
                    ..Refused::new(code::TOO_MANY_FAILURES, "too many tickets have failed")
                },
            }
        });
        let sig = checked?;
        // Moving this server's clock does not move the clock of those who issue tickets.
        check_time(&sig, true_now_ms().div_euclid(1000))?;
        Ok(sig)
    }

    /// Whether a ticket is accepted.
    fn check_ticket(
        &self,
        settings: &Settings,
        app: u32,
        user_id: &str,
        token: &str,
        now_ms: i64,
    ) -> Result<Arc<UserSig>, Refused> {
        let ours = &settings.app;
        if !identity::is_user_id(user_id) {
            return Err(Refused::new(
                code::INVALID_USER_ID,
                "user_id: expected 1 to 32 bytes of UTF-8 without control characters",
            ));
        }
        let token = edges::trimmed(token);
        if token.is_empty() {
            return Err(Refused::new(code::USER_SIG_EMPTY, "user_sig is empty"));
        }
        let print = known::print(token);
        let known = self.known().get(&print);
        let is_new = known.is_none();
        let sig = match known {
            Some(sig) => sig,
            None => Arc::new(
                user_sig::parse(token)
                    .map_err(|why| Refused::new(code::USER_SIG_UNREADABLE, why.to_string()))?,
            ),
        };
        if app != ours.sdk_app_id {
            return Err(Refused::new(
                code::APP_NOT_FOUND,
                format!("this server does not serve app {app}"),
            ));
        }
        if sig.sdk_app_id != app {
            return Err(Refused::new(
                code::USER_SIG_OTHER_APP,
                format!("the ticket was issued for app {}", sig.sdk_app_id),
            ));
        }
        if sig.user_id != user_id {
            return Err(Refused::new(
                code::USER_SIG_OTHER_USER,
                "the ticket was issued for another user",
            ));
        }
        if !ours.made(&sig) {
            return Err(Refused::new(
                code::USER_SIG_WRONG_KEY,
                "the ticket was not signed with this app's key, or was modified",
            ));
        }
        if now_ms.div_euclid(1000) > settings.tickets.end_s(&sig) {
            return Err(Refused::user_sig_expired());
        }
        if is_new {
            self.known().add(print, sig.clone());
        }
        Ok(sig)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Refuses the app's own tickets that were issued in the future. That is no guess, so it does not
/// count as one.
fn check_time(sig: &UserSig, now_s: i64) -> Result<(), Refused> {
    let ahead_s = sig.issued_s.saturating_sub(now_s);
    if ahead_s <= AHEAD_S {
        return Ok(());
    }
    // Seconds of Unix time stay below this for 30,000 years; ms have been above it since 2001.
    let what = if sig.issued_s > 1_000_000_000_000 {
        "the ticket's TLS.time is in milliseconds: expected seconds".to_owned()
    } else {
        format!(
            "the ticket's TLS.time is {ahead_s} s ahead of the server's clock: expected at most \
             {AHEAD_S} s; the clock of the ticket's maker may be wrong"
        )
    };
    Err(Refused::new(code::USER_SIG_UNREADABLE, what))
}
