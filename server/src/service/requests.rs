//! Clients' requests: logins, resumes, logouts.

use super::operator::{denied, mark};
use super::outcome::accepted;
use super::owner::{Stream, StreamOwner};
use super::{Service, going_away};
use crate::admission::LoginSlot;
use crate::clock::now_ms;
use crate::figures::Tally;
use crate::refused::Refused;
use crate::settings::Settings;
use crate::stream::HeldBy;
use crate::token::{self, Claims};
use crate::user::{Claim, Denied, Held, Login, Pushed, Session, StreamRef, can_resume};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tim_proto::code;
use tim_proto::identity;
use tim_proto::user_sig::UserSig;
use tim_proto::wire::{
    ENDS_MAX, Ending, Intent, LoginRequest, LogoutRequest, RequestNumber, ResumeRequest,
    SessionEvent, StreamEvent,
};

impl Service {
    /// Logs in.
    pub async fn login(
        self: &Arc<Self>,
        from: IpAddr,
        request: LoginRequest,
    ) -> Result<Stream, Refused> {
        let settings = self.settings.get();
        for ending in request.ends.iter().take(ENDS_MAX) {
            // The login does not depend on it: an ending that cannot be applied ends nothing.
            if let Err(refused) = self.end(from, ending).await {
                tracing::debug!(code = refused.code, "an ending of a login was refused");
            }
        }
        let (app, user_id) = (request.sdk_app_id, &request.user_id);
        let sig = self.check_ticket(&settings, from, app, user_id, &request.user_sig)?;
        check_device(&request.device_id)?;
        let device_name = identity::device_name(&request.device_name);
        let number = request.number();
        check_number(&number)?;
        let ticket = mark(&sig);
        self.check_not_run_out(user_id, &request.device_id, ticket)?;
        self.count_request(user_id)?;
        let _slot = self.slot(&settings).await?;
        let stream = self.open_stream(from, user_id, &settings)?;
        let login = Login {
            device_id: &request.device_id,
            platform: request.platform,
            device_name: &device_name,
            number: &number,
            ends_ms: settings.tickets.end_ms(&sig),
            interactive: request.intent == Intent::Interactive,
            session_id: self.next_id(),
            stream: self.place(&stream),
        };
        let decided = self
            .decide_for(user_id, Some(from), |user, now, pushes| {
                user.admit(ticket, now).map_err(denied)?;
                user.epochs_above(self.store.signed_out().epoch);
                let outcome = user.login(&login, &settings.rules, now, pushes);
                accepted(user, outcome)
            })
            .await;
        self.answer(user_id, decided, number, stream)
    }

    /// Resumes a session by its token, and renews its ticket if the request carries a new one.
    pub async fn resume(
        self: &Arc<Self>,
        from: IpAddr,
        request: ResumeRequest,
    ) -> Result<Stream, Refused> {
        let settings = self.settings.get();
        let claims = self.claims(&request.session)?;
        let number = request.number();
        check_number(&number)?;
        let (mut ends_ms, mut ticket) = (claims.ends_ms, None);
        if let Some(user_sig) = &request.user_sig {
            let (app, user_id) = (claims.sdk_app_id, &claims.user_id);
            let sig = self.check_ticket(&settings, from, app, user_id, user_sig)?;
            self.check_not_run_out(&claims.user_id, &claims.device_id, mark(&sig))?;
            (ends_ms, ticket) = (settings.tickets.end_ms(&sig), Some(mark(&sig)));
        }
        if !can_resume(
            self.ticket_ends_ms(&claims),
            request.user_sig.is_some(),
            now_ms(),
        ) {
            return Err(Refused::user_sig_expired());
        }
        let user_id = claims.user_id;
        self.count_request(&user_id)?;
        let claim = Claim {
            session_id: claims.session_id,
            device_id: claims.device_id,
            platform: claims.platform,
            device_name: claims.device_name,
            epoch: claims.epoch,
            ends_ms,
            latest_end_ms: claims.latest_end_ms.max(claims.ends_ms),
            policy: claims.policy,
        };
        let _slot = self.slot(&settings).await?;
        let stream = self.open_stream(from, &user_id, &settings)?;
        let place = self.place(&stream);
        let decided = self
            .decide_for(&user_id, Some(from), |user, now, pushes| {
                user.admit_session(claim.epoch, now).map_err(denied)?;
                if let Some(ticket) = ticket {
                    user.admit(ticket, now).map_err(denied)?;
                }
                let outcome =
                    user.resume(claim.clone(), &number, place, &settings.rules, now, pushes);
                accepted(user, outcome)
            })
            .await;
        self.answer(&user_id, decided, number, stream)
    }

    /// Logs out.
    pub async fn logout(&self, from: IpAddr, request: &LogoutRequest) -> Result<(), Refused> {
        self.end(from, &request.ends).await
    }

    async fn end(&self, from: IpAddr, ending: &Ending) -> Result<(), Refused> {
        match ending {
            Ending::Session { session } => {
                let claims = self.claims(session)?;
                self.count_request(&claims.user_id)?;
                self.decide_for(&claims.user_id, Some(from), |user, _, pushes| {
                    let device = &claims.device_id;
                    user.log_out(
                        claims.session_id,
                        device,
                        claims.epoch,
                        claims.latest_end_ms.max(claims.ends_ms),
                        pushes,
                    );
                })
                .await
            }
            Ending::Login {
                sdk_app_id,
                user_id,
                user_sig,
                device_id,
                instance,
                login_no,
            } => {
                let settings = self.settings.get();
                let sig = self.check_ticket(&settings, from, *sdk_app_id, user_id, user_sig)?;
                check_device(device_id)?;
                self.count_request(user_id)?;
                let ticket = mark(&sig);
                self.decide_for(user_id, Some(from), |user, now, pushes| {
                    user.admit(ticket, now).map_err(denied)?;
                    user.end_login(device_id, instance, *login_no, now, pushes);
                    Ok(())
                })
                .await?
            }
        }
    }

    fn check_ticket(
        &self,
        settings: &Settings,
        from: IpAddr,
        app: u32,
        user_id: &str,
        user_sig: &str,
    ) -> Result<Arc<UserSig>, Refused> {
        let sig = (self.tickets).check(settings, from, app, user_id, user_sig, now_ms())?;
        self.check_not_signed_out(&sig)?;
        Ok(sig)
    }

    /// Refuses a ticket issued before everybody was signed out.
    pub(super) fn check_not_signed_out(&self, sig: &UserSig) -> Result<(), Refused> {
        if sig.issued_s < self.store.signed_out().at_ms.div_euclid(1000) {
            return Err(denied(Denied::Revoked));
        }
        Ok(())
    }

    fn claims(&self, session: &str) -> Result<Claims, Refused> {
        let claims = token::verify(&self.token_keys(), session)
            .filter(|claims| claims.sdk_app_id == self.settings.get().app.sdk_app_id)
            .ok_or_else(|| {
                Refused::new(
                    code::SESSION_TOKEN_INVALID,
                    "the session token does not verify: log in again",
                )
            })?;
        if claims.epoch <= self.store.signed_out().epoch {
            return Err(denied(Denied::Ended(code::USER_SIG_REVOKED)));
        }
        Ok(claims)
    }

    /// Counts a request that is proven to be this user's, by a valid ticket or token.
    fn count_request(&self, user_id: &str) -> Result<(), Refused> {
        let most = self.settings.get().logins.requests_per_user;
        match self.rates.count(user_id, most, Instant::now()) {
            None => Ok(()),
            Some(wait) => Err(Refused {
                retry_after_ms: i64::try_from(wait.as_millis()).ok(),
                ..Refused::new(code::LOGIN_TOO_OFTEN, "this user sends too many requests")
            }),
        }
    }

    /// A slot for deciding a login or resume.
    async fn slot(&self, settings: &Settings) -> Result<LoginSlot<'_>, Refused> {
        if self.is_going() {
            return Err(Refused::new(
                code::SERVER_OVERLOADED,
                "this server is going",
            ));
        }
        self.slots.take(&settings.logins).await
    }

    fn open_stream(
        self: &Arc<Self>,
        from: IpAddr,
        user_id: &str,
        settings: &Settings,
    ) -> Result<Stream, Refused> {
        let permit = self.quota.take(from, user_id, &settings.logins)?;
        Ok(self.streams.open(StreamOwner {
            service: self.clone(),
            user_id: user_id.to_owned(),
            from,
            _permit: permit,
            online: None,
        }))
    }

    fn place(&self, stream: &Stream) -> StreamRef {
        StreamRef {
            node: self.node,
            stream_id: stream.stream_id,
        }
    }

    /// Starts the stream of an accepted session, or returns why there is none.
    fn answer(
        &self,
        user_id: &str,
        decided: Result<Result<Session, Refused>, Refused>,
        number: RequestNumber,
        mut stream: Stream,
    ) -> Result<Stream, Refused> {
        let session = match decided {
            Ok(Ok(session)) => session,
            Ok(Err(refused)) => {
                stream.refuse();
                return Err(refused);
            }
            // The record may or may not have the stream; its end is reported like any other.
            Err(refused) => return Err(refused),
        };
        stream.owner_mut().online = Some(self.metrics.online(session.platform));
        let now = now_ms();
        let settings = self.settings.get();
        let (epoch, ends_ms) = (session.epoch, session.ends_ms);
        let held = self.store.is_shared().then(|| {
            Arc::new(HeldBy {
                user_id: user_id.to_owned(),
                held: Held {
                    claim: Claim::of(&session),
                    instance: session.instance.clone(),
                    login_no: session.login_no,
                    stream: self.place(&stream),
                },
            })
        });
        let claims = Claims {
            sdk_app_id: settings.app.sdk_app_id,
            user_id: user_id.to_owned(),
            device_id: session.device_id,
            platform: session.platform,
            device_name: session.device_name,
            session_id: session.session_id,
            epoch,
            login_no: session.login_no,
            ends_ms,
            latest_end_ms: session.latest_end_ms,
            policy: session.policy,
        };
        let token_keys = self.token_keys();
        let Some(key) = token::signing(&token_keys, now) else {
            return Err(Refused::new(code::SERVER_ERROR, "there is no token key"));
        };
        let first = StreamEvent::Session(SessionEvent {
            session: token::issue(key, &claims),
            epoch,
            server_time_ms: now,
            heartbeat_ms: u64::try_from(settings.heartbeat.as_millis()).unwrap_or(u64::MAX),
            spread_ms: self.streams.spread_ms(),
            user_sig_expires_ms: ends_ms,
            instance: number.instance,
            seq: number.seq,
        });
        let left = ends_ms.saturating_add(1).saturating_sub(now);
        let expires_in = Duration::from_millis(u64::try_from(left).unwrap_or(0));
        stream.begin(&first, settings.heartbeat, expires_in, &self.timer, held);
        let tally = Tally {
            logins: 1,
            online_max: self.streams.count(),
        };
        self.store.tally(settings.rules.time_zone.day(now), tally);
        if epoch <= self.store.signed_out().epoch {
            // Everybody was signed out in between.
            let ended = Pushed::Ended(code::USER_SIG_REVOKED);
            self.streams.push(stream.stream_id, ended);
        }
        if self.is_going() {
            // It may have come just after all others were sent away.
            let place = self.streams.count();
            self.streams.last(
                stream.stream_id,
                &going_away(place, self.streams.spread_ms()),
            );
        }
        Ok(stream)
    }
}

fn check_device(device_id: &str) -> Result<(), Refused> {
    if identity::is_device_id(device_id) {
        return Ok(());
    }
    let what = "device_id: expected 1 to 64 bytes without control characters";
    Err(Refused::new(code::BAD_REQUEST, what))
}

fn check_number(number: &RequestNumber) -> Result<(), Refused> {
    let hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    if number.instance.len() != 32 || !number.instance.chars().all(hex) {
        return Err(Refused::new(
            code::BAD_REQUEST,
            "instance: expected 32 lower-case hexadecimal digits",
        ));
    }
    if number.login_no == 0 || number.seq == 0 {
        return Err(Refused::new(
            code::BAD_REQUEST,
            "login_no and seq count from 1",
        ));
    }
    Ok(())
}
