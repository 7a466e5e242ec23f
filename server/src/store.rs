//! Where users' records are kept. One small trait, so that the rules (`user.rs`) are the same
//! whether a single node keeps them itself (`embedded.rs`) or several share an engine
//! (`valkey.rs`).

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

/// The result of the store's methods, which are called through `dyn Store`.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Callbacks for what other nodes send.
pub struct Watch {
    /// A push to a stream of this node.
    pub push: Box<dyn Fn(Push) + Send + Sync>,
    /// What holds for all users has changed: [`Store::signed_out`], [`Store::token_keys`].
    pub changed: Box<dyn Fn() + Send + Sync>,
}

/// When everybody was last signed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignedOut {
    /// Tickets issued before are void. 0: never.
    pub at_ms: i64,
    /// Sessions up to this epoch have ended.
    pub epoch: u64,
}

impl SignedOut {
    /// Epochs are ms of a clock, possibly another node's.
    const AHEAD_MS: u64 = 60_000;

    /// Signs everybody out at this time. `highest` is the highest known epoch.
    pub fn at(now_ms: i64, highest: u64) -> SignedOut {
        let clock = u64::try_from(now_ms).unwrap_or(0);
        SignedOut {
            at_ms: now_ms,
            epoch: clock.max(highest).saturating_add(SignedOut::AHEAD_MS),
        }
    }
}

/// Called with the user of each event that can be delivered.
pub type Announce = Box<dyn Fn(&str, Origin) + Send + Sync>;

/// Where an event comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A decision made in this run.
    Here,
    /// Another node, which may be dead; the event may also be known here already.
    Elsewhere,
}

/// Identifies an event being delivered.
pub enum Receipt {
    Id(u64),
    Text(Vec<u8>),
}

/// A record as loaded.
#[derive(Clone, Debug)]
pub struct Versioned {
    pub user: Arc<User>,
    /// Changes with every swap; 0 if there is no record yet.
    pub version: u64,
}

/// The change made by a decision.
pub struct Swap<'a> {
    pub user_id: &'a str,
    /// The version that the decision was based on.
    pub version: u64,
    pub user: Arc<User>,
    /// When the next of its sessions ends by time.
    pub due_ms: Option<i64>,
    /// Stored with the record until delivered.
    pub events: Vec<Event>,
}

/// The result of a swap.
pub enum Swapped {
    /// Another decision came first; nothing has changed.
    Late,
    /// Every decision from now on sees the new record. No answer may be sent before it is written.
    Done(Written),
}

/// Users' records, and pushes to streams on other nodes.
pub trait Store: Send + Sync + 'static {
    /// A user's record; an empty one if there is none.
    fn load<'a>(&'a self, user_id: &'a str) -> Answer<'a, Versioned>;

    /// Replaces the record that a decision was based on, unless another decision came first. On an
    /// error, nothing has changed as far as is known.
    ///
    /// A swap also updates the figures, once per user and day: an active user if `active_day`
    /// advanced, and an account created or removed if the record says so.
    fn swap<'a>(&'a self, swap: Swap<'a>) -> Answer<'a, Swapped>;

    /// Completes once the user's record, as it is now, is as durable as the store promises.
    fn settled<'a>(&'a self, user_id: &'a str) -> Answer<'a, ()>;

    /// Completes once what was swapped for this user survives the loss of the engine that took it,
    /// if that engine has a replica.
    fn confirm<'a>(&'a self, user_id: &'a str) -> Answer<'a, ()>;

    /// Pushes to streams on other nodes. May be lost on the way: see `reconcile.rs`.
    fn push<'a>(&'a self, pushes: &'a [Push]) -> Answer<'a, ()>;

    /// Sets the callbacks for what other nodes send.
    fn watch(&self, watch: Watch);

    /// When everybody was last signed out.
    fn signed_out(&self) -> SignedOut;

    /// Signs everybody out: on this node at once, on every other within seconds.
    fn sign_everybody_out(&self, now_ms: i64) -> Answer<'_, ()>;

    /// Whether several nodes share this store.
    fn is_shared(&self) -> bool;

    /// Whether a node is known to be dead, and its streams with it.
    fn is_dead(&self, node: u64) -> bool;

    /// Adds to a day's figures. If the process dies, up to a minute of it is lost.
    fn tally(&self, day: Day, tally: Tally);

    /// The figures since a day, including everything added so far.
    fn figures(&self, since: Day) -> Answer<'_, Figures>;

    /// Creates successors of old token keys. Returns the keys afterwards, newest first.
    fn turn_token_keys<'a>(&'a self, ages: &'a KeyAges, now_ms: i64) -> Answer<'a, Vec<TokenKey>>;

    /// Creates a new token key and drops all others, which voids every token they signed.
    fn replace_token_keys(&self, now_ms: i64) -> Answer<'_, ()>;

    /// The token keys known here, newest first.
    fn token_keys(&self) -> Vec<TokenKey>;

    /// Whether the store answers.
    fn ready(&self) -> Answer<'_, ()>;

    /// Forgets users of whom nothing but the lasting part is left. Returns those with sessions that
    /// time has ended.
    fn sweep<'a>(&'a self, now_ms: i64, rules: &'a Rules) -> Answer<'a, Vec<String>>;

    /// Sets the callback that announces each deliverable event, once per event; those left by
    /// earlier runs come first.
    fn watch_events(&self, announce: Announce);

    /// The oldest event of a user; it stays until [`Store::event_delivered`].
    fn first_event<'a>(&'a self, user_id: &'a str) -> Answer<'a, Option<(Receipt, Event)>>;

    /// Forgets an event.
    fn event_delivered<'a>(&'a self, user_id: &'a str, receipt: &'a Receipt) -> Answer<'a, ()>;
}

/// The result of opening a store.
pub struct Opened {
    pub store: Arc<dyn Store>,
    /// Newest first; the others only verify.
    pub token_keys: Vec<TokenKey>,
    /// This node's number, new at each start.
    pub node: u64,
}

/// Why the store failed. Never contains a key or a password.
#[derive(Clone, Debug)]
pub enum StoreError {
    /// It could not be reached or did not answer in time; it may be back soon.
    Unavailable(String),
    /// The decision is in force, but would not survive the loss of the engine yet.
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
