//! Fault injection as far as it concerns users' records and streams.

use super::Service;
use crate::clock;
use crate::faults::Faults;
use crate::refused::Refused;
use crate::token::Claims;
use crate::user::{Session, Ticket};
use std::net::IpAddr;
use tim_proto::Platform;
use tim_proto::wire::{Kick, KickCause};

/// The sessions that a fault concerns.
pub struct Whose<'a> {
    pub user_id: &'a str,
    /// `None`: all of the user's.
    pub device_id: Option<&'a str>,
}

impl Service {
    /// Enables fault injection.
    #[must_use]
    pub fn with_faults(self, faults: Option<Box<Faults>>) -> Service {
        Service { faults, ..self }
    }

    /// The faults, if enabled.
    pub fn faults(&self) -> Option<&Faults> {
        self.faults.as_deref()
    }

    /// Refuses a ticket that is treated as expired.
    pub(super) fn check_not_run_out(
        &self,
        user_id: &str,
        device_id: &str,
        ticket: Ticket,
    ) -> Result<(), Refused> {
        match self.faults() {
            Some(faults) if faults.is_run_out(user_id, device_id, ticket.print) => {
                Err(Refused::user_sig_expired())
            }
            _ => Ok(()),
        }
    }

    /// When the ticket behind a token expires.
    pub(super) fn ticket_ends_ms(&self, claims: &Claims) -> i64 {
        let ends_ms = claims.ends_ms;
        self.faults().map_or(ends_ms, |faults| {
            faults.end_of_session(claims.session_id, ends_ms)
        })
    }

    /// Ends sessions as if their tickets had expired. Returns how many.
    pub async fn run_out(&self, from: IpAddr, whose: &Whose<'_>) -> Result<usize, Refused> {
        let Some(faults) = self.faults() else {
            return Ok(0);
        };
        self.decide_for(whose.user_id, Some(from), |user, now, pushes| {
            let ended = user.run_out(whose.device_id, pushes);
            // Before any stream learns of it, so that a client that comes back at once is refused.
            for session in &ended {
                // A ticket is still valid in its last millisecond.
                faults.run_out_session(session.session_id, session.ends_ms, now - 1);
                faults.run_out_tickets(whose.user_id, &session.device_id);
            }
            ended.len()
        })
        .await
    }

    /// Ends sessions as if by a login on this other device. Returns how many.
    pub async fn displace(
        &self,
        from: IpAddr,
        whose: &Whose<'_>,
        platform: Option<Platform>,
        device_name: &str,
    ) -> Result<usize, Refused> {
        let notice = self.settings.get().rules.kicked_while_away_notice;
        self.decide_for(whose.user_id, Some(from), |user, now, pushes| {
            let kick = |session: &Session| Kick {
                cause: KickCause::OtherDevice,
                platform: Some(platform.unwrap_or(session.platform)),
                device_name: device_name.to_owned(),
                time_ms: now,
            };
            user.displace_as(whose.device_id, kick, notice, pushes)
        })
        .await
    }

    /// Cuts this node's streams without an event: a user's, or all. Returns how many.
    pub async fn cut(&self, whose: Option<&Whose<'_>>) -> Result<usize, Refused> {
        let Some(whose) = whose else {
            return Ok(self.streams.cut_all());
        };
        let sessions = self.look(whose.user_id, |user, _| user.sessions.clone());
        let sessions = sessions.await?;
        let streams = sessions
            .iter()
            .filter(|session| whose.device_id.is_none_or(|id| *id == *session.device_id))
            .filter_map(|session| session.stream)
            .filter(|stream| stream.node == self.node);
        Ok(streams
            .filter(|stream| self.streams.cut(stream.stream_id))
            .count())
    }

    /// Moves the clock, and does what has become due by that.
    pub async fn move_clock(&self, offset_ms: i64) {
        clock::set_offset_ms(offset_ms);
        self.look_after().await;
    }
}
