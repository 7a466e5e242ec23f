//! What the requests do: logins, resumes, logouts, over the users' records in the store.

mod operator;

use crate::clock::now_ms;
use crate::figures::Tally;
use crate::identity_file::App;
use crate::reconcile::Lately;
use crate::store::{Opened, Store, StoreError, Versioned};
use crate::stream::{HeldBy, Owner, StreamBody, Streams};
use crate::timer::Timer;
use crate::token::{self, Claims, TokenKey};
use crate::user::{Change, Claim, Held, Login, Outcome, Push, Rules, Session, StreamRef, User};
use crate::webhook::{Event, Webhook};
use operator::{denied, mark};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tim_proto::code;
use tim_proto::identity;
use tim_proto::user_sig::{self, UserSig};
use tim_proto::wire::{
    ENDS_MAX, EndEvent, Ending, GoingAwayEvent, Intent, Kick, LoginRequest, LogoutRequest,
    RequestNumber, ResumeRequest, SessionEvent, StreamEvent,
};

/// At this rate of reconnects the server is at ease: it spreads its clients' return over as long
/// as that takes.
const EASY_RECONNECTS_PER_S: u64 = 2_000;
const SPREAD_MAX_MS: u64 = 60_000;
/// How often a decision is taken anew because somebody was faster.
const TRIES: usize = 100;

/// A refusal: the code, what to tell people, and who took the session over.
pub struct Refused {
    pub code: i32,
    pub message: String,
    pub kick: Option<Kick>,
    /// How long to wait, where the server knows it.
    pub retry_after_ms: Option<i64>,
}

impl Refused {
    pub fn new(code: i32, message: impl Into<String>) -> Refused {
        Refused {
            code,
            message: message.into(),
            kick: None,
            retry_after_ms: None,
        }
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Refused {
        match error {
            StoreError::Unavailable(_) => {
                tracing::debug!("{error}");
                Refused::new(code::SERVER_OVERLOADED, "the server's store is away")
            }
            StoreError::Failed(_) => {
                tracing::error!("{error}");
                Refused::new(
                    code::SERVER_ERROR,
                    "the server could not write to its store",
                )
            }
        }
    }
}

/// The service behind the routes.
pub struct Service {
    app: App,
    rules: Rules,
    heartbeat: Duration,
    timer: Arc<Timer>,
    store: Arc<dyn Store>,
    token_keys: Vec<TokenKey>,
    node: u64,
    streams: Arc<Streams>,
    last_id: AtomicU64,
    webhook: Option<Webhook>,
    /// What has ended here lately, where nodes share the store.
    pub(crate) lately: Lately,
}

/// The body of an accepted login or resume.
pub type Stream = StreamBody<StreamOwner>;

/// Ties a stream to its user.
pub struct StreamOwner {
    service: Arc<Service>,
    user_id: String,
}

impl Service {
    pub fn new(
        app: App,
        rules: Rules,
        heartbeat: Duration,
        opened: Opened,
    ) -> Result<Service, String> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| format!("no random numbers: {error}"))?;
        let streams: Arc<Streams> = Arc::default();
        let for_pushes = streams.clone();
        opened.store.watch(Box::new(move |push| {
            for_pushes.push(push.to.stream_id, push.what);
        }));
        Ok(Service {
            app,
            rules,
            heartbeat,
            timer: Timer::start().map_err(|error| format!("no thread: {error}"))?,
            store: opened.store,
            token_keys: opened.token_keys,
            node: opened.node,
            streams,
            webhook: None,
            lately: Lately::default(),
            // Session ids differ from those of earlier runs and other nodes, which are in tokens.
            last_id: AtomicU64::new(u64::from_le_bytes(random) >> 1),
        })
    }

    /// Tells the app's backend who comes and goes.
    #[must_use]
    pub fn with_webhook(self, webhook: Option<Webhook>) -> Service {
        Service { webhook, ..self }
    }

    fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Takes a decision over a user's record: durable once this returns, and told to the streams
    /// that it concerns.
    pub(crate) async fn decide<T>(
        &self,
        user_id: &str,
        mut rule: impl FnMut(&mut User, i64, &mut Vec<Push>) -> T,
    ) -> Result<T, Refused> {
        for _ in 0..TRIES {
            let Versioned {
                user: before,
                version,
            } = self.store.load(user_id).await?;
            let (mut user, mut pushes) = (User::clone(&before), Vec::new());
            let now = now_ms();
            user.tidy(now);
            user.nodes_died(|node| self.store.is_dead(node), now);
            user.end_absent(&self.rules, now);
            let watched = self.webhook.as_ref().map(|_| user.clone());
            let decision = rule(&mut user, now, &mut pushes);
            if user == *before {
                return Ok(decision);
            }
            let gone = match self.store.is_shared() {
                true => user.gone_since(&before),
                false => Vec::new(),
            };
            let changes = watched.map(|before| user.changes_since(&before));
            if self.store.swap(user_id, version, user).await? {
                self.report(user_id, changes.unwrap_or_default(), now);
                self.lately.add(user_id, gone);
                self.push(pushes).await;
                return Ok(decision);
            }
        }
        Err(Refused::new(
            code::SERVER_TIMEOUT,
            "too many requests of this user at once",
        ))
    }

    /// Lets the app's backend know.
    fn report(&self, user_id: &str, changes: Vec<Change>, time_ms: i64) {
        let Some(webhook) = &self.webhook else {
            return;
        };
        for change in changes {
            webhook.tell(Event {
                user_id: user_id.to_owned(),
                change,
                time_ms,
            });
        }
    }

    async fn push(&self, mut pushes: Vec<Push>) {
        pushes.retain(|push| {
            let here = push.to.node == self.node;
            if here {
                self.streams.push(push.to.stream_id, push.what.clone());
            }
            !here
        });
        if !pushes.is_empty()
            && let Err(error) = self.store.push(&pushes).await
        {
            // Heartbeats find out what was not told.
            tracing::warn!("a push to another node: {error}");
        }
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
        for ending in request.ends.iter().take(ENDS_MAX) {
            // The login stands on its own: what cannot be ended ends nothing.
            if let Err(refused) = self.end(ending).await {
                tracing::debug!(code = refused.code, "an ending of a login was refused");
            }
        }
        let (app, user_id) = (request.sdk_app_id, &request.user_id);
        let sig = self.check_ticket(app, user_id, &request.user_sig, now_ms())?;
        check_device(&request.device_id, &request.device_name)?;
        check_number(&request.number)?;
        let (ticket, stream) = (mark(&sig), self.open_stream(user_id));
        let login = Login {
            device_id: &request.device_id,
            platform: request.platform,
            device_name: &request.device_name,
            number: &request.number,
            ends_ms: end_of(&sig),
            interactive: request.intent == Intent::Interactive,
            session_id: self.next_id(),
            stream: self.place(&stream),
        };
        let decided = self
            .decide(user_id, |user, now, pushes| {
                user.admit(ticket, now).map_err(denied)?;
                let outcome = user.login(&login, &self.rules, now, pushes);
                accepted(user, outcome)
            })
            .await;
        self.answer(user_id, decided, &request.number, stream)
    }

    /// Resumes a session by its token, and renews its ticket where the request carries one.
    pub async fn resume(self: &Arc<Self>, request: ResumeRequest) -> Result<Stream, Refused> {
        let now = now_ms();
        let claims = self.claims(&request.session)?;
        check_number(&request.number)?;
        let (mut ends_ms, mut ticket) = (claims.ends_ms, None);
        if let Some(user_sig) = &request.user_sig {
            let sig = self.check_ticket(claims.sdk_app_id, &claims.user_id, user_sig, now)?;
            (ends_ms, ticket) = (end_of(&sig), Some(mark(&sig)));
        } else if now > ends_ms {
            return Err(Refused::new(
                code::USER_SIG_EXPIRED,
                "the ticket has expired",
            ));
        }
        let user_id = claims.user_id;
        let claim = Claim {
            session_id: claims.session_id,
            device_id: claims.device_id,
            platform: claims.platform,
            device_name: claims.device_name,
            epoch: claims.epoch,
            ends_ms,
        };
        let stream = self.open_stream(&user_id);
        let (place, number) = (self.place(&stream), &request.number);
        let decided = self
            .decide(&user_id, |user, now, pushes| {
                user.admit_session(claim.epoch, now).map_err(denied)?;
                if let Some(ticket) = ticket {
                    user.admit(ticket, now).map_err(denied)?;
                }
                let outcome = user.resume(claim.clone(), number, place, &self.rules, now, pushes);
                accepted(user, outcome)
            })
            .await;
        self.answer(&user_id, decided, number, stream)
    }

    /// Logs out.
    pub async fn logout(&self, request: &LogoutRequest) -> Result<(), Refused> {
        self.end(&request.ends).await
    }

    async fn end(&self, ending: &Ending) -> Result<(), Refused> {
        match ending {
            Ending::Session { session } => {
                let claims = self.claims(session)?;
                self.decide(&claims.user_id, |user, _, pushes| {
                    let device = &claims.device_id;
                    user.log_out(
                        claims.session_id,
                        device,
                        claims.epoch,
                        claims.ends_ms,
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
                let sig = self.check_ticket(*sdk_app_id, user_id, user_sig, now_ms())?;
                check_device(device_id, "")?;
                let ticket = mark(&sig);
                self.decide(user_id, |user, now, pushes| {
                    user.admit(ticket, now).map_err(denied)?;
                    user.end_login(device_id, instance, *login_no, now, pushes);
                    Ok(())
                })
                .await?
            }
        }
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

    fn open_stream(self: &Arc<Self>, user_id: &str) -> Stream {
        self.streams.open(StreamOwner {
            service: self.clone(),
            user_id: user_id.to_owned(),
        })
    }

    fn place(&self, stream: &Stream) -> StreamRef {
        StreamRef {
            node: self.node,
            stream_id: stream.stream_id,
        }
    }

    /// Begins the stream of an accepted session, or says why there is none.
    fn answer(
        &self,
        user_id: &str,
        decided: Result<Result<Session, Refused>, Refused>,
        number: &RequestNumber,
        mut stream: Stream,
    ) -> Result<Stream, Refused> {
        let session = match decided {
            Ok(Ok(session)) => session,
            Ok(Err(refused)) => {
                stream.refuse();
                return Err(refused);
            }
            // Whether the record has the stream is not known: its end is made known as any other.
            Err(refused) => return Err(refused),
        };
        let now = now_ms();
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
            sdk_app_id: self.app.sdk_app_id,
            user_id: user_id.to_owned(),
            device_id: session.device_id,
            platform: session.platform,
            device_name: session.device_name,
            session_id: session.session_id,
            epoch,
            login_no: session.login_no,
            ends_ms,
        };
        let first = StreamEvent::Session(SessionEvent {
            session: token::issue(&self.token_keys[0], &claims),
            epoch,
            server_time_ms: now,
            heartbeat_ms: u64::try_from(self.heartbeat.as_millis()).unwrap_or(u64::MAX),
            spread_ms: self.spread_ms(),
            user_sig_expires_ms: ends_ms,
            instance: number.instance.clone(),
            seq: number.seq,
        });
        let left = ends_ms.saturating_add(1).saturating_sub(now);
        let expires_in = Duration::from_millis(u64::try_from(left).unwrap_or(0));
        stream.begin(&first, self.heartbeat, expires_in, &self.timer, held);
        let tally = Tally {
            logins: 1,
            online_max: self.streams.count(),
        };
        self.store.tally(self.rules.time_zone.day(now), tally);
        Ok(stream)
    }

    fn spread_ms(&self) -> u64 {
        (self.streams.count() * 1000 / EASY_RECONNECTS_PER_S).min(SPREAD_MAX_MS)
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(crate) fn streams(&self) -> &Streams {
        &self.streams
    }

    /// How often a silent stream carries a heartbeat.
    pub fn heartbeat(&self) -> Duration {
        self.heartbeat
    }

    /// Whether other nodes decide over the same records.
    pub fn is_one_of_many(&self) -> bool {
        self.store.is_shared()
    }

    /// How many streams are open.
    pub fn open_streams(&self) -> u64 {
        self.streams.count()
    }

    /// The server is going: every stream is told when to come back, and ends.
    pub fn say_goodbye(&self) {
        let spread = self.spread_ms().max(1);
        // One slot each, spread evenly.
        self.streams.end_all(|place| {
            let return_in_ms = place % spread;
            StreamEvent::GoingAway(GoingAwayEvent { return_in_ms })
        });
    }

    /// Forgets users of whom nothing is left.
    pub fn sweep(&self) {
        let tally = Tally {
            logins: 0,
            online_max: self.streams.count(),
        };
        // One node alone says so at logins; of several, each has to know how many the others have.
        if self.store.is_shared() {
            self.store.tally(self.rules.time_zone.day(now_ms()), tally);
        }
        self.store.sweep(now_ms());
    }
}

/// The session of an accepted outcome.
fn accepted(user: &User, outcome: Outcome) -> Result<Session, Refused> {
    let displaced = |kick| Refused {
        kick,
        ..Refused::new(
            code::KICKED_WHILE_OFFLINE,
            "the session was taken over or has ended",
        )
    };
    match outcome {
        Outcome::Accepted(session_id) => user
            .session(session_id)
            .cloned()
            .ok_or_else(|| displaced(None)),
        Outcome::Displaced(kick) => Err(displaced(kick)),
        Outcome::Ghost => Err(Refused::new(
            code::BAD_REQUEST,
            "a later request of this client has been seen: this one has no effect",
        )),
        Outcome::TooOften { retry_after_ms } => Err(Refused {
            retry_after_ms: Some(retry_after_ms),
            ..Refused::new(
                code::LOGIN_TOO_OFTEN,
                "two devices take this session from each other again and again",
            )
        }),
    }
}

/// The end of a ticket, in ms of Unix time.
fn end_of(sig: &UserSig) -> i64 {
    sig.expires_s().saturating_mul(1000).saturating_add(999)
}

impl Owner for StreamOwner {
    fn expired(&self, stream_id: u64) {
        let (service, user_id) = (self.service.clone(), self.user_id.clone());
        let place = StreamRef {
            node: service.node,
            stream_id,
        };
        tokio::spawn(async move {
            // A renewal that was faster has given the session another stream.
            let ended = service
                .decide(&user_id, |user, now, _| user.expire(place, now))
                .await;
            if ended.unwrap_or(false) {
                let event = StreamEvent::UserSigExpired(EndEvent {
                    code: code::USER_SIG_EXPIRED,
                    message: "the ticket has expired".to_owned(),
                });
                service.streams.last(stream_id, &event);
            }
        });
    }

    fn closed(&self, stream_id: u64) {
        // Where the process ends, nothing has to be noted.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (service, user_id) = (self.service.clone(), self.user_id.clone());
        let place = StreamRef {
            node: service.node,
            stream_id,
        };
        runtime.spawn(async move {
            // If it fails, the next login or resume finds a stream that is not there any more.
            let _ = service
                .decide(&user_id, |user, now, _| user.stream_closed(place, now))
                .await;
        });
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
