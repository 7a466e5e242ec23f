//! Decisions that must survive a fail-over wait until a replica has them: bans, kicks, deletions.

use super::address::{Address, Engines};
use super::link::Link;
use super::primaries::{self, Primary};
use crate::store::StoreError;
use redis::cmd;
use tokio::sync::Mutex;

/// How long an engine waits for a replica, in ms: less than this server waits for its answer.
const WAIT_MS: u64 = 1_500;
/// The lifetime, in seconds, of a key that is written only for its place after what was written
/// before.
const FENCE_S: u64 = 10;

/// Separate connections: an engine answers nothing else on one that waits.
pub struct Replicas {
    address: Address,
    app: u32,
    primaries: Mutex<Option<Vec<Primary>>>,
}

impl Replicas {
    pub fn new(address: &Address, app: u32) -> Replicas {
        Replicas {
            address: address.clone(),
            app,
            primaries: Mutex::default(),
        }
    }

    /// Completes once a replica has everything written for this user, if the engine has a replica,
    /// and once it is in the engine's own log, if it keeps one.
    pub async fn confirm(&self, user_id: &str) -> Result<(), StoreError> {
        self.confirm_at(&super::user_key(self.app, user_id)).await
    }

    /// The same for a key of the app's, which has no hash tag.
    pub async fn confirm_key(&self, key: &str) -> Result<(), StoreError> {
        // As a hash tag, the key maps to its own slot.
        self.confirm_at(&format!("{{{key}}}")).await
    }

    async fn confirm_at(&self, key: &str) -> Result<(), StoreError> {
        let mut primaries = self.primaries.lock().await;
        let confirmed = match primaries.take() {
            None => Err(StoreError::Unavailable("not connected yet".to_owned())),
            Some(known) => {
                let confirmed = self.confirm_by(&known, key).await;
                *primaries = Some(known);
                confirmed
            }
        };
        if !matches!(confirmed, Err(StoreError::Unavailable(_))) {
            return confirmed;
        }
        // Another engine may be primary now.
        let found = primaries::all(&self.address).await?;
        let confirmed = self.confirm_by(&found, key).await;
        *primaries = Some(found);
        confirmed
    }

    async fn confirm_by(&self, primaries: &[Primary], key: &str) -> Result<(), StoreError> {
        let fence = format!("{key}:fence");
        let link = self.primary_of(primaries, &fence).await?;
        let info: String = link.query(cmd("INFO").arg("replication")).await?;
        let mut replicas = info
            .lines()
            .filter_map(|line| line.strip_prefix("connected_slaves:"));
        let has_replicas = replicas.any(|count| count.trim() != "0");
        let info: String = link.query(cmd("INFO").arg("persistence")).await?;
        let has_log = info.lines().any(|line| line.trim() == "aof_enabled:1");
        if !has_replicas && !has_log {
            return Ok(());
        }
        let mut set = cmd("SET");
        set.arg(&fence).arg(1).arg("EX").arg(FENCE_S);
        link.query::<()>(&set).await?;
        if has_replicas {
            let count: u64 = link.query(cmd("WAIT").arg(1).arg(WAIT_MS)).await?;
            if count == 0 {
                let why = "no replica of the engine has confirmed it yet";
                return Err(StoreError::Unconfirmed(why));
            }
        }
        if has_log {
            let waited = link.query(cmd("WAITAOF").arg(1).arg(0).arg(WAIT_MS)).await;
            match waited {
                Ok::<(u64, u64), _>((0, _)) => {
                    return Err(StoreError::Unconfirmed(
                        "the engine's log does not have it yet",
                    ));
                }
                Ok(_) => {}
                // Before Redis 7.2: its `appendfsync` decides when that happens.
                Err(error) => tracing::debug!("WAITAOF: {error}"),
            }
        }
        Ok(())
    }

    async fn primary_of<'a>(
        &self,
        primaries: &'a [Primary],
        key: &str,
    ) -> Result<&'a Link, StoreError> {
        let unknown = || StoreError::Unavailable("no engine has this user".to_owned());
        let first = &primaries.first().ok_or_else(unknown)?.link;
        if !matches!(self.address.engines, Engines::Cluster) {
            return Ok(first);
        }
        let slot: u16 = first.query(cmd("CLUSTER").arg("KEYSLOT").arg(key)).await?;
        let has_it = |primary: &&Primary| primary.slots.iter().any(|slots| slots.contains(&slot));
        let primary = primaries.iter().find(has_it).ok_or_else(unknown)?;
        Ok(&primary.link)
    }
}
