//! What the requests do: logins, resumes, logouts, over the users' records in the store.

mod operator;

use crate::clock::now_ms;
use crate::figures::Tally;
use crate::metrics::{Counted, Metrics};
use crate::reconcile::Lately;
use crate::room::{Deciding, Seat, Seats, Turn};
use crate::settings::{Current, Settings};
use crate::store::{Opened, Store, StoreError, Versioned};
use crate::stream::{HeldBy, Owner, StreamBody, Streams};
use crate::tickets::Tickets;
use crate::timer::Timer;
use crate::token::{self, Claims, TokenKey};
use crate::user::{Change, Claim, Held, Login, Outcome, Push, Pushed, Session, StreamRef, User};
use crate::webhook::{Event, Webhook};
use operator::{denied, mark};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tim_proto::code;
use tim_proto::identity;
use tim_proto::user_sig::UserSig;
use tim_proto::wire::{
    ENDS_MAX, EndEvent, Ending, GoingAwayEvent, Intent, Kick, LoginRequest, LogoutRequest,
    RequestNumber, ResumeRequest, SessionEvent, StreamEvent,
};

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
    settings: Current,
    tickets: Tickets,
    deciding: Deciding,
    seats: Arc<Seats>,
    timer: Arc<Timer>,
    store: Arc<dyn Store>,
    /// The newest first.
    token_keys: Mutex<Arc<[TokenKey]>>,
    node: u64,
    streams: Arc<Streams>,
    last_id: AtomicU64,
    metrics: Metrics,
    webhook: Option<Webhook>,
    /// The process is about to end.
    going: AtomicBool,
    /// What has ended here lately, where nodes share the store.
    pub(crate) lately: Lately,
}

/// The body of an accepted login or resume.
pub type Stream = StreamBody<StreamOwner>;

/// Ties a stream to its user.
pub struct StreamOwner {
    service: Arc<Service>,
    user_id: String,
    _seat: Seat,
    /// Once the login was accepted.
    online: Option<Counted>,
}

impl Service {
    pub fn new(settings: Settings, opened: Opened) -> Result<Service, String> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| format!("no random numbers: {error}"))?;
        let streams: Arc<Streams> = Arc::default();
        let for_pushes = streams.clone();
        opened.store.watch(Box::new(move |push| {
            for_pushes.push(push.to.stream_id, push.what);
        }));
        Ok(Service {
            settings: Current::new(settings),
            tickets: Tickets::default(),
            deciding: Deciding::default(),
            seats: Arc::default(),
            timer: Timer::start().map_err(|error| format!("no thread: {error}"))?,
            store: opened.store,
            token_keys: Mutex::new(opened.token_keys.into()),
            node: opened.node,
            streams,
            webhook: None,
            lately: Lately::default(),
            metrics: Metrics::default(),
            going: AtomicBool::new(false),
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
            } = (self.metrics).store_load(self.store.load(user_id)).await?;
            let (mut user, mut pushes) = (User::clone(&before), Vec::new());
            let now = now_ms();
            user.tidy(now);
            user.nodes_died(|node| self.store.is_dead(node), now);
            user.end_absent(&self.settings.get().rules, now);
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
            let swap = self.store.swap(user_id, version, user);
            if self.metrics.store_swap(swap).await? {
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
            if let Pushed::Kicked(kick) = &push.what {
                self.metrics.kicked(kick.cause);
            }
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

    /// Logs in.
    pub async fn login(
        self: &Arc<Self>,
        from: IpAddr,
        request: LoginRequest,
    ) -> Result<Stream, Refused> {
        let settings = self.settings.get();
        for ending in request.ends.iter().take(ENDS_MAX) {
            // The login stands on its own: what cannot be ended ends nothing.
            if let Err(refused) = self.end(from, ending).await {
                tracing::debug!(code = refused.code, "an ending of a login was refused");
            }
        }
        let (app, user_id) = (request.sdk_app_id, &request.user_id);
        let sig = (self.tickets).check(&settings, from, app, user_id, &request.user_sig)?;
        check_device(&request.device_id, &request.device_name)?;
        check_number(&request.number)?;
        let _turn = self.turn(&settings).await?;
        let stream = self.open_stream(from, user_id, &settings)?;
        let ticket = mark(&sig);
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
                let outcome = user.login(&login, &settings.rules, now, pushes);
                accepted(user, outcome)
            })
            .await;
        self.answer(user_id, decided, &request.number, stream)
    }

    /// Resumes a session by its token, and renews its ticket where the request carries one.
    pub async fn resume(
        self: &Arc<Self>,
        from: IpAddr,
        request: ResumeRequest,
    ) -> Result<Stream, Refused> {
        let settings = self.settings.get();
        let claims = self.claims(&request.session)?;
        check_number(&request.number)?;
        let (mut ends_ms, mut ticket) = (claims.ends_ms, None);
        if let Some(user_sig) = &request.user_sig {
            let (app, user_id) = (claims.sdk_app_id, &claims.user_id);
            let sig = (self.tickets).check(&settings, from, app, user_id, user_sig)?;
            (ends_ms, ticket) = (end_of(&sig), Some(mark(&sig)));
        } else if now_ms() > ends_ms {
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
        let _turn = self.turn(&settings).await?;
        let stream = self.open_stream(from, &user_id, &settings)?;
        let (place, number) = (self.place(&stream), &request.number);
        let decided = self
            .decide(&user_id, |user, now, pushes| {
                user.admit_session(claim.epoch, now).map_err(denied)?;
                if let Some(ticket) = ticket {
                    user.admit(ticket, now).map_err(denied)?;
                }
                let outcome =
                    user.resume(claim.clone(), number, place, &settings.rules, now, pushes);
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
                let settings = self.settings.get();
                let sig = (self.tickets).check(&settings, from, *sdk_app_id, user_id, user_sig)?;
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
        token::verify(&self.token_keys(), session)
            .filter(|claims| claims.sdk_app_id == self.settings.get().app.sdk_app_id)
            .ok_or_else(|| {
                Refused::new(
                    code::SESSION_TOKEN_INVALID,
                    "the session token does not verify: log in again",
                )
            })
    }

    /// The turn of a login or resume to be decided.
    async fn turn(&self, settings: &Settings) -> Result<Turn<'_>, Refused> {
        if self.is_going() {
            return Err(Refused::new(
                code::SERVER_OVERLOADED,
                "this server is going",
            ));
        }
        self.deciding.enter(&settings.room).await
    }

    fn open_stream(
        self: &Arc<Self>,
        from: IpAddr,
        user_id: &str,
        settings: &Settings,
    ) -> Result<Stream, Refused> {
        let seat = self.seats.take(from, user_id, &settings.room)?;
        Ok(self.streams.open(StreamOwner {
            service: self.clone(),
            user_id: user_id.to_owned(),
            _seat: seat,
            online: None,
        }))
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
            instance: number.instance.clone(),
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
        if self.is_going() {
            // It may have come just after all others were told.
            let place = self.streams.count();
            self.streams.last(
                stream.stream_id,
                &going_away(place, self.streams.spread_ms()),
            );
        }
        Ok(stream)
    }

    /// The figures of this node.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The settings of now.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.get()
    }

    pub(crate) fn streams(&self) -> &Streams {
        &self.streams
    }

    /// How often a silent stream carries a heartbeat.
    pub fn heartbeat(&self) -> Duration {
        self.settings.get().heartbeat
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
        self.going.store(true, Ordering::SeqCst);
        let spread = self.streams.spread_ms();
        self.streams.end_all(|place| going_away(place, spread));
    }

    fn is_going(&self) -> bool {
        self.going.load(Ordering::SeqCst)
    }

    /// Whether logins are served, or else why not.
    pub async fn ready(&self) -> Result<(), &'static str> {
        if self.is_going() {
            return Err("draining\n");
        }
        let store = self.store.ready().await;
        store.map_err(|error| {
            tracing::debug!("{error}");
            "the store does not work\n"
        })
    }

    /// Has what follows done by other settings.
    pub fn replace_settings(&self, settings: Settings) {
        self.settings.replace(settings);
    }

    fn token_keys(&self) -> Arc<[TokenKey]> {
        let keys = self.token_keys.lock();
        keys.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives old token keys their successors, and learns of those that other nodes have made.
    pub async fn turn_token_keys(&self) {
        let ages = self.settings.get().token_keys;
        match self.store.turn_token_keys(&ages, now_ms()).await {
            Ok(keys) => {
                let held = self.token_keys.lock();
                *held.unwrap_or_else(PoisonError::into_inner) = keys.into();
            }
            Err(error) => tracing::warn!("token keys: {error}"),
        }
    }

    /// Forgets users of whom nothing is left.
    pub fn sweep(&self) {
        let tally = Tally {
            logins: 0,
            online_max: self.streams.count(),
        };
        // One node alone says so at logins; of several, each has to know how many the others have.
        if self.store.is_shared() {
            self.store
                .tally(self.settings.get().rules.time_zone.day(now_ms()), tally);
        }
        self.store.sweep(now_ms());
    }
}

/// One slot each, spread evenly.
fn going_away(place: u64, spread_ms: u64) -> StreamEvent {
    let return_in_ms = place % spread_ms.max(1);
    StreamEvent::GoingAway(GoingAwayEvent { return_in_ms })
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
