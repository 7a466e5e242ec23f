//! A store's content as lines of JSON: for moving to another engine, or out of either.

use super::StoreError;
use crate::calendar::Day;
use crate::figures::{DayFigures, Figures};
use crate::token::TokenKey;
use crate::user::User;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, Write};

/// The format of this version's lines.
const FORM: u32 = 1;

/// One line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    /// The first line.
    TimServerExport {
        form: u32,
        sdk_app_id: u32,
    },
    User {
        user_id: String,
        record: Box<User>,
    },
    Accounts {
        registered: u64,
        removed: u64,
    },
    Day {
        day: Day,
        figures: DayFigures,
    },
    TokenKey {
        id: u32,
        secret: String,
        made_ms: i64,
    },
}

/// One entry of a store.
pub enum Item {
    User(String, Box<User>),
    TokenKey(TokenKey),
    Figures(Figures),
}

/// How much was written or read.
#[derive(Default)]
pub struct Count {
    pub users: u64,
}

/// Writes lines.
pub struct Export<'a> {
    to: &'a mut dyn Write,
    pub count: Count,
}

impl Export<'_> {
    pub fn begin(to: &mut dyn Write, sdk_app_id: u32) -> Result<Export<'_>, StoreError> {
        let mut export = Export {
            to,
            count: Count::default(),
        };
        export.line(&Line::TimServerExport {
            form: FORM,
            sdk_app_id,
        })?;
        Ok(export)
    }

    pub fn add(&mut self, item: Item) -> Result<(), StoreError> {
        match item {
            Item::User(_, user) if !user.is_worth_keeping() => Ok(()),
            Item::User(user_id, user) => {
                self.count.users += 1;
                let record = Box::new(user.lasting_with_its_epoch());
                self.line(&Line::User { user_id, record })
            }
            Item::TokenKey(key) => self.line(&Line::TokenKey {
                id: key.id,
                secret: BASE64_STANDARD.encode(key.secret),
                made_ms: key.made_ms,
            }),
            Item::Figures(figures) => {
                let (registered, removed) = (figures.registered, figures.removed);
                self.line(&Line::Accounts {
                    registered,
                    removed,
                })?;
                for (day, figures) in figures.days {
                    self.line(&Line::Day { day, figures })?;
                }
                Ok(())
            }
        }
    }

    fn line(&mut self, line: &Line) -> Result<(), StoreError> {
        let written = serde_json::to_writer(&mut *self.to, line)
            .map_err(std::io::Error::from)
            .and_then(|()| self.to.write_all(b"\n"));
        written.map_err(|error| StoreError::Failed(format!("the export: {error}")))
    }
}

/// Reads lines, and calls `each` with their entries.
pub fn read(
    from: &mut dyn BufRead,
    sdk_app_id: u32,
    mut each: impl FnMut(Item) -> Result<(), StoreError>,
) -> Result<Count, StoreError> {
    let (mut count, mut figures) = (Count::default(), Figures::default());
    let mut has_begun = false;
    for (at, text) in from.lines().enumerate() {
        let here = |what: &dyn std::fmt::Display| {
            StoreError::Failed(format!("line {} of the import: {what}", at + 1))
        };
        let text = text.map_err(|error| here(&error))?;
        // serde's message may quote a value, possibly a key.
        let line: Line = serde_json::from_str(&text).map_err(|error| {
            here(&format_args!(
                "not a line of an export, at column {}",
                error.column()
            ))
        })?;
        match line {
            Line::TimServerExport { form, .. } if form != FORM => {
                return Err(here(&format_args!("its form is {form}: expected {FORM}")));
            }
            Line::TimServerExport {
                sdk_app_id: app, ..
            } if app != sdk_app_id => {
                return Err(here(&format_args!(
                    "it is of app {app}: this is app {sdk_app_id}"
                )));
            }
            Line::TimServerExport { .. } => has_begun = true,
            _ if !has_begun => {
                return Err(here(&"expected the first line of an export"));
            }
            Line::User { user_id, record } => {
                count.users += 1;
                each(Item::User(user_id, record))?;
            }
            Line::TokenKey {
                id,
                secret,
                made_ms,
            } => {
                let secret = BASE64_STANDARD.decode(secret).ok();
                let secret = secret.and_then(|secret| secret.try_into().ok());
                let secret = secret.ok_or_else(|| here(&"expected a key of 32 bytes in Base64"))?;
                each(Item::TokenKey(TokenKey {
                    id,
                    secret,
                    made_ms,
                }))?;
            }
            Line::Accounts {
                registered,
                removed,
            } => {
                (figures.registered, figures.removed) = (registered, removed);
            }
            Line::Day {
                day,
                figures: of_day,
            } => {
                figures.days.insert(day, of_day);
            }
        }
    }
    if !has_begun {
        return Err(StoreError::Failed("the import is empty".to_owned()));
    }
    each(Item::Figures(figures))?;
    Ok(count)
}
