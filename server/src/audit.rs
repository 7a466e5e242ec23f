//! What administrators change: who, what, whose, and what came of it. A file of its own where the
//! settings name one, and the log otherwise.

use crate::clock::true_now_ms;
use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// An administrator.
#[derive(Clone, Debug)]
pub struct Operator {
    pub admin_id: String,
    pub from: IpAddr,
}

/// One line.
#[derive(Serialize)]
struct Entry<'a> {
    time_ms: i64,
    admin_id: &'a str,
    from: IpAddr,
    action: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_id: Option<&'a str>,
    /// 0: done.
    code: i32,
}

/// What a change is about.
#[derive(Clone, Copy, Default)]
pub struct Target<'a> {
    pub user_id: Option<&'a str>,
    pub device_id: Option<&'a str>,
}

impl<'a> Target<'a> {
    pub fn user(user_id: &'a str) -> Target<'a> {
        Target {
            user_id: Some(user_id),
            device_id: None,
        }
    }
}

/// Where the entries go.
#[derive(Default)]
pub struct Audit {
    file: Option<Mutex<File>>,
}

impl Audit {
    /// Adds to this file.
    pub fn to(path: &Path) -> io::Result<Audit> {
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).mode(0o600).open(path)?;
        Ok(Audit {
            file: Some(Mutex::new(file)),
        })
    }

    /// An administrator has changed something, or was refused with this code.
    pub fn note(&self, by: &Operator, action: &str, target: Target<'_>, code: i32) {
        let Operator { admin_id, from } = by;
        let (user_id, device_id) = (target.user_id, target.device_id);
        let Some(file) = &self.file else {
            return tracing::info!(
                target: "audit", admin_id, %from, action, user_id, device_id, code, "administration"
            );
        };
        let entry = Entry {
            time_ms: true_now_ms(),
            admin_id,
            from: *from,
            action,
            user_id,
            device_id,
            code,
        };
        // Strings and numbers only: writing them as JSON into memory cannot fail.
        let mut line = serde_json::to_vec(&entry).unwrap_or_default();
        line.push(b'\n');
        let written = file
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write_all(&line);
        if let Err(error) = written {
            // What is not in the file is in the log at least.
            tracing::error!(
                target: "audit", admin_id, %from, action, user_id, device_id, code, %error, "audit log"
            );
        }
    }
}
