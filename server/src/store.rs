//! Where users' records are kept. One small trait, so that the rules (`user.rs`) are the same
//! whether one node keeps them itself (`embedded.rs`) or many share an engine (`valkey.rs`).

pub mod embedded;
pub mod valkey;
mod written;

use crate::calendar::Day;
use crate::figures::{Figures, Tally};
use crate::token::{KeyAges, TokenKey};
use crate::user::{Push, User};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
pub use written::Written;

/// What the store's methods give: they are called through `dyn Store`.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// What pushes of other nodes are handed to.
pub type Deliver = Box<dyn Fn(Push) + Send + Sync>;

/// A record as it was loaded.
#[derive(Clone, Debug)]
pub struct Versioned {
    pub user: Arc<User>,
    /// Changes with every swap; 0 where there is no record yet.
    pub version: u64,
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

    /// Puts `user` in the place of that version, unless somebody was faster.
    ///
    /// With a swap the figures grow, once per user and day: by an active user where `active_day`
    /// has grown, by an account made or removed where there is one now or none any more.
    fn swap<'a>(&'a self, user_id: &'a str, version: u64, user: Arc<User>) -> Answer<'a, Swapped>;

    /// Tells streams of other nodes. May be lost on the way: see `reconcile.rs`.
    fn push<'a>(&'a self, pushes: &'a [Push]) -> Answer<'a, ()>;

    /// Has `deliver` called with what other nodes push to streams of this one.
    fn watch(&self, deliver: Deliver);

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

    /// Whether the store answers.
    fn ready(&self) -> Answer<'_, ()>;

    /// Forgets users of whom nothing is left but what lasts.
    fn sweep(&self, now_ms: i64);
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
    /// It failed.
    Failed(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Unavailable(why) => write!(f, "the store cannot be reached: {why}"),
            StoreError::Failed(why) => write!(f, "the store failed: {why}"),
        }
    }
}

impl std::error::Error for StoreError {}
