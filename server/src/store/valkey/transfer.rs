//! Export and import of the shared store, while no node is running.

use super::address::Address;
use super::counts::Counts;
use super::link::Link;
use super::{Shared, primaries, token_keys::TokenKeys};
use crate::calendar::Day;
use crate::store::StoreError;
use crate::store::transfer::{self, Count, Export, Item};
use crate::user::User;
use redis::cmd;
use std::io::{BufRead, Write};
use std::ops::ControlFlow;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

/// How many keys are requested at a time.
const BATCH: usize = 1_000;

/// Writes everything in an app's store.
pub fn export(address: &Address, app: u32, to: &mut dyn Write) -> Result<Count, StoreError> {
    runtime()?.block_on(async {
        let engine = Engine::connect(address, app).await?;
        let mut export = Export::begin(to, app)?;
        for key in engine.token_keys.read(&engine.link).await? {
            export.add(Item::TokenKey(key))?;
        }
        export.add(Item::Figures(engine.counts().read(Day(0)).await?))?;
        engine
            .each_user(async |user_id| {
                let mut get = cmd("HGET");
                get.arg(engine.user_key(user_id)).arg("user");
                // It may be gone by now.
                if let Some(text) = engine.link.query::<Option<Vec<u8>>>(&get).await? {
                    let user: User = serde_json::from_slice(&text).map_err(|error| {
                        StoreError::Failed(format!("the record of {user_id}: {error}"))
                    })?;
                    export.add(Item::User(user_id.to_owned(), Box::new(user)))?;
                }
                Ok(ControlFlow::Continue(()))
            })
            .await?;
        Ok(export.count)
    })
}

/// Fills an app's empty store. A failed import can be repeated.
pub fn import(address: &Address, app: u32, from: &mut dyn BufRead) -> Result<Count, StoreError> {
    let runtime = runtime()?;
    let engine = runtime.block_on(Engine::connect(address, app))?;
    let marker = format!("tim:{app}:import");
    let begun = async {
        let was_begun: bool = engine.link.query(cmd("EXISTS").arg(&marker)).await?;
        if !was_begun && engine.has_users().await? {
            return Err(StoreError::Failed(format!(
                "the engine has users of app {app} already: expected it without any"
            )));
        }
        let set = cmd("SET").arg(&marker).arg(1).to_owned();
        engine.link.query::<()>(&set).await
    };
    runtime.block_on(begun)?;
    let mut keys_are_replaced = false;
    let count = transfer::read(from, app, |item| {
        runtime.block_on(engine.put(item, &mut keys_are_replaced))
    })?;
    runtime.block_on(engine.link.query::<()>(cmd("DEL").arg(&marker)))?;
    Ok(count)
}

fn runtime() -> Result<Runtime, StoreError> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| StoreError::Failed(error.to_string()))
}

/// The engine and an app's keys in it.
struct Engine<'a> {
    address: &'a Address,
    link: Link,
    app: u32,
    token_keys: TokenKeys,
}

impl Engine<'_> {
    async fn connect(address: &Address, app: u32) -> Result<Engine<'_>, StoreError> {
        Ok(Engine {
            address,
            link: Link::connect(address).await?,
            app,
            token_keys: TokenKeys::new(super::token_keys_key(app)),
        })
    }

    fn counts(&self) -> Counts {
        Counts::new(self.link.clone(), self.app, 0, Arc::<Shared>::default())
    }

    fn user_key(&self, user_id: &str) -> String {
        super::user_key(self.app, user_id)
    }

    /// The user whose record this key holds, if it is a record.
    fn user_id<'k>(&self, key: &'k str) -> Option<&'k str> {
        let rest = key.strip_prefix(&format!("tim:{}:{{", self.app))?;
        rest.strip_suffix('}')
    }

    /// Calls `each` with the users on all engines, some of them possibly twice.
    async fn each_user(
        &self,
        mut each: impl AsyncFnMut(&str) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        for primary in primaries::all(self.address).await? {
            let mut cursor = 0_u64;
            loop {
                let mut scan = cmd("SCAN");
                let keys = format!("tim:{}:{{*}}", self.app);
                scan.arg(cursor)
                    .arg("MATCH")
                    .arg(keys)
                    .arg("COUNT")
                    .arg(BATCH);
                let (next, keys): (u64, Vec<String>) = primary.link.query(&scan).await?;
                for user_id in keys.iter().filter_map(|key| self.user_id(key)) {
                    if each(user_id).await?.is_break() {
                        return Ok(());
                    }
                }
                cursor = next;
                if cursor == 0 {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn has_users(&self) -> Result<bool, StoreError> {
        let mut found = false;
        self.each_user(async |_| {
            found = true;
            Ok(ControlFlow::Break(()))
        })
        .await?;
        Ok(found)
    }

    async fn put(&self, item: Item, keys_are_replaced: &mut bool) -> Result<(), StoreError> {
        match item {
            Item::User(user_id, user) => {
                let text = serde_json::to_vec(&*user)
                    .map_err(|error| StoreError::Failed(error.to_string()))?;
                let mut put = cmd("HSET");
                put.arg(self.user_key(&user_id))
                    .arg("version")
                    .arg(1)
                    .arg("user")
                    .arg(text);
                put.arg("active_day").arg(user.active_day.0);
                put.arg("has_account").arg(u8::from(user.account.is_some()));
                self.link.query(&put).await
            }
            Item::TokenKey(key) => {
                if !std::mem::replace(keys_are_replaced, true) {
                    let all = super::token_keys_key(self.app);
                    self.link.query::<()>(cmd("DEL").arg(all)).await?;
                }
                self.token_keys.put(&self.link, &key).await
            }
            Item::Figures(figures) => {
                let mut put = cmd("HSET");
                put.arg(self.counts().key());
                put.arg("registered").arg(figures.registered);
                put.arg("removed").arg(figures.removed);
                for (day, figures) in figures.days {
                    for (name, count) in [
                        ("active", figures.active),
                        ("registered", figures.registered),
                        ("logins", figures.tally.logins),
                        ("online_max", figures.tally.online_max),
                    ] {
                        put.arg(format!("{name}:{}", day.0)).arg(count);
                    }
                }
                self.link.query(&put).await
            }
        }
    }
}
