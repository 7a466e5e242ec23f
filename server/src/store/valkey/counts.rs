//! Figures in the shared store: one hash, with a field for each figure and day.
//!
//! A single engine counts users and accounts in the script that swaps their record. In a cluster
//! the two may be on different nodes: the figures follow the swap, and a node that dies in between
//! misses that one.

use super::{Link, Shared};
use crate::calendar::Day;
use crate::figures::{DAYS_KEPT, Figures, Tally};
use crate::store::StoreError;
use crate::user::User;
use redis::{Script, cmd};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a swap adds, in its script's answer above 1.
const ACTIVE: u8 = 1;
const REGISTERED: u8 = 2;
const REMOVED: u8 = 4;

/// Adds a tally to a day: KEYS figures; ARGV day, logins, most online.
const TALLY: &str = "
redis.call('HINCRBY', KEYS[1], 'logins:' .. ARGV[1], ARGV[2])
local most = 'online_max:' .. ARGV[1]
if tonumber(ARGV[3]) > tonumber(redis.call('HGET', KEYS[1], most) or 0) then
  redis.call('HSET', KEYS[1], most, ARGV[3])
end
return 1";

/// Counts for all nodes.
pub struct Counts {
    link: Link,
    app: u32,
    node: u64,
    shared: Arc<Shared>,
    /// Counted but not reported to the engine yet.
    waiting: Mutex<BTreeMap<Day, Tally>>,
    /// The day on which old figures were last removed.
    pruned: Mutex<Day>,
}

impl Counts {
    pub fn new(link: Link, app: u32, node: u64, shared: Arc<Shared>) -> Counts {
        Counts {
            link,
            app,
            node,
            shared,
            waiting: Mutex::default(),
            pruned: Mutex::default(),
        }
    }

    /// The key of the figures.
    pub fn key(&self) -> String {
        format!("tim:{}:figures", self.app)
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<Day, Tally>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn tally(&self, day: Day, tally: Tally) {
        self.waiting().entry(day).or_default().add(tally);
    }

    /// In a cluster: adds what the swap of this record added.
    pub async fn follow(&self, grown: u8, user: &User) -> Result<(), StoreError> {
        let registered_day = user.account.as_ref().map(|account| account.registered_day);
        let fields = [
            (ACTIVE, format!("active:{}", user.active_day.0)),
            (REGISTERED, "registered".to_owned()),
            (
                REGISTERED,
                format!("registered:{}", registered_day.unwrap_or_default().0),
            ),
            (REMOVED, "removed".to_owned()),
        ];
        for (_, field) in fields.iter().filter(|(flag, _)| grown & flag != 0) {
            let mut add = cmd("HINCRBY");
            add.arg(self.key()).arg(field).arg(1);
            self.link.query::<()>(&add).await?;
        }
        Ok(())
    }

    /// Reports to the engine what was counted here.
    pub async fn write(&self) -> Result<(), StoreError> {
        let tallies = std::mem::take(&mut *self.waiting());
        for (day, tally) in &tallies {
            if let Err(error) = self.write_day(*day, *tally).await {
                // What was reported already is reported again: better a login too many than a day
                // too few.
                for (day, tally) in tallies {
                    self.tally(day, tally);
                }
                return Err(error);
            }
        }
        match tallies.last_key_value() {
            Some((today, _)) => self.prune(*today).await,
            None => Ok(()),
        }
    }

    async fn write_day(&self, day: Day, tally: Tally) -> Result<(), StoreError> {
        let online = self.online_everywhere(tally.online_max).await?;
        let script = Script::new(TALLY);
        let mut add = script.key(self.key());
        add.arg(day.0).arg(tally.logins).arg(online);
        self.link.run::<()>(&add).await
    }

    /// How many streams are open on all nodes, given those here.
    async fn online_everywhere(&self, here: u64) -> Result<u64, StoreError> {
        let key = format!("tim:{}:online", self.app);
        let mut set = cmd("HSET");
        set.arg(&key).arg(self.node).arg(here);
        self.link.query::<()>(&set).await?;
        let all: HashMap<u64, u64> = self.link.query(cmd("HGETALL").arg(&key)).await?;
        let dead = {
            let dead = self.shared.dead.lock();
            dead.unwrap_or_else(PoisonError::into_inner).clone()
        };
        let mut online = 0;
        for (node, count) in all {
            if node != self.node && dead.contains(&node) {
                let forget = cmd("HDEL").arg(&key).arg(node).to_owned();
                self.link.query::<()>(&forget).await?;
            } else {
                online += count;
            }
        }
        Ok(online)
    }

    /// Removes old figures, once a day.
    async fn prune(&self, today: Day) -> Result<(), StoreError> {
        {
            let mut pruned = self.pruned.lock().unwrap_or_else(PoisonError::into_inner);
            if *pruned >= today {
                return Ok(());
            }
            *pruned = today;
        }
        let fields: Vec<String> = self.link.query(cmd("HKEYS").arg(self.key())).await?;
        let days = fields.iter().filter_map(|field| Some(read_field(field)?.1));
        let days: BTreeSet<Day> = days.collect();
        // By count, not by date: a clock that jumps ahead takes the place of one day only.
        let Some(oldest) = days.iter().rev().nth(DAYS_KEPT as usize - 1).copied() else {
            return Ok(());
        };
        for field in fields {
            if read_field(&field).is_some_and(|(_, day)| day < oldest) {
                let forget = cmd("HDEL").arg(self.key()).arg(field).to_owned();
                self.link.query::<()>(&forget).await?;
            }
        }
        Ok(())
    }

    pub async fn read(&self, since: Day) -> Result<Figures, StoreError> {
        self.write().await?;
        let all: HashMap<String, u64> = self.link.query(cmd("HGETALL").arg(self.key())).await?;
        let mut figures = Figures {
            registered: all.get("registered").copied().unwrap_or(0),
            removed: all.get("removed").copied().unwrap_or(0),
            ..Figures::default()
        };
        for (field, count) in &all {
            let Some((name, day)) = read_field(field).filter(|(_, day)| *day >= since) else {
                continue;
            };
            let of_day = figures.days.entry(day).or_default();
            match name {
                "active" => of_day.active = *count,
                "registered" => of_day.registered = *count,
                "logins" => of_day.tally.logins = *count,
                "online_max" => of_day.tally.online_max = *count,
                _ => {}
            }
        }
        Ok(figures)
    }
}

/// Parses `active:20399`.
fn read_field(field: &str) -> Option<(&str, Day)> {
    let (name, day) = field.split_once(':')?;
    Some((name, Day(day.parse().ok()?)))
}
