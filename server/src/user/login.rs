//! A login that has passed the ticket checks.

use super::{Outcome, Push, Pushed, Rules, Session, StreamRef, User, kick_by};
use tim_proto::Platform;
use tim_proto::wire::RequestNumber;

/// A login, and the ids that it gets if accepted.
pub struct Login<'a> {
    pub device_id: &'a str,
    pub platform: Platform,
    pub device_name: &'a str,
    pub number: &'a RequestNumber,
    /// When its ticket expires, in ms of Unix time.
    pub ends_ms: i64,
    /// The app called; otherwise the library reconnected by itself.
    pub interactive: bool,
    pub session_id: u64,
    pub stream: StreamRef,
}

impl User {
    /// An interactive login gets a new epoch and displaces those that the policy names; a login
    /// with intent reconnect takes a free place or none.
    pub fn login(
        &mut self,
        login: &Login<'_>,
        rules: &Rules,
        now_ms: i64,
        pushes: &mut Vec<Push>,
    ) -> Outcome {
        let number = login.number;
        let Some(seen) = self.numbers.see(login.device_id, number, now_ms) else {
            return Outcome::Ghost;
        };
        let (device_id, instance) = (seen.device_id.clone(), seen.instance.clone());
        let was_accepted = seen.accepted == Some(number.login_no);
        // Request numbers are forgotten over time and in a restart; sessions and floors know, too.
        let newer = |s: &Session| *s.instance == *number.instance && s.login_no > number.login_no;
        if self.sessions.iter().any(newer) {
            return Outcome::Ghost;
        }
        if let Some(session_id) = self.again(login, pushes) {
            self.came(session_id, rules, now_ms);
            return Outcome::Accepted(session_id);
        }
        if was_accepted || self.floors.displaced_login(login.device_id, number) {
            return self.is_displaced(login.device_id);
        }
        let displaced = self.displaced(&rules.policy, login.device_id, login.platform);
        if !login.interactive {
            let own = self
                .sessions
                .iter()
                .any(|s| *s.device_id == *login.device_id);
            if own || !displaced.is_empty() {
                return self.is_displaced(login.device_id);
            }
        } else if self
            .floors
            .refuses(login.device_id, &number.instance, number.login_no)
        {
            return Outcome::Displaced(self.floors.kick(login.device_id));
        } else if let Some(retry_after_ms) = self.has_to_wait(login, &displaced, rules, now_ms) {
            return Outcome::TooOften { retry_after_ms };
        }
        self.displace(login, &displaced, rules, now_ms, pushes);
        let clock = u64::try_from(now_ms).unwrap_or(0);
        self.highest_epoch = clock.max(self.highest_epoch + 1);
        if let Some(seen) = self.numbers.of(login.device_id, &number.instance) {
            seen.accepted = Some(number.login_no);
        }
        self.register(rules, now_ms);
        self.sessions.push(Session {
            session_id: login.session_id,
            device_id,
            platform: login.platform,
            device_name: login.device_name.into(),
            instance,
            login_no: number.login_no,
            epoch: self.highest_epoch,
            ends_ms: login.ends_ms,
            latest_end_ms: login.ends_ms,
            policy: rules.policy.print(),
            stream: Some(login.stream),
            away_since_ms: None,
            from: None,
        });
        self.came(login.session_id, rules, now_ms);
        Outcome::Accepted(login.session_id)
    }

    /// The session that this very login already has, at its first epoch, with a new stream.
    fn again(&mut self, login: &Login<'_>, pushes: &mut Vec<Push>) -> Option<u64> {
        let number = login.number;
        let session = self
            .sessions
            .iter_mut()
            .find(|s| *s.instance == *number.instance && s.login_no == number.login_no)?;
        session.ends_ms = login.ends_ms;
        session.latest_end_ms = session.latest_end_ms.max(login.ends_ms);
        session.away_since_ms = None;
        if let Some(to) = session.stream.replace(login.stream) {
            let what = Pushed::Closed;
            pushes.push(Push { to, what });
        }
        Some(session.session_id)
    }

    pub(super) fn is_displaced(&mut self, device_id: &str) -> Outcome {
        self.floors.notice_delivered(device_id);
        Outcome::Displaced(self.floors.kick(device_id))
    }

    fn has_to_wait(
        &mut self,
        login: &Login<'_>,
        displaced: &[usize],
        rules: &Rules,
        now_ms: i64,
    ) -> Option<i64> {
        let [victim] = displaced else {
            return None;
        };
        let victim = &self.sessions[*victim].device_id;
        self.takeovers
            .wait_ms(login.device_id, victim, rules, now_ms)
    }

    /// Ends the sessions at these indexes, and the device's own.
    fn displace(
        &mut self,
        login: &Login<'_>,
        displaced: &[usize],
        rules: &Rules,
        now_ms: i64,
        pushes: &mut Vec<Push>,
    ) {
        match displaced {
            [] => {}
            [victim] => {
                let victim = self.sessions[*victim].device_id.clone();
                self.takeovers.note(login.device_id, &victim, rules, now_ms);
            }
            _ => self.takeovers.forget(),
        }
        let own =
            (0..self.sessions.len()).filter(|at| *self.sessions[*at].device_id == *login.device_id);
        let victims: Vec<_> = displaced
            .iter()
            .copied()
            .chain(own)
            .map(|at| {
                let victim = &self.sessions[at];
                // A client needs no notice about its own older login, which it replaced itself.
                let same_instance = *victim.instance == *login.number.instance;
                let kick = (!same_instance).then(|| {
                    kick_by(
                        login.device_id,
                        login.platform,
                        login.device_name,
                        victim,
                        now_ms,
                    )
                });
                let is_other = *victim.device_id != *login.device_id;
                (victim.session_id, kick, is_other)
            })
            .collect();
        for (session_id, kick, is_other) in victims {
            let notice = is_other && rules.kicked_while_away_notice;
            self.end(session_id, kick, notice, pushes);
        }
    }
}
