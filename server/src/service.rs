//! What the requests do: logins, resumes, logouts, over the users' records and the store.

use crate::clock::now_ms;
use crate::identity_file::App;
use crate::policy::Policy;
use crate::store::{Contents, Store, StoreError, Write};
use crate::stream::{self, Owner, StreamBody};
use crate::timer::Timer;
use crate::token::{self, Claims, TokenKey};
use crate::user::{Effects, Login, Outcome, Session, User};
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tim_proto::code;
use tim_proto::identity;
use tim_proto::user_sig::{self, UserSig};
use tim_proto::wire::{
    ENDS_MAX, EndEvent, Ending, GoingAwayEvent, Intent, Kick, LoginRequest, LogoutRequest,
    RequestNumber, ResumeRequest, SessionEvent, StreamEvent,
};

/// Users' records are spread over so many locks.
const SHARDS: usize = 64;
/// At this rate of reconnects the server is at ease: it spreads its clients' return over as long
/// as that takes.
const EASY_RECONNECTS_PER_S: u64 = 2_000;
const SPREAD_MAX_MS: u64 = 60_000;

/// A refusal: the code, what to tell people, and who took the session over.
pub struct Refused {
    pub code: i32,
    pub message: String,
    pub kick: Option<Kick>,
}

impl Refused {
    pub fn new(code: i32, message: impl Into<String>) -> Refused {
        Refused {
            code,
            message: message.into(),
            kick: None,
        }
    }

    fn displaced(kick: Option<Kick>) -> Refused {
        Refused {
            code: code::KICKED_WHILE_OFFLINE,
            message: "the session was taken over or has ended".to_owned(),
            kick,
        }
    }

    fn ghost() -> Refused {
        Refused::new(
            code::BAD_REQUEST,
            "a later request of this client has been seen: this one has no effect",
        )
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Refused {
        tracing::error!("{error}");
        Refused::new(
            code::SERVER_ERROR,
            "the server could not write to its store",
        )
    }
}

/// The service behind the routes.
pub struct Service {
    app: App,
    policy: Policy,
    heartbeat: Duration,
    timer: Arc<Timer>,
    store: Store,
    token_keys: Vec<TokenKey>,
    users: Vec<Mutex<HashMap<String, User>>>,
    accounts: Mutex<HashSet<String>>,
    last_id: AtomicU64,
    streams: AtomicU64,
}

/// The body of an accepted login or resume.
pub type Stream = StreamBody<StreamOwner>;

/// Ties a stream to its session.
pub struct StreamOwner {
    service: Arc<Service>,
    user_id: String,
    session_id: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Service {
    pub fn new(
        app: App,
        policy: Policy,
        heartbeat: Duration,
        store: Store,
        contents: Contents,
    ) -> Result<Service, String> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| format!("no random numbers: {error}"))?;
        let service = Service {
            app,
            policy,
            heartbeat,
            timer: Timer::start().map_err(|error| format!("no thread: {error}"))?,
            store,
            token_keys: contents.token_keys,
            users: (0..SHARDS).map(|_| Mutex::default()).collect(),
            accounts: Mutex::new(contents.accounts),
            // Session ids differ from those of earlier runs, which are still in tokens.
            last_id: AtomicU64::new(u64::from_le_bytes(random) >> 1),
            streams: AtomicU64::new(0),
        };
        for floor in contents.floors {
            let mut users = service.shard(&floor.user_id);
            users
                .entry(floor.user_id.clone())
                .or_default()
                .restore(floor);
        }
        Ok(service)
    }

    fn shard(&self, user_id: &str) -> MutexGuard<'_, HashMap<String, User>> {
        let mut hasher = DefaultHasher::new();
        user_id.hash(&mut hasher);
        lock(&self.users[hasher.finish() as usize % SHARDS])
    }

    fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Checks a ticket, in the documented order.
    fn check_ticket(
        &self,
        app: u32,
        user_id: &str,
        token: &str,
        now_ms: i64,
    ) -> Result<UserSig, Refused> {
        if !identity::is_user_id(user_id) {
            return Err(Refused::new(
                code::INVALID_USER_ID,
                "user_id: expected 1 to 32 bytes of UTF-8 without control characters",
            ));
        }
        if token.is_empty() {
            return Err(Refused::new(code::USER_SIG_EMPTY, "user_sig is empty"));
        }
        let sig = user_sig::parse(token)
            .map_err(|why| Refused::new(code::USER_SIG_UNREADABLE, why.to_string()))?;
        if app != self.app.sdk_app_id {
            return Err(Refused::new(
                code::APP_NOT_FOUND,
                format!("this server does not serve app {app}"),
            ));
        }
        if sig.sdk_app_id != app {
            return Err(Refused::new(
                code::USER_SIG_OTHER_APP,
                format!("the ticket was made for app {}", sig.sdk_app_id),
            ));
        }
        if sig.user_id != user_id {
            return Err(Refused::new(
                code::USER_SIG_OTHER_USER,
                "the ticket was made for another user",
            ));
        }
        if !sig.verify_mac(&self.app.key) {
            return Err(Refused::new(
                code::USER_SIG_WRONG_KEY,
                "the ticket was not made with this app's key, or was changed",
            ));
        }
        if sig.is_expired(now_ms.div_euclid(1000)) {
            return Err(Refused::new(
                code::USER_SIG_EXPIRED,
                "the ticket has expired",
            ));
        }
        Ok(sig)
    }

    /// Logs in.
    pub async fn login(self: &Arc<Self>, request: LoginRequest) -> Result<Stream, Refused> {
        let now = now_ms();
        for ending in request.ends.iter().take(ENDS_MAX) {
            // The login stands on its own: what cannot be ended ends nothing.
            if let Err(refused) = self.end(ending).await {
                tracing::debug!(code = refused.code, "an ending of a login was refused");
            }
        }
        let sig =
            self.check_ticket(request.sdk_app_id, &request.user_id, &request.user_sig, now)?;
        check_device(&request.device_id, &request.device_name)?;
        check_number(&request.number)?;
        let ends_ms = sig.expires_s().saturating_mul(1000).saturating_add(999);
        let mut effects = Effects::default();
        if !lock(&self.accounts).contains(&request.user_id) {
            effects.writes.push(Write::Account {
                user_id: request.user_id.clone(),
                registered_ms: now,
            });
        }
        let outcome = {
            let mut users = self.shard(&request.user_id);
            let user = users.entry(request.user_id.clone()).or_default();
            let login = Login {
                device_id: &request.device_id,
                platform: request.platform,
                device_name: &request.device_name,
                number: &request.number,
                ends_ms,
                interactive: request.intent == Intent::Interactive,
            };
            user.login(
                &request.user_id,
                &login,
                &self.policy,
                self.next_id(),
                now,
                &mut effects,
            )
        };
        self.settle(&request.user_id, outcome, &request.number, effects)
            .await
    }

    /// Resumes a session by its token, and renews its ticket where the request carries one.
    pub async fn resume(self: &Arc<Self>, request: ResumeRequest) -> Result<Stream, Refused> {
        let now = now_ms();
        let claims = self.claims(&request.session)?;
        check_number(&request.number)?;
        let mut ends_ms = claims.ends_ms;
        if let Some(user_sig) = &request.user_sig {
            let sig = self.check_ticket(claims.sdk_app_id, &claims.user_id, user_sig, now)?;
            ends_ms = sig.expires_s().saturating_mul(1000).saturating_add(999);
        } else if now > ends_ms {
            return Err(Refused::new(
                code::USER_SIG_EXPIRED,
                "the ticket has expired",
            ));
        }
        let session = Session {
            session_id: claims.session_id,
            device_id: claims.device_id,
            platform: claims.platform,
            device_name: claims.device_name,
            instance: request.number.instance.clone(),
            login_no: request.number.login_no,
            epoch: claims.epoch,
            ends_ms,
            mailbox: None,
        };
        let mut effects = Effects::default();
        let outcome = {
            let mut users = self.shard(&claims.user_id);
            let user = users.entry(claims.user_id.clone()).or_default();
            user.resume(
                &claims.user_id,
                session,
                &request.number,
                &self.policy,
                now,
                &mut effects,
            )
        };
        self.settle(&claims.user_id, outcome, &request.number, effects)
            .await
    }

    /// Logs out.
    pub async fn logout(&self, request: &LogoutRequest) -> Result<(), Refused> {
        self.end(&request.ends).await
    }

    async fn end(&self, ending: &Ending) -> Result<(), Refused> {
        let mut effects = Effects::default();
        match ending {
            Ending::Session { session } => {
                let claims = self.claims(session)?;
                let mut users = self.shard(&claims.user_id);
                let user = users.entry(claims.user_id.clone()).or_default();
                user.end(&claims.user_id, claims.session_id, None, &mut effects);
                // Unknown here, perhaps after a restart, it must not come back all the same.
                let (device, epoch) = (&claims.device_id, claims.epoch);
                user.raise_floor(
                    &claims.user_id,
                    device,
                    epoch,
                    claims.ends_ms,
                    None,
                    &mut effects,
                );
            }
            Ending::Login {
                sdk_app_id,
                user_id,
                user_sig,
                device_id,
                instance,
                login_no,
            } => {
                let now = now_ms();
                self.check_ticket(*sdk_app_id, user_id, user_sig, now)?;
                check_device(device_id, "")?;
                let mut users = self.shard(user_id);
                let user = users.entry(user_id.clone()).or_default();
                user.end_login(user_id, device_id, instance, *login_no, now, &mut effects);
            }
        }
        self.carry_out(effects).await
    }

    fn claims(&self, session: &str) -> Result<Claims, Refused> {
        token::verify(&self.token_keys, session)
            .filter(|claims| claims.sdk_app_id == self.app.sdk_app_id)
            .ok_or_else(|| {
                Refused::new(
                    code::SESSION_TOKEN_INVALID,
                    "the session token does not verify: log in again",
                )
            })
    }

    /// Makes what was decided durable, tells it, and opens the stream of an accepted session.
    async fn settle(
        self: &Arc<Self>,
        user_id: &str,
        outcome: Outcome,
        number: &RequestNumber,
        effects: Effects,
    ) -> Result<Stream, Refused> {
        let session_id = match outcome {
            Outcome::Accepted(session_id) => session_id,
            Outcome::Displaced(kick) => {
                return Err(Refused::displaced(kick));
            }
            Outcome::Ghost => return Err(Refused::ghost()),
        };
        let new_account = effects
            .writes
            .iter()
            .any(|write| matches!(write, Write::Account { .. }));
        self.carry_out(effects).await?;
        if new_account {
            lock(&self.accounts).insert(user_id.to_owned());
        }
        let now = now_ms();
        let stream_id = self.next_id();
        let mut users = self.shard(user_id);
        // Between the decision and here another login may have displaced this one.
        let user = users.entry(user_id.to_owned()).or_default();
        let Some(session) = user
            .sessions
            .iter_mut()
            .find(|s| s.session_id == session_id)
        else {
            return Err(Refused::displaced(None));
        };
        let claims = Claims {
            sdk_app_id: self.app.sdk_app_id,
            user_id: user_id.to_owned(),
            device_id: session.device_id.clone(),
            platform: session.platform,
            device_name: session.device_name.clone(),
            session_id,
            epoch: session.epoch,
            login_no: session.login_no,
            ends_ms: session.ends_ms,
        };
        let first = StreamEvent::Session(SessionEvent {
            session: token::issue(&self.token_keys[0], &claims),
            epoch: session.epoch,
            server_time_ms: now,
            heartbeat_ms: u64::try_from(self.heartbeat.as_millis()).unwrap_or(u64::MAX),
            spread_ms: self.spread_ms(),
            user_sig_expires_ms: session.ends_ms,
            instance: number.instance.clone(),
            seq: number.seq,
        });
        let left = session.ends_ms.saturating_add(1).saturating_sub(now);
        let expires_in = Duration::from_millis(u64::try_from(left).unwrap_or(0));
        let owner = StreamOwner {
            service: self.clone(),
            user_id: user_id.to_owned(),
            session_id,
        };
        let (mailbox, body) = stream::open(
            stream_id,
            &first,
            self.heartbeat,
            expires_in,
            &self.timer,
            owner,
        );
        self.streams.fetch_add(1, Ordering::Relaxed);
        if let Some(old) = session.mailbox.replace(mailbox) {
            old.close();
        }
        Ok(body)
    }

    async fn carry_out(&self, effects: Effects) -> Result<(), Refused> {
        self.store.commit(effects.writes).await?;
        for (mailbox, kick) in effects.kicked {
            mailbox.last(&StreamEvent::Kicked(kick));
        }
        for mailbox in effects.closed {
            mailbox.close();
        }
        Ok(())
    }

    fn spread_ms(&self) -> u64 {
        let streams = self.streams.load(Ordering::Relaxed);
        (streams * 1000 / EASY_RECONNECTS_PER_S).min(SPREAD_MAX_MS)
    }

    /// How many streams are open.
    pub fn open_streams(&self) -> u64 {
        self.streams.load(Ordering::Relaxed)
    }

    /// The server is going: every stream is told when to come back, and ends.
    pub fn say_goodbye(&self) {
        let spread = self.spread_ms().max(1);
        let mut place: u64 = 0;
        for shard in &self.users {
            for user in lock(shard).values_mut() {
                for session in &mut user.sessions {
                    if let Some(mailbox) = session.mailbox.take() {
                        // One slot each, spread evenly.
                        place = place.wrapping_add(1);
                        let return_in_ms = place % spread;
                        mailbox.last(&StreamEvent::GoingAway(GoingAwayEvent { return_in_ms }));
                    }
                }
            }
        }
    }

    /// Forgets users of whom nothing is left.
    pub fn sweep(&self) {
        let now = now_ms();
        for shard in &self.users {
            lock(shard).retain(|_, user| {
                user.sessions
                    .retain(|session| session.mailbox.is_some() || session.ends_ms > now);
                !user.is_empty(now)
            });
        }
    }
}

impl Owner for StreamOwner {
    fn expired(&self, stream_id: u64) -> Option<StreamEvent> {
        let mut effects = Effects::default();
        {
            let mut users = self.service.shard(&self.user_id);
            let user = users.get_mut(&self.user_id)?;
            let session = user
                .sessions
                .iter()
                .find(|s| s.session_id == self.session_id)?;
            let ours = session
                .mailbox
                .as_ref()
                .is_some_and(|m| m.stream_id == stream_id);
            if !ours || now_ms() <= session.ends_ms {
                return None;
            }
            user.end(&self.user_id, self.session_id, None, &mut effects);
        }
        // The token ended with the ticket: nothing has to be durable before this is told.
        Some(StreamEvent::UserSigExpired(EndEvent {
            code: code::USER_SIG_EXPIRED,
            message: "the ticket has expired".to_owned(),
        }))
    }

    fn closed(&self, stream_id: u64) {
        self.service.streams.fetch_sub(1, Ordering::Relaxed);
        let mut users = self.service.shard(&self.user_id);
        let session = users.get_mut(&self.user_id).and_then(|user| {
            user.sessions
                .iter_mut()
                .find(|s| s.session_id == self.session_id)
        });
        if let Some(session) = session {
            session
                .mailbox
                .take_if(|mailbox| mailbox.stream_id == stream_id);
        }
    }
}

fn check_device(device_id: &str, device_name: &str) -> Result<(), Refused> {
    let what = if !identity::is_device_id(device_id) {
        "device_id: expected 1 to 64 bytes without control characters"
    } else if !identity::is_device_name(device_name) {
        "device_name: expected up to 64 bytes without control characters"
    } else {
        return Ok(());
    };
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
