//! The audit log of administrators' changes: who changed what, for whom, with which result. It is a
//! file of its own if the settings name one, otherwise part of the log.

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

/// The subject of a change.
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

/// The destination of the entries.
#[derive(Default)]
pub struct Audit {
    file: Option<Mutex<File>>,
}

impl Audit {
    /// Appends to this file.
    pub fn to(path: &Path) -> io::Result<Audit> {
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).mode(0o600).open(path)?;
        Ok(Audit {
            file: Some(Mutex::new(file)),
        })
    }

    /// Records that an administrator changed something, or was refused with this code.
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
        // Serializing strings and numbers into memory cannot fail.
        let mut line = serde_json::to_vec(&entry).unwrap_or_default();
        line.push(b'\n');
        let written = file
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write_all(&line);
        if let Err(error) = written {
            // If the file cannot be written, at least the log has the entry.
            tracing::error!(
                target: "audit", admin_id, %from, action, user_id, device_id, code, %error, "audit log"
            );
        }
    }
}
