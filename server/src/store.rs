//! Where users' records are kept. One small trait, so that the rules (`user.rs`) are the same
//! whether one node keeps them itself (`embedded.rs`) or many share an engine (`valkey.rs`).

pub mod embedded;
pub mod transfer;
pub mod valkey;
mod written;

use crate::calendar::Day;
use crate::event::Event;
use crate::figures::{Figures, Tally};
use crate::token::{KeyAges, TokenKey};
use crate::user::{Push, Rules, User};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
pub use written::Written;

/// What the store's methods give: they are called through `dyn Store`.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// What a store calls when other nodes have something to say.
pub struct Watch {
    /// A push to a stream of this node.
    pub push: Box<dyn Fn(Push) + Send + Sync>,
    /// What holds for all users has changed: [`Store::signed_out`], [`Store::token_keys`].
    pub changed: Box<dyn Fn() + Send + Sync>,
}

/// When everybody was signed out, the last time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignedOut {
    /// Tickets made before are void. 0: never.
    pub at_ms: i64,
    /// Sessions up to this epoch have ended.
    pub epoch: u64,
}

impl SignedOut {
    /// Epochs are ms of a clock, which may be another node's.
    const AHEAD_MS: u64 = 60_000;

    /// Signs everybody out at this time. `highest` is the highest epoch that is known.
    pub fn at(now_ms: i64, highest: u64) -> SignedOut {
        let clock = u64::try_from(now_ms).unwrap_or(0);
        SignedOut {
            at_ms: now_ms,
            epoch: clock.max(highest).saturating_add(SignedOut::AHEAD_MS),
        }
    }
}

/// Is called with the user of each event that can be delivered.
pub type Announce = Box<dyn Fn(&str, Origin) + Send + Sync>;

/// Where an event comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A decision of this run.
    Here,
    /// Another node, which may be dead; it may also be known here already.
    Elsewhere,
}

/// Stands for an event that is being delivered.
pub enum Receipt {
    Id(u64),
    Text(Vec<u8>),
}

/// A record as it was loaded.
#[derive(Clone, Debug)]
pub struct Versioned {
    pub user: Arc<User>,
    /// Changes with every swap; 0 where there is no record yet.
    pub version: u64,
}

/// What a decision changes.
pub struct Swap<'a> {
    pub user_id: &'a str,
    /// The version that it was made over.
    pub version: u64,
    pub user: Arc<User>,
    /// When time ends the next of its sessions.
    pub due_ms: Option<i64>,
    /// Kept with the record until they were delivered.
    pub events: Vec<Event>,
}

/// What came of a swap.
pub enum Swapped {
    /// Somebody was faster, and nothing has changed.
    Late,
    /// From now on all decide over the new record. Nobody may be answered before it is written.
    Done(Written),
}

/// Users' records, and the way to streams of other nodes.
pub trait Store: Send + Sync + 'static {
    /// The record of a user; an empty one where there is none.
    fn load<'a>(&'a self, user_id: &'a str) -> Answer<'a, Versioned>;

    /// Puts a record in the place of the version that it was decided over, unless somebody was faster.
    /// An error: nothing has changed, as far as is known.
    ///
    /// With a swap the figures grow, once per user and day: by an active user where `active_day`
    /// has grown, by an account made or removed where there is one now or none any more.
    fn swap<'a>(&'a self, swap: Swap<'a>) -> Answer<'a, Swapped>;

    /// Comes once the user's record, as it is now, is as durable as the store promises.
    fn settled<'a>(&'a self, user_id: &'a str) -> Answer<'a, ()>;

    /// Comes once what was swapped for this user survives the loss of the engine that took it, where there
    /// is one beside it that can take its place.
    fn confirm<'a>(&'a self, user_id: &'a str) -> Answer<'a, ()>;

    /// Tells streams of other nodes. May be lost on the way: see `reconcile.rs`.
    fn push<'a>(&'a self, pushes: &'a [Push]) -> Answer<'a, ()>;

    /// Has this called from now on.
    fn watch(&self, watch: Watch);

    /// When everybody was signed out, the last time.
    fn signed_out(&self) -> SignedOut;

    /// Signs everybody out: of this node at once, and every other one learns it within seconds.
    fn sign_everybody_out(&self, now_ms: i64) -> Answer<'_, ()>;

    /// Whether nodes share this store.
    fn is_shared(&self) -> bool;

    /// Whether a node is known to be dead, and its streams with it.
    fn is_dead(&self, node: u64) -> bool;

    /// Adds to a day's figures. What is added within a minute before the process dies may be lost.
    fn tally(&self, day: Day, tally: Tally);

    /// The figures from a day on, with all that was added before.
    fn figures(&self, since: Day) -> Answer<'_, Figures>;

    /// Gives old token keys their successors. The keys as they are then, the newest first.
    fn turn_token_keys<'a>(&'a self, ages: &'a KeyAges, now_ms: i64) -> Answer<'a, Vec<TokenKey>>;

    /// Makes a new token key and drops all others: no token that they made is good any more.
    fn replace_token_keys(&self, now_ms: i64) -> Answer<'_, ()>;

    /// The token keys as they are known here, the newest first.
    fn token_keys(&self) -> Vec<TokenKey>;

    /// Whether the store answers.
    fn ready(&self) -> Answer<'_, ()>;

    /// Forgets users of whom nothing is left but what lasts. Gives those with sessions that time has
    /// ended.
    fn sweep<'a>(&'a self, now_ms: i64, rules: &'a Rules) -> Answer<'a, Vec<String>>;

    /// Has `announce` called with the user of each event that can be delivered, once an event, and first
    /// for those that earlier runs have left.
    fn watch_events(&self, announce: Announce);

    /// The oldest event of a user, which stays until [`Store::event_delivered`].
    fn first_event<'a>(&'a self, user_id: &'a str) -> Answer<'a, Option<(Receipt, Event)>>;

    /// Forgets an event.
    fn event_delivered<'a>(&'a self, user_id: &'a str, receipt: &'a Receipt) -> Answer<'a, ()>;
}

/// What a store is opened with.
pub struct Opened {
    pub store: Arc<dyn Store>,
    /// The newest first; the others verify what they have issued.
    pub token_keys: Vec<TokenKey>,
    /// This node's own number, new at each start.
    pub node: u64,
}

/// Why the store failed. Never holds a key or a password.
#[derive(Clone, Debug)]
pub enum StoreError {
    /// It could not be reached, or did not answer in time: it may be back soon.
    Unavailable(String),
    /// What was decided is in force, but would not survive the loss of the engine yet.
    Unconfirmed(&'static str),
    /// It failed.
    Failed(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Unavailable(why) => write!(f, "the store cannot be reached: {why}"),
            StoreError::Unconfirmed(why) => {
                write!(f, "the decision is in force, but {why}: repeat it")
            }
            StoreError::Failed(why) => write!(f, "the store failed: {why}"),
        }
    }
}

impl std::error::Error for StoreError {}
