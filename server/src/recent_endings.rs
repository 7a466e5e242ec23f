//! What ended or was decided at this node recently and must survive a fail-over: it is repeated for
//! a while, in case the new engine has lost it.

use crate::user::{Decided, Gone};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an ending is repeated. An engine loses seconds, not minutes.
const RECENT: Duration = Duration::from_secs(120);
/// How many are remembered; the oldest go first.
const ENDINGS_MAX: usize = 10_000;

/// This node's endings, oldest first.
#[derive(Default)]
pub struct RecentEndings(Mutex<VecDeque<Arc<OfUser>>>);

/// An ending of one user.
pub struct OfUser {
    at: Instant,
    pub user_id: String,
    pub ending: Ending,
}

/// What must not be undone.
pub enum Ending {
    Gone(Gone),
    Decided(Decided),
}

impl RecentEndings {
    /// Remembers what a decision ended.
    pub fn add(&self, user_id: &str, endings: impl IntoIterator<Item = Ending>) {
        let at = Instant::now();
        for ending in endings {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() == ENDINGS_MAX {
                kept.pop_front();
            }
            let user_id = user_id.to_owned();
            kept.push_back(Arc::new(OfUser {
                at,
                user_id,
                ending,
            }));
        }
    }

    /// What is to be repeated.
    pub fn all(&self) -> Vec<Arc<OfUser>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while kept
            .front()
            .is_some_and(|first| first.at.elapsed() > RECENT)
        {
            kept.pop_front();
        }
        kept.iter().cloned().collect()
    }
}
