//! When everybody was last signed out, in the shared store. An engine that has lost it gets it
//! back.

use super::link::Link;
use crate::store::{SignedOut, StoreError};
use arc_swap::ArcSwap;
use redis::Script;
use std::sync::Arc;

/// Stores the later of two values and returns it: KEYS place; ARGV at_ms, epoch. As text, because
/// an epoch may have more digits than the script's numbers can hold.
const LATER: &str = "
local at = redis.call('HGET', KEYS[1], 'at_ms') or '0'
if tonumber(ARGV[1]) > tonumber(at) then
  redis.call('HSET', KEYS[1], 'at_ms', ARGV[1], 'epoch', ARGV[2])
end
return redis.call('HMGET', KEYS[1], 'at_ms', 'epoch')";

/// The value as this node knows it.
pub struct Everybody {
    place: String,
    known: ArcSwap<SignedOut>,
}

impl Everybody {
    pub fn new(place: String) -> Everybody {
        Everybody {
            place,
            known: ArcSwap::default(),
        }
    }

    pub fn signed_out(&self) -> SignedOut {
        **self.known.load()
    }

    /// Signs everybody out.
    pub async fn sign_out(&self, link: &Link, now_ms: i64) -> Result<(), StoreError> {
        let known = self.signed_out();
        let mut new = SignedOut::at(now_ms, known.epoch);
        new.at_ms = new.at_ms.max(known.at_ms + 1);
        self.agree(link, new).await.map(drop)
    }

    /// Agrees with the engine on the later value. Returns whether that is new here.
    pub async fn refresh(&self, link: &Link) -> Result<bool, StoreError> {
        self.agree(link, self.signed_out()).await
    }

    async fn agree(&self, link: &Link, ours: SignedOut) -> Result<bool, StoreError> {
        let script = Script::new(LATER);
        let mut later = script.key(&self.place);
        later.arg(ours.at_ms).arg(ours.epoch);
        let (at_ms, epoch): (Option<i64>, Option<u64>) = link.run(&later).await?;
        let agreed = SignedOut {
            at_ms: at_ms.unwrap_or(0),
            epoch: epoch.unwrap_or(0),
        };
        Ok(*self.known.swap(Arc::new(agreed)) != agreed)
    }
}
